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
    SpawnOptions options{.name = "reader", .mailbox = std::move(mailbox)};
    options.worker = 0;
    reader = *shell->spawn<Reader>(options, &script);
    SpawnOptions beside;
    beside.worker = 0;
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

}  // namespace
}  // namespace pannier::testing
