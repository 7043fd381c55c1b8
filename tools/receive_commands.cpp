#include <algorithm>

#include "tools/commands.h"
#include "tools/exec.h"
#include "tools/schema/inspect.fbs.h"

/// subscribe and consume: those that take what comes.
namespace pannier::tools {

namespace {

using std::chrono::milliseconds;

/// One fetch waits at the node for so long; a node that is gone is noticed after it.
constexpr milliseconds kFetchWait{5000};
/// Between the end of a script's time and the end of the lease.
constexpr milliseconds kLeaseReserve{5000};

std::string text_of(const flatbuffers::String* text) { return text == nullptr ? std::string{} : text->str(); }

int too_few(std::uint64_t seen, std::uint64_t count, milliseconds wait) {
  if (count == 0) return 0;
  return fail(kExitRefused, "nothing more came within " + std::to_string(wait.count()) +
                                " ms: " + std::to_string(seen) + " of " + std::to_string(count));
}

Result<void> settle(Client& client, const ConsumeCommand& command, std::uint64_t handle, Outcome outcome,
                    const std::string& cause) {
  const auto request = build<Settle>([&](flatbuffers::FlatBufferBuilder& builder) {
    return CreateSettleDirect(builder, command.lane.c_str(), handle, outcome, cause.c_str());
  });
  const auto settled = client.ask<Settled>(request, command.target.timeout);
  if (!settled) return settled.error();
  if (!(*settled)->known()) {
    return Error{ErrorCode::closed,
                 "the lease had ended before the message was done (--lease is too short?): it may "
                 "come again"};
  }
  return {};
}

/// Shows or runs one message, and says what became of it.
Result<bool> take(Client& client, const Payloads& payloads, const ConsumeCommand& command, const Fetched& fetched) {
  const auto* payload = fetched.payload();
  const auto bytes =
      payload == nullptr ? std::span<const std::byte>{} : std::as_bytes(std::span{payload->data(), payload->size()});
  const AnyTable table{TypeId{fetched.type_id()}, nullptr, BlockRef::copy_of(bytes)};
  const std::string key = text_of(fetched.key());
  std::string failure;
  if (!command.exec.empty()) {
    const Payloads::Shown shown = payloads.show(table);
    if (!shown.known) {
      return Error{ErrorCode::invalid_argument,
                   "a message of type " + shown.type + " cannot be given to the command: name its --schema"};
    }
    const auto ended = run_script({command.exec, shown.text, command.lane, key, shown.type, command.lease});
    if (!ended) return ended.error();
    failure = *ended;
  } else if (command.json) {
    JsonObject object;
    object.text("lane", command.lane).text("key", key);
    payloads.add_to(object, table);
    if (!print(object.str())) return Error{ErrorCode::closed, "stdout is gone"};
  } else if (!print(key + "\t" + payloads.line(table))) {
    return Error{ErrorCode::closed, "stdout is gone"};
  }
  if (!failure.empty()) static_cast<void>(fail(0, "key '" + key + "': " + failure + "; the node tries it again"));
  const auto settled =
      settle(client, command, fetched.handle(), failure.empty() ? Outcome::Ack : Outcome::Retry, failure);
  if (!settled) return settled.error();
  return failure.empty();
}

}  // namespace

int run_subscribe(const SubscribeCommand& command) {
  const auto payloads = Payloads::open(command.payload);
  if (!payloads) return fail(kExitUsage, payloads.error());
  auto client = Client::connect(command.target);
  if (!client) return fail_with(client.error());
  if (auto subscribed = client->subscribe(command.filter); !subscribed) return fail_with(subscribed.error());
  static_cast<void>(fail(0, "subscribed to " + command.filter + " at " + client->node()));

  std::uint64_t seen = 0;
  bool open = true;
  while (open && (command.count == 0 || seen < command.count)) {
    const milliseconds wait = command.wait.count() == 0 ? milliseconds{3'600'000} : command.wait;
    const auto got = client->next(
        [&](std::string_view topic, const AnyTable& payload) {
          ++seen;
          if (command.json) {
            JsonObject object;
            object.text("topic", topic);
            payloads->add_to(object, payload);
            open = print(object.str());
          } else {
            open = print(std::string{topic} + "\t" + payloads->line(payload));
          }
        },
        wait);
    if (!got && command.wait.count() != 0) return too_few(seen, command.count, command.wait);
  }
  return 0;
}

int run_consume(const ConsumeCommand& command) {
  const auto payloads = Payloads::open(command.payload);
  if (!payloads) return fail(kExitUsage, payloads.error());
  auto client = Client::connect(command.target);
  if (!client) return fail_with(client.error());

  const milliseconds lease = command.lease + kLeaseReserve;
  std::uint64_t done = 0;
  milliseconds waited{0};
  while (command.count == 0 || done < command.count) {
    milliseconds wait = kFetchWait;
    if (command.wait.count() != 0) wait = std::min(wait, command.wait - waited);
    const auto request = build<Fetch>([&](flatbuffers::FlatBufferBuilder& builder) {
      return CreateFetchDirect(builder, command.lane.c_str(), static_cast<std::uint32_t>(wait.count()),
                               static_cast<std::uint32_t>(lease.count()));
    });
    const auto fetched = client->ask<Fetched>(request, wait + command.target.timeout);
    if (!fetched) return fail_with(fetched.error());
    if ((*fetched)->handle() == 0) {
      waited += wait;
      if (command.wait.count() != 0 && waited >= command.wait) return too_few(done, command.count, command.wait);
      continue;
    }
    waited = milliseconds{0};
    const auto taken = take(*client, *payloads, command, **fetched);
    if (!taken) return fail_with(taken.error());
    if (*taken) ++done;
  }
  return 0;
}

}  // namespace pannier::tools
