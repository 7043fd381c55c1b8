#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "tests/runtime/script.h"

namespace pannier::testing {
namespace {

using namespace std::chrono_literals;

struct Poke {
  std::string what;
};

/// Writes down when it starts and stops, and does what it is poked to.
struct Child : Actor<Child, Poke> {
  Child(Script* script, std::string name) : script_(script), name_(std::move(name)) {}
  void on_start() { script_->note(name_ + " starts"); }
  void on_stop() { script_->note(name_ + " stops"); }
  void on(const Poke& poke) {
    if (poke.what == "throw") throw std::runtime_error("poked");
    if (poke.what == "stop") stop();
    if (poke.what == "say") script_->note(name_);
  }

 private:
  Script* script_;
  std::string name_;
};

struct Boss : Actor<Boss, Down> {
  Boss(Script* script, Restart restart, std::uint32_t workers)
      : script_(script), restart_(restart), workers_(workers) {}
  void on_start() {
    script_->note("boss starts");
    for (const char* name : {"a", "b", "c"}) {
      SpawnOptions options{.name = name, .restart = restart_};
      options.worker = static_cast<std::uint32_t>(name[0]) % workers_;
      CHECK(spawn<Child>(options, script_, std::string{name}));
    }
  }
  void on(const Down& down) { script_->note(down.failed ? "one has failed" : "one has ended"); }

