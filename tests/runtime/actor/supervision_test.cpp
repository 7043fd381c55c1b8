#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "tests/runtime/shell.h"

namespace pannier::testing {
namespace {

using namespace std::chrono_literals;

struct Poke {
  std::string what;
};

/// Writes down when it starts and stops, and does what it is poked to.
struct Child : Actor<Child, Poke> {
  Child(Script* script, std::string name) : script_(script), name_(std::move(name)) {}
  void on_start() {
    if (name_ == "b" && cannot_start().exchange(false)) {
      script_->note("b cannot start");
      throw std::runtime_error("broken");
    }
    script_->note(name_ + " starts");
  }
  void on_stop() { script_->note(name_ + " stops"); }
  void on(const Poke& poke) {
    if (poke.what == "throw") throw std::runtime_error("poked");
    if (poke.what == "break") {
      cannot_start() = true;
      fail("since it is broken");
    }
    if (poke.what == "stop") stop();
    if (poke.what == "say") script_->note(name_);
  }

 private:
  static std::atomic<bool>& cannot_start() {
    static std::atomic<bool> once{false};
    return once;
  }
  Script* script_;
  std::string name_;
};

struct Boss : Actor<Boss, Down> {
  Boss(Script* script, Restart restart, Restart restart_of_c, std::uint32_t workers)
      : script_(script), restart_(restart), restart_of_c_(restart_of_c), workers_(workers) {}
  void on_start() {
    script_->note("boss starts");
    for (const char* name : {"a", "b", "c"}) {
      SpawnOptions options{.name = name, .restart = name[0] == 'c' ? restart_of_c_ : restart_};
      options.worker = static_cast<std::uint32_t>(name[0]) % workers_;
      CHECK(spawn<Child>(options, script_, std::string{name}));
    }
  }
  void on(const Down& down) { script_->note(down.failed ? "one has failed" : "one has ended"); }

