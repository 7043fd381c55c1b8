// What the types of the API take care of: lanes of one type, answers that a question's receiver names.

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include <pannier/simulation.h>

#include "tests/runtime/schema/messages.fbs.h"

namespace pannier::testing {
namespace {

using namespace std::chrono_literals;
using testkit::Simulation;

inline constexpr Lane<Number> kJobs{"jobs"};

struct Clerk : Actor<Clerk, Number, Note, std::string> {
  Table<Number> on(const Number& question) { return make<Number>(question.value() + 1); }
  Result<Table<Note>> on(const Note&) { return Error{ErrorCode::rejected, "no notes here"}; }
  std::size_t on(const std::string& text) { return text.size(); }
};

struct Customer : Actor<Customer> {
  Customer(ActorRef<Clerk> clerk, std::vector<std::string>* seen) : clerk_(clerk), seen_(*seen) {}
  void on_start() {
    ask(clerk_, make<Number>(6)).then([this](Result<Table<Number>> answer) {
      seen_.push_back(answer ? std::to_string((*answer)->value()) : answer.error().text());
    });
    ask(clerk_, std::string{"order"}).then([this](Result<std::size_t> answer) {
      seen_.push_back(answer ? std::to_string(*answer) : answer.error().text());
    });
    ask(clerk_, pack(NoteT{}), 1s).then([this](Result<Table<Note>> answer) {
      seen_.push_back(answer ? "a note" : answer.error().text());
    });
  }

 private:
  ActorRef<Clerk> clerk_;
  std::vector<std::string>& seen_;
};

struct Worker : Actor<Worker, Number> {
  explicit Worker(std::vector<std::int64_t>* done) : done_(*done) {}
  void on_start() { require(consume(kJobs, {.window = 1})); }
  void on(const Number& job) { done_.push_back(job.value()); }

 private:
  std::vector<std::int64_t>& done_;
};

struct Dispatcher : Actor<Dispatcher> {
  explicit Dispatcher(std::string to) : to_(std::move(to)) {}
  void on_start() {
    if (to_.empty()) {
      enqueue(kJobs, "order-1", make<Number>(1)).forget();
    } else {
      enqueue(kJobs.at(to_), "order-1", make<Number>(1)).forget();
    }
    Batch batch;
    batch.enqueue(kJobs.at(to_.empty() ? "here" : to_), "order-2", make<Number>(2));
    commit(std::move(batch)).forget();
  }

 private:
  std::string to_;
};

TEST_CASE("a question to an actor of known class is answered with what its handler returns") {
  Simulation sim{1};
  std::vector<std::string> seen;
  const auto clerk = sim.spawn<Clerk>();
  sim.spawn<Customer>(clerk, &seen);
  sim.advance(10ms);
  REQUIRE(seen.size() == 3);
  CHECK(seen[0] == "7");
  CHECK(seen[1] == "5");
  CHECK(seen[2].find("rejected") != std::string::npos);
}

TEST_CASE("a typed lane is one name at both ends, here and over a link") {
  Simulation sim{1};
  auto& hub = sim.add({.name = "hub", .listen = {"sim://hub"}});
  auto& van = sim.add({.name = "van", .links = {{.node = "hub", .address = "sim://hub"}}});
  std::vector<std::int64_t> at_hub;
  std::vector<std::int64_t> at_van;
  hub.spawn<Worker>({}, &at_hub);
  van.spawn<Worker>({}, &at_van);
  van.spawn<Dispatcher>({}, std::string{"hub"});
  CHECK(sim.run_until([&] { return at_hub.size() == 2; }, 10s));
  CHECK(at_van.empty());
}

std::string refusal_of(NodeOptions options) {
  sim::Simulator simulator{1};
  sim::FlagWakeup wakeup{simulator};
  sim::SeededEntropy entropy{1};
  testkit::RecordedLog log;
  auto made = Node::create(std::move(options), {.platform = {simulator.clock(), entropy, log}, .wakeups = {&wakeup}});
  return made ? "" : made.error().text();
}

TEST_CASE("options that no node can be made of are refused with the name of the field") {
  CHECK(refusal_of({.name = "hub"}).empty());
  CHECK(refusal_of({.name = "Hub 1"}).find("name: 'Hub 1'") != std::string::npos);
  CHECK(refusal_of({.name = "a", .links = {{.node = "", .address = "sim://b"}}}).find("links[0].node") !=
        std::string::npos);
  CHECK(refusal_of({.name = "a", .links = {{.node = "b", .address = ""}}}).find("links[0].address") !=
        std::string::npos);
  CHECK(refusal_of({.name = "a", .links = {{.node = "a", .address = "sim://a"}}})
            .find("links[0].node: a node cannot link to itself") != std::string::npos);
  CHECK(refusal_of({.name = "a", .links = {{.node = "b", .address = "sim://b"}, {.node = "b", .address = "sim://c"}}})
            .find("links[1].node: duplicate link") != std::string::npos);
  CHECK(refusal_of({.name = "a", .listen = {""}}).find("listen[0]") != std::string::npos);
  CHECK(refusal_of({.name = "a", .peers = {{.node = "b c"}}}).find("peers[0].node") != std::string::npos);
}

TEST_CASE("a node gives the same references as its actors do; a name that breaks the rules gives nobody") {
  Simulation sim{1};
  auto& node = sim.node();
  node.spawn<Clerk>({.name = "clerk"});
  const Ref clerk = node->ref("clerk");
  CHECK(clerk);
  CHECK_FALSE(node->ref("No Such Name"));
  CHECK(node.log().has("No Such Name"));
}

}  // namespace
}  // namespace pannier::testing
