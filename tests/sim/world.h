#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <pannier/node.h>
#include <pannier/sim.h>
#include <pannier/simulation.h>
#include <pannier/sqlite_store.h>
#include "platform/sim/disk.h"
#include "runtime/store/sim/sqlite_disk.h"
#include "runtime/store/store.h"
#include "testkit/faulty_store.h"
#include "testkit/memory_store.h"
#include "tests/runtime/schema/messages.fbs.h"

namespace pannier::testing {

using namespace std::chrono_literals;
using testkit::FaultyStore;
using testkit::SimNode;

/// What the test knows, outside of every node: no crash takes it.
struct Ledger {
  struct Entry {
    std::string key;
    std::string node;  ///< Where its effect belongs.
    bool acknowledged = false;
    std::int64_t together_with = 0;  ///< Shared its transaction with this one; 0: with none.
  };
  std::map<std::int64_t, Entry> messages;
  std::int64_t next = 1;
  std::int64_t settled = 0;  ///< Grows with each effect that a consumer asks for.
};

/// The answer to message n is message n + kAnswer, enqueued in the transaction of n's effect.
inline constexpr std::int64_t kAnswer = 1'000'000;

struct Place {
  std::string address;
  std::string key;
  std::int64_t id;
  std::string second_address;  ///< Not empty: message id + 1 goes there in the same transaction.
};

struct Producer : Actor<Producer, Place> {
  explicit Producer(Ledger* ledger) : ledger_(ledger) {}
  void on(const Place& place) {
    Batch batch;
    batch.enqueue(place.address, place.key, make<Number>(place.id));
    const bool two = !place.second_address.empty();
    if (two) batch.enqueue(place.second_address, place.key, make<Number>(place.id + 1));
    commit(std::move(batch)).then([this, two, id = place.id](Result<Receipt> receipt) {
      if (!receipt) return;
      ledger_->messages[id].acknowledged = true;
      if (two) ledger_->messages[id + 1].acknowledged = true;
    });
  }

 private:
  Ledger* ledger_;
};

/// Writes one line of state for each effect that it is asked for: two lines for one message are an effect twice. Now
/// and then it fails, forgets, asks for another try, or takes its time.
struct Effector : Actor<Effector, Number> {
  Effector(Ledger* ledger, std::string lane, std::string answers_to)
      : ledger_(ledger), lane_(std::move(lane)), answers_to_(std::move(answers_to)) {}

  void on_start() {
    const auto window = static_cast<std::uint32_t>(1 + random() % 8);
    CHECK(consume<Number>(lane_, {.window = window, .max_attempts = 1'000'000}));
  }
  void on(const Number& number, Delivery delivery) {
    const std::int64_t id = number.value();
    switch (random() % 24) {
      case 0: throw std::runtime_error("fails now and then");
      case 1: delivery.retry(std::chrono::milliseconds{random() % 300}); return;
      case 2: return;
      case 3:
      case 4:
      case 5:
        after(std::chrono::milliseconds{random() % 500},
              [this, id, delivery, key = std::string{label()}] { take_effect(id, key, delivery); });
        return;
      default: take_effect(id, std::string{label()}, delivery);
    }
  }

 private:
  void take_effect(std::int64_t id, const std::string& key, const Delivery& delivery) {
    Batch effects;
    const std::int64_t order = ++ledger_->settled;
    effects.put_state("e/" + std::to_string(id) + "/" + std::to_string(order), make<Number>(order));
    if (!answers_to_.empty() && id < kAnswer) effects.enqueue(answers_to_, key, make<Number>(id + kAnswer));
    delivery.ack(std::move(effects));
  }

  Ledger* ledger_;
  std::string lane_;
  std::string answers_to_;
};

/// Bears with its consumers whatever they do, so that failures in them never stop the node.
struct Patron : Actor<Patron> {
  Patron(Ledger* ledger, std::vector<std::string> lanes, std::string answers_to)
      : ledger_(ledger), lanes_(std::move(lanes)), answers_to_(std::move(answers_to)) {}
  void on_start() {
    for (const std::string& lane : lanes_) spawn<Effector>({}, ledger_, lane, answers_to_).ignore();
  }
  [[nodiscard]] static SpawnOptions options() {
    SpawnOptions options;
    options.children = {.max_restarts = 1'000'000, .backoff_base = 10ms, .backoff_cap = 50ms};
    return options;
  }

 private:
  Ledger* ledger_;
  std::vector<std::string> lanes_;
  std::string answers_to_;
};

/// A device of the simulation: its store outlives the lives of its node.
class Host {
 public:
  struct Setup {
    NodeOptions node;
    std::vector<std::string> consumes = {};
    std::string answers_to = {};
    std::uint32_t workers = 1;
    bool on_disk = false;
  };

