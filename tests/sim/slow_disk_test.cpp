// A disk that takes long over each sync: only what waits for it waits, and many share one.

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <pannier/sim.h>
#include <pannier/sqlite_store.h>
#include "platform/sim/disk.h"
#include "runtime/store/sim/sqlite_disk.h"
#include "tests/runtime/script.h"

namespace pannier::testing {
namespace {

using namespace std::chrono_literals;

constexpr Duration kPing = 10ms;

/// What came to it, and how long each had been on its way.
struct Clerk : Actor<Clerk, std::int64_t> {
  explicit Clerk(std::vector<Duration>* delays) : delays_(delays) {}
  void on(const std::int64_t& sent_at) { delays_->push_back(now().time_since_epoch() - Duration(sent_at)); }

 private:
  std::vector<Duration>* delays_;
};

/// A node on the slow disk, with producers, and with others that have nothing to do with the disk.
class SlowDisk {
 public:
  explicit SlowDisk(Duration a_sync) : a_sync_(a_sync) {
    auto opened = open_sqlite_store(
        {.path = "node.db", .entropy = dice_, .checkpoint_pages = 32, .reserve_bytes = 65536, .vfs = vfs_.name()});
    REQUIRE(opened.ok());
    store_ = std::move(*opened);
    node_ = std::make_unique<SimNode>(simulator_, &network_, NodeOptions{.name = "slow", .listen = {"sim://slow"}},
                                      testkit::Machine{.workers = 4, .store = store_.get()});
    peer_ =
        std::make_unique<SimNode>(simulator_, &network_, NodeOptions{.name = "peer", .links = {{"slow", "sim://slow"}}},
                                  testkit::Machine{.disk = false});
    producer_ = *(*node_)->spawn<Hand>();
    pinger_ = *(*node_)->spawn<Hand>();
    clerk_ = *(*node_)->spawn<Clerk>(SpawnOptions{.name = "clerk"}, &delays_);
    simulator_.run_for(1s);
    // A sync keeps the store's worker, the second one, and nobody else: the others go on meanwhile.
    disk_.set_slow(a_sync, [this](Duration span) {
      Loop* worker = (*node_)->loops()[1];
      simulator_.remove(*worker);
      simulator_.run_for(span);
      simulator_.add(*worker);
    });
  }

  ~SlowDisk() { disk_.set_slow({}, {}); }
  SlowDisk(const SlowDisk&) = delete;
  SlowDisk& operator=(const SlowDisk&) = delete;

  /// One message each `period`, for `span`, and as long as it takes then.
  void run(Duration period, Duration span) {
    const MonoTime end = simulator_.now() + span;
    CHECK((*node_)->tell(producer_, Hand::Order([this, period, end](Hand& self) {
                           self.every(period, [this, end, &self] {
                             if (self.now() < end) produce(self);
                           });
                         })));
    CHECK((*node_)->tell(pinger_, Hand::Order([this](Hand& self) {
                           self.every(kPing, [this, &self] {
                             ++pings_;
                             CHECK(self.tell(clerk_, std::int64_t{self.now().time_since_epoch().count()}));
                           });
                         })));
    commits_before_ = store_->counters().commits;
    simulator_.run_for(span);
    simulator_.run_for(4 * a_sync_ + 1s);
  }

  /// Of the receipts: the longest wait beyond the syncs that were done in it.
  Duration longest_beyond_syncs{};
  std::uint64_t most_syncs = 0;  ///< That one of them waited for.
  std::uint64_t produced = 0;
  std::uint64_t stored = 0;

  [[nodiscard]] std::uint64_t commits() const { return store_->counters().commits - commits_before_; }
  [[nodiscard]] std::uint64_t pings() const noexcept { return pings_; }
  [[nodiscard]] const std::vector<Duration>& delays() const noexcept { return delays_; }
  [[nodiscard]] bool link_was_lost() const { return peer_->log().has("is down") || node_->log().has("is down"); }

 private:
  void produce(Hand& self) {
    ++produced;
    const MonoTime asked = self.now();
    const std::uint64_t syncs = disk_.syncs();
    self.enqueue("peer/orders", "", note(std::string(100, 'x'))).then([=, this](const Result<Receipt>& receipt) {
      REQUIRE(receipt.ok());
      ++stored;
      const Duration waited = simulator_.now() - asked;
      // The sync that was going on when it came counts whole.
      const auto done = static_cast<Duration::rep>(disk_.syncs() - syncs + 1);
      longest_beyond_syncs = std::max(longest_beyond_syncs, waited - done * a_sync_);
      most_syncs = std::max(most_syncs, disk_.syncs() - syncs + 1);
    });
  }

  Duration a_sync_;
  sim::Simulator simulator_{3};
  sim::Network network_{simulator_};
  sim::SeededEntropy dice_{3};
  sim::Disk disk_{3};
  sim::SqliteDisk vfs_{disk_};
  StorePtr store_;
  std::unique_ptr<SimNode> node_;
  std::unique_ptr<SimNode> peer_;
  ActorRef<Hand> producer_;
  ActorRef<Hand> pinger_;
  ActorRef<Clerk> clerk_;
  std::vector<Duration> delays_;
  std::uint64_t pings_ = 0;
  std::uint64_t commits_before_ = 0;
};

}  // namespace

TEST_CASE(
    "on a slow disk many share one sync, nobody waits for more than two groups, and the rest of the node goes on") {
  std::string said;
  for (const Duration a_sync : {Duration(100ms), Duration(1s), Duration(5s)}) {
    INFO("a sync takes " << std::chrono::duration_cast<std::chrono::milliseconds>(a_sync).count() << " ms");
    SlowDisk disk(a_sync);
    disk.run(5ms, 10 * a_sync);
    CHECK(disk.produced > 9 * (a_sync / 5ms));
    CHECK(disk.stored == disk.produced);
    // Of the group that is being committed when it comes, and of its own: each up to four, of the log, its header, and
    // a checkpoint; and the one that has begun when the receipt is read.
    CHECK(disk.most_syncs <= 2 * 4 + 1);
    CHECK(disk.longest_beyond_syncs <= 20ms);
    CHECK(disk.commits() < 30);
    CHECK(disk.produced > 10 * disk.commits());

    CHECK(disk.pings() > 100);
    CHECK(disk.delays().size() == disk.pings());
    CHECK(*std::max_element(disk.delays().begin(), disk.delays().end()) == Duration::zero());
    CHECK_FALSE(disk.link_was_lost());
    said += std::to_string(disk.produced) + " messages in " + std::to_string(disk.commits()) +
            " commits; the longest wait: " + std::to_string(disk.most_syncs) + " syncs and " +
            std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(disk.longest_beyond_syncs).count()) +
            " us. ";
  }
  MESSAGE(said);
}

}  // namespace pannier::testing