 private:
  Script* script_;
  Restart restart_;
  Restart restart_of_c_;
  std::uint32_t workers_;
};

/// A boss over three children, each on a worker of its own where there are several.
struct Office {
  explicit Office(Supervision rules = {}, Restart restart = Restart::transient) : Office(rules, restart, restart) {}
  Office(Supervision rules, Restart restart, Restart restart_of_c) {
    SpawnOptions options = on_first_worker({.name = "boss", .children = rules});
    REQUIRE(shell->spawn<Boss>(options, &script, restart, restart_of_c, shell.workers()));
    CHECK(after(10ms) == "a starts; b starts; boss starts; c starts");
  }
  void poke(const std::string& whom, const std::string& what) {
    CHECK(shell->tell(LocalRef{shell->ref(whom).id()}, Poke{what}));
  }
  std::string after(Duration span) {
    shell.run_for(span);
    return script.take_sorted();
  }
  std::string in_order(Duration span) {
    shell.run_for(span);
    return script.take();
  }
  Script script;
  Shell shell;
};

TEST_CASE("one for one: only the child that failed is built anew, after a pause that doubles") {
  Office office;
  office.poke("b", "throw");
  CHECK(office.after(90ms) == "");
  CHECK(office.after(30ms) == "b starts; b stops");
  office.poke("b", "throw");
  CHECK(office.after(190ms) == "");
  CHECK(office.after(30ms) == "b starts; b stops");
  office.shell.run_for(61s);  // the period is over
  office.poke("b", "throw");
  CHECK(office.after(120ms) == "b starts; b stops");
}

TEST_CASE("rest for one: those from the failed one on stop from the last to the first, then start in their order") {
  Office office{{.strategy = Strategy::rest_for_one}};
  office.poke("b", "throw");
  CHECK(office.in_order(90ms) == "");
  CHECK(office.in_order(30ms) == "c stops; b stops; b starts; c starts");
  office.poke("a", "say");
  office.poke("b", "say");
  CHECK(office.after(1ms) == "a; b");
}

TEST_CASE("one for all: all of them stop from the last to the first, then start in their order") {
  Office office{{.strategy = Strategy::one_for_all}};
  office.poke("c", "throw");
  CHECK(office.in_order(90ms) == "");
  CHECK(office.in_order(30ms) == "c stops; b stops; a stops; a starts; b starts; c starts");
}

TEST_CASE("one for all: two that fail together are one restart, which waits once") {
  Office office{{.strategy = Strategy::one_for_all}};
  office.poke("c", "throw");
  office.poke("a", "throw");
  CHECK(office.in_order(200ms) == "c stops; b stops; a stops; a starts; b starts; c starts");
  CHECK(office.in_order(10s) == "");
}

TEST_CASE("one for all: where one cannot start, those after it stay down, and all are tried again") {
  Office office{{.strategy = Strategy::one_for_all, .backoff_base = 100ms}};
  office.poke("b", "break");
  CHECK(office.in_order(120ms) == "c stops; b stops; a stops; a starts; b cannot start");
  CHECK(office.in_order(200ms) == "b stops; a stops; a starts; b starts; c starts");
  CHECK_FALSE(office.shell->failed());
}

TEST_CASE("one for all: a temporary child goes with the others, and does not come back") {
  Office office{{.strategy = Strategy::one_for_all}, Restart::transient, Restart::temporary};
  office.poke("a", "throw");
  CHECK(office.in_order(200ms) == "c stops; one has ended; b stops; a stops; a starts; b starts");
}

TEST_CASE("more failures than allowed fail the supervisor, whose own supervisor builds it anew") {
  Office office{{.max_restarts = 2, .backoff_base = 1ms}};
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
  CHECK_FALSE(office.shell->failed());
}

TEST_CASE("a failure that never ends goes up to the top: the node has failed, and stops") {
  struct Hopeless : Actor<Hopeless> {
    void on_start() { throw std::runtime_error("no configuration"); }
  };
  Shell shell;
  REQUIRE(shell->spawn<Hopeless>());
  CHECK(shell.run_until([&] { return shell->stopped(); }, 60s));
  CHECK(shell->failed());
  CHECK(shell.log().last_error().find("no configuration") != std::string::npos);
}

TEST_CASE("an actor that does not get what it requires has failed, with the reason") {
  struct Picky : Actor<Picky, Note> {
    void on_start() { require(subscribe<Note>("notes/#/more")); }
    void on(const Note& /*note*/) {}
  };
  Shell shell;
  REQUIRE(shell->spawn<Picky>());
  shell.run_for(1ms);
  CHECK(shell.log().last_error().find("'notes/#/more' is no topic filter") != std::string::npos);
}

TEST_CASE("a permanent child that stops by itself starts again") {
  Office office{{}, Restart::permanent};
  office.poke("a", "stop");
  CHECK(office.after(1s) == "a starts; a stops");
}

TEST_CASE("a transient child that stops by itself does not start again, and its supervisor hears of it") {
  Office office;
  office.poke("a", "stop");
  CHECK(office.after(1s) == "a stops; one has ended");
}

TEST_CASE("a temporary child that fails does not start again") {
  Office office{{}, Restart::temporary};
  office.poke("a", "throw");
  CHECK(office.after(1s) == "a stops; one has failed");
}

TEST_CASE("who watches an actor hears of its end once, on whatever worker; of one that has ended, at once") {
  struct Watcher : Actor<Watcher, Down> {
    Watcher(Script* script, Ref whom) : script_(script), whom_(whom) {}
    void on_start() { watch(whom_); }
    void on(const Down& down) { script_->note(down.actor == whom_ ? "down" : "somebody else is down"); }
    Script* script_;
    Ref whom_;
  };
  Script script;
  Shell shell;
  SpawnOptions first = on_first_worker();
  SpawnOptions second;
  second.worker = shell.workers() - 1;
  const auto child = *shell->spawn<Child>(first, &script, "child");
  REQUIRE(shell->spawn<Watcher>(second, &script, Ref{child}));
  shell.run_for(1ms);
  CHECK(script.take() == "child starts");
  REQUIRE(shell->tell(child, Poke{"throw"}));  // a restart is no end
  shell.run_for(1s);
  CHECK(script.take() == "child stops; child starts");
  REQUIRE(shell->tell(child, Poke{"stop"}));
  shell.run_for(1ms);
  CHECK(script.take() == "child stops; down");
  REQUIRE(shell->spawn<Watcher>(second, &script, Ref{child}));
  shell.run_for(1ms);
  CHECK(script.take() == "down");
}

TEST_CASE("a node stops its actors in the reverse order of their start, children before their parents") {
  Office office;
  REQUIRE(office.shell->spawn<Child>(SpawnOptions{}, &office.script, "last"));
  office.shell.run_for(1ms);
  office.script.take();
  office.shell->stop();
  CHECK(office.shell.run_until([&] { return office.shell->stopped(); }, 1s));
  CHECK(office.script.take() == "last stops; c stops; b stops; a stops");
}

TEST_CASE("a child that does not stop within its limit is named, and the others stop without it") {
  Script script;
  Shell shell;
  if (shell.workers() == 1) return;  // nobody is left to name it
  SpawnOptions stuck{.name = "stuck", .stop_limit = 3s};
  stuck.worker = 1;
  SpawnOptions well = on_first_worker({.name = "well"});
  REQUIRE(shell->spawn<Child>(well, &script, "well"));
  REQUIRE(shell->spawn<Child>(stuck, &script, "stuck"));
  shell.run_for(1ms);
  script.take();
  shell.hang(1);
  shell->stop();
  CHECK_FALSE(shell.run_until([&] { return shell->stopped(); }, 2900ms));
  CHECK(shell.run_until([&] { return shell->stopped(); }, 200ms));
  CHECK(script.take() == "well stops");
  CHECK(shell.log().last_error().find("actor /stuck did not stop within its limit") != std::string::npos);
}

TEST_CASE("deep down in a tree the one that blocks is named, and none of those who wait for it") {
  struct Parent : Actor<Parent> {
    explicit Parent(Script* script) : script_(script) {}
    void on_start() {
      SpawnOptions options{.name = "stuck", .stop_limit = 3s};
      options.worker = 1;
      CHECK(spawn<Child>(options, script_, std::string{"stuck"}));
    }
    void on_stop() { script_->note("parent stops"); }
    Script* script_;
  };
  struct Grandparent : Actor<Grandparent> {
    explicit Grandparent(Script* script) : script_(script) {}
    void on_start() { CHECK(spawn<Parent>(SpawnOptions{.name = "parent", .stop_limit = 1s}, script_)); }
    void on_stop() { script_->note("grandparent stops"); }
    Script* script_;
  };
  Script script;
  Shell shell;
  if (shell.workers() == 1) return;
  SpawnOptions options{.name = "grandparent", .stop_limit = 1s};
  options.worker = 2;
  REQUIRE(shell->spawn<Grandparent>(options, &script));
  shell.run_for(1ms);
  script.take();
  shell.hang(1);
  shell->stop();
  CHECK(shell.run_until([&] { return shell->stopped(); }, 10s));
  CHECK(script.take() == "parent stops; grandparent stops");
  CHECK(shell.log().has("actor /grandparent/parent/stuck did not stop within its limit"));
  CHECK_FALSE(shell.log().has("parent did not stop"));
}

TEST_CASE("the report of a failure names the actor's path, the message's type and the reason") {
  Office office;
  office.poke("b", "throw");
  office.shell.run_for(1ms);
  const std::string report = office.shell.log().last_error();
  CHECK(report.starts_with("actor /boss/b ("));
  CHECK(report.find("Child) failed while handling ") != std::string::npos);
  CHECK(report.ends_with("Poke: poked"));
}

TEST_CASE("what a message says cannot move the terminal that shows the log") {
  Office office;
  struct Listener : Actor<Listener, Poke> {
    void on(const Poke& poke) { throw std::runtime_error("cannot read '" + poke.what + "'"); }
  };
  const auto reader = *office.shell->spawn<Listener>(on_first_worker());
  CHECK(office.shell->tell(reader, Poke{"\x1b[2J\nok"}));
  office.shell.run_for(1ms);
  CHECK(office.shell.log().last_error().ends_with("cannot read '\\x1b[2J\\x0aok'"));
}

TEST_CASE("the message that was being handled is not handled again, and what waits behind it is not lost") {
  struct Fragile : Actor<Fragile, int> {
    explicit Fragile(Script* script) : script_(script) {}
    Result<void> on(const int& number) {
      script_->note(std::to_string(number));
      if (number == 2) return Error{ErrorCode::storage_io, "bad luck"};
      if (number == 3) throw std::runtime_error("worse");
      return {};
    }
    Script* script_;
  };
  Script script;
  Shell shell;
  const auto fragile = *shell->spawn<Fragile>(SpawnOptions{}, &script);
  for (int i = 1; i <= 4; ++i) REQUIRE(shell->tell(fragile, int{i}));
  shell.run_for(2s);
  CHECK(script.take() == "1; 2; 3; 4");
  CHECK(shell->dead_letters(DeadLetterReason::handler_failed) == 2);
}

TEST_CASE("how many failures of the top's actors end the node is an option of the node") {
  for (const std::uint32_t allowed : {0U, 2U, 30U}) {
    CAPTURE(allowed);
    Script script;
    Shell shell{{.options = {.name = "here", .supervision = {.max_restarts = allowed, .period = 1h}}}};
    const auto child = *shell->spawn<Child>(on_first_worker(), &script, "a");
    for (std::uint32_t failure = 0; failure < allowed; ++failure) {
      CHECK(shell->tell(child, Poke{"throw"}));
      shell.run_for(11s);
      REQUIRE_FALSE(shell->failed());
    }
    CHECK(shell->tell(child, Poke{"throw"}));
    CHECK(shell.run_until([&] { return shell->stopped(); }, 11s));
    CHECK(shell->failed());
  }
}

TEST_CASE("one for all at the top restarts what the program started, and not the node's own services") {
  Script script;
  Shell shell{{.options = {.name = "here", .supervision = {.strategy = Strategy::one_for_all}}}};
  struct Fan : Actor<Fan, int> {
    explicit Fan(Script* script) : script_(script) {}
    void on_start() { CHECK(subscribe<int>("a")); }
    void on(const int& number) { script_->note("fan hears " + std::to_string(number)); }
    Script* script_;
  };
  const auto first = *shell->spawn<Child>(on_first_worker(), &script, "a");
  REQUIRE(shell->spawn<Child>(on_first_worker(), &script, "b"));
  REQUIRE(shell->spawn<Fan>(on_first_worker(), &script));
  const auto hand = *shell->spawn<Hand>(on_first_worker());
  shell.run_for(1ms);
  CHECK(script.take() == "a starts; b starts");
  CHECK(shell->tell(first, Poke{"throw"}));
  shell.run_for(1s);
  CHECK(script.take() == "b stops; a stops; a starts; b starts");
  shell.let(hand, [](Hand& self) { CHECK(self.publish("a", 7)); });
  shell.run_for(1ms);
  CHECK(script.take() == "fan hears 7");
}

TEST_CASE("an actor that is started while its supervisor stops is sent away at once, not after the limit") {
  Script script;
  Shell shell;
  REQUIRE(shell->spawn<Child>(SpawnOptions{}, &script, "first"));
  shell.run_for(1ms);
  shell->stop();
  shell->spawn<Child>(SpawnOptions{}, &script, "second").ignore();
  CHECK(shell.run_until([&] { return shell->stopped(); }, 100ms));
}

}  // namespace
}  // namespace pannier::testing
