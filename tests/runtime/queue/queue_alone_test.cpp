// The queue without a node: links come up, and other nodes answer, as the test says.

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <pannier/message.h>
#include <pannier/queue.h>
#include <pannier/sim.h>
#include "runtime/queue/queue.h"
#include "testkit/faulty_store.h"
#include "testkit/memory_store.h"
#include "tests/runtime/schema/messages.fbs.h"

namespace pannier::testing {
namespace {

using namespace std::chrono_literals;

class LoneQueue final : private QueueHost, private SettleSink {
 public:
  explicit LoneQueue(std::vector<LaneOptions> lanes = {}) : queue_(store, clock, "tablet", std::move(lanes), {}) {
    REQUIRE(queue_.load());
    queue_.start(*this, *this);
    pass(1ms);
  }

  void link_up(const std::string& node) {
    queue_.link_up(node);
    pass(1ms);
  }
  /// One group, unless it is full: each message is "key value". The numbers of their receipts; 0: refused.
  std::vector<Sequence> enqueue(const std::string& address, std::vector<std::pair<std::string, int>> messages) {
    std::vector<Sequence> numbers;
    for (const auto& [key, value] : messages) {
      numbers.push_back(commit(Batch{}.enqueue(address, key, make<Number>(value))));
    }
    pass(1ms);
    for (Sequence& each : numbers) each = receipt(each);
    return numbers;
  }
  Sequence enqueue(const std::string& address, const std::string& key, int value) {
    return enqueue(address, {{key, value}}).front();
  }
  Sequence enqueue_batch(Batch batch) {
    const std::uint64_t question = commit(std::move(batch));
    pass(1ms);
    return receipt(question);
  }
  void acknowledge(const std::string& node, const std::string& lane, Sequence taken, std::uint64_t incarnation,
                   ErrorCode refusal = {}) {
    queue_.acknowledged({node, lane, taken, refusal != ErrorCode{}, refusal, incarnation});
  }
  std::string cancel(Sequence id) {
    const auto cancelled = queue_.answer(Cancel{id});
    pass(1ms);
    return cancelled ? "cancelled" : std::string{to_string(cancelled.error().code)};
  }
  /// Timers and steps, until nothing is left to do at this moment or before.
  void pass(Duration span) {
    const MonoTime end = clock.now() + span;
    while (true) {
      while (queue_.step(clock.now())) {
      }
      const auto next = timers_.begin();
      if (next == timers_.end() || next->first.first > end) break;
      clock.advance_to(next->first.first);
      auto function = std::move(next->second);
      timers_.erase(next);
      function();
    }
    clock.advance_to(end);
  }
  /// The values of the rows that were sent since the last call.
  std::string sent() {
    std::string all;
    for (const OutgoingRow& row : std::exchange(rows_, {})) {
      const auto number = AnyTable{row.type, nullptr, row.payload}.as<Number>();
      all += (all.empty() ? "" : " ") + std::to_string((*number)->value());
    }
    return all;
  }
  std::uint64_t load(const std::string& node, const std::string& lane, RowState state = RowState::ready) {
    const Stream* stream = memory.find_stream(node.empty() ? Box::inbox : Box::outbox, node, lane);
    return stream == nullptr ? 0 : (*stream)[state].messages;
  }

  sim::VirtualClock clock;
  sim::SeededEntropy entropy{7};
  testkit::MemoryStore memory{entropy};
  testkit::FaultyStore store{memory};

 private:
  std::uint64_t commit(Batch batch) {
    MessagePtr question = make_message(MessageKind::ask, ActorId{});
    question->correlation = ++questions_;
    Commit commit{std::move(batch)};
    queue_.enqueue(commit, ReplyTo{*question});
    return questions_;
  }
  Sequence receipt(std::uint64_t question) {
    const auto found = replies_.find(question);
    REQUIRE(found != replies_.end());
    Message& reply = *found->second;
    return reply.has_error ? 0 : static_cast<const Receipt*>(reply.inline_value())->sequence;
  }

  [[nodiscard]] MonoTime now() const noexcept override { return clock.now(); }
  [[nodiscard]] std::uint64_t random() noexcept override { return entropy.next(); }
  TimerId after(Duration delay, Callback<void()> function) override {
    const TimerId id{++timer_};
    timers_.emplace(std::pair{clock.now() + delay, id}, std::move(function));
    return id;
  }
  void cancel(TimerId timer) noexcept override {
    std::erase_if(timers_, [timer](const auto& each) { return each.first.second == timer; });
  }
  void log(LogLevel /*level*/, std::string_view /*line*/) override {}
  [[nodiscard]] std::string describe(ActorId /*actor*/) const override { return "someone"; }
  void reply(MessagePtr message) override { replies_[message->correlation] = std::move(message); }
  [[nodiscard]] Result<void> deliver(MessagePtr /*delivery*/) override { return ErrorCode::not_found; }
  void send_row(OutgoingRow row) override { rows_.push_back(std::move(row)); }
  void send_ack(StreamAck /*ack*/) override {}
  void send_incarnations(std::string_view /*node*/, std::vector<std::uint64_t> /*incarnations*/) override {}
  void settle(Settle /*settle*/) noexcept override {}

