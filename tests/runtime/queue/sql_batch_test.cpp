// What a batch of SQL may ask for beyond its statements: that something still holds, that it was not stored before, and
// to hear of changes.

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include <pannier/actor.h>
#include <pannier/simulation.h>
#include "tests/runtime/schema/messages.fbs.h"
#include "tests/support/temp_folder.h"

namespace pannier::testing {
namespace {

using namespace std::chrono_literals;

/// A node with an SQLite file, and an actor in the test's hands.
struct SqlBench {
  TempFolder folder;
  testkit::Simulation sim;
  testkit::SimNode& node = sim.add({.name = "here"}, {.file = folder / "node.db"});
  testkit::Probe hand = node.probe();

  std::string commit(Batch batch) {
    std::string said = "nothing";
    REQUIRE(hand.let([&](testkit::ProbeActor& self) {
      self.commit(std::move(batch)).then([&](Result<Receipt> receipt) { said = told(receipt); });
    }));
    sim.advance(1s);
    return said;
  }
  static std::string told(const Result<Receipt>& receipt) {
    if (!receipt) return receipt.error().text();
    return receipt->duplicate ? "duplicate" : "stored";
  }
  std::int64_t number(const std::string& sql) {
    std::int64_t found = -1;
    REQUIRE(node.store().sql()->query({sql, {}}, [&](std::span<const SqlValue> row) {
      found = std::get<std::int64_t>(row[0]);
      return false;
    }));
    return found;
  }
};

Batch deposit(std::int64_t expected) {
  Batch batch;
  batch.refuse_if("SELECT printf('the balance is %d, not %d', balance, ?1) FROM account WHERE balance<>?1", expected)
      .execute("UPDATE account SET balance=balance+1")
      .enqueue("told", "k", make<Number>(expected));
  return batch;
}

TEST_CASE("a batch that expects what is no longer so is refused with what is so, and nothing of it is stored") {
  SqlBench bench;
  Batch made;
  made.execute("CREATE TABLE account (balance)").execute("INSERT INTO account VALUES (0)");
  CHECK(bench.commit(std::move(made)) == "stored");
  CHECK(bench.commit(deposit(0)) == "stored");
  CHECK(bench.commit(deposit(0)) == "conflict: the balance is 1, not 0");
  CHECK(bench.number("SELECT balance FROM account") == 1);
  CHECK(bench.node.store().total(RowState::ready).messages == 1);
}

TEST_CASE("a batch that was stored before is left out and counts as done, also within one group") {
  SqlBench bench;
  Batch made;
  made.execute("CREATE TABLE seen (id PRIMARY KEY)");
  CHECK(bench.commit(std::move(made)) == "stored");
  std::vector<std::string> story;
  REQUIRE(bench.hand.let([&](testkit::ProbeActor& self) {
    for (int i = 0; i < 3; ++i) {
      Batch batch;
      batch.skip_if("SELECT 1 FROM seen WHERE id=?1", "order-7")
          .execute("INSERT INTO seen VALUES (?1)", "order-7")
          .enqueue("told", "k", make<Number>(i));
      self.commit(std::move(batch)).then([&](Result<Receipt> receipt) { story.push_back(SqlBench::told(receipt)); });
    }
  }));
  bench.sim.advance(1s);
  CHECK(story == std::vector<std::string>{"stored", "duplicate", "duplicate"});
  CHECK(bench.node.store().total(RowState::ready).messages == 1);
}

TEST_CASE("who watches the tables is told once for what changed meanwhile, and not for batches without SQL") {
  SqlBench bench;
  SqlVersion seen{};
  int told = 0;
  const auto watch = [&] {
    REQUIRE(bench.hand.let([&](testkit::ProbeActor& self) {
      QueueControl{self}.sql_changed(seen).then([&](Result<SqlVersion> version) {
        REQUIRE(version);
        seen = *version;
        ++told;
      });
    }));
    bench.sim.advance(1s);
  };
  watch();
  CHECK(told == 1);  // the first answer comes at once
  watch();
  CHECK(told == 1);
  Batch message;
  message.enqueue("told", "k", make<Number>(1));
  CHECK(bench.commit(std::move(message)) == "stored");
  CHECK(told == 1);
  Batch made;
  made.execute("CREATE TABLE seen (id)");
  CHECK(bench.commit(std::move(made)) == "stored");
  CHECK(told == 2);
  Batch refused;
  refused.execute("INSERT INTO nowhere VALUES (1)");
  watch();
  CHECK(bench.commit(std::move(refused)).find("no such table") != std::string::npos);
  CHECK(told == 2);
}

}  // namespace
}  // namespace pannier::testing
