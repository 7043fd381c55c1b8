#include <algorithm>
#include <array>
#include <cstdio>
#include <vector>

#include <pannier/zmq.h>

#include "run/schema/inspect.fbs.h"
#include "run/tool_service.h"
#include "tools/commands.h"

/// keygen, publish, ask, enqueue: those that do one thing and end.
namespace pannier::tools {

namespace {

using std::chrono::milliseconds;

/// A request of the tools' schema that carries `payload` in its own bytes.
template <class T, class Create>
AnyTable carrying(const AnyTable& payload, Create&& create) {
  return AnyTable{build<T>([&](flatbuffers::FlatBufferBuilder& builder) {
    const auto bytes = payload.bytes();
    const auto data = builder.CreateVector(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    return create(builder, static_cast<std::uint64_t>(payload.type()), data);
  })};
}

std::string text_of(const flatbuffers::String* text) { return text == nullptr ? std::string{} : text->str(); }

/// The payload and the link that a sending command needs, or the status that it ends with.
struct Ready {
  std::optional<Payloads> payloads;
  std::optional<AnyTable> payload;
  std::optional<Client> client;
};
int prepare(const ClientOptions& options, Ready& ready) {
  auto payloads = Payloads::open(options.payload);
  if (!payloads) return fail(kExitUsage, payloads.error());
  auto payload = payloads->read();
  if (!payload) return fail(kExitUsage, payload.error());
  auto client = Client::connect(options.target);
  if (!client) return fail_with(client.error());
  ready.payloads.emplace(std::move(*payloads));
  ready.payload.emplace(std::move(*payload));
  ready.client.emplace(std::move(*client));
  return 0;
}

std::string durable_at(const std::string& node, Durability durability) {
  switch (durability) {
    case Durability::Fsynced: return "on disk at " + node + " (synced)";
    case Durability::Committed: return "in the file of " + node + " (not synced: a power cut may take it)";
    default: return "in the memory of " + node + " only, not on disk yet";
  }
}

std::string_view name_of(Durability durability) {
  switch (durability) {
    case Durability::Fsynced: return "fsynced";
    case Durability::Committed: return "committed";
    default: return "memory";
  }
}

}  // namespace

int run_keygen(const KeygenOptions& options) {
  auto keys = zmq::generate_key_pair();
  if (!keys) return fail(kExitUsage, keys.error());
  const auto saved = zmq::save_key_pair(options.file, *keys);
  if (!saved && saved.error().code == ErrorCode::in_use) {
    if (!options.keep) {
      return fail(kExitUsage,
                  options.file + " exists already; a key is never overwritten: choose another name, or say --keep");
    }
    keys = zmq::load_key_pair(options.file);
    if (!keys) return fail(kExitUsage, keys.error());
  } else if (!saved) {
    return fail(kExitUsage, saved.error());
  }
  const std::string public_key = zmq::to_z85(keys->public_key);
  if (options.json) {
    print(JsonObject{}.text("file", options.file).text("public_key", public_key).str());
  } else {
    print(public_key);
  }
  return 0;
}

namespace {

/// The topic keeps no last value any more.
int clear_topic(const PublishCommand& command) {
  if (command.payload.raw || !command.payload.json.empty() || command.retain) {
    return fail(kExitUsage, "--clear takes no payload, and no --retain");
  }
  auto client = Client::connect(command.target);
  if (!client) return fail_with(client.error());
  const auto request = build<Publish>([&](flatbuffers::FlatBufferBuilder& builder) {
    const auto topic = builder.CreateString(command.topic);
    PublishBuilder table{builder};
    table.add_topic(topic);
    table.add_clear(true);
    return table.Finish();
  });
  const auto cleared = client->ask<Published>(request, command.target.timeout);
  if (!cleared) return fail_with(cleared.error());
  if (command.json) {
    print(JsonObject{}.text("node", text_of((*cleared)->node())).text("topic", command.topic).str());
  } else {
    print(command.topic + " keeps no last value any more, at " + text_of((*cleared)->node()) +
          " and the nodes linked with it");
  }
  return 0;
}

}  // namespace

int run_publish(const PublishCommand& command) {
  if (command.clear) return clear_topic(command);
  Ready ready;
  if (const int status = prepare(command, ready); status != 0) return status;
  const AnyTable request = carrying<Publish>(*ready.payload, [&](auto& builder, std::uint64_t type, auto data) {
    const auto topic = builder.CreateString(command.topic);
    return CreatePublish(builder, topic, type, data, command.retain, command.urgent);
  });
  const auto published = ready.client->ask<Published>(request, command.target.timeout);
  if (!published) return fail_with(published.error());
  if (command.json) {
    print(JsonObject{}.text("node", text_of((*published)->node())).text("topic", command.topic).str());
  } else {
    print("published at " + text_of((*published)->node()) + " to whoever subscribes now");
  }
  return 0;
}

namespace {

int show_answer(const AskCommand& command, const Ready& ready, const AnyTable& table) {
  if (const auto refused = table.as<Refused>()) {
    return fail_with({ErrorCode::rejected, command.actor + ": " + text_of((*refused)->text())});
  }
  if (command.json) {
    JsonObject object;
    ready.payloads->add_to(object, table);
    print(object.str());
  } else {
    print(ready.payloads->line(table));
  }
  return 0;
}

}  // namespace

int run_ask(const AskCommand& command) {
  Ready ready;
  if (const int status = prepare(command, ready); status != 0) return status;
  const auto timeout = command.target.timeout;
  const AnyTable request = carrying<Ask>(*ready.payload, [&](auto& builder, std::uint64_t type, auto data) {
    const auto address = builder.CreateString(command.actor);
    return CreateAsk(builder, address, type, data, static_cast<std::uint32_t>(timeout.count()));
  });
  if (command.actor == kServiceName || command.actor == ready.client->node() + "/" + std::string{kServiceName}) {
    // Who passes questions on cannot ask itself.
    const auto answer = ready.client->ask_any(*ready.payload, timeout);
    return answer ? show_answer(command, ready, *answer) : fail_with(answer.error());
  }
  // The node keeps the time of the question; ours leaves room for its answer that there was none.
  const auto answer = ready.client->ask<Answer>(request, timeout + milliseconds{500});
  if (!answer) return fail_with({answer.error().code, command.actor + ": " + sentence(answer.error())});
  const auto* payload = (*answer)->payload();
  const auto bytes =
      payload == nullptr ? std::span<const std::byte>{} : std::as_bytes(std::span{payload->data(), payload->size()});
  return show_answer(command, ready, AnyTable{TypeId{(*answer)->type_id()}, nullptr, BlockRef::copy_of(bytes)});
}

namespace {

/// Of a request that carries several messages, so that it fits into one.
constexpr std::size_t kManyMessages = 200;
constexpr std::size_t kManyBytes = limits::kPayloadBytes / 2;
constexpr std::array<std::string_view, 4> kDurabilities = {"", "memory", "committed", "fsynced"};

std::uint8_t durability_of(const EnqueueCommand& command) {
  const auto found = std::find(kDurabilities.begin(), kDurabilities.end(), command.durability);
  return static_cast<std::uint8_t>(found - kDurabilities.begin());
}

/// The messages of lines "KEY<tab>PAYLOAD", gathered until a request is full.
class Lines {
 public:
  Lines(const EnqueueCommand& command, const Payloads& payloads) : command_(command), payloads_(payloads) {}

