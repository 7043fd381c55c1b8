#include "runtime/store/store.h"
#include "testkit/faulty_store.h"
#include "tests/runtime/queue/queue_bench.h"

namespace pannier::testing {
namespace {

using namespace std::chrono_literals;

TEST_CASE("an enqueue with a token that is known stores nothing and answers with the number of the first") {
  Bench bench;
  bench.enqueue("orders", "k", 1, {.token = "order-1"});
  const Sequence first = bench.last.sequence;
  CHECK_FALSE(bench.last.duplicate);
  bench.enqueue("orders", "k", 1, {.token = "order-1"});
  CHECK(bench.last.sequence == first);
  CHECK(bench.last.duplicate);
  CHECK(bench.waiting("orders") == "1");
  CHECK(bench.counters("orders").duplicates == 1);
}

TEST_CASE("a token holds over a restart, for its lane and destination alone, and for as long as it is promised") {
  Bench bench;
  bench.enqueue("orders", "k", 1, {.token = "t"});
  bench.restart();
  bench.enqueue("orders", "k", 1, {.token = "t"});
  CHECK(bench.last.duplicate);
  bench.enqueue("hub/orders", "k", 2, {.token = "t"});
  CHECK_FALSE(bench.last.duplicate);
  bench.enqueue("others", "k", 3, {.token = "t"});
  CHECK_FALSE(bench.last.duplicate);
  bench.run(limits::kTokenMemory + 1s);
  bench.enqueue("orders", "k", 4, {.token = "t"});
  CHECK_FALSE(bench.last.duplicate);
}

TEST_CASE("a token that was noted in a group that failed is not known: the message was not stored either") {
  Bench bench;
  bench.node.disk().fail_commits(1);
  bench.enqueue("orders", "k", 1, {.token = "t"});
  bench.enqueue("orders", "k", 1, {.token = "t"});
  CHECK(bench.script.take() == "1 storage_io; 1 stored");
  CHECK_FALSE(bench.last.duplicate);
  CHECK(bench.waiting("orders") == "1");
}

TEST_CASE("a batch that cannot be stored whole is refused alone: others in its group know nothing of it") {
  Bench bench{{{.name = "small", .max_messages = 1}}};
  let(bench.simulator, *bench.node, bench.hand, [&](Hand& actor) {
    const auto tell = [&](const char* who) {
      return [&bench, who](const Result<Receipt>& receipt) {
        bench.script.note(std::string{who} + (receipt ? " stored" : " " + outcome(receipt.error())));
      };
    };
    actor.enqueue("large", "", make<Number>(1)).then(tell("before"));
    Batch batch;
    batch.put_state("half", make<Number>(1))
        .enqueue("fresh", "", make<Number>(2))
        .enqueue("small", "", make<Number>(3));
    batch.enqueue("small", "", make<Number>(4));
    actor.commit(std::move(batch)).then(tell("batch"));
    actor.enqueue("large", "", make<Number>(5)).then(tell("after"));
  });
  CHECK(bench.script.take() == "batch full; before stored; after stored");
  CHECK(bench.waiting("large") == "1 5");
  CHECK(bench.waiting("fresh").empty());
  CHECK(bench.waiting("small").empty());
  CHECK(bench.state("half") == 0);
  bench.enqueue("fresh", "", 6);
  CHECK(bench.waiting("fresh") == "6");
}

TEST_CASE("a receipt of 'memory' comes before the commit, and is counted where the commit then fails") {
  Bench bench;
  const auto commits = [&] { return bench.node.store().counters().commits; };
  const std::uint64_t before = commits();
  bench.enqueue("positions", "", 1, {.durability = Durability::memory});
  CHECK(bench.script.take() == "1 stored");
  CHECK(bench.last.durability == Durability::memory);
  CHECK(commits() == before);
  bench.run(limits::kLazyCommit);
  CHECK(commits() == before + 1);
  bench.node.disk().fail_commits(1);
  bench.enqueue("positions", "", 2, {.durability = Durability::memory});
  CHECK(bench.script.take() == "2 stored");
  bench.run(limits::kLazyCommit);
  CHECK(bench.status().forgotten == 1);
  CHECK(bench.waiting("positions") == "1");
}

TEST_CASE("a receipt says no more than the store can keep, whatever was asked") {
  Bench bench;  // on a store in memory
  bench.enqueue("orders", "", 1, {.durability = Durability::fsynced});
  CHECK(bench.script.take() == "1 stored");
  CHECK(bench.last.durability == Durability::memory);
}

TEST_CASE("a group is as durable as the most that any of its messages asks for, and no more") {
  Bench bench{{{.name = "scans", .durability = Durability::committed}}};
  bench.run(1min);
  bench.enqueue("scans", "", 1);
  CHECK(bench.node.disk().last_commit() == Durability::committed);
  bench.enqueue("scans", "", 2, {.durability = Durability::fsynced});
  CHECK(bench.node.disk().last_commit() == Durability::fsynced);
  let(bench.simulator, *bench.node, bench.hand, [&](Hand& actor) {
    actor.enqueue("scans", "", make<Number>(3)).forget();
    actor.enqueue("orders", "", make<Number>(4)).forget();
  });
  CHECK(bench.node.disk().last_commit() == Durability::fsynced);
}

TEST_CASE("with a commit delay the first of a group waits for company, and never longer than the delay") {
  Bench bench{{}, {.commit_delay = 5ms}};
  bench.run(1s);
  const std::uint64_t before = bench.node.store().counters().commits;
  bench.enqueue("orders", "", 1);
  bench.enqueue("orders", "", 2);
  bench.enqueue("orders", "", 3);
  CHECK(bench.script.take().empty());
  CHECK(bench.node.store().counters().commits == before);
  bench.run(2ms);
  CHECK(bench.script.take() == "1 stored; 2 stored; 3 stored");
  CHECK(bench.node.store().counters().commits == before + 1);
}

}  // namespace
}  // namespace pannier::testing
