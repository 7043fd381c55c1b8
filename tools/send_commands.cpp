#include <algorithm>
#include <array>

#include <pannier/platform.h>
#include <pannier/zmq.h>
#include "tools/commands.h"
#include "tools/schema/inspect.fbs.h"

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

int run_publish(const PublishCommand& command) {
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

int run_ask(const AskCommand& command) {
  Ready ready;
  if (const int status = prepare(command, ready); status != 0) return status;
  const auto timeout = command.target.timeout;
  const AnyTable request = carrying<Ask>(*ready.payload, [&](auto& builder, std::uint64_t type, auto data) {
    const auto address = builder.CreateString(command.actor);
    return CreateAsk(builder, address, type, data, static_cast<std::uint32_t>(timeout.count()));
  });
  // The node keeps the time of the question; ours leaves room for its answer that there was none.
  const auto answer = ready.client->ask<Answer>(request, timeout + milliseconds{500});
  if (!answer) return fail_with({answer.error().code, command.actor + ": " + sentence(answer.error())});
  const auto* payload = (*answer)->payload();
  const auto bytes =
      payload == nullptr ? std::span<const std::byte>{} : std::as_bytes(std::span{payload->data(), payload->size()});
  const AnyTable table{TypeId{(*answer)->type_id()}, nullptr, BlockRef::copy_of(bytes)};
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

int run_enqueue(const EnqueueCommand& command) {
  Ready ready;
  if (const int status = prepare(command, ready); status != 0) return status;
  const AnyTable request = carrying<Enqueue>(*ready.payload, [&](auto& builder, std::uint64_t type, auto data) {
    const auto address = builder.CreateString(command.lane);
    const auto key = builder.CreateString(command.key);
    const auto token = builder.CreateString(command.token);
    const std::array<std::string_view, 4> durabilities = {"", "memory", "committed", "fsynced"};
    const auto durability = std::find(durabilities.begin(), durabilities.end(), command.durability);
    return CreateEnqueue(builder, address, key, type, data, static_cast<std::uint64_t>(command.delay.count()),
                         static_cast<std::uint64_t>(command.expires_in.count()), token,
                         static_cast<std::uint8_t>(durability - durabilities.begin()));
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
              .str());
  } else if ((*receipt)->duplicate()) {
    print("#" + std::to_string((*receipt)->sequence()) + " was stored before with this token; nothing was stored now");
  } else {
    print("#" + std::to_string((*receipt)->sequence()) + " " + durable_at(node, (*receipt)->durability()));
  }
  return 0;
}

}  // namespace pannier::tools
