// Telling another node faster than it takes: the sender is told, loses nothing, and goes on when there is room.

#include <doctest/doctest.h>

#include <memory>
#include <string>

#include "tests/runtime/link/fleet.h"
#include "tests/runtime/link/wire_peer.h"

namespace pannier::testing {
namespace {

/// Tells numbers from 0 on, each as soon as it is accepted: the plain loop of docs/links.md.
struct Pump : Actor<Pump> {
  struct Log {
    std::int64_t told = 0;
    std::uint64_t refusals = 0;
    std::string end;
  };
  Pump(std::string to, std::int64_t count, Log* log) : to_(std::move(to)), count_(count), log_(log) {}
  void on_start() { run(); }
  void run() {
    const Ref to = ref(to_);
    for (; log_->told < count_; ++log_->told) {
      const auto told = tell(to, make<Number>(log_->told));
      if (told) continue;
      ++log_->refusals;
      if (told.error().code != ErrorCode::full) {
        log_->end = outcome(told.error());
        return;
      }
      on_room(to, [this](Result<void> room) {
        if (!room) log_->end = outcome(room.error());
        if (room) run();
      });
      return;
    }
    log_->end = "done";
  }

 private:
  std::string to_;
  std::int64_t count_;
  Log* log_;
};

/// Counts numbers that come in order, and sets the others down as wrong. It takes `pause` to look at one.
struct Taker : Actor<Taker, Number, Note> {
  struct Log {
    std::int64_t next = 0;
    std::uint64_t wrong = 0;
    std::uint64_t notes = 0;
    std::int64_t before_note = -1;
    bool stalled = false;
  };
  explicit Taker(Log* log) : log_(log) {}
  void on(const Number& number) {
    if (log_->stalled) {
      require(stash());
      after(10ms, [this] { unstash(); });
      return;
    }
    if (number.value() != log_->next++) ++log_->wrong;
  }
  void on(const Note&) {
    if (log_->stalled) {
      require(stash());
      after(10ms, [this] { unstash(); });
      return;
    }
    log_->before_note = log_->next;
    ++log_->notes;
  }

