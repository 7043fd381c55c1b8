#include <cstdio>
#include <random>

#include "run/schema/inspect.fbs.h"
#include "services/rpc/schema/reflection.fbs.h"
#include "services/rpc/schema/rpc.fbs.h"
#include "tools/commands.h"

/// call: a method of a service whose schema this program does not have.
namespace pannier::tools {

namespace {

using std::chrono::milliseconds;

constexpr std::uint8_t kUnary = 0;
constexpr std::uint8_t kServerStream = 2;
constexpr const char* kDescribe = "pannier.rpc.ReflectionService.Describe";

std::string string_of(const flatbuffers::String* text) { return text == nullptr ? std::string{} : text->str(); }

/// Asks an actor in the node's name.
class Relay {
 public:
  Relay(Client& client, milliseconds timeout) : client_(client), timeout_(timeout) {}

  Result<AnyTable> ask(const std::string& actor, const AnyTable& question) {
    const AnyTable request = AnyTable{build<Ask>([&](flatbuffers::FlatBufferBuilder& builder) {
      const auto bytes = question.bytes();
      const auto data = builder.CreateVector(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
      const auto address = builder.CreateString(actor);
      return CreateAsk(builder, address, static_cast<std::uint64_t>(question.type()), data,
                       static_cast<std::uint32_t>(timeout_.count()));
    })};
    const auto answer = client_.ask<Answer>(request, timeout_ + milliseconds{500});
    if (!answer) return Error{answer.error().code, actor + ": " + answer.error().text()};
    const auto* payload = (*answer)->payload();
    const auto bytes =
        payload == nullptr ? std::span<const std::byte>{} : std::as_bytes(std::span{payload->data(), payload->size()});
    const AnyTable table{TypeId{(*answer)->type_id()}, nullptr, BlockRef::copy_of(bytes)};
    if (const auto refused = table.as<Refused>()) {
      return Error{ErrorCode::rejected, actor + ": " + string_of((*refused)->text())};
    }
    return table;
  }

 private:
  Client& client_;
  milliseconds timeout_;
};

/// gRPC's name of a status, as pannier::rpc::to_string has it.
std::string status_name(std::uint8_t status) {
  static constexpr std::array<const char*, 17> kNames = {
      "ok",        "cancelled",      "unknown",           "invalid_argument",   "deadline_exceeded",
      "not_found", "already_exists", "permission_denied", "resource_exhausted", "failed_precondition",
      "aborted",   "out_of_range",   "unimplemented",     "internal",           "unavailable",
      "data_loss", "unauthenticated"};
  return status < kNames.size() ? kNames[status] : "unknown";
}

Error failure_in(const std::string& what, const rpc::wire::Turn& turn) {
  const std::string message = string_of(turn.message());
  return {ErrorCode::rejected, what + ": " + status_name(turn.status()) + (message.empty() ? "" : ": " + message)};
}

AnyTable table_of(std::string_view type, const rpc::wire::Item& item) {
  const auto* data = item.bytes();
  const auto bytes =
      data == nullptr ? std::span<const std::byte>{} : std::as_bytes(std::span{data->data(), data->size()});
  return AnyTable{type_id_of(type), nullptr, BlockRef::copy_of(bytes)};
}

/// What stands before the last dot, and after it.
std::pair<std::string, std::string> split(const std::string& text, char at) {
  const std::size_t found = text.rfind(at);
  if (found == std::string::npos) return {"", text};
  return {text.substr(0, found), text.substr(found + 1)};
}

class Conversation {
 public:
  Conversation(const CallCommand& command, Relay& relay, const SchemaFile& schema, std::string response)
      : command_(command), relay_(relay), schema_(schema), response_(std::move(response)) {}

  /// The bare question, and its one answer.
  Result<void> unary(std::uint64_t method, const AnyTable& request) {
    const auto answer = relay_.ask(command_.actor, AnyTable{TypeId{method}, nullptr, request.block()});
    if (!answer) return answer.error();
    if (answer->type() == type_id_of(response_)) return show(*answer);
    const auto turn = answer->as<rpc::wire::Turn>();
    if (!turn) return Error{ErrorCode::rejected, command_.method + ": the answer is of another version"};
    if ((*turn)->status() != 0) return failure_in(command_.method, **turn);
    return show_items(**turn);
  }

