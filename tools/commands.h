#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "tools/client.h"
#include "tools/payload.h"

/// One function a command. Each prints what it has to say and returns the exit status.
namespace pannier::tools {

struct KeygenOptions {
  std::string file;
  bool keep = false;  ///< A file that is there is read, not refused.
  bool json = false;
};
[[nodiscard]] int run_keygen(const KeygenOptions& options);

struct RunNodeOptions {
  std::string config;
  bool json = false;
};
[[nodiscard]] int run_node(const RunNodeOptions& options);

struct SelftestOptions {
  std::string config;  ///< Of the node that is to run here,
  std::string store;   ///< or only the folder of its store.
  std::chrono::milliseconds timeout{5000};
  bool json = false;
};
/// 0: ready; kExitRefused: something failed or is suspicious.
[[nodiscard]] int run_selftest(const SelftestOptions& options);

/// What the commands share that connect to a running node.
struct ClientOptions {
  Target target;
  PayloadOptions payload;
  bool json = false;
};

struct PublishCommand : ClientOptions {
  std::string topic;
  bool retain = false;
  bool urgent = false;
  bool clear = false;  ///< No payload: the topic keeps no last value any more.
};
[[nodiscard]] int run_publish(const PublishCommand& command);

struct SubscribeCommand : ClientOptions {
  std::string filter;
  std::uint64_t count = 0;            ///< 0: until interrupted.
  std::chrono::milliseconds wait{0};  ///< End when nothing came for so long; 0: never.
};
[[nodiscard]] int run_subscribe(const SubscribeCommand& command);

struct AskCommand : ClientOptions {
  std::string actor;
};
[[nodiscard]] int run_ask(const AskCommand& command);

struct CallCommand : ClientOptions {
  std::string actor;
  std::string method;
  std::string request;  ///< JSON; "-": from stdin.
  std::string reflection;
};
[[nodiscard]] int run_call(const CallCommand& command);

struct SchemaCommand {
  std::string what;  ///< check
  std::string before;
  std::string after;
  bool json = false;
};
/// 0: NEW can take OLD's place; kExitRefused: it cannot, with a line for each reason; kExitUsage: one is no schema.
[[nodiscard]] int run_schema(const SchemaCommand& command);

struct EnqueueCommand : ClientOptions {
  std::string lane;
  std::string key;
  bool lines = false;  ///< Keys and payloads come from stdin, one message a line.
  std::chrono::milliseconds delay{0};
  std::chrono::milliseconds expires_in{0};  ///< 0: as the lane says.
  std::string token;
  std::string durability;  ///< memory, committed, fsynced; empty: as the lane says.
};
[[nodiscard]] int run_enqueue(const EnqueueCommand& command);

struct ConsumeCommand : ClientOptions {
  std::string lane;
  std::uint64_t count = 0;
  std::chrono::milliseconds wait{0};
  std::string exec;
  std::chrono::milliseconds lease{30'000};
};
[[nodiscard]] int run_consume(const ConsumeCommand& command);

/// Of what the lane retains. `wait` is never 0: it ends when there is no more.
struct ReplayCommand : ConsumeCommand {
  std::string reader;  ///< Empty: one of its own, which the lane forgets.
  std::uint64_t from = 0;
};
[[nodiscard]] int run_replay(const ReplayCommand& command);

struct CompactOptions {
  std::string config;  ///< Of the node,
  std::string store;   ///< or only the file.
  bool json = false;
};
[[nodiscard]] int run_compact(const CompactOptions& options);

struct QueueCommand : ClientOptions {
  std::string key;
  std::uint64_t id = 0;
  std::uint32_t rows = 0;
  bool counters = false;
  bool peers = false;
};
[[nodiscard]] int run_queue(const QueueCommand& command);

/// redrive, purge, cancel: what becomes of messages that wait.
struct RouteCommand : ClientOptions {
  std::string node;  ///< Empty: all that the node reaches.
};
/// kExitRefused: there is no way to `node`.
[[nodiscard]] int run_route(const RouteCommand& command);

struct DecideCommand : ClientOptions {
  std::string lane;  ///< LANE of the node, or NODE/LANE for what waits to be sent there.
  std::string key;
  std::uint64_t id = 0;
};
[[nodiscard]] int run_redrive(const DecideCommand& command);
[[nodiscard]] int run_purge(const DecideCommand& command);
[[nodiscard]] int run_cancel(const DecideCommand& command);

struct ServicesCommand : ClientOptions {
  std::string actor = "services";  ///< The StatusDesk, on the node or as NODE/ACTOR on one that it has a link to.
};
[[nodiscard]] int run_services(const ServicesCommand& command);

struct EventsCommand : ClientOptions {
  std::string what;  ///< list, show, export, replay
  std::string name;  ///< A stream; of list, a prefix.
  std::string prefix;
  std::string as_of;
  std::string to;  ///< Of replay: LANE, or NODE/LANE.
  std::uint64_t after = 0;
  std::string actor = "events";  ///< The EventReader, or NODE/ACTOR.
};
/// kExitRefused: nothing is there.
[[nodiscard]] int run_events(const EventsCommand& command);

struct SagaCommand : ClientOptions {
  std::string what;  ///< list, show, retry, skip, compensate, cancel, purge
  std::string id;
  std::string status;
  std::chrono::milliseconds older_than{0};
  bool mermaid = false;
  std::string actor = "sagas";  ///< The SagaHost, or NODE/ACTOR.
};
[[nodiscard]] int run_saga(const SagaCommand& command);

struct BudgetCommand {
  std::string file;
  bool json = false;
};
[[nodiscard]] int run_budget(const BudgetCommand& command);

}  // namespace pannier::tools