 private:
  Log* log_;
};

struct Road : Fleet {
  ActorRef<Taker> taker(Device& at, const std::string& name, Taker::Log& log, std::uint32_t mailbox) {
    return *at.node->spawn<Taker>(SpawnOptions{.name = name, .mailbox = {.messages = mailbox}}, &log);
  }
  ActorRef<Pump> pump(Device& at, const std::string& to, std::int64_t count, Pump::Log& log) {
    return *at.node->spawn<Pump>(SpawnOptions{.restart = Restart::temporary}, to, count, &log);
  }
  std::unique_ptr<Device> middle = hub();
  std::unique_ptr<Device> van = device("van");
};

TEST_CASE("a plain loop loses nothing on its way to a small mailbox of another node, and all comes in order") {
  Road road;
  Taker::Log taken;
  Pump::Log told;
  road.taker(*road.middle, "desk", taken, 16);
  road.run(1s);
  road.pump(*road.van, "hub/desk", 50'000, told);
  road.run(60s);
  CHECK(told.end == "done");
  CHECK(taken.next == 50'000);
  CHECK(taken.wrong == 0);
  CHECK(told.refusals > 0);
  CHECK((*road.van->node).dead_letters() == 0);
  CHECK((*road.middle->node).dead_letters() == 0);
}

TEST_CASE("a mailbox that is not emptied holds up its own senders, and nobody else's on the same link") {
  Road road;
  Taker::Log stuck{.stalled = true};
  Taker::Log lively;
  Pump::Log to_stuck;
  Pump::Log to_lively;
  road.taker(*road.middle, "stuck", stuck, 16);
  road.taker(*road.middle, "lively", lively, 16);
  road.run(1s);
  road.pump(*road.van, "hub/stuck", 50'000, to_stuck);
  road.run(1s);
  const std::int64_t accepted = to_stuck.told;
  CHECK(accepted > 0);
  CHECK(accepted <= limits::kFlowMessages + 16);  // what the flow may hold, and the mailbox
  road.pump(*road.van, "hub/lively", 50'000, to_lively);
  road.run(60s);
  CHECK(to_lively.end == "done");
  CHECK(lively.next == 50'000);
  CHECK(to_stuck.told == accepted);
  stuck.stalled = false;
  road.run(60s);
  CHECK(to_stuck.end == "done");
  CHECK(stuck.next == 50'000);
  CHECK(stuck.wrong == 0);
}

TEST_CASE("what is urgent overtakes what waits for room, and finds credit left for it") {
  Road road;
  Taker::Log taken{.stalled = true};
  Pump::Log told;
  road.taker(*road.middle, "desk", taken, 16);
  road.run(1s);
  road.pump(*road.van, "hub/desk", 20'000, told);
  road.run(1s);
  REQUIRE(told.told < 20'000);
  let(road.simulator, *road.van->node, road.van->hand, [](Hand& self) {
    CHECK(self.tell(self.ref("hub/desk"), make<Number>(1)).error().code == ErrorCode::full);
    CHECK(self.tell(self.ref("hub/desk"), note("now"), Urgency::urgent));
  });
  road.run(100ms);
  taken.stalled = false;
  road.run(60s);
  CHECK(taken.notes == 1);
  CHECK(taken.before_note <= 32);  // before the thousands that waited
  CHECK(taken.next == 20'000);
}

TEST_CASE("who waits for room on a link that breaks is told so, and begins with full credit on the next one") {
  Road road;
  Taker::Log stuck{.stalled = true};
  Pump::Log told;
  road.taker(*road.middle, "desk", stuck, 16);
  road.run(1s);
  road.pump(*road.van, "hub/desk", 50'000, told);
  road.run(1s);
  road.network.cut("van", "hub", sim::Cut::reported);
  road.run(100ms);
  CHECK(told.end == "unreachable");
  road.network.heal_all();
  road.run(60s);
  told.end.clear();
  const std::int64_t before = told.told;
  road.pump(*road.van, "hub/desk", before + 100, told);
  road.run(1s);
  CHECK(told.end == "done");
}

TEST_CASE("what is told to a name that nobody bears there is counted at the sender's node, and its credit comes back") {
  Road road;
  Pump::Log told;
  road.run(1s);
  road.pump(*road.van, "hub/nobody", 20'000, told);
  road.run(60s);
  CHECK(told.end == "done");
  CHECK((*road.van->node).dead_letters(DeadLetterReason::no_such_actor) == 20'000);
}

TEST_CASE("an actor that ends with messages held for it has them counted at the sender's node") {
  Road road;
  Taker::Log stuck{.stalled = true};
  Pump::Log told;
  const auto desk = road.taker(*road.middle, "desk", stuck, 16);
  road.run(1s);
  road.pump(*road.van, "hub/desk", 1000, told);
  road.run(1s);
  REQUIRE(told.end == "done");
  let(road.simulator, *road.middle->node, road.middle->hand, [desk](Hand& self) { self.stop(desk); });
  road.run(1s);
  const std::uint64_t there = (*road.middle->node).dead_letters(DeadLetterReason::stopped);
  CHECK((*road.van->node).dead_letters(DeadLetterReason::no_such_actor) + there == 1000);
}

TEST_CASE("a question that a full mailbox refuses may be asked again when there is room, and not before") {
  Road road;
  std::vector<Responder> held;
  REQUIRE(road.middle->node->spawn<Sphinx>(SpawnOptions{.name = "sphinx"}, &held));
  Taker::Log stuck{.stalled = true};
  road.taker(*road.middle, "desk", stuck, 4);
  road.run(1s);
  std::string end;
  let(road.simulator, *road.van->node, road.van->hand, [&](Hand& self) {
    for (int i = 0; i < 4; ++i) CHECK(self.tell(self.ref("hub/desk"), make<Number>(i)));
    self.ask<Number>(self.ref("hub/desk"), make<Number>(4), 1s).then([&, hand = &self](Result<Table<Number>> answer) {
      end = answer ? "answered" : outcome(answer.error());
      hand->on_room(hand->ref("hub/desk"), [&end](Result<void> room) { end = room ? "room" : outcome(room.error()); });
    });
  });
  road.run(1s);
  CHECK(end == "full");
  stuck.stalled = false;
  road.run(1s);
  CHECK(end == "room");
}

TEST_CASE("room in a mailbox of this node is told as well, and that there will be none") {
  Road road;
  Taker::Log stuck{.stalled = true};
  Pump::Log told;
  const auto desk = road.taker(*road.van, "desk", stuck, 16);
  road.run(1ms);
  road.pump(*road.van, "van/desk", 1000, told);
  road.run(1s);
  CHECK(told.told == 16);
  stuck.stalled = false;
  road.run(1s);
  CHECK(told.end == "done");
  CHECK(stuck.next == 1000);
  stuck.stalled = true;
  told = {};
  road.pump(*road.van, "van/desk", 1000, told);
  road.run(1s);
  let(road.simulator, *road.van->node, road.van->hand, [desk](Hand& self) { self.stop(desk); });
  road.run(1s);
  CHECK(told.end == "closed");
}

TEST_CASE("a peer that heeds no credit is held to a bound, and what it sends beyond is counted") {
  testkit::Simulation sim{5};
  auto& hub = sim.add({.name = "hub", .listen = {"sim://hub"}});
  Taker::Log stuck{.stalled = true};
  hub.spawn<Taker>(SpawnOptions{.name = "desk", .mailbox = {.messages = 16}}, &stuck);
  WirePeer peer{sim, "van"};
  sim.advance(1s);
  const Table<Note> large = note(std::string(200 * 1024, 'x'));
  const auto bytes = large.block().bytes();
  for (int i = 0; i < 200; ++i) {
    peer.send({{.kind = wire::Kind::tell, .type = type_info<Note>().id, .first = "desk", .payload = bytes}});
    sim.advance(5ms);
    peer.read();
  }
  const std::uint64_t dropped = hub->dead_letters(DeadLetterReason::mailbox_full);
  CHECK(dropped > 200 - limits::kPeerTellBytes / bytes.size() - 32);
  CHECK(dropped < 200);
}

}  // namespace
}  // namespace pannier::testing
