// A mailbox that spills to a durable lane.

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include <pannier/sqlite_store.h>
#include "platform/sim/disk.h"
#include "runtime/actor/system.h"
#include "runtime/actor/worker.h"
#include "runtime/store/sim/sqlite_disk.h"
#include "runtime/store/store.h"
#include "testkit/memory_store.h"
#include "tests/runtime/shell.h"
#include "tests/support/fixtures.h"

namespace pannier::testing {
namespace {

using namespace std::chrono_literals;

struct Reader : Actor<Reader, Note, int> {
  explicit Reader(Script* script) : script_(script) {}
  void on_start() { CHECK(subscribe<Note>("notes/#")); }
  void on(const Note& note) { script_->note((label().empty() ? "" : std::string{label()} + " ") + note.text()->str()); }
  int on(const int& number) { return number; }

 private:
  Script* script_;
};

/// Is told something as soon as it runs.
struct EarlyReader : Actor<EarlyReader, Note> {
  EarlyReader(Script* script, ActorRef<Hand> hand) : script_(script), hand_(hand) {}
  void on_start() {
    CHECK(tell(hand_, Hand::Order{[reader = self()](Hand& hand) { CHECK(hand.tell(reader, note("new"))); }}));
  }
  void on(const Note& note) { script_->note(note.text()->str()); }