  /// The next line of stdin. False at the end.
  [[nodiscard]] Result<bool> add_next() {
    std::string line;
    int c = 0;
    while ((c = std::fgetc(stdin)) != EOF && c != '\n') {
      line += static_cast<char>(c);
      if (line.size() > limits::kPayloadBytes) break;
    }
    if (c == EOF && line.empty()) return false;
    ++read_;
    const std::size_t tab = line.find('\t');
    if (tab == std::string::npos) return wrong("it is no KEY<tab>PAYLOAD");
    auto payload = payloads_.read(line.substr(tab + 1));
    if (!payload) return wrong(sentence(payload.error()));
    auto message = std::make_unique<EnqueueT>();
    message->address = command_.lane;
    message->key = line.substr(0, tab);
    message->type_id = static_cast<std::uint64_t>(payload->type());
    const auto* data = reinterpret_cast<const std::uint8_t*>(payload->bytes().data());
    message->payload.assign(data, data + payload->bytes().size());
    message->delay_ms = static_cast<std::uint64_t>(command_.delay.count());
    message->expires_in_ms = static_cast<std::uint64_t>(command_.expires_in.count());
    if (!command_.token.empty()) message->token = command_.token + "-" + std::to_string(read_);
    message->durability = durability_of(command_);
    bytes_ += line.size() + 256;
    messages_.push_back(std::move(message));
    return true;
  }
  [[nodiscard]] bool is_full() const noexcept { return messages_.size() >= kManyMessages || bytes_ >= kManyBytes; }
  [[nodiscard]] bool is_empty() const noexcept { return messages_.empty(); }
  /// The number of the first line that take() gives.
  [[nodiscard]] std::uint64_t first() const noexcept { return read_ - messages_.size() + 1; }
  [[nodiscard]] AnyTable take() {
    EnqueueManyT request;
    request.messages = std::move(messages_);
    messages_.clear();
    bytes_ = 0;
    return AnyTable{pack(request)};
  }

 private:
  [[nodiscard]] Error wrong(const std::string& why) const {
    return {ErrorCode::invalid_argument, "line " + std::to_string(read_) + " of stdin: " + why};
  }

