#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "services/events/events.fbs.h"
#include "tools/asking.h"
#include "tools/commands.h"
#include "tools/output.h"
#include "tools/times.h"

namespace pannier::tools {

namespace {

std::string_view text_of(const flatbuffers::String* text) {
  return text == nullptr ? std::string_view{} : text->string_view();
}

AnyTable data_of(const events::Recorded& event) {
  const auto* data = event.data();
  const auto bytes =
      data == nullptr ? std::span<const std::byte>{} : std::as_bytes(std::span{data->data(), data->size()});
  return {type_id_of(text_of(event.type())), nullptr, BlockRef::copy_of(bytes)};
}

std::string line_of(const events::Recorded& event, const Payloads& payloads) {
  std::string data;
  if (!text_of(event.subject()).empty()) {
    data = "sealed for " + shown_key(text_of(event.subject()));
  } else if (const auto shown = payloads.show(data_of(event)); shown.is_json) {
    data = shown.text;
  } else {
    data = std::to_string(event.data() == nullptr ? 0 : event.data()->size()) + " bytes; see --schema";
  }
  return format("%5llu  %s  %s  %s", static_cast<unsigned long long>(event.version()), time_text(event.at_ns()).c_str(),
                shown_key(text_of(event.type())).c_str(), data.c_str());
}

std::string json_of(const events::Recorded& event, const Payloads& payloads) {
  JsonObject object;
  object.number("position", event.position()).text("stream", text_of(event.stream()));
  object.number("version", event.version()).text("type", text_of(event.type())).number("schema", event.schema());
  object.text("at", time_text(event.at_ns()));
  const auto bytes = data_of(event);
  const std::string_view raw{reinterpret_cast<const char*>(bytes.bytes().data()), bytes.bytes().size()};
  if (!text_of(event.subject()).empty()) object.text("sealed_for", text_of(event.subject()));
  if (const auto shown = payloads.show(bytes); shown.is_json && text_of(event.subject()).empty()) {
    object.raw("data", shown.text);
  } else {
    object.text("base64", base64(raw));
  }
  return object.str();
}

class History {
 public:
  History(const EventsCommand& command, Client& client) : command_(command), client_(client) {}

  /// Each page of the events that the command selects. False where `use` ended it with a status.
  template <class F>
  Result<std::uint64_t> each_page(std::int64_t as_of_ns, F use) {
    std::uint64_t seen = 0;
    std::uint64_t after = command_.after;
    for (bool more = true; more;) {
      events::EventsQuestionT question;
      question.stream = command_.name;
      question.prefix = command_.prefix;
      question.after = after;
      question.as_of_ns = as_of_ns;
      const auto page = ask<events::EventPage>(pack(question));
      if (!page) return page.error();
      more = (*page)->more();
      if ((*page)->events() == nullptr || (*page)->events()->size() == 0) break;
      const auto& last = *(*page)->events()->Get((*page)->events()->size() - 1);
      after = command_.name.empty() ? last.position() : last.version();
      seen += (*page)->events()->size();
      if (auto used = use(*(*page)->events()); !used) return used.error();
    }
    return seen;
  }
  template <class T>
  Result<Table<T>> ask(const AnyTable& question) {
    return ask_actor<T>(client_, command_.actor, question, command_.target.timeout,
                        "pannier::EventReader: spawn one in the program, as 'events'");
  }

