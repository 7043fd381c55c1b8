// What a full mailbox does, and what it never does.

#include <doctest/doctest.h>

#include <string>

#include "tests/runtime/shell.h"

namespace pannier::testing {
namespace {

using namespace std::chrono_literals;

/// Writes down the notes that it reads.
struct Reader : Actor<Reader, Note> {
  explicit Reader(Script* script) : script_(script) {}
  void on(const Note& note) { script_->note(note.text()->str()); }

 private:
  Script* script_;
};

/// A reader with a small mailbox, and a hand on the same worker that tells it things before it can read any.
struct Desk {
  explicit Desk(MailboxOptions mailbox, Shell::Setup setup = {}) : shell(std::move(setup)) {
    SpawnOptions options = on_first_worker({.name = "reader", .mailbox = std::move(mailbox)});
    reader = *shell->spawn<Reader>(options, &script);
    SpawnOptions beside = on_first_worker();
    hand = *shell->spawn<Hand>(beside);
    shell.run_for(1ms);
  }
  /// Tells all of `texts` in one turn ("!x": x, urgently); returns what was refused, and why.
  std::string tell(std::vector<std::string> texts) {
    shell.let(hand, [this, texts = std::move(texts)](Hand& self) {
      for (const std::string& text : texts) {
        const bool urgent = text[0] == '!';
        auto sent = self.tell(reader, note(urgent ? text.substr(1) : text), urgent ? Urgency::urgent : Urgency::normal);
        if (!sent) refused.note(text + " " + outcome(sent.error()));
      }
    });
    return refused.take();
  }
  Script script;
  Script refused;
  Shell shell;
  ActorRef<Reader> reader;
  ActorRef<Hand> hand;
};

TEST_CASE("a full mailbox rejects: the sender sees it, and what was taken before is read, the urgent first") {
  Desk desk{{.messages = 3}};
  CHECK(desk.tell({"1", "2", "!u", "3"}) == "3 full");
  CHECK(desk.script.take() == "u; 1; 2");
  CHECK(desk.shell->dead_letters() == 0);
  CHECK(desk.tell({"4"}) == "");
  CHECK(desk.script.take() == "4");
}

TEST_CASE("a full mailbox drops the newest, to the dead letters") {
  Desk desk{{.messages = 3, .when_full = WhenFull::drop_newest}};
  CHECK(desk.tell({"1", "2", "3", "4", "!u"}) == "");
  CHECK(desk.script.take() == "1; 2; 3");
  CHECK(desk.shell->dead_letters(DeadLetterReason::mailbox_full) == 2);
}

TEST_CASE("a full mailbox drops the oldest, to the dead letters; the urgent go first") {
  Desk desk{{.messages = 3, .when_full = WhenFull::drop_oldest}};
  CHECK(desk.tell({"1", "2", "3", "4", "!u"}) == "");
  CHECK(desk.script.take() == "u; 3; 4");
  CHECK(desk.shell->dead_letters(DeadLetterReason::mailbox_full) == 2);
}

TEST_CASE("a mailbox is bounded by bytes as well as by messages") {
  const auto bytes = static_cast<std::uint32_t>(note("12345678").bytes().size());
  Desk desk{{.messages = 100, .bytes = 2 * bytes}};
  CHECK(desk.tell({"12345678", "abcdefgh", "x"}) == "x full");
  CHECK(desk.script.take() == "12345678; abcdefgh");
}

TEST_CASE("where the oldest are dropped, as many go as the new one needs, and none for one that can never fit") {
  const auto bytes = static_cast<std::uint32_t>(note("12345678").bytes().size());
  Desk desk{{.messages = 100, .bytes = 3 * bytes, .when_full = WhenFull::drop_oldest}};
  CHECK(desk.tell({"12345678", "abcdefgh", "ABCDEFGH", std::string(bytes + 8, 'l')}) == "");
  CHECK(desk.script.take() == "ABCDEFGH; " + std::string(bytes + 8, 'l'));
  CHECK(desk.shell->dead_letters(DeadLetterReason::mailbox_full) == 2);
  CHECK(desk.tell({"1", std::string(4 * bytes, 'l')}) == std::string(4 * bytes, 'l') + " full");
  CHECK(desk.script.take() == "1");
}

// --- The latest of each key ------------------------------------------------------------------------------------------

struct Position {
  std::string courier;
  int metres;
};

/// A map that shows where each courier is now.
struct Map : Actor<Map, Position, Note, int> {
  static const std::string& key(const Position& position) { return position.courier; }