  const EnqueueCommand& command_;
  const Payloads& payloads_;
  std::uint64_t read_ = 0;
  std::size_t bytes_ = 0;
  std::vector<std::unique_ptr<EnqueueT>> messages_;
};

/// Lines until stdin ends; stops at the first that is wrong or not stored, and says how far it came.
int enqueue_lines(const EnqueueCommand& command) {
  if (!command.key.empty() || command.payload.raw || !command.payload.json.empty()) {
    return fail(kExitUsage, "--lines takes keys and payloads from stdin, and none from the command line");
  }
  const auto payloads = Payloads::open(command.payload);
  if (!payloads) return fail(kExitUsage, payloads.error());
  auto client = Client::connect(command.target);
  if (!client) return fail_with(client.error());
  Lines lines{command, *payloads};
  std::uint64_t stored = 0;
  std::uint64_t duplicates = 0;
  auto durability = Durability::Fsynced;
  const auto so_far = [&] { return "; " + std::to_string(stored) + " lines before that are stored"; };
  for (bool more = true; more;) {
    const auto next = lines.add_next();
    more = next && *next;
    if (more && !lines.is_full()) continue;
    if (!lines.is_empty()) {
      const std::uint64_t first = lines.first();
      const auto answer = client->ask<EnqueuedMany>(lines.take(), command.target.timeout);
      if (!answer) {
        return fail_with({answer.error().code, sentence(answer.error()) + so_far() + "; whether those from line " +
                                                   std::to_string(first) +
                                                   " on are is unknown: --token makes it safe to repeat all"});
      }
      const EnqueuedMany& many = **answer;
      if (many.failed() != 0) {
        stored += many.first_failed();
        return fail(kExitRefused, "line " + std::to_string(first + many.first_failed()) + ": " + text_of(many.error()) +
                                      so_far() + ", and " +
                                      std::to_string(many.stored() - std::min(many.stored(), many.first_failed())) +
                                      " after it");
      }
      stored += many.stored();
      duplicates += many.duplicates();
      durability = std::min(durability, many.durability());
    }
    if (!next) return fail(kExitUsage, sentence(next.error()) + so_far());
  }
  const std::string node = client->node();
  if (command.json) {
    print(JsonObject{}
              .text("node", node)
              .text("lane", command.lane)
              .number("stored", stored)
              .number("duplicates", duplicates)
              .text("durability", name_of(durability))
              .str());
  } else {
    print(std::to_string(stored) + (stored == 1 ? " message " : " messages ") + durable_at(node, durability) +
          (duplicates == 0 ? "" : ", " + std::to_string(duplicates) + " of them before, with the same token"));
  }
  return 0;
}

}  // namespace

int run_enqueue(const EnqueueCommand& command) {
  if (command.lines) return enqueue_lines(command);
  if (command.key.empty()) return fail(kExitUsage, "key is missing; see `pannier enqueue --help`");
  Ready ready;
  if (const int status = prepare(command, ready); status != 0) return status;
  const AnyTable request = carrying<Enqueue>(*ready.payload, [&](auto& builder, std::uint64_t type, auto data) {
    const auto address = builder.CreateString(command.lane);
    const auto key = builder.CreateString(command.key);
    const auto token = builder.CreateString(command.token);
    return CreateEnqueue(builder, address, key, type, data, static_cast<std::uint64_t>(command.delay.count()),
                         static_cast<std::uint64_t>(command.expires_in.count()), token, durability_of(command));
  });
  const auto receipt = ready.client->ask<Enqueued>(request, command.target.timeout);
  if (!receipt) {
    std::string text = sentence(receipt.error());
    switch (receipt.error().code) {
      case ErrorCode::timeout:
      case ErrorCode::unreachable:
      case ErrorCode::closed:
        text += "; whether it was stored is unknown: look with `pannier queue --key " + command.key + "` first";
        break;
      case ErrorCode::full: text += ": lane '" + command.lane + "' is at its quota; nothing was stored"; break;
      case ErrorCode::invalid_argument:
        text += ": '" + command.lane + "' is no lane, or the key is too long, or a time cannot be; nothing was stored";
        break;
      default: text += "; nothing was stored"; break;
    }
    return fail_with({receipt.error().code, text});
  }
  const std::string node = text_of((*receipt)->node());
  if (command.json) {
    print(JsonObject{}
              .text("node", node)
              .text("lane", command.lane)
              .text("key", command.key)
              .number("sequence", (*receipt)->sequence())
              .text("durability", name_of((*receipt)->durability()))
              .flag("duplicate", (*receipt)->duplicate())
              .flag("no_way", (*receipt)->no_way())
              .str());
  } else if ((*receipt)->duplicate()) {
    print("#" + std::to_string((*receipt)->sequence()) + " was stored before with this token; nothing was stored now");
  } else {
    print("#" + std::to_string((*receipt)->sequence()) + " " + durable_at(node, (*receipt)->durability()));
  }
  if ((*receipt)->no_way()) {
    const std::string to = command.lane.substr(0, command.lane.find('/'));
    return fail(
        0, "it waits: no way leads from " + node + " to '" + to + "' now, and no peer has that name; is it right?");
  }
  return 0;
}

}  // namespace pannier::tools