  Result<void> server_stream(std::uint64_t method, const AnyTable& request) {
    const std::uint64_t id = std::uint64_t{std::random_device{}()} << 32 | std::random_device{}() | 1U;
    AnyTable question = build<rpc::wire::Call>([&](flatbuffers::FlatBufferBuilder& builder) {
      const auto bytes = request.bytes();
      const auto data = builder.CreateVector(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
      const auto item = rpc::wire::CreateItem(builder, data);
      return rpc::wire::CreateCall(builder, method, id, kServerStream, 0, item);
    });
    while (true) {
      const auto answer = relay_.ask(command_.actor, question);
      if (!answer) return answer.error();
      const auto turn = answer->as<rpc::wire::Turn>();
      if (!turn) return Error{ErrorCode::rejected, command_.method + ": the answer is of another version"};
      if (auto shown = show_items(**turn); !shown) return shown;
      if ((*turn)->ended()) return (*turn)->status() == 0 ? Result<void>{} : failure_in(command_.method, **turn);
      question = make<rpc::wire::Next>(id);
    }
  }

 private:
  Result<void> show_items(const rpc::wire::Turn& turn) {
    if (turn.items() == nullptr) return {};
    for (const auto* item : *turn.items()) {
      if (auto shown = show(table_of(response_, *item)); !shown) return shown;
    }
    return {};
  }
  Result<void> show(const AnyTable& table) {
    const auto json = schema_.to_json(table);
    if (!json) return json.error();
    return print(*json) ? Result<void>{} : Error{ErrorCode::closed, "stdout is closed"};
  }

  const CallCommand& command_;
  Relay& relay_;
  const SchemaFile& schema_;
  const std::string response_;
};

Result<std::string> request_json(const std::string& given) {
  if (given.empty()) return std::string{"{}"};
  if (given != "-") return given;
  std::string content;
  std::array<char, 16384> block{};
  while (const std::size_t got = std::fread(block.data(), 1, block.size(), stdin)) {
    content.append(block.data(), got);
    if (content.size() > 4 * limits::kPayloadBytes) {
      return Error{ErrorCode::invalid_argument, "stdin holds more than a message may"};
    }
  }
  return content;
}

int call(const CallCommand& command, Client& client) {
  Relay relay{client, command.target.timeout};
  const auto [service, method] = split(command.method, '.');
  const auto [node, actor] = split(command.actor, '/');
  std::string reflection = command.reflection.empty() ? "reflection" : command.reflection;
  if (command.reflection.empty() && !node.empty()) reflection = node + "/reflection";
  const auto described =
      relay.ask(reflection, AnyTable{type_id_of(kDescribe), nullptr, make<rpc::DescribeRequest>(service).block()});
  if (!described) return fail_with(described.error());
  if (const auto turn = described->as<rpc::wire::Turn>()) return fail_with(failure_in(reflection, **turn));
  const auto description = described->as<rpc::ServiceDescription>();
  if (!description || (*description)->schema() == nullptr || (*description)->methods() == nullptr) {
    return fail_with({ErrorCode::rejected, reflection + ": it is no reflection service of this version"});
  }
  const rpc::MethodDescription* found = nullptr;
  std::string known;
  for (const auto* each : *(*description)->methods()) {
    known += " " + string_of(each->name());
    if (string_of(each->name()) == method) found = each;
  }
  if (found == nullptr) {
    return fail(kExitUsage, service + " has no method '" + method + "'; it has" + known);
  }
  const auto* bytes = (*description)->schema();
  const auto schema = SchemaFile::from_binary({reinterpret_cast<const char*>(bytes->data()), bytes->size()});
  if (!schema) return fail(kExitUsage, schema.error());
  const auto json = request_json(command.request);
  if (!json) return fail(kExitUsage, json.error());
  const auto request = schema->from_json(string_of(found->request()), *json);
  if (!request) return fail(kExitUsage, request.error());
  Conversation conversation{command, relay, *schema, string_of(found->response())};
  Result<void> done;
  switch (found->kind()) {
    case kUnary: done = conversation.unary(found->id(), *request); break;
    case kServerStream: done = conversation.server_stream(found->id(), *request); break;
    default: return fail(kExitUsage, command.method + " takes a stream of requests, which this command cannot send");
  }
  return done ? 0 : fail_with(done.error());
}

}  // namespace

int run_call(const CallCommand& command) {
  if (command.method.find('.') == std::string::npos) {
    return fail(kExitUsage, "which service? Say SERVICE.METHOD, as OrderService.GetOrder");
  }
  auto client = Client::connect(command.target);
  if (!client) return fail_with(client.error());
  return call(command, *client);
}

}  // namespace pannier::tools
