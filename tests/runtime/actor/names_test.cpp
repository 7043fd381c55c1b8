// Actors found by their names, here and on a linked node.

#include <doctest/doctest.h>

#include <string>

#include "tests/runtime/shell.h"

namespace pannier::testing {
namespace {

using namespace std::chrono_literals;

struct Adder : Actor<Adder, Number> {
  explicit Adder(std::int64_t amount) : amount_(amount) {}
  Table<Number> on(const Number& number) { return make<Number>(number.value() + amount_); }

 private:
  std::int64_t amount_;
};

struct NameAsker {
  explicit NameAsker(Shell& with) : shell(with), hand(*with->spawn<Hand>()) {}
  std::string ask(const std::string& name) {
    CHECK(
        shell->tell(hand, Hand::Order{[this, name](Hand& self) {
                      self.ask<Number>(self.ref(name), make<Number>(1), 1s).then([this](Result<Table<Number>> answer) {
                        heard.note(answer ? std::to_string((*answer)->value()) : outcome(answer.error()));
                      });
                    }}));
    shell.run_for(100ms);
    return heard.take();
  }
  Script heard;
  Shell& shell;
  ActorRef<Hand> hand;
};

TEST_CASE("a name leads to whoever has it now, and may be asked for before anybody has") {
  Shell shell;
  NameAsker asker{shell};
  CHECK(asker.ask("adder") == "not_found");
  const auto first = *shell->spawn<Adder>(SpawnOptions{.name = "adder"}, 1);
  CHECK(asker.ask("adder") == "2");
  CHECK(asker.ask("here/adder") == "2");  // the own node's name may be given
  const auto twin = shell->spawn<Adder>(SpawnOptions{.name = "adder"}, 5);
  CHECK((!twin && twin.error().code == ErrorCode::in_use));
  shell.let(asker.hand, [&](Hand& self) { self.stop(first); });
  CHECK(asker.ask("adder") == "not_found");
  REQUIRE(shell->spawn<Adder>(SpawnOptions{.name = "adder"}, 10));
  CHECK(asker.ask("adder") == "11");
}

TEST_CASE("node/name leads to the actor of that name on the linked node") {
  Shell shell{{.options = {.name = "here", .links = {{.node = "there", .address = "inproc://there"}}}, .linked = true}};
  Node& there = shell.add({.options = {.name = "there", .listen = {"inproc://there"}}, .linked = true});
  REQUIRE(there.spawn<Adder>(SpawnOptions{.name = "adder"}, 100));
  REQUIRE(shell->spawn<Adder>(SpawnOptions{.name = "adder"}, 1));
  shell.run_for(40s);  // dialled too early at first
  NameAsker asker{shell};
  CHECK(asker.ask("there/adder") == "101");
  CHECK(asker.ask("adder") == "2");
  CHECK(asker.ask("there/nobody") == "not_found");
  CHECK(asker.ask("nowhere/adder") == "unreachable");
}

}  // namespace
}  // namespace pannier::testing
