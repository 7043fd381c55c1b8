#include <algorithm>
#include <cstdio>
#include <random>
#include <thread>

#include "run/schema/inspect.fbs.h"
#include "tools/commands.h"
#include "tools/exec.h"

/// subscribe, consume and replay: those that take what comes.
namespace pannier::tools {

namespace {

using std::chrono::milliseconds;

/// One fetch waits at the node for so long; a node that is gone is noticed after it.
constexpr milliseconds kFetchWait{5000};
/// Between the end of a script's time and the end of the lease.
constexpr milliseconds kLeaseReserve{5000};
/// Between two looks for a node that has gone.
constexpr milliseconds kLookAgain{200};

std::string text_of(const flatbuffers::String* text) { return text == nullptr ? std::string{} : text->str(); }

int too_few(std::uint64_t seen, std::uint64_t count, milliseconds wait) {
  if (count == 0) return 0;
  return fail(kExitRefused, "nothing more came within " + std::to_string(wait.count()) +
                                " ms: " + std::to_string(seen) + " of " + std::to_string(count));
}

/// What consume and replay have in common.
struct Taking {
  const ConsumeCommand& command;
  std::string reader;  ///< Of retained messages; empty: the lane's own.
  std::uint64_t from = 0;
};

Result<void> settle(Client& client, const Taking& taking, std::uint64_t handle, Outcome outcome,
                    const std::string& cause) {
  const auto request = build<Settle>([&](flatbuffers::FlatBufferBuilder& builder) {
    return CreateSettleDirect(builder, taking.command.lane.c_str(), handle, outcome, cause.c_str(),
                              taking.reader.c_str());
  });
  const auto settled = client.ask<Settled>(request, taking.command.target.timeout);
  if (!settled) return settled.error();
  if (!(*settled)->known()) {
    return Error{ErrorCode::rejected,
                 "the lease had ended before the message was done (--lease is too short?): it may "
                 "come again"};
  }
  return {};
}

/// Waits until the node is there again. Returns how long it took; the error where `limit` has passed first.
Result<Client> find_again(const Target& target, const Error& why, milliseconds limit, milliseconds& waited) {
  static_cast<void>(fail(0, sentence(why) + "; waiting for the node to come back"));
  Target again = target;
  again.timeout = std::max(kLookAgain, std::min(target.timeout, milliseconds{1000}));
  for (const auto start = std::chrono::steady_clock::now();;) {
    auto client = Client::connect(again);
    waited += std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - start);
    const bool hopeless = !client && !is_lost(client.error());
    if (client || hopeless || (limit.count() != 0 && waited >= limit)) return client;
    std::this_thread::sleep_for(kLookAgain);
  }
}

/// Shows or runs one message, and says what became of it.
Result<bool> take(Client& client, const Payloads& payloads, const Taking& taking, const Fetched& fetched) {
  const ConsumeCommand& command = taking.command;
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
    if (!print(object.str())) return Error{ErrorCode::rejected, "stdout is gone"};
  } else if (!print(shown_key(key) + "\t" + payloads.line(table))) {
    return Error{ErrorCode::rejected, "stdout is gone"};
  }
  if (!failure.empty()) static_cast<void>(fail(0, "key '" + key + "': " + failure + "; the node tries it again"));
  const auto settled =
      settle(client, taking, fetched.handle(), failure.empty() ? Outcome::Ack : Outcome::Retry, failure);
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
            open = print(shown_key(topic) + "\t" + payloads->line(payload));
          }
        },
        wait);
    if (!got && command.wait.count() != 0) return too_few(seen, command.count, command.wait);
  }
  return 0;
}

namespace {

/// One message, and whether it was done. False without one: nothing came within `wait`.
Result<bool> take_next(Client& client, const Payloads& payloads, const Taking& taking, milliseconds wait, bool& came) {
  const ConsumeCommand& command = taking.command;
  const auto request = build<Fetch>([&](flatbuffers::FlatBufferBuilder& builder) {
    return CreateFetchDirect(builder, command.lane.c_str(), static_cast<std::uint32_t>(wait.count()),
                             static_cast<std::uint32_t>((command.lease + kLeaseReserve).count()), taking.reader.c_str(),
                             taking.from);
  });
  const auto fetched = client.ask<Fetched>(request, wait + command.target.timeout);
  if (!fetched) return fetched.error();
  came = (*fetched)->handle() != 0;
  if (!came) return false;
  return take(client, payloads, taking, **fetched);
}

/// Takes messages until there are enough of them, or none comes in time. A node that goes away is waited for.
Result<std::uint64_t> take_all(Client& client, const Payloads& payloads, const Taking& taking) {
  const ConsumeCommand& command = taking.command;
  std::uint64_t done = 0;
  milliseconds waited{0};
  while (command.count == 0 || done < command.count) {
    milliseconds wait = kFetchWait;
    if (command.wait.count() != 0) wait = std::min(wait, command.wait - waited);
    bool came = false;
    const auto taken = take_next(client, payloads, taking, wait, came);
    if (!taken) {
      if (!is_lost(taken.error())) return taken.error();
      auto again = find_again(command.target, taken.error(), command.wait, waited);
      if (!again) return again.error();
      client = std::move(*again);
    } else if (came) {
      waited = milliseconds{0};
      if (*taken) ++done;
      continue;
    } else {
      waited += wait;
    }
    if (command.wait.count() != 0 && waited >= command.wait) break;
  }
  return done;
}

}  // namespace

int run_consume(const ConsumeCommand& command) {
  const auto payloads = Payloads::open(command.payload);
  if (!payloads) return fail(kExitUsage, payloads.error());
  auto client = Client::connect(command.target);
  if (!client) return fail_with(client.error());
  const auto done = take_all(*client, *payloads, {command, {}});
  if (!done) return fail_with(done.error());
  return *done < command.count ? too_few(*done, command.count, command.wait) : 0;
}

int run_replay(const ReplayCommand& command) {
  const auto payloads = Payloads::open(command.payload);
  if (!payloads) return fail(kExitUsage, payloads.error());
  auto client = Client::connect(command.target);
  if (!client) return fail_with(client.error());
  Taking taking{command, command.reader, command.from};
  if (taking.reader.empty()) taking.reader = format("cli-%08x", static_cast<unsigned>(std::random_device{}()));
  const auto done = take_all(*client, *payloads, taking);
  if (command.reader.empty()) {  // nobody will go on from here
    const auto request = build<ForgetReader>([&](flatbuffers::FlatBufferBuilder& builder) {
      return CreateForgetReaderDirect(builder, command.lane.c_str(), taking.reader.c_str());
    });
    const auto forgotten = client->ask<Forgotten>(request, command.target.timeout);
    if (done && !forgotten) return fail_with(forgotten.error());
  }
  if (!done) return fail_with(done.error());
  return *done < command.count ? too_few(*done, command.count, command.wait) : 0;
}

}  // namespace pannier::tools
