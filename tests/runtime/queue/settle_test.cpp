#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <pannier/simulation.h>
#include "runtime/store/store.h"
#include "testkit/faulty_store.h"
#include "tests/runtime/schema/messages.fbs.h"
#include "tests/support/fixtures.h"

namespace pannier::testing {
namespace {

using namespace std::chrono_literals;

/// What the consumer saw, in order, shared by its lives.
using Story = std::vector<std::string>;

/// Answers each message of lane "in" with one to lane "out", ends the delivery with the same commit, and tells.
struct Echo : Actor<Echo, Number> {
  Echo(Story* told, testkit::FaultyStore* disk) : story(told), store(disk) {}
  void on_start() { REQUIRE(consume<Number>("in")); }
  void on(const Number& number, Delivery delivery) {
    if (number.value() == 2 && !std::exchange(failed, true)) store->fail_commits(1);
    Batch batch;
    batch.enqueue("out", "", make<Number>(-number.value())).put_state("last", make<Number>(number.value()));
    const std::string name = std::to_string(number.value());
    commit(delivery, batch).then([this, name](Result<Receipt> receipt) {
      story->push_back(name + (receipt ? " stored" : " " + std::string{to_string(receipt.error().code)}));
    });
    if (number.value() == 13) {  // a second word on the same delivery
      commit(delivery, batch).then([this, name](Result<Receipt> receipt) {
        story->push_back(name + " again: " + (receipt ? "stored" : std::string{to_string(receipt.error().code)}));
      });
    }
  }
  Story* story;
  testkit::FaultyStore* store;
  bool failed = false;
};

struct Source : Actor<Source, Number> {
  void on(const Number& number) { enqueue("in", "k", make<Number>(number.value())).forget(); }
};

struct Bench {
  Bench() {
    sim.spawn<Echo>(&story, &sim.node().disk());
    source = sim.spawn<Source>();
    sim.advance(1ms);
  }
  void put(std::int64_t value) {
    REQUIRE(sim.node()->tell(source, make<Number>(value)));
    sim.advance(1ms);
  }
  /// Rows that wait in a lane of the inbox.
  std::uint64_t waiting(const std::string& lane) {
    const auto streams = streams_of(sim.node().store());
    for (const Stream& stream : streams) {
      if (stream.box == Box::inbox && stream.lane == lane) return stream[RowState::ready].messages;
    }
    return 0;
  }

  Story story;
  testkit::Simulation sim;
  ActorRef<Source> source;
};

TEST_CASE("a commit that ends a delivery tells its receipt, and the message does not come again") {
  Bench bench;
  bench.put(1);
  bench.sim.advance(10s);
  CHECK(bench.story == Story{"1 stored"});
  CHECK(bench.waiting("in") == 0);
  CHECK(bench.waiting("out") == 1);
}

TEST_CASE("where such a commit fails nothing of it is stored, its actor hears so, and the message comes again") {
  Bench bench;
  bench.put(1);
  bench.put(2);
  bench.sim.advance(10s);
  CHECK(bench.story == Story{"1 stored", "2 storage_io", "2 stored"});
  CHECK(bench.waiting("in") == 0);
  CHECK(bench.waiting("out") == 2);
}

TEST_CASE("a delivery ends once: a second commit of it is rejected and stores nothing") {
  Bench bench;
  bench.put(13);
  bench.sim.advance(10s);
  CHECK(bench.story == Story{"13 again: rejected", "13 stored"});
  CHECK(bench.waiting("out") == 1);
}

/// Handlers that answer serve deliveries too: the answer goes to nobody, an error is a failure.
struct Answering : Actor<Answering, Number, Note> {
  explicit Answering(Story* told) : story(told) {}
  void on_start() { REQUIRE(consume<Number, Note>("in", {.window = 1, .max_attempts = 2})); }
  Result<Table<Number>> on(const Number& number) {
    story->push_back("number " + std::to_string(number.value()));
    return ErrorCode::not_found;
  }
  Result<void> on(const Note& note) {
    story->push_back("note " + note.text()->str());
    return ErrorCode::failed;
  }
  Story* story;
};

TEST_CASE("a plain handler of a delivery may return an answer, and fails its actor by returning an error") {
  Story story;
  testkit::Simulation sim;
  struct Both : Actor<Both, Number> {
    void on(const Number& number) {
      enqueue("in", "k", make<Number>(number.value())).forget();
      enqueue("in", "k", make<Note>("x", flatbuffers::Offset<flatbuffers::Vector<std::int64_t>>{})).forget();
    }
  };
  sim.spawn<Answering>(&story);
  const auto both = sim.spawn<Both>();
  REQUIRE(sim.node()->tell(both, make<Number>(1)));
  sim.advance(60s);
  CHECK(story == Story{"number 1", "note x", "note x"});
  CHECK(sim.node()->dead_letters(DeadLetterReason::handler_failed) == 2);
  Story streams;
  const auto kept = streams_of(sim.node().store());
  for (const Stream& stream : kept) {
    streams.push_back(stream.lane + " " + std::to_string(stream[RowState::ready].messages) + " dead-lettered " +
                      std::to_string(stream[RowState::dead_lettered].messages));
  }
  CHECK(streams == Story{"in 0 dead-lettered 1"});
  Story causes;
  REQUIRE(sim.node().store().read(kept.front().id, RowState::dead_lettered, 0, 10, [&](const Row& row) {
    causes.emplace_back(row.cause);
    return true;
  }));
  CHECK(causes == Story{"failed"});  // what the handler said, not that it said nothing of the delivery
}

/// Takes a share of the bytes, and says nothing of the delivery.
struct Sharer : Actor<Sharer, Number> {
  explicit Sharer(Story* told) : story(told) {}
  void on_start() { REQUIRE(consume<Number>("in", {.window = 1})); }
  void on(const Table<Number>& number) { story->push_back("has " + std::to_string(number->value())); }
  Story* story;
};

TEST_CASE("a delivery to a handler that takes a share of the table is done when that returns") {
  Story story;
  testkit::Simulation sim;
  sim.spawn<Sharer>(&story);
  testkit::Probe source = sim.probe();
  for (const int value : {1, 2}) REQUIRE(source.enqueue("in", "k", make<Number>(value)));
  sim.advance(60s);
  CHECK(story == Story{"has 1", "has 2"});
}

}  // namespace
}  // namespace pannier::testing