 private:
  Script* script_;
  ActorRef<Hand> hand_;
};

/// A reader with room for two, and a hand beside it.
struct Desk {
  Desk() {
    SpawnOptions options =
        on_first_worker({.name = "reader", .mailbox = {.messages = 2, .when_full = WhenFull::spill}});
    reader = *shell->spawn<Reader>(options, &script);
    SpawnOptions beside = on_first_worker();
    hand = *shell->spawn<Hand>(beside);
    shell.run_for(1ms);
  }
  void tell(int first, int last) {
    shell.let(hand, [=, this](Hand& self) {
      for (int i = first; i <= last; ++i) CHECK(self.tell(reader, note(std::to_string(i))));
    });
  }
  static std::string numbers(int first, int last) {
    std::string all;
    for (int i = first; i <= last; ++i) all += (all.empty() ? "" : "; ") + std::to_string(i);
    return all;
  }
  sim::SeededEntropy entropy{7};
  testkit::MemoryStore store{entropy};
  Script script;
  Shell shell{{.store = &store}};
  ActorRef<Reader> reader;
  ActorRef<Hand> hand;
};

TEST_CASE("what finds no room goes to the disk and comes back in its order; nothing is lost or refused") {
  Desk desk;
  desk.tell(1, 500);
  desk.shell.run_for(1s);
  CHECK(desk.script.take() == Desk::numbers(1, 500));
  CHECK(desk.store.counters().commits > 0);
  CHECK(desk.shell->dead_letters() == 0);
}

TEST_CASE("what comes while something older is on the disk waits behind it, and memory is enough again after") {
  Desk desk;
  desk.tell(1, 300);
  desk.tell(301, 400);
  desk.shell.run_for(5s);
  CHECK(desk.script.take() == Desk::numbers(1, 400));
  const std::uint64_t commits = desk.store.counters().commits;
  desk.tell(401, 402);
  desk.shell.run_for(1s);
  CHECK(desk.script.take() == "401; 402");
  CHECK(desk.store.counters().commits == commits);  // not by way of the disk
}

TEST_CASE("a mailbox that has spilled leaves no timer behind once memory is enough: nobody wakes for it") {
  Desk desk;
  desk.tell(1, 100);
  desk.shell.run_for(10s);
  const auto steps = [&] {
    std::uint64_t sum = 0;
    for (const auto& worker : desk.shell->system().workers) sum += worker->steps();
    return sum;
  };
  const std::uint64_t before = steps();
  desk.shell.run_for(60s);
  CHECK(steps() == before);
}

TEST_CASE("publications spill with their topic") {
  Desk desk;
  desk.shell.let(desk.hand, [&](Hand& self) {
    for (int i = 1; i <= 20; ++i) CHECK(self.publish("notes/a", note(std::to_string(i))));
  });
  desk.shell.run_for(5s);
  std::string expected;
  for (int i = 1; i <= 20; ++i) expected += (i == 1 ? "" : "; ") + std::string{"notes/a "} + std::to_string(i);
  CHECK(desk.script.take() == expected);
}

TEST_CASE("what cannot go to the disk is rejected when the mailbox is full: native values, the urgent, questions") {
  Desk desk;
  Script refused;
  desk.shell.let(desk.hand, [&](Hand& self) {
    for (int i = 1; i <= 4; ++i) CHECK(self.tell(desk.reader, note(std::to_string(i))));
    const auto native = self.tell(LocalRef{desk.reader}, 5);
    refused.note(native ? "taken" : outcome(native.error()));
    const auto urgent = self.tell(desk.reader, note("!"), Urgency::urgent);
    refused.note(urgent ? "taken" : outcome(urgent.error()));
    self.ask<int>(LocalRef{desk.reader}, 6, 1s).then([&](Result<int> answer) {
      refused.note(answer ? "answered" : outcome(answer.error()));
    });
  });
  desk.shell.run_for(1s);
  CHECK(refused.take() == "full; full; full");
  CHECK(desk.script.take() == "1; 2; 3; 4");
}

TEST_CASE("what the lane has no room for goes to the dead letters") {
  sim::SeededEntropy entropy{7};
  testkit::MemoryStore store{entropy};
  Script script;
  LaneOptions lane{.name = "mailbox.reader"};
  lane.max_messages = 3;
  Shell shell{{.options = {.name = "here", .lanes = {lane}}, .store = &store}};
  SpawnOptions options = on_first_worker({.name = "reader", .mailbox = {.messages = 2, .when_full = WhenFull::spill}});
  const auto reader = *shell->spawn<Reader>(options, &script);
  SpawnOptions beside = on_first_worker();
  const auto hand = *shell->spawn<Hand>(beside);
  shell.run_for(1ms);
  shell.let(hand, [&](Hand& self) {
    for (int i = 1; i <= 10; ++i) CHECK(self.tell(reader, note(std::to_string(i))));
  });
  shell.run_for(1s);
  CHECK(script.take() == "1; 2; 3; 4; 5");
  CHECK(shell->dead_letters(DeadLetterReason::mailbox_full) == 5);
}

TEST_CASE("what an earlier life has left on the disk is read by the next actor of that name, before what is new") {
  sim::SeededEntropy entropy{7};
  testkit::MemoryStore store{entropy};
  Script script;
  Shell shell{{.store = &store}};
  SpawnOptions beside = on_first_worker();
  const auto hand = *shell->spawn<Hand>(beside);
  shell.let(hand, [](Hand& self) {
    for (const char* text : {"left", "over"}) self.enqueue("mailbox.reader", "", note(text)).forget();
  });
  shell.run_for(1s);
  SpawnOptions options = on_first_worker({.name = "reader", .mailbox = {.messages = 20, .when_full = WhenFull::spill}});
  REQUIRE(shell->spawn<EarlyReader>(options, &script, hand));
  shell.run_for(5s);
  CHECK(script.take() == "left; over; new");
}

TEST_CASE("what an earlier life has left is read first also while nobody knows yet how much it is") {
  constexpr int kLeft = 9000;  // more than one step counts
  sim::SeededEntropy entropy{7};
  sim::Disk disk{7};
  const sim::SqliteDisk vfs{disk};
  // As if the file were too large to be counted at once.
  const SqliteOptions options{.path = "node.db", .entropy = entropy, .quick_check_bytes = 0, .vfs = vfs.name()};
  auto store = open_sqlite_store(options);
  REQUIRE(store.ok());
  {
    Shell shell{{.store = store->get()}};
    const auto hand = *shell->spawn<Hand>(on_first_worker());
    shell.let(hand, [](Hand& self) {
      for (int i = 0; i < kLeft; ++i) self.enqueue("mailbox.reader", "", note(std::to_string(i))).forget();
    });
    shell.run_for(1s);
    disk.kill_process();
  }
  store->reset();
  store = open_sqlite_store(options);
  REQUIRE(store.ok());
  REQUIRE_FALSE(streams_of(**store).front().exact);
  Script script;
  Shell shell{{.store = store->get()}};
  const auto hand = *shell->spawn<Hand>(on_first_worker());
  const SpawnOptions reader =
      on_first_worker({.name = "reader", .mailbox = {.messages = 20, .when_full = WhenFull::spill}});
  REQUIRE(shell->spawn<EarlyReader>(reader, &script, hand));
  shell.run_for(5min);
  const std::string seen = script.take();
  CHECK(seen.ends_with("; 8999; new"));
  CHECK(seen.starts_with("0; 1; 2; "));
}

TEST_CASE("only an actor with a name, on a node with a store, can spill") {
  Shell shell;
  Script script;
  const auto refused =
      shell->spawn<Reader>(SpawnOptions{.name = "reader", .mailbox = {.when_full = WhenFull::spill}}, &script);
  CHECK((!refused && refused.error().code == ErrorCode::invalid_argument));
}

}  // namespace
}  // namespace pannier::testing
