#include <string>
#include <string_view>

#include "services/saga/saga.fbs.h"
#include "tools/asking.h"
#include "tools/commands.h"
#include "tools/output.h"
#include "tools/times.h"

namespace pannier::tools {

namespace {

constexpr const char* kHost = "pannier::SagaHost";

std::string text_at(const flatbuffers::String* text) { return text == nullptr ? std::string{} : text->str(); }

class Desk {
 public:
  Desk(const SagaCommand& command, Client& client) : command_(command), client_(client) {}
  template <class T>
  Result<Table<T>> ask(const AnyTable& question) {
    return ask_actor<T>(client_, command_.actor, question, command_.target.timeout, kHost);
  }

 private:
  const SagaCommand& command_;
  Client& client_;
};

int list(const SagaCommand& command, Desk& desk) {
  sagas::SagasQuestionT question;
  question.status = command.status;
  if (!command.json && !print(format("%-24s %-20s %-14s %-25s %s", "ID", "SAGA", "STATUS", "CHANGED", "CAUSE"))) {
    return kExitRefused;
  }
  for (bool more = true; more;) {
    const auto page = desk.ask<sagas::Sagas>(pack(question));
    if (!page) return fail_with(page.error());
    more = (*page)->more();
    if ((*page)->sagas() == nullptr) break;
    for (const sagas::SagaSummary* each : *(*page)->sagas()) {
      question.after = text_at(each->id());
      const std::string name = text_at(each->saga()) + " " + std::to_string(each->version());
      const std::string line =
          command.json ? JsonObject{}
                             .text("id", text_at(each->id()))
                             .text("saga", text_at(each->saga()))
                             .number("version", each->version())
                             .text("status", text_at(each->status()))
                             .text("cause", text_at(each->cause()))
                             .text("started", time_text(each->started_ns()))
                             .text("changed", time_text(each->changed_ns()))
                             .str()
                       : format("%-24s %-20s %-14s %-25s %s", shown_key(text_at(each->id())).c_str(), name.c_str(),
                                text_at(each->status()).c_str(), time_text(each->changed_ns()).c_str(),
                                shown_key(text_at(each->cause())).c_str());
      if (!print(line)) return kExitRefused;
    }
  }
  return 0;
}

int show(const SagaCommand& command, Desk& desk) {
  const auto status = desk.ask<sagas::Status>(make<sagas::StatusQuestion>(command.id));
  if (!status) return fail_with(status.error());
  const sagas::Status& saga = **status;
  if (command.mermaid) return print(text_at(saga.mermaid())) ? 0 : kExitRefused;
  std::string steps;
  std::string lines;
  if (saga.steps() != nullptr) {
    for (const sagas::StepStatus* each : *saga.steps()) {
      const std::string attempts = each->attempts() > 1 ? ", attempt " + std::to_string(each->attempts()) : "";
      lines += "\n  " + format("%-20s ", text_at(each->name()).c_str()) + text_at(each->state()) + attempts;
      steps += (steps.empty() ? "" : ",") + JsonObject{}
                                                .text("name", text_at(each->name()))
                                                .text("state", text_at(each->state()))
                                                .number("attempts", each->attempts())
                                                .str();
    }
  }
  if (command.json) {
    return print(JsonObject{}
                     .text("id", text_at(saga.id()))
                     .text("saga", text_at(saga.saga()))
                     .number("version", saga.version())
                     .text("status", text_at(saga.status()))
                     .text("cause", text_at(saga.cause()))
                     .raw("steps", "[" + steps + "]")
                     .str())
               ? 0
               : kExitRefused;
  }
  const std::string cause = text_at(saga.cause()).empty() ? "" : ": " + shown_key(text_at(saga.cause()));
  return print(shown_key(text_at(saga.id())) + ", " + text_at(saga.saga()) + " version " +
               std::to_string(saga.version()) + ", is " + text_at(saga.status()) + cause + lines)
             ? 0
             : kExitRefused;
}

int order(const SagaCommand& command, Desk& desk, sagas::OrderKind kind) {
  sagas::OrderQuestionT question;
  question.id = command.id;
  question.order = kind;
  const auto taken = desk.ask<sagas::OrderTaken>(pack(question));
  if (!taken) return fail_with(taken.error());
  const std::string was = text_at((*taken)->status());
  return print(command.json ? JsonObject{}.text("id", command.id).text("was", was).str()
                            : shown_key(command.id) + " was " + was + "; the order is stored")
             ? 0
             : kExitRefused;
}

int purge(const SagaCommand& command, Desk& desk) {
  std::uint64_t gone = 0;
  for (bool more = true; more;) {
    sagas::PurgeQuestionT question;
    question.unchanged_ms = static_cast<std::uint64_t>(command.older_than.count());
    question.status = command.status;
    const auto purged = desk.ask<sagas::Purged>(pack(question));
    if (!purged) return fail_with(purged.error());
    gone += (*purged)->sagas();
    more = (*purged)->more();
  }
  return print(command.json ? JsonObject{}.number("sagas", gone).str() : std::to_string(gone) + " sagas are removed")
             ? 0
             : kExitRefused;
}

}  // namespace

int run_saga(const SagaCommand& command) {
  const bool of_one = command.what != "list" && command.what != "purge";
  if (of_one && command.id.empty()) return fail(kExitUsage, "which saga? pannier saga " + command.what + " ID");
  if (command.what == "purge" && command.older_than.count() == 0) {
    return fail(kExitUsage, "purge needs --older-than, in seconds since the saga's last change");
  }
  auto client = Client::connect(command.target);
  if (!client) return fail_with(client.error());
  Desk desk{command, *client};
  if (command.what == "list") return list(command, desk);
  if (command.what == "show") return show(command, desk);
  if (command.what == "purge") return purge(command, desk);
  return order(command, desk,
               command.what == "retry"        ? sagas::OrderKind::retry
               : command.what == "skip"       ? sagas::OrderKind::skip
               : command.what == "compensate" ? sagas::OrderKind::compensate
                                              : sagas::OrderKind::cancel);
}

}  // namespace pannier::tools
