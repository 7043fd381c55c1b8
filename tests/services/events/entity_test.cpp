#include "tests/services/events/bank_bench.h"

namespace pannier::testing::bank {
namespace {

/// A node that runs accounts, as "accounts", in every life.
struct Bank : BankBench {
  explicit Bank(EntityOptions options = {}, std::uint64_t seed = 1)
      : BankBench(
            [options](Node& on) {
              EntityOptions all = options;
              all.stream_prefix = "account-";
              REQUIRE(on.spawn<EntityHost>(SpawnOptions{.name = "accounts"}, account_kind(), all));
            },
            seed) {}
  EntityCounters counters() {
    const auto answer = node.probe().ask<EntityCounters>(LocalRef{accounts().id()}, EntityCountersQuestion{}, 10s);
    REQUIRE(answer);
    return *answer;
  }
};

TEST_CASE("an account takes deposits and withdrawals, refuses an overdraft, and is the same after a restart") {
  Bank bank;
  CHECK(bank.deposit("1", 100) == "accepted 1");
  CHECK(bank.deposit("1", 50) == "accepted 2");
  CHECK(bank.withdraw("1", 200) == "rejected: insufficient funds: 150");
  CHECK(bank.withdraw("1", 120) == "balance 30");
  CHECK(bank.balance("2") == "balance 0");
  CHECK(bank.balance("") ==
        "invalid_argument: pannier.testing.bank.BalanceQuestion names no entity: its id has 1 to 255 bytes");
  CHECK(bank.ask(make<TotalQuestion>("1")).find("has no such command") != std::string::npos);
  CHECK(bank.read({.stream = "account-1"}) ==
        Lines{"account-1 1 bank.Deposited 100", "account-1 2 bank.Deposited 50", "account-1 3 bank.Withdrawn 120"});
  bank.node.crash();
  REQUIRE(bank.node.start());
  CHECK(bank.balance("1") == "balance 30");
}

TEST_CASE("commands do not wait for the disk one by one, are answered in order, and only once they are stored") {
  Bank bank;
  CHECK(bank.deposit("1", 1) == "accepted 1");
  const auto commits = bank.node.store().counters().commits;
  Lines story;
  auto probe = bank.node.probe();
  REQUIRE(probe.let([&](testkit::ProbeActor& self) {
    for (int i = 0; i < 50; ++i) {
      self.ask<AnyTable>(bank.accounts(), make<Withdraw>("1", i == 0 ? 1 : 7, ""), 10s)
          .then([&, i](const Result<AnyTable>& answer) {
            story.push_back(std::to_string(i) + (answer ? " done" : " no"));
          });
      self.ask<AnyTable>(bank.accounts(), make<Deposit>("1", 7, ""), 10s).then([](const Result<AnyTable>&) {});
    }
  }));
  bank.sim.advance(1s);
  REQUIRE(story.size() == 50);
  for (int i = 0; i < 50; ++i) CHECK(story[static_cast<std::size_t>(i)] == std::to_string(i) + " done");
  CHECK(bank.node.store().counters().commits - commits < 10);
  CHECK(bank.balance("1") == "balance 7");
}

TEST_CASE("where the disk fails, nobody is told that it worked, and the account is what is on disk") {
  Bank bank;
  CHECK(bank.deposit("1", 100) == "accepted 1");
  bank.node.disk().fail_commits(1);
  CHECK(bank.withdraw("1", 60).find("storage_io") == 0);
  CHECK(bank.balance("1") == "balance 100");
  CHECK(bank.withdraw("1", 60) == "balance 40");
}

TEST_CASE("when somebody else writes to an account's stream, the command is decided anew on what is there") {
  Bank bank;
  CHECK(bank.deposit("1", 100) == "accepted 1");
  CHECK(bank.append_to("account-1", ExpectedVersion::any, {withdrawn(90)}) == "stored");
  CHECK(bank.withdraw("1", 60) == "rejected: insufficient funds: 10");  // and not on the 100 that it believed
  CHECK(bank.withdraw("1", 10) == "balance 0");
  CHECK(bank.counters().conflicts == 1);
}

TEST_CASE("a command with a token takes effect once, and is answered as carried out though it would be refused now") {
  Bank bank;
  CHECK(bank.deposit("1", 100, "d1") == "accepted 1");
  CHECK(bank.deposit("1", 100, "d1") == "accepted 1 again");
  CHECK(bank.withdraw("1", 80, "w1") == "balance 20");
  CHECK(bank.withdraw("1", 80, "w1") == "accepted 2 again");
  CHECK(bank.withdraw("1", 80, "w2") == "rejected: insufficient funds: 20");
  CHECK(bank.balance("1") == "balance 20");
}

TEST_CASE("a command that throws fails alone, and the account is as it was") {
  Bank bank;
  CHECK(bank.deposit("1", 100) == "accepted 1");
  CHECK(bank.deposit("1", 13) == "failed: thirteen");
  CHECK(bank.balance("1") == "balance 100");
}

TEST_CASE("commands come by lane as well, take effect once over crashes, and a refused one is a dead letter") {
  for (const auto seed : testkit::seeds(8)) {
    CAPTURE(seed);
    Bank bank{{.lane = "commands"}, seed};
    bank.sim.advance(1s);
    bank.node.crash_in_store_call(static_cast<std::uint32_t>(5 + seed * 3), seed % 2 == 0);
    {
      auto probe = bank.node.probe();
      for (int i = 0; i < 5; ++i) {
        if (!probe.enqueue("commands", "1", make<Deposit>("1", 10, "t" + std::to_string(i)), 1s)) break;
      }
    }
    bank.sim.advance(2s);
    if (!bank.node.up()) REQUIRE(bank.node.start());
    bank.sim.advance(10s);
    for (int i = 0; i < 5; ++i) {
      REQUIRE(bank.node.probe().enqueue("commands", "1", make<Deposit>("1", 10, "t" + std::to_string(i)), 10s));
    }
    bank.sim.advance(10s);
    CHECK(bank.balance("1") == "balance 50");
    REQUIRE(bank.node.probe().enqueue("commands", "1", make<Withdraw>("1", 51, ""), 10s));
    bank.sim.advance(1s);
    CHECK(bank.node.store().total(RowState::dead_lettered).messages == 1);
  }
}

TEST_CASE("a snapshot spares reading the events before it, and a bad one only costs reading them") {
  Bank bank{{.snapshot_every = 100}};
  for (int i = 0; i < 25; ++i) {
    CHECK(bank.append_to("account-1", ExpectedVersion::any, std::vector<NewEvent>(10, deposited(1))) == "stored");
  }
  CHECK(bank.deposit("1", 1) == "accepted 251");
  CHECK(bank.counters().events_read == 250);
  CHECK(bank.counters().snapshots == 1);
  CHECK(bank.deposit("1", 1) == "accepted 252");
  REQUIRE(bank.node.restart());
  CHECK(bank.balance("1") == "balance 252");
  CHECK(bank.counters().events_read == 1);
  for (const char* damage :
       {"UPDATE es_snapshots SET data=zeroblob(length(data))", "UPDATE es_snapshots SET version=version+1",
        "UPDATE es_snapshots SET type='another.Snapshot'"}) {
    CAPTURE(damage);
    bank.execute(damage);
    REQUIRE(bank.node.restart());
    CHECK(bank.balance("1") == "balance 252");
    CHECK(bank.counters().bad_snapshots == 1);
    CHECK(bank.counters().events_read == 252);
  }
}

TEST_CASE("an account whose history holds an event of unknown type or version says which one; others go on") {
  Bank bank;
  CHECK(bank.deposit("1", 100) == "accepted 1");
  CHECK(bank.deposit("2", 100) == "accepted 1");
  CHECK(bank.append_to("account-1", ExpectedVersion::any, {{"bank.Frozen", 1, make<Audited>(1).block()}}) == "stored");
  CHECK(bank.append_to("account-3", ExpectedVersion::any, {{"bank.Deposited", 9, make<Audited>(1).block()}}) ==
        "stored");
  REQUIRE(bank.node.restart());
  CHECK(bank.balance("1") ==
        "unsupported: event 2 of stream account-1 is 'bank.Frozen' version 1, a type that this program does not know");
  CHECK(bank.balance("3") ==
        "unsupported: event 1 of stream account-3 is 'bank.Deposited' version 9; this program knows versions up to 3");
  CHECK(bank.balance("2") == "balance 100");
  bank.execute("DELETE FROM es_events WHERE version=1 AND stream=(SELECT id FROM es_streams WHERE name='account-2')");
  REQUIRE(bank.node.restart());
  CHECK(bank.balance("2") == "balance 0");  // the last event is gone as well: there is nothing to miss
  CHECK(bank.append_to("account-2", ExpectedVersion::any, {deposited(1)}) == "stored");
  REQUIRE(bank.node.restart());
  CHECK(bank.balance("2") == "corrupt: event 1 of stream account-2 is missing");
}

TEST_CASE("only so many accounts are in memory; the others sleep, and so does the node") {
  Bank bank{{.awake = 10, .passivate_after = 30s}};
  for (int i = 0; i < 100; ++i) CHECK(bank.deposit(std::to_string(i), 100 + i) == "accepted 1");
  CHECK(bank.counters().passivated == 90);
  CHECK(bank.balance("42") == "balance 142");
  CHECK(bank.counters().loaded == 101);
  bank.sim.advance(2min);
  CHECK(bank.counters().passivated == 101);
  const auto steps = bank.sim.simulator().steps();
  bank.sim.advance(24h);
  CHECK(bank.sim.simulator().steps() - steps < 4);
}

TEST_CASE("past its bound of commands a host says full, and loses none that it took") {
  Bank bank{{.commands = 10}};
  int done = 0;
  int full = 0;
  REQUIRE(bank.node.probe().let([&](testkit::ProbeActor& self) {
    for (int i = 0; i < 30; ++i) {
      self.ask<AnyTable>(bank.accounts(), make<Deposit>("1", 1, ""), 10s).then([&](const Result<AnyTable>& answer) {
        ++(answer ? done : full);
      });
    }
  }));
  bank.sim.advance(1s);
  CHECK(done == 10);
  CHECK(full == 20);
  CHECK(bank.balance("1") == "balance 10");
}

}  // namespace
}  // namespace pannier::testing::bank
