#include "run/schema/inspect.fbs.h"
#include "tools/commands.h"

/// redrive, purge, cancel: what becomes of messages that wait.
namespace pannier::tools {

namespace {

std::string text_of(const flatbuffers::String* text) { return text == nullptr ? std::string{} : text->str(); }

Result<Table<Decided>> decide(Client& client, const DecideCommand& command, Decision decision) {
  const auto slash = command.lane.find('/');
  const std::string node = slash == std::string::npos ? "" : command.lane.substr(0, slash);
  const std::string lane = slash == std::string::npos ? command.lane : command.lane.substr(slash + 1);
  const auto request = build<Decide>([&](flatbuffers::FlatBufferBuilder& builder) {
    return CreateDecideDirect(builder, decision, node.c_str(), lane.c_str(), command.key.c_str(), command.id);
  });
  return client.ask<Decided>(request, command.target.timeout);
}

std::string messages(std::uint64_t count) { return std::to_string(count) + (count == 1 ? " message" : " messages"); }

/// Asks again until there is no more: one transaction takes a bounded number.
int run_dead_letters(const DecideCommand& command, Decision decision, const std::string& done) {
  auto client = Client::connect(command.target);
  if (!client) return fail_with(client.error());
  std::uint64_t count = 0;
  std::string node;
  bool more = true;
  while (more) {
    const auto decided = decide(*client, command, decision);
    if (!decided && count == 0) return fail_with(decided.error());
    if (!decided) {
      return fail_with({decided.error().code, sentence(decided.error()) + "; " + messages(count) + " before that"});
    }
    count += (*decided)->messages();
    node = text_of((*decided)->node());
    more = (*decided)->more() && (*decided)->messages() > 0;
  }
  if (command.json) {
    print(JsonObject{}.text("node", node).text("lane", command.lane).number("messages", count).str());
  } else {
    print(messages(count) + " of lane " + command.lane + " at " + node + " " + done);
  }
  return 0;
}

}  // namespace

int run_redrive(const DecideCommand& command) { return run_dead_letters(command, Decision::Redrive, "tried again"); }
int run_purge(const DecideCommand& command) { return run_dead_letters(command, Decision::Purge, "removed"); }

int run_cancel(const DecideCommand& command) {
  auto client = Client::connect(command.target);
  if (!client) return fail_with(client.error());
  const auto decided = decide(*client, command, Decision::Cancel);
  if (!decided)
    return fail_with({decided.error().code, "#" + std::to_string(command.id) + ": " + sentence(decided.error())});
  const std::string node = text_of((*decided)->node());
  const bool may_have_left = (*decided)->may_have_left();
  if (command.json) {
    print(JsonObject{}.text("node", node).number("id", command.id).flag("may_have_left", may_have_left).str());
  } else {
    print("#" + std::to_string(command.id) + " is cancelled at " + node +
          (may_have_left ? "; it had been sent before without an answer, so the other node may have it" : ""));
  }
  return 0;
}

}  // namespace pannier::tools