  Host(sim::Simulator& simulator, sim::Network& network, Ledger& ledger, Setup setup)
      : simulator_(simulator),
        network_(network),
        ledger_(ledger),
        setup_(std::move(setup)),
        entropy_(simulator.entropy().next()) {
    if (setup_.on_disk) {
      disk_ = std::make_unique<sim::Disk>(entropy_.next());
      vfs_ = std::make_unique<sim::SqliteDisk>(*disk_);
    } else {
      real_ = StorePtr{new testkit::MemoryStore{entropy_}};
    }
    start();
  }

  void start() {
    if (setup_.on_disk) {
      disk_->restore_power();
      auto opened = open_sqlite_store({.path = "node.db",
                                       .entropy = entropy_,
                                       .checkpoint_pages = 16,
                                       .reserve_bytes = 65536,
                                       .batch_bytes = 1,
                                       .vfs = vfs_->name()});
      INFO((opened ? std::string() : opened.error().text()));
      REQUIRE(opened.ok());
      real_ = std::move(*opened);
      CHECK(real_->findings().empty());  // The disk is honest.
    }
    store_ = std::make_unique<FaultyStore>(*real_);
    transport_ = network_.make_transport(name());
    node_ = std::make_unique<SimNode>(
        simulator_, nullptr, setup_.node,
        testkit::Machine{.workers = setup_.workers, .store = store_.get(), .transport = transport_.get()});
    producer_ = *(*node_)->spawn<Producer>(SpawnOptions{}, &ledger_);
    REQUIRE((*node_)->spawn<Patron>(Patron::options(), &ledger_, setup_.consumes, setup_.answers_to));
  }
  /// The process is gone: what it had in memory, and what it had not committed. Of a simulated disk the power goes,
  /// too.
  void crash() {
    if (disk_ != nullptr && disk_->has_power()) {
      entropy_.chance(0.5) ? disk_->kill_process() : disk_->cut_power(sim::kLosses[entropy_.below(6)]);
    }
    node_.reset();
    transport_.reset();
    store_.reset();
    if (setup_.on_disk) {
      real_.reset();
      disk_->on_operation({});
    } else {
      real_->rollback();
    }
  }
  /// At the `operations`-th word to the disk from now the power fails.
  void cut_power_in_mid_work(std::uint64_t operations) {
    const std::uint64_t last = disk_->operations() + operations;
    disk_->on_operation([this, last](std::uint64_t index) {
      if (index < last) return;
      disk_->cut_power(sim::kLosses[entropy_.below(6)]);
      network_.isolate(name(), sim::Cut::silent);
    });
  }
  /// Within its `calls`-th word to the store from now it dies, and nothing of it is heard after.
  void die_in_mid_work(std::uint32_t calls, bool commit_is_stored) {
    store_->die_after(calls, commit_is_stored, [this] { network_.isolate(name(), sim::Cut::silent); });
  }
  /// Takes back what it was to suffer.
  void calm() {
    store_->die_after(0, false, {});
    store_->fail_commits(0);
    if (disk_ != nullptr) disk_->on_operation({});
  }
  void rejoin() { network_.rejoin(name()); }
  void place(Place place) { (*node_)->tell(producer_, std::move(place)).ignore(); }

  [[nodiscard]] bool up() const noexcept { return node_ != nullptr; }
  [[nodiscard]] bool dying() const noexcept {
    return store_ != nullptr && (store_->dead() || (disk_ != nullptr && !disk_->has_power()));
  }
  [[nodiscard]] std::uint64_t power_cuts() const noexcept { return disk_ == nullptr ? 0 : disk_->power_cuts(); }
  [[nodiscard]] bool on_disk() const noexcept { return disk_ != nullptr; }
  [[nodiscard]] const std::string& name() const noexcept { return setup_.node.name; }
  [[nodiscard]] FaultyStore& faults() noexcept { return *store_; }
  [[nodiscard]] Store& store() noexcept { return *real_; }
  [[nodiscard]] Node& node() noexcept { return **node_; }

 private:
  sim::Simulator& simulator_;
  sim::Network& network_;
  Ledger& ledger_;
  Setup setup_;
  sim::SeededEntropy entropy_;
  std::unique_ptr<sim::Disk> disk_;
  std::unique_ptr<sim::SqliteDisk> vfs_;
  StorePtr real_;
  std::unique_ptr<FaultyStore> store_;
  std::unique_ptr<sim::SimTransport> transport_;
  std::unique_ptr<SimNode> node_;
  ActorRef<Producer> producer_;
};

}  // namespace pannier::testing