  explicit Map(Script* script) : script_(script) {}
  void on_start() { CHECK(subscribe<Note>("notes/+")); }
  void on(const Position& position) { script_->note(position.courier + " at " + std::to_string(position.metres)); }
  void on(const Note& note) { script_->note(std::string{label()} + " " + note.text()->str()); }
  int on(const int& number) { return number + 1; }

 private:
  Script* script_;
};

struct MapRoom {
  explicit MapRoom(std::uint32_t messages) {
    SpawnOptions options = on_first_worker({.mailbox = {.messages = messages, .when_full = WhenFull::keep_latest}});
    map = *shell->spawn<Map>(options, &script);
    SpawnOptions beside = on_first_worker();
    hand = *shell->spawn<Hand>(beside);
    shell.run_for(1ms);
  }
  Script script;
  Shell shell;
  ActorRef<Map> map;
  ActorRef<Hand> hand;
};

TEST_CASE("of each key the latest is kept, in the place of the first, and what it replaced is counted") {
  MapRoom room{2};
  room.shell.let(room.hand, [&](Hand& self) {
    CHECK(self.tell(LocalRef{room.map}, Position{"a", 1}));
    CHECK(self.tell(LocalRef{room.map}, Position{"b", 1}));
    for (int i = 2; i <= 10; ++i) CHECK(self.tell(LocalRef{room.map}, Position{"a", i}));
  });
  CHECK(room.script.take() == "a at 10; b at 1");
  CHECK(room.shell->dead_letters(DeadLetterReason::replaced) == 9);
  CHECK(room.shell->dead_letters() == 9);
}

TEST_CASE("one key more than there is room for is rejected, and a known one still goes through") {
  MapRoom room{2};
  room.shell.let(room.hand, [&](Hand& self) {
    CHECK(self.tell(LocalRef{room.map}, Position{"a", 1}));
    CHECK(self.tell(LocalRef{room.map}, Position{"b", 1}));
    const auto refused = self.tell(LocalRef{room.map}, Position{"c", 1});
    CHECK((!refused && refused.error().code == ErrorCode::full));
    CHECK(self.tell(LocalRef{room.map}, Position{"b", 2}));
  });
  CHECK(room.script.take() == "a at 1; b at 2");
}

TEST_CASE("where the class names no key it is the topic; questions are never replaced") {
  MapRoom room{4};
  Script answers;
  room.shell.let(room.hand, [&](Hand& self) {
    for (const char* text : {"1", "2", "3"}) {
      for (const char* topic : {"notes/a", "notes/b"}) CHECK(self.publish(topic, note(text)));
    }
    for (int i = 1; i <= 2; ++i) {
      self.ask<int>(LocalRef{room.map}, int{i}, 1s).then([&](Result<int> answer) {
        answers.note(answer ? std::to_string(*answer) : outcome(answer.error()));
      });
    }
  });
  CHECK(answers.take() == "2; 3");
  // On its own worker the router may have published the first ones before the last ones were told.
  const std::string heard = room.script.take();
  CHECK(heard.find("notes/a 3") != std::string::npos);
  CHECK(heard.find("notes/b 3") != std::string::npos);
}

// --- The reserved part -----------------------------------------------------------------------------------------------

/// Fills its own mailbox, then lives on what must go through all the same.
struct Crammed : Actor<Crammed, int, Down, Note> {
  Crammed(Script* script, LocalRef echo, Ref mortal) : script_(script), echo_(echo), mortal_(mortal) {}
  void on(const int& command) {
    if (command != 0) return;
    watch(mortal_);
    after(1ms, [this] { script_->note("timer"); });
    ask<int>(echo_, 1, 1s).then([this](Result<int> answer) { script_->note(answer ? "reply" : "no reply"); });
    while (tell(LocalRef{self().id()}, 1) && ++filled_ < 10) {
    }
    stop(mortal_);
    become<Deaf>();
  }
  struct Deaf {};
  void on(Deaf, const int&) { stash().ignore(); }  // so that it stays full
  void on(const Down&) { script_->note("down"); }
  void on(const Note&) {}
  void on_stop() { script_->note("stops"); }

