// What a failed delivery costs: the message its attempts, and neither its consumer's supervisor nor its neighbours.

#include <stdexcept>

#include "tests/runtime/queue/queue_bench.h"

namespace pannier::testing {
namespace {

/// Does with each message what the test says, and counts its lives and what each life has seen.
struct Clerk : Actor<Clerk, Number> {
  using Act = std::function<Result<void>(Clerk& self, std::int64_t value)>;
  struct Seen {
    int lives = 0;
    std::vector<std::int64_t> values;  // of the current life
  };
  Clerk(Seen* seen, ConsumeOptions options, Act act) : seen_(seen), options_(options), act_(std::move(act)) {}
  void on_start() {
    ++seen_->lives;
    seen_->values.clear();
    CHECK(consume<Number>("jobs", options_));
  }
  Result<void> on(const Number& number) {
    seen_->values.push_back(number.value());
    return act_(*this, number.value());
  }
  using Actor::ask;
  using Actor::ref;

 private:
  Seen* seen_;
  ConsumeOptions options_;
  Act act_;
};

std::string parked(LaneBench& bench) { return bench.rows(RowState::dead_lettered); }

TEST_CASE("messages whose handler throws are given up one by one, and never end the node") {
  LaneBench bench;  // all options at their defaults
  Clerk::Seen seen;
  REQUIRE(
      bench.node->spawn<Clerk>(SpawnOptions{}, &seen, ConsumeOptions{}, [](Clerk&, std::int64_t value) -> Result<void> {
        if (value % 2 == 0) throw std::runtime_error("paper jam");
        return {};
      }));
  for (std::int64_t value = 1; value <= 20; ++value) bench.enqueue(value, std::to_string(value));
  bench.run(10min);
  CHECK_FALSE(bench.node->failed());
  CHECK(bench.load(RowState::dead_lettered) == 10);
  CHECK(bench.load(RowState::ready) == 0);
  CHECK(parked(bench).starts_with("2 dead-lettered: failed: paper jam"));
  CHECK(seen.lives > 10);  // who throws is built anew
}

TEST_CASE("a handler that returns an error for a delivery keeps its state, and the message pays") {
  LaneBench bench{{.name = "jobs", .max_attempts = 2, .backoff = {Backoff::Kind::constant, 1s}}};
  Clerk::Seen seen;
  REQUIRE(bench.node->spawn<Clerk>(SpawnOptions{}, &seen, ConsumeOptions{.window = 1},
                                   [](Clerk&, std::int64_t value) -> Result<void> {
                                     if (value == 2) return Error{ErrorCode::failed, "no such address"};
                                     return {};
                                   }));
  bench.enqueue({1, 2, 3});
  bench.run(1min);
  CHECK(seen.lives == 1);
  CHECK(std::count(seen.values.begin(), seen.values.end(), 2) == 2);
  CHECK(std::count(seen.values.begin(), seen.values.end(), 3) == 1);
  CHECK(parked(bench) == "2 dead-lettered: failed: no such address");
}

TEST_CASE("an answer that a delivery's handler waited for, and that throws, is charged to the message as well") {
  LaneBench bench;
  struct Teller : Actor<Teller, Number> {
    Table<Number> on(const Number& number) { return make<Number>(number.value()); }
  };
  struct Caller : Actor<Caller, Number> {
    void on_start() { CHECK(consume<Number>("jobs")); }
    void on(const Number& number, const Delivery& delivery) {
      ask<Number>(ref("teller"), make<Number>(number.value()), 1s).then([delivery](Result<Table<Number>> answer) {
        if ((*answer)->value() % 2 == 0) throw std::runtime_error("no such answer");
        delivery.ack();
      });
    }
  };
  REQUIRE(bench.node->spawn<Teller>(SpawnOptions{.name = "teller"}));
  REQUIRE(bench.node->spawn<Caller>());
  for (std::int64_t value = 1; value <= 10; ++value) bench.enqueue(value, std::to_string(value));
  bench.run(10min);
  CHECK_FALSE(bench.node->failed());
  CHECK(bench.load(RowState::dead_lettered) == 5);
  CHECK(bench.load(RowState::ready) == 0);
}

TEST_CASE("deliveries that a failed consumer gave back take no room in its mailbox") {
  LaneBench bench{{.name = "jobs", .max_attempts = 1}};
  struct Small : Actor<Small, Number> {
    explicit Small(int* told) : told_(told) {}
    void on_start() { CHECK(consume<Number>("jobs", {.window = 6})); }
    void on(const Number& number, const Delivery& delivery) {
      if (number.value() % 6 == 1) throw std::runtime_error("the first of six");
      delivery.ack();
    }
    void on(const Number&) { ++*told_; }
    int* told_;
  };
  int told = 0;
  const auto small = *bench.node->spawn<Small>(SpawnOptions{.mailbox = {.messages = 8}}, &told);
  bench.run();
  for (std::int64_t round = 0; round < 3; ++round) {  // each time five wait behind the one that fails
    for (std::int64_t value = 1; value <= 6; ++value) bench.enqueue(round * 6 + value, std::to_string(value));
    bench.run(10s);
  }
  CHECK(bench.load(RowState::ready) == 0);
  let(bench.simulator, *bench.node, bench.hand, [&](Hand& self) {
    for (int i = 0; i < 8; ++i) CHECK(self.tell(Ref{small}, make<Number>(i)));
    CHECK(self.tell(Ref{small}, make<Number>(8)).error().code == ErrorCode::full);
  });
  CHECK(told == 8);
}

}  // namespace
}  // namespace pannier::testing