  std::map<std::pair<MonoTime, TimerId>, Callback<void()>> timers_;
  std::uint64_t timer_ = 0;
  std::uint64_t questions_ = 0;
  std::map<std::uint64_t, MessagePtr> replies_;
  std::vector<OutgoingRow> rows_;
  Queue queue_;
};

TEST_CASE("a message that was replaced within its own group is not sent to another node either") {
  LoneQueue queue{{{.name = "status", .max_messages = 10, .eviction = Eviction::latest_per_key}}};
  queue.link_up("hub");
  queue.enqueue("hub/status", {{"van", 1}, {"van", 2}, {"car", 3}});
  CHECK(queue.sent() == "2 3");
}

TEST_CASE("an acknowledgement of another incarnation erases nothing, whatever its number") {
  LoneQueue queue;
  queue.link_up("hub");
  const Sequence row = queue.enqueue("hub/orders", "k", 1);
  queue.acknowledge("hub", "orders", row + 100, queue.store.incarnation() + 1);
  queue.pass(1s);
  CHECK(queue.load("hub", "orders") == 1);
  queue.acknowledge("hub", "orders", row, queue.store.incarnation());
  queue.pass(1s);
  CHECK(queue.load("hub", "orders") == 0);
}

TEST_CASE("where a refused row cannot be dead-lettered it is sent again, and what follows it does not erase it") {
  LoneQueue queue{{{.name = "orders", .max_attempts = 1}}};
  queue.link_up("hub");
  const Sequence first = queue.enqueue("hub/orders", "k", 1);
  const Sequence second = queue.enqueue("hub/orders", "k", 2);
  CHECK(queue.sent() == "1 2");
  queue.store.fail_commits(1);
  queue.acknowledge("hub", "orders", first - 1, queue.store.incarnation(), ErrorCode::rejected);
  queue.pass(10s);
  CHECK(queue.sent() == "1 2");
  CHECK(queue.load("hub", "orders", RowState::dead_lettered) == 0);
  queue.acknowledge("hub", "orders", first - 1, queue.store.incarnation(), ErrorCode::rejected);
  queue.pass(10s);
  queue.acknowledge("hub", "orders", second, queue.store.incarnation());
  queue.pass(1s);
  CHECK(queue.sent() == "2");
  CHECK(queue.load("hub", "orders", RowState::dead_lettered) == 1);
  CHECK(queue.load("hub", "orders") == 0);
}

TEST_CASE("what another node has acknowledged is not cancelled, though it is not erased yet") {
  LoneQueue queue;
  queue.link_up("hub");
  const Sequence row = queue.enqueue("hub/orders", "k", 1);
  queue.acknowledge("hub", "orders", row, queue.store.incarnation());
  CHECK(queue.load("hub", "orders") == 1);
  CHECK(queue.cancel(row) == "in_use");
  queue.pass(1s);
  CHECK(queue.cancel(row) == "not_found");
}

TEST_CASE("a batch that is refused in the middle leaves no trace: the latest of a key is the one that is stored") {
  LoneQueue queue{{{.name = "status", .max_messages = 10, .eviction = Eviction::latest_per_key},
                   {.name = "small", .max_messages = 1}}};
  queue.enqueue("small", "", 1);
  queue.enqueue("status", "van", 2);
  CHECK(queue.enqueue_batch(Batch{}.enqueue("status", "van", make<Number>(3)).enqueue("small", "", make<Number>(4))) ==
        0);
  CHECK(queue.load("", "status") == 1);
  CHECK(queue.enqueue("status", "van", 5) != 0);
  CHECK(queue.load("", "status") == 1);
}

TEST_CASE("a stream that was given back while its link was up is sent again when it has something") {
  LoneQueue queue;
  queue.link_up("hub");
  const Sequence row = queue.enqueue("hub/orders", "k", 1);
  queue.acknowledge("hub", "orders", row, queue.store.incarnation());
  queue.pass(1s);
  CHECK(queue.sent() == "1");
  for (std::size_t i = 0; i <= limits::kIdleStreams; ++i) {
    const Sequence other = queue.enqueue("node-" + std::to_string(i) + "/orders", "k", 7);
    CHECK(queue.cancel(other) == "cancelled");
  }
  queue.pass(1s);
  REQUIRE(queue.memory.find_stream(Box::outbox, "hub", "orders") == nullptr);
  const Sequence again = queue.enqueue("hub/orders", "k", 2);
  CHECK(queue.sent() == "2");
  queue.acknowledge("hub", "orders", again, queue.store.incarnation());
  queue.pass(1s);
  CHECK(queue.load("hub", "orders") == 0);
}

}  // namespace
}  // namespace pannier::testing