 private:
  Script* script_;
  LocalRef echo_;
  Ref mortal_;
  int filled_ = 0;
};

struct Echo : Actor<Echo, int> {
  int on(const int& number) { return number; }
};

void check_reserved_part(WhenFull policy) {
  Script script;
  Shell shell;
  const auto echo = *shell->spawn<Echo>();
  const auto mortal = *shell->spawn<Hand>();
  SpawnOptions options{.mailbox = {.messages = 3, .when_full = policy}};
  const auto crammed = *shell->spawn<Crammed>(options, &script, LocalRef{echo}, Ref{mortal});
  const auto hand = *shell->spawn<Hand>();
  REQUIRE(shell->tell(crammed, 0));
  shell.run_for(10ms);
  CHECK(script.take_sorted() == "down; reply; timer");
  shell.let(hand, [&](Hand& self) { self.stop(crammed); });
  CHECK(script.take() == "stops");
}

TEST_CASE("stop, down, replies and timers reach an actor whose mailbox is full and rejects") {
  check_reserved_part(WhenFull::reject);
}
TEST_CASE("stop, down, replies and timers reach an actor whose mailbox is full and drops the newest") {
  check_reserved_part(WhenFull::drop_newest);
}
TEST_CASE("stop, down, replies and timers reach an actor whose mailbox is full and drops the oldest") {
  check_reserved_part(WhenFull::drop_oldest);
}
TEST_CASE("stop, down, replies and timers reach an actor whose mailbox is full and keeps the latest") {
  check_reserved_part(WhenFull::keep_latest);
}

// --- Turns -----------------------------------------------------------------------------------------------------------

TEST_CASE("an actor with a full mailbox does not keep its neighbour from its turn") {
  Script script;
  Shell shell;
  struct Greedy : Actor<Greedy, int> {
    Greedy(Script* to, int* handled) : script_(to), handled_(handled) {}
    void on(const int& number) {
      if (handled_ != nullptr) ++*handled_;
      if (number < 0) script_->note("turn");
    }
    Script* script_;
    int* handled_;
  };
  SpawnOptions options = on_first_worker();
  int greedy_handled = 0;
  int seen_at_turn = -1;
  const auto greedy = *shell->spawn<Greedy>(options, &script, &greedy_handled);
  struct Modest : Actor<Modest, int> {
    Modest(const int* others, int* seen) : others_(others), seen_(seen) {}
    void on(const int&) { *seen_ = *others_; }
    const int* others_;
    int* seen_;
  };
  const auto modest = *shell->spawn<Modest>(options, &greedy_handled, &seen_at_turn);
  const auto hand = *shell->spawn<Hand>(options);
  shell.let(hand, [&](Hand& self) {
    for (int i = 0; i < 1000; ++i) CHECK(self.tell(LocalRef{greedy}, int{i}));
    CHECK(self.tell(LocalRef{modest}, 1));
  });
  CHECK(greedy_handled == 1000);
  CHECK(seen_at_turn == static_cast<int>(limits::kActorBatch));
}

}  // namespace
}  // namespace pannier::testing