 private:
  Script* script_;
  Restart restart_;
  std::uint32_t workers_;
};

/// A boss over three children, the same on any number of workers.
struct Office {
  explicit Office(std::uint32_t worker_count, Supervision rules = {}, Restart restart = Restart::transient)
      : workers(worker_count), node(simulator, "here", {.workers = worker_count, .disk = false}) {
    SpawnOptions options{.name = "boss", .children = rules};
    options.worker = 0;
    REQUIRE(node->spawn<Boss>(options, &script, restart, worker_count));
    simulator.run_for(10ms);
    CHECK(sorted() == "a starts; b starts; boss starts; c starts");
  }
  void poke(const std::string& whom, const std::string& what) {
    CHECK(node->tell(LocalRef{node->ref(whom)->id()}, Poke{what}));
  }
  std::string after(Duration span) {
    simulator.run_for(span);
    return sorted();
  }
  std::string sorted() {
    std::sort(script.lines.begin(), script.lines.end());
    return script.take();
  }
  std::uint32_t workers;
  sim::Simulator simulator{2};
  Script script;
  SimNode node;
};

TEST_CASE("one for one: only the child that failed is built anew, after a pause that doubles") {
  for (const std::uint32_t workers : {1U, 2U, 4U}) {
    Office office{workers};
    office.poke("b", "throw");
    CHECK(office.after(90ms) == "");
    CHECK(office.after(30ms) == "b starts; b stops");
    office.poke("b", "throw");
    CHECK(office.after(190ms) == "");
    CHECK(office.after(30ms) == "b starts; b stops");
    office.simulator.run_for(61s);  // the period is over
    office.poke("b", "throw");
    CHECK(office.after(120ms) == "b starts; b stops");
  }
}

TEST_CASE("rest for one: the one that failed and those started after it") {
  for (const std::uint32_t workers : {1U, 2U, 4U}) {
    Office office{workers, {.strategy = Strategy::rest_for_one}};
    office.poke("b", "throw");
    CHECK(office.after(200ms) == "b starts; b stops; c starts; c stops");
  }
}

TEST_CASE("one for all: all of them") {
  for (const std::uint32_t workers : {1U, 2U, 4U}) {
    Office office{workers, {.strategy = Strategy::one_for_all}};
    office.poke("c", "throw");
    CHECK(office.after(200ms) == "a starts; a stops; b starts; b stops; c starts; c stops");
  }
}

TEST_CASE("more failures than allowed fail the supervisor, whose own supervisor builds it anew") {
  for (const std::uint32_t workers : {1U, 2U, 4U}) {
    Office office{workers, {.max_restarts = 2, .backoff_base = 1ms}};
    for (int i = 0; i < 2; ++i) {
      office.poke("a", "throw");
      CHECK(office.after(50ms) == "a starts; a stops");
    }
    office.poke("a", "throw");
    const std::string after = office.after(1s);
    CHECK(after.find("boss starts") != std::string::npos);
    CHECK(std::count(after.begin(), after.end(), ';') >= 6);  // the children with it
    office.poke("a", "say");
    CHECK(office.after(1ms) == "a");
    CHECK_FALSE(office.node->failed());
  }
}

TEST_CASE("a failure that never ends goes up to the top: the node has failed, and stops") {
  struct Hopeless : Actor<Hopeless> {
    void on_start() { throw std::runtime_error("no configuration"); }
  };
  for (const std::uint32_t workers : {1U, 2U, 4U}) {
    sim::Simulator simulator{2};
    SimNode node{simulator, "here", {.workers = workers, .disk = false}};
    REQUIRE(node->spawn<Hopeless>());
    CHECK(simulator.run_until([&] { return node->stopped(); }, 60s));
    CHECK(node->failed());
    CHECK(node.log().last_error().find("no configuration") != std::string::npos);
  }
}

TEST_CASE("a permanent child that stops by itself starts again, a transient one does not, a temporary one never") {
  Office permanent{1, {}, Restart::permanent};
  permanent.poke("a", "stop");
  CHECK(permanent.after(1s) == "a starts; a stops");
  Office transient{1};
  transient.poke("a", "stop");
  CHECK(transient.after(1s) == "a stops; one has ended");
  Office temporary{1, {}, Restart::temporary};
  temporary.poke("a", "throw");
  CHECK(temporary.after(1s) == "a stops; one has failed");
}

TEST_CASE("who watches an actor hears of its end once, on whatever worker; of one that has ended, at once") {
  struct Watcher : Actor<Watcher, Down> {
    Watcher(Script* script, Ref whom) : script_(script), whom_(whom) {}
    void on_start() { watch(whom_); }
    void on(const Down& down) { script_->note(down.actor == whom_ ? "down" : "somebody else is down"); }
    Script* script_;
    Ref whom_;
  };
  for (const std::uint32_t workers : {1U, 2U, 4U}) {
    sim::Simulator simulator{2};
    SimNode node{simulator, "here", {.workers = workers, .disk = false}};
    Script script;
    SpawnOptions first;
    first.worker = 0;
    SpawnOptions second;
    second.worker = workers - 1;
    const auto child = *node->spawn<Child>(first, &script, "child");
    REQUIRE(node->spawn<Watcher>(second, &script, Ref{child}));
    simulator.run_for(1ms);
    CHECK(script.take() == "child starts");
    REQUIRE(node->tell(child, Poke{"throw"}));  // a restart is no end
    simulator.run_for(1s);
    CHECK(script.take() == "child stops; child starts");
    REQUIRE(node->tell(child, Poke{"stop"}));
    simulator.run_for(1ms);
    CHECK(script.take() == "child stops; down");
    REQUIRE(node->spawn<Watcher>(second, &script, Ref{child}));
    simulator.run_for(1ms);
    CHECK(script.take() == "down");
  }
}

TEST_CASE("a node stops its actors in the reverse order of their start, children before their parents") {
  for (const std::uint32_t workers : {1U, 2U, 4U}) {
    Office office{workers};
    REQUIRE(office.node->spawn<Child>(SpawnOptions{}, &office.script, "last"));
    office.simulator.run_for(1ms);
    office.script.take();
    office.node->stop();
    CHECK(office.simulator.run_until([&] { return office.node->stopped(); }, 1s));
    CHECK(office.script.take() == "last stops; c stops; b stops; a stops");
  }
}

TEST_CASE("a child that does not stop within its limit is named, and the others stop without it") {
  sim::Simulator simulator{2};
  SimNode node{simulator, "here", {.workers = 2, .disk = false}};
  Script script;
  SpawnOptions stuck{.name = "stuck", .stop_limit = 3s};
  stuck.worker = 1;
  SpawnOptions well{.name = "well"};
  well.worker = 0;
  REQUIRE(node->spawn<Child>(well, &script, "well"));
  REQUIRE(node->spawn<Child>(stuck, &script, "stuck"));
  simulator.run_for(1ms);
  script.take();
  simulator.remove(*node->loops()[1]);  // its thread hangs
  node->stop();
  CHECK_FALSE(simulator.run_until([&] { return node->stopped(); }, 2900ms));
  CHECK(simulator.run_until([&] { return node->stopped(); }, 200ms));
  CHECK(script.take() == "well stops");
  CHECK(node.log().last_error().find("actor stuck did not stop within its limit") != std::string::npos);
}

TEST_CASE("an actor that is started while its supervisor stops is sent away at once, not after the limit") {
  sim::Simulator simulator{2};
  SimNode node{simulator, "here", {.workers = 2, .disk = false}};
  Script script;
  REQUIRE(node->spawn<Child>(SpawnOptions{}, &script, "first"));
  simulator.run_for(1ms);
  node->stop();
  static_cast<void>(node->spawn<Child>(SpawnOptions{}, &script, "second").ok());
  CHECK(simulator.run_until([&] { return node->stopped(); }, 100ms));
}

TEST_CASE("a mailbox that is full rejects, drops the newest or drops the oldest; the urgent go first") {
  struct Case {
    WhenFull policy;
    std::string heard;
    std::uint64_t dropped;
  };
  for (const Case& each : {Case{WhenFull::reject, "u; 1; 2", 0}, Case{WhenFull::drop_newest, "1; 2; 3", 2},
                           Case{WhenFull::drop_oldest, "u; 3; 4", 2}}) {
    struct Reader : Actor<Reader, Note> {
      explicit Reader(Script* script) : script_(script) {}
      void on(const Note& note) { script_->note(note.text()->str()); }
      Script* script_;
    };
    sim::Simulator simulator{2};
    SimNode node{simulator, "here"};
    Script script;
    SpawnOptions options;
    options.mailbox = {.messages = 3, .when_full = each.policy};
    const auto reader = *node->spawn<Reader>(options, &script);
    const auto hand = *node->spawn<Hand>();
    simulator.run_for(1ms);
    let(simulator, *node, hand, [&](Hand& actor) {
      int refused = 0;
      for (const char* text : {"1", "2", "3", "4"}) {
        if (each.policy == WhenFull::reject && text[0] == '3') break;
        refused += actor.tell(reader, note(text)) ? 0 : 1;
      }
      refused += actor.tell(reader, note("u"), Urgency::urgent) ? 0 : 1;
      if (each.policy == WhenFull::reject) refused += actor.tell(reader, note("5")) ? 0 : 1;
      CHECK(refused == (each.policy == WhenFull::reject ? 1 : 0));
    });
    CHECK(script.take() == each.heard);
    CHECK(node->dead_letters(DeadLetterReason::mailbox_full) == each.dropped);
  }
}

}  // namespace
}  // namespace pannier::testing
