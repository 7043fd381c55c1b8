#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <pannier/entity.h>
#include <pannier/events.h>
#include <pannier/simulation.h>

#include "runtime/store/store.h"
#include "services/events/events.fbs.h"
#include "testkit/faulty_store.h"
#include "tests/services/events/schema/bank.fbs.h"
#include "tests/support/temp_folder.h"

namespace pannier::testing::bank {

using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

inline Table<Deposited> deposited_1_to_2_to_3(const DepositedV2& old) { return make<Deposited>(old.cents(), "nobody"); }
inline Table<DepositedV2> deposited_1_to_2(const DepositedV1& old) { return make<DepositedV2>(old.euros() * 100); }

inline EventTypes bank_events() {
  EventTypes types;
  types.add<Deposited>("bank.Deposited", 3)
      .upcast("bank.Deposited", 1, &deposited_1_to_2)
      .upcast("bank.Deposited", 2, &deposited_1_to_2_to_3)
      .add<Withdrawn>("bank.Withdrawn");
  return types;
}

/// An account that must not be overdrawn.
struct Account : EventSourced<Account, Deposited, Withdrawn> {
  static EventTypes event_types() { return bank_events(); }
  template <class Command>
  static std::string_view entity_of(const Command& command) {
    return text_of(command.account());
  }
  static std::string_view token_of(const Deposit& command) { return text_of(command.token()); }
  static std::string_view token_of(const Withdraw& command) { return text_of(command.token()); }

  void apply(const Deposited& event) {
    cents += event.cents();
    ++deposits;
  }
  void apply(const Withdrawn& event) { cents -= event.cents(); }

  Decision on(const Deposit& command) {
    if (command.amount() == 13) throw std::runtime_error("thirteen");
    return accept(make<Deposited>(command.amount(), id()));
  }
  Decision on(const Withdraw& command) {
    if (command.amount() > cents) return refuse("insufficient funds: " + std::to_string(cents));
    return accept(make<Withdrawn>(command.amount())).reply(make<Balance>(cents - command.amount()));
  }
  Decision on(const BalanceQuestion&) { return accept().reply(make<Balance>(cents)); }

  [[nodiscard]] Table<AccountSnapshot> snapshot() const { return make<AccountSnapshot>(cents, deposits); }
  void restore(const AccountSnapshot& snapshot) {
    cents = snapshot.cents();
    deposits = snapshot.deposits();
  }

  std::int64_t cents = 0;
  std::uint32_t deposits = 0;
};

inline auto account_kind() { return entity_kind<Account, Deposit, Withdraw, BalanceQuestion>(); }

/// In memory where the machine has such a folder: these tests are not about a disk's speed.
inline std::filesystem::path quick_folder() {
  return std::filesystem::exists("/dev/shm") ? std::filesystem::path{"/dev/shm"}
                                             : std::filesystem::temp_directory_path();
}

/// A node with an SQLite file and whatever `boot` starts on it, in each life.
struct BankBench {
  explicit BankBench(std::function<void(Node&)> boot = {}, std::uint64_t seed = 1)
      : sim(seed), node(sim.add({.name = "here"}, {.file = folder / "node.db", .boot = std::move(boot)})) {}

  TempFolder folder{quick_folder()};
  testkit::Simulation sim;
  testkit::SimNode& node;

  std::string commit(Batch batch) {
    std::string said = "nothing";
    REQUIRE(node.probe().let([&](testkit::ProbeActor& self) {
      self.commit(std::move(batch)).then([&](Result<Receipt> receipt) {
        said = !receipt ? receipt.error().text() : receipt->duplicate ? "duplicate" : "stored";
      });
    }));
    sim.advance(1s);
    return said;
  }
  std::string prepare() {
    Batch batch;
    prepare_events(batch);
    return commit(std::move(batch));
  }
  WallTime wall() { return sim.simulator().clock().wall_now(); }
  Batch appending(std::string_view stream, ExpectedVersion expected, std::vector<NewEvent> events,
                  std::string token = {}) {
    Batch batch;
    REQUIRE(append(batch, stream, expected, events, {.at = wall(), .token = std::move(token)}));
    return batch;
  }
  std::string append_to(std::string_view stream, ExpectedVersion expected, std::vector<NewEvent> events,
                        std::string token = {}) {
    return commit(appending(stream, expected, std::move(events), std::move(token)));
  }
  /// "account-1 1 bank.Withdrawn 5": stream, version, type, and the amount.
  Lines read(EventSelection selection) {
    Lines lines;
    std::optional<Error> error;
    REQUIRE(node.probe().let([&](testkit::ProbeActor& self) {
      read_events(self, selection, [&](Result<std::vector<RecordedEvent>> events) {
        if (!events) {
          error = events.error();
          return;
        }
        for (const RecordedEvent& each : *events) {
          lines.push_back(each.stream + " " + std::to_string(each.version) + " " + each.type + " " +
                          std::to_string(flatbuffers::GetRoot<Withdrawn>(each.data.bytes().data())->cents()));
        }
      });
    }));
    sim.advance(100ms);
    INFO((error ? error->text() : std::string{}));
    CHECK_FALSE(error);
    return lines;
  }
  std::int64_t number(const std::string& sql) {
    std::int64_t found = -1;
    const auto done = node.store().sql()->query({sql, {}}, [&](std::span<const SqlValue> row) {
      found = std::get<std::int64_t>(row[0]);
      return false;
    });
    INFO((done ? std::string{} : done.error().text()));
    REQUIRE(done);
    return found;
  }
  void execute(const std::string& sql) {
    Batch batch;
    batch.execute(sql);
    CHECK(commit(std::move(batch)) == "stored");
  }

  // --- Accounts, where boot has started them as "accounts"
  Ref accounts() { return node->ref("accounts"); }
  /// "balance 5", "accepted 3", "accepted 3 again", or the error.
  template <class Command>
  std::string ask(const Table<Command>& command) {
    const Result<AnyTable> answer = node.probe().ask<AnyTable>(accounts(), command, 10s);
    if (!answer) return answer.error().text();
    if (auto balance = answer->as<Balance>()) return "balance " + std::to_string((*balance)->amount());
    if (auto accepted = answer->as<events::Accepted>()) {
      return "accepted " + std::to_string((*accepted)->version()) + ((*accepted)->duplicate() ? " again" : "");
    }
    return "something else";
  }
  std::string deposit(std::string_view account, std::int64_t amount, std::string_view token = {}) {
    return ask(make<Deposit>(account, amount, token));
  }
  std::string withdraw(std::string_view account, std::int64_t amount, std::string_view token = {}) {
    return ask(make<Withdraw>(account, amount, token));
  }
  std::string balance(std::string_view account) { return ask(make<BalanceQuestion>(account)); }
};

inline NewEvent withdrawn(std::int64_t amount) { return *bank_events().event(make<Withdrawn>(amount)); }
inline NewEvent deposited(std::int64_t amount) { return *bank_events().event(make<Deposited>(amount, "test")); }

}  // namespace pannier::testing::bank