 private:
  const EventsCommand& command_;
  Client& client_;
};

using EventList = flatbuffers::Vector<flatbuffers::Offset<events::Recorded>>;

int list(const EventsCommand& command, History& history) {
  events::StreamsQuestionT question;
  question.prefix = command.name.empty() ? command.prefix : command.name;
  std::uint64_t count = 0;
  for (bool more = true; more;) {
    const auto page = history.ask<events::Streams>(pack(question));
    if (!page) return fail_with(page.error());
    more = (*page)->more();
    if ((*page)->streams() == nullptr) break;
    for (const events::StreamSummary* each : *(*page)->streams()) {
      question.after = text_of(each->name());
      ++count;
      const std::string line =
          command.json ? JsonObject{}
                             .text("stream", text_of(each->name()))
                             .number("version", each->version())
                             .text("at", time_text(each->at_ns()))
                             .str()
                       : format("%-32s %8llu  %s", shown_key(text_of(each->name())).c_str(),
                                static_cast<unsigned long long>(each->version()), time_text(each->at_ns()).c_str());
      if (!print(line)) return kExitRefused;
    }
  }
  if (count == 0)
    return fail(kExitRefused,
                "no stream" + (question.prefix.empty() ? "" : " begins with " + question.prefix) + " is there");
  return 0;
}

int show(const EventsCommand& command, History& history, const Payloads& payloads, bool json) {
  std::int64_t as_of_ns = 0;
  if (!command.as_of.empty()) {
    const auto time = parse_time(command.as_of);
    if (!time) return fail(kExitUsage, time.error());
    as_of_ns = *time;
  }
  const auto seen = history.each_page(as_of_ns, [&](const EventList& events) -> Result<void> {
    for (const events::Recorded* event : events) {
      if (!print(json ? json_of(*event, payloads) : line_of(*event, payloads))) return ErrorCode::closed;
    }
    return {};
  });
  if (!seen) return fail_with(seen.error());
  if (*seen != 0) return 0;
  return fail(kExitRefused, command.name.empty() ? "there are no such events"
                                                 : "stream " + shown_key(command.name) + " has no events" +
                                                       (command.after != 0 ? " behind that version" : "") +
                                                       (as_of_ns != 0 ? " by then" : ""));
}

/// Each event goes to the lane once, within the time that the node remembers tokens: the command can be run again.
int replay(const EventsCommand& command, Client& client, History& history) {
  std::uint64_t stored = 0;
  std::uint64_t duplicates = 0;
  const auto seen = history.each_page(0, [&](const EventList& events) -> Result<void> {
    EnqueueManyT request;
    for (const events::Recorded* event : events) {
      const std::unique_ptr<events::RecordedT> object{event->UnPack()};
      const auto table = pack(*object);
      auto each = std::make_unique<EnqueueT>();
      each->address = command.to;
      each->key = object->stream;
      each->type_id = static_cast<std::uint64_t>(type_info<events::Recorded>().id);
      const auto* bytes = reinterpret_cast<const std::uint8_t*>(table.bytes().data());
      each->payload.assign(bytes, bytes + table.bytes().size());
      each->token = "event-" + client.node() + "-" + std::to_string(object->position);
      request.messages.push_back(std::move(each));
    }
    const auto answer = client.ask<EnqueuedMany>(AnyTable{pack(request)}, command.target.timeout);
    if (!answer) return answer.error();
    stored += (*answer)->stored();
    duplicates += (*answer)->duplicates();
    if ((*answer)->failed() == 0) return {};
    return Error{ErrorCode::full, std::to_string((*answer)->failed()) + " events were not taken: " +
                                      std::string{text_of((*answer)->error())} + "; run the command again"};
  });
  if (!seen) return fail_with(seen.error());
  const std::string line = command.json ? JsonObject{}.number("events", stored).number("duplicates", duplicates).str()
                                        : std::to_string(stored) + " events are in " + command.to + ", " +
                                              std::to_string(duplicates) + " of them since an earlier replay";
  return print(line) ? 0 : kExitRefused;
}

}  // namespace

int run_events(const EventsCommand& command) {
  const bool by_stream = command.what == "show";
  if (by_stream && command.name.empty()) return fail(kExitUsage, "which stream? pannier events show STREAM");
  if (!command.name.empty() && !command.prefix.empty()) {
    return fail(kExitUsage, "a stream, or --prefix for several: not both");
  }
  if (command.what == "replay" && command.to.empty()) return fail(kExitUsage, "replay needs --to LANE or NODE/LANE");
  const auto payloads = Payloads::open(command.payload);
  if (!payloads) return fail(kExitUsage, payloads.error());
  auto client = Client::connect(command.target);
  if (!client) return fail_with(client.error());
  History history{command, *client};
  if (command.what == "list") return list(command, history);
  if (command.what == "replay") return replay(command, *client, history);
  return show(command, history, *payloads, command.json || command.what == "export");
}

}  // namespace pannier::tools
