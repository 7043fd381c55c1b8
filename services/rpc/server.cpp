#include <algorithm>
#include <functional>
#include <unordered_map>

#include "services/rpc/halves.h"

namespace pannier::rpc {

std::string_view Caller::value(std::string_view key) const noexcept {
  for (const auto& [name, value] : metadata) {
    if (name == key) return value;
  }
  return {};
}

namespace detail {

namespace {

using pannier::detail::responder_of;
using pannier::detail::send_reply;
using pannier::detail::stashed;
using pannier::detail::verified;

/// A call, as its caller names it. For a bare call that is the question itself.
struct Key {
  std::uint64_t caller = 0;
  std::uint64_t id = 0;
  friend bool operator==(const Key&, const Key&) = default;
};
struct HashKey {
  std::size_t operator()(const Key& key) const noexcept {
    return static_cast<std::size_t>(key.caller * 0x9e3779b97f4a7c15ULL ^ key.id);
  }
};

/// A peer names its own calls only.
Key key_of(const Message& message, std::uint64_t id) noexcept {
  const auto node = message.asking_node();
  return {node.empty() ? 0 : static_cast<std::uint64_t>(type_id_of(node)), id};
}

void reply(NodeActor& actor, const Message& question, const AnyTable& table) {
  send_reply(actor, question, any_message(MessageKind::reply, {}, table));
}

}  // namespace

struct ServerCore::Calls {
  std::unordered_map<Key, std::shared_ptr<ServerCall>, HashKey> map;
  /// Not ended; the rest are results that are kept for other calls.
  std::size_t open = 0;
  std::size_t kept_bytes = 0;
};

/// A call that its handler did not answer at once. Lives in the core's table until it has ended.
class ServerCall : public std::enable_shared_from_this<ServerCall> {
 public:
  ServerCall(ServerCore& core, NodeActor& actor, const Method& method, Key key, MonoTime deadline, bool keep)
      : core_(core), actor_(actor), method_(method), key_(key), deadline_(deadline), keep_(keep) {
    if (method.kind != Kind::unary) halves_ = std::make_unique<Halves>();
    if (method.kind == Kind::client_stream && halves_) halves_->out.closed = true;
    if (method.kind == Kind::server_stream && halves_) halves_->in.ended = true;
  }

  void arm() {
    const Duration left = std::min(deadline_ - handle().now(), kLongestDeadline);
    timer_ = handle().after(left, [self = weak_from_this()] {
      if (const auto call = self.lock()) call->expire();
    });
  }

  // --- From the protocol ---------------------------------------------------------------------------------------------
  /// The caller asks for what there is to say, in the message of this turn.
  void asked(Message& question) {
    if (waiting_) waiting_->refuse(ErrorCode::rejected);  // a caller has one question at a time
    waiting_.reset();
    asked_now_ = &question;
  }
  /// The turn goes on without that message.
  void keep_question(NodeActor& actor) {
    if (asked_now_ != nullptr) waiting_.emplace(responder_of(actor, *asked_now_));
    asked_now_ = nullptr;
  }
  void forget_question() noexcept { asked_now_ = nullptr; }
  void next() {
    const auto self = shared_from_this();
    if (halves_ && halves_->out.taken()) halves_->out.call_ready();
    say();
  }
  void pushed(const Message& question, const wire::Push& push) {
    const auto self = shared_from_this();
    if (!halves_ || over_ || finished_) return reply(actor_, question, turn_of({.ended = true}));
    Incoming& in = halves_->in;
    if (pushing_ || in.bytes() > kStreamBytes || in.ended) {
      reply(actor_, question, turn_of({.ended = true}));
      return end({Status::resource_exhausted, "the caller sends more than it was granted", {}, false});
    }
    if (push.items() != nullptr) {
      for (const wire::Item* item : *push.items()) {
        BlockRef block = block_of(item, *method_.request);
        if (!block) {
          reply(actor_, question, turn_of({.ended = true}));
          return end({Status::invalid_argument, "a message is no " + std::string{method_.request->name}, {}, false});
        }
        in.push(std::move(block));
      }
    }
    in.ended = push.last();
    in.deliver();
    if (over_ || finished_) return reply(actor_, question, turn_of({.ended = true}));
    if (in.has_room()) return reply(actor_, question, turn_of({}));
    pushing_.emplace(responder_of(actor_, question));
  }
  /// Nobody waits any more.
  void end(Failure failure) {
    if (over_) return;
    const auto self = shared_from_this();
    const bool told = finished_;
    finished_ = true;
    outcome_ = Outcome{std::move(failure), {}, {}};
    if (halves_) halves_->out.drop();
    say();
    if (!over_) leave();
    if (told) return;
    if (halves_) {
      halves_->in.drop();
      halves_->in.ended = true;
      halves_->in.deliver();
    }
    if (Callback<void()> function = std::move(on_cancel_)) function();
  }
  void expire() {
    if (kept_) {
      leave_table();
    } else {
      end({Status::deadline_exceeded});
    }
  }

  // --- From the handler ----------------------------------------------------------------------------------------------
  void finish(Outcome outcome) {
    if (finished_) return;
    const auto self = shared_from_this();
    finished_ = true;
    if (!fits(outcome.metadata)) outcome = {{Status::internal, "the handler's metadata is too long"}, {}, {}};
    outcome_ = std::move(outcome);
    on_cancel_ = {};
    if (pushing_) pushing_->reply(turn_of({.ended = true}));
    pushing_.reset();
    if (halves_) halves_->in.drop();
    say();
  }
  Result<void> write(const BlockRef& block) {
    if (over_ || finished_ || !halves_) return ErrorCode::closed;
    auto written = halves_->out.write(block);
    if (written) say();
    return written;
  }
  void on_ready(Callback<void()> function) {
    if (halves_) halves_->out.ready = std::move(function);
  }
  void read(Incoming::Reader reader, bool all) {
    if (!halves_) return;
    halves_->in.read(std::move(reader), all);
    if (halves_->in.due()) {
      handle().after(Duration::zero(), [weak = weak_from_this()] {
        if (const auto call = weak.lock()) call->deliver();
      });
    }
  }
  void on_cancel(Callback<void()> function) {
    if (over_ && !finished_by_handler()) {
      handle().after(Duration::zero(), std::move(function));
    } else if (!finished_) {
      on_cancel_ = std::move(function);
    }
  }
  [[nodiscard]] bool finished() const noexcept { return finished_; }
  [[nodiscard]] bool over() const noexcept { return over_; }
  [[nodiscard]] MonoTime deadline() const noexcept { return deadline_; }

  // --- For calls that refer to this one ------------------------------------------------------------------------------
  /// Calls `function` with the result once it is there.
  void when_known(Callback<void(const Outcome&)> function) {
    if (kept_) return function(outcome_);
    dependents_.push_back(std::move(function));
  }

  // What a call that waits for arguments remembers of its beginning.
  std::string node;
  Metadata metadata;

  /// The actor's state goes.
  void abandon() noexcept {
    if (waiting_) waiting_->refuse(ErrorCode::closed);
    if (pushing_) pushing_->refuse(ErrorCode::closed);
  }

 private:
  [[nodiscard]] ActorHandle handle() const noexcept { return ActorHandle{actor_}; }
  struct Halves {
    Outgoing out;
    Incoming in;
  };

  [[nodiscard]] bool finished_by_handler() const noexcept { return finished_ && outcome_.failure.status == Status::ok; }
  void deliver() {
    const auto self = shared_from_this();
    halves_->in.deliver();
    if (pushing_ && halves_->in.has_room()) {
      pushing_->reply(turn_of({}));
      pushing_.reset();
    }
  }

  /// Answers the caller's question, if one is open and there is something to say.
  void say() {
    if (over_ || (asked_now_ == nullptr && !waiting_)) return;
    std::vector<BlockRef> items;
    if (halves_ && method_.kind != Kind::client_stream) items = halves_->out.take();
    const bool last = finished_ && (!halves_ || halves_->out.empty());
    if (items.empty() && !last) return;
    if (last && outcome_.block) items.push_back(outcome_.block);
    const bool bare = method_.kind == Kind::unary && outcome_.block && outcome_.metadata.empty();
    const AnyTable said = bare ? AnyTable{method_.response->id, method_.response, outcome_.block}
                               : turn_of({items, last, last ? &outcome_ : nullptr});
    if (asked_now_ != nullptr) {
      reply(actor_, *std::exchange(asked_now_, nullptr), said);
    } else {
      waiting_->reply(said);
      waiting_.reset();
    }
    if (last) leave();
  }
  /// The caller has been told, or has gone.
  void leave() {
    over_ = true;
    const auto self = shared_from_this();
    if (pushing_) pushing_->reply(turn_of({.ended = true}));
    pushing_.reset();
    --core_.calls_->open;
    const std::size_t size = outcome_.block.bytes().size();
    if (keep_ && core_.calls_->kept_bytes + size <= kKeptBytes) {
      kept_ = true;
      core_.calls_->kept_bytes += size;
    } else {
      leave_table();
    }
    for (auto dependents = std::move(dependents_); auto& each : dependents) each(outcome_);
    dependents_.clear();
  }
  void leave_table() {
    const auto self = shared_from_this();
    if (std::exchange(kept_, false)) core_.calls_->kept_bytes -= outcome_.block.bytes().size();
    handle().cancel(timer_);
    core_.calls_->map.erase(key_);
  }

  ServerCore& core_;
  NodeActor& actor_;
  const Method& method_;
  const Key key_;
  const MonoTime deadline_;
  TimerId timer_{};
  Message* asked_now_ = nullptr;  // the caller's question, where it is the message of this turn
  std::optional<Responder> waiting_;
  std::optional<Responder> pushing_;
  std::unique_ptr<Halves> halves_;
  Outcome outcome_;
  Callback<void()> on_cancel_;
  std::vector<Callback<void(const Outcome&)>> dependents_;
  const bool keep_;
  bool kept_ = false;
  bool finished_ = false;  // it is known how the call ends
  bool over_ = false;      // and the caller was told, or has gone
};

// --- A handler's share -----------------------------------------------------------------------------------------------

struct ServingHandle::Hold {
  std::weak_ptr<ServerCall> call;
  explicit Hold(const std::shared_ptr<ServerCall>& shared) : call(shared) {}
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;
  ~Hold() {
    const auto shared = call.lock();
    if (shared && !shared->finished()) {
      shared->finish({{Status::internal, "the handler let the call go without an answer", {}, false}, {}, {}});
    }
  }
};

ServingHandle::ServingHandle(const std::shared_ptr<ServerCall>& call) : hold_(std::make_shared<Hold>(call)) {}

bool ServingHandle::cancelled() const noexcept {
  const auto call = hold_ ? hold_->call.lock() : nullptr;
  return call == nullptr || call->over();
}
MonoTime ServingHandle::deadline() const noexcept {
  const auto call = hold_ ? hold_->call.lock() : nullptr;
  return call == nullptr ? MonoTime{} : call->deadline();
}
void ServingHandle::on_cancel(Callback<void()> function) {
  if (const auto call = hold_ ? hold_->call.lock() : nullptr) call->on_cancel(std::move(function));
}
void ServingHandle::finish_with(Outcome outcome) {
  if (const auto call = hold_ ? hold_->call.lock() : nullptr) call->finish(std::move(outcome));
}
Result<void> ServingHandle::write_block(const BlockRef& block) {
  const auto call = hold_ ? hold_->call.lock() : nullptr;
  return call == nullptr ? Result<void>{ErrorCode::closed} : call->write(block);
}
void ServingHandle::when_ready(Callback<void()> function) {
  if (const auto call = hold_ ? hold_->call.lock() : nullptr) call->on_ready(std::move(function));
}
void ServingHandle::read_block(Callback<void(const BlockRef*)> function, bool all) {
  if (const auto call = hold_ ? hold_->call.lock() : nullptr) call->read(std::move(function), all);
}

// --- Arrivals --------------------------------------------------------------------------------------------------------

void Arrival::answer(Outcome& outcome) {
  if (call_) return call_->finish(std::move(outcome));
  if (stashed(*actor_)) return;
  if (keep_) return defer()->finish(std::move(outcome));
  if (outcome.block && outcome.metadata.empty()) {
    MessagePtr answer = make_message(MessageKind::reply, {});
    answer->type = method_->response->id;
    answer->info = method_->response;
    answer->block = std::move(outcome.block);
    return send_reply(*actor_, *message_, std::move(answer));
  }
  if (!fits(outcome.metadata)) outcome = {{Status::internal, "the handler's metadata is too long"}, {}, {}};
  const std::span<const BlockRef> items{&outcome.block, outcome.block ? 1U : 0U};
  reply(*actor_, *message_, turn_of({items, true, &outcome}));
}

std::shared_ptr<ServerCall> Arrival::defer() {
  if (call_) return call_;
  call_ = std::make_shared<ServerCall>(*core_, *actor_, *method_, Key{caller_, id_}, message_->deadline, keep_);
  core_->calls_->map[Key{caller_, id_}] = call_;
  ++core_->calls_->open;
  call_->asked(*message_);
  call_->arm();
  return call_;
}

// --- The core --------------------------------------------------------------------------------------------------------

ServerCore::ServerCore() : calls_(std::make_unique<Calls>()) {}
ServerCore::~ServerCore() {
  for (const auto& [key, call] : calls_->map) call->abandon();
}

std::size_t ServerCore::calls() const noexcept { return calls_->open; }

std::optional<Result<void>> ServerCore::take(NodeActor& actor, std::span<const Served> served, Message& message) {
  if (message.kind == MessageKind::ask) {
    for (const Served& each : served) {
      if (each.method->info.id == message.type) return begin_bare(actor, each, message);
    }
    if (const auto* call = read<wire::Call>(message)) return begin(actor, served, message, *call);
    if (const auto* next = read<wire::Next>(message)) {
      const auto found = calls_->map.find(key_of(message, next->id()));
      if (found == calls_->map.end() || found->second->over()) {
        reply(actor, message, refusal(Status::unavailable, "the server has restarted and lost the call", false));
        return Result<void>{};
      }
      const auto call = found->second;
      call->asked(message);
      call->next();
      call->keep_question(actor);
      return Result<void>{};
    }
    if (const auto* push = read<wire::Push>(message)) {
      const auto found = calls_->map.find(key_of(message, push->id()));
      if (found == calls_->map.end()) {
        reply(actor, message, turn_of({.ended = true}));
      } else {
        const auto call = found->second;
        call->pushed(message, *push);
      }
      return Result<void>{};
    }
    if (const auto* cancel = read<wire::Cancel>(message)) {
      cancelled(key_of(message, cancel->id()).caller, cancel->id());
      reply(actor, message, turn_of({}));
      return Result<void>{};
    }
  } else if (message.inline_bytes != 0 && message.type == type_info<LocalCancel>().id) {
    const auto& cancel = *static_cast<const LocalCancel*>(message.inline_value());
    cancelled(cancel.caller, cancel.id);
    return Result<void>{};
  }
  return std::nullopt;
}

void ServerCore::cancelled(std::uint64_t caller, std::uint64_t id) {
  const auto found = calls_->map.find(Key{caller, id});
  if (found == calls_->map.end()) return;
  const auto call = found->second;
  call->end({Status::cancelled});
}

Result<void> ServerCore::refuse(NodeActor& actor, const Message& message, Status status, std::string why) {
  reply(actor, message, refusal(status, std::move(why), true));
  return {};
}

Result<void> ServerCore::begin_bare(NodeActor& actor, const Served& served, Message& message) {
  const Method& method = *served.method;
  if (method.kind != Kind::unary) {
    return refuse(actor, message, Status::unimplemented, text(method.info.name, " is a streaming method here"));
  }
  if (calls_->map.size() >= kServerCalls) {
    return refuse(actor, message, Status::resource_exhausted, "the server has too many calls in hand");
  }
  message.info = &method.info;
  if (auto good = verified(message); !good) {
    return refuse(actor, message, Status::invalid_argument, text("the request is no ", method.request->name));
  }
  Arrival arrival;
  arrival.core_ = this;
  arrival.actor_ = &actor;
  arrival.message_ = &message;
  arrival.method_ = &method;
  // From afar the sender is this node's router, and the correlation its own: nobody else uses it.
  arrival.caller_ = message.sender.bits();
  arrival.id_ = message.correlation;
  arrival.bytes_ = message.block.bytes().data();  // the handler reads it in this turn only
  caller_ = {message.asking_node(), message.deadline, {}};
  return serve(actor, served, arrival);
}

Result<void> ServerCore::begin(NodeActor& actor, std::span<const Served> served, Message& message,
                               const wire::Call& call) {
  const Served* found = nullptr;
  for (const Served& each : served) {
    if (static_cast<std::uint64_t>(each.method->info.id) == call.method()) found = &each;
  }
  if (found == nullptr) return refuse(actor, message, Status::unimplemented, "there is no such method here");
  const Method& method = *found->method;
  if (static_cast<std::uint8_t>(method.kind) != call.kind()) {
    return refuse(actor, message, Status::unimplemented,
                  text(method.info.name, " streams in another way here: are the schemas of one version?"));
  }
  if (calls_->map.size() >= kServerCalls) {
    return refuse(actor, message, Status::resource_exhausted, "the server has too many calls in hand");
  }
  const Key key = key_of(message, call.id());
  if (calls_->map.contains(key)) return refuse(actor, message, Status::already_exists, "a call of that number goes on");
  Arrival arrival;
  arrival.core_ = this;
  arrival.actor_ = &actor;
  arrival.message_ = &message;
  arrival.method_ = &method;
  arrival.caller_ = key.caller;
  arrival.id_ = key.id;
  arrival.keep_ = call.keep_result();
  const auto* arguments = call.arguments();
  if (call.request() != nullptr || method.kind == Kind::unary || method.kind == Kind::server_stream) {
    arrival.request_ = block_of(call.request(), *method.request);
    if (!arrival.request_) {
      return refuse(actor, message, Status::invalid_argument, text("the request is no ", method.request->name));
    }
  }
  const Metadata metadata = metadata_of(call.metadata());
  if (arguments != nullptr && arguments->size() > 0) {
    return begin_dependent(actor, *found, arrival, call, metadata);
  }
  caller_ = {message.asking_node(), message.deadline, metadata};
  return serve(actor, *found, arrival);
}

Result<void> ServerCore::serve(NodeActor& actor, const Served& served, Arrival& arrival) {
  if (arrival.request_) arrival.bytes_ = arrival.request_.bytes().data();
  struct Turn {
    Caller& caller;
    ~Turn() { caller = {}; }
  } const turn{caller_};
  try {
    served.serve(actor, arrival);
  } catch (...) {
    drop(arrival);
    throw;
  }
  if (!arrival.call_) return {};
  if (arrival.message_ != nullptr && stashed(actor)) {
    drop(arrival);  // it comes again
  } else {
    arrival.call_->keep_question(actor);
  }
  return {};
}

void ServerCore::drop(const Arrival& arrival) {
  if (!arrival.call_) return;
  arrival.call_->forget_question();
  if (calls_->map.erase(Key{arrival.caller_, arrival.id_}) != 0 && !arrival.call_->over()) --calls_->open;
}

// --- Calls that refer to others --------------------------------------------------------------------------------------

/// The call waits in the table, as one that is answered later, until the results are there that it refers to.
Result<void> ServerCore::begin_dependent(NodeActor& actor, const Served& served, Arrival arrival,
                                         const wire::Call& call, const Metadata& metadata) {
  const auto& arguments = *call.arguments();
  if (arguments.size() > kArguments) {
    return refuse(actor, *arrival.message_, Status::invalid_argument, "a call has at most 16 arguments");
  }
  std::vector<std::pair<std::shared_ptr<ServerCall>, Argument>> earlier;
  for (const wire::Argument* each : arguments) {
    const auto found = calls_->map.find(Key{arrival.caller_, each->call()});
    if (found == calls_->map.end()) {
      return refuse(actor, *arrival.message_, Status::failed_precondition,
                    "the call refers to one that is not here: was it sent before, to this server, with keep_result?");
    }
    earlier.emplace_back(found->second, Argument{each->call(), each->from(), each->to(), each->size()});
  }
  const auto waiting = arrival.defer();
  waiting->node = arrival.message_->asking_node();
  waiting->metadata = metadata;
  waiting->keep_question(actor);
  arrival.message_ = nullptr;
  fill(actor, served, std::move(arrival), std::move(earlier));
  return {};
}

void ServerCore::fill(NodeActor& actor, const Served& served, Arrival arrival,
                      std::vector<std::pair<std::shared_ptr<ServerCall>, Argument>> earlier) {
  if (arrival.call_->finished()) return;  // taken back meanwhile
  if (earlier.empty()) {
    const TypeInfo& type = *arrival.method_->request;
    if (!arrival.request_ || !type.verify(arrival.request_.bytes())) {
      return arrival.call_->finish({{Status::invalid_argument, text("the arguments make no ", type.name)}, {}, {}});
    }
    const auto call = arrival.call_;
    caller_ = {call->node, call->deadline(), call->metadata};
    return static_cast<void>(serve(actor, served, arrival).ok());
  }
  const auto [call, argument] = std::move(earlier.back());
  earlier.pop_back();
  call->when_known([this, &actor, &served, argument = argument, arrival = std::move(arrival),
                    earlier = std::move(earlier)](const Outcome& known) mutable {
    if (known.failure.status != Status::ok) {
      Failure failure = known.failure;
      failure.message = text("a call that this one refers to has failed: ", failure.message);
      failure.not_started = true;
      return arrival.call_->finish({std::move(failure), {}, {}});
    }
    auto filled = with_argument(arrival.request_, known.block, argument);
    if (!filled) {
      const Error& error = filled.error();
      return arrival.call_->finish({{status_of(error.code), error.detail, {}, true}, {}, {}});
    }
    arrival.request_ = std::move(*filled);
    fill(actor, served, std::move(arrival), std::move(earlier));
  });
}

// --- What is no call -------------------------------------------------------------------------------------------------

Result<void> hand_on(NodeActor& actor, const ActorType& type, Message& message) {
  for (const Handler& handler : type.handlers) {
    if (handler.type != message.type) continue;
    // Bytes from afar are never a native value, whatever type they claim to be.
    if (message.info == nullptr && handler.info->verify == nullptr) return ErrorCode::rejected;
    if (message.info == nullptr) message.info = handler.info;
    return handler.handle(actor, message);
  }
  const bool table = message.block && (message.info == nullptr || message.info->verify != nullptr);
  return table && type.any != nullptr ? type.any(actor, message) : Result<void>{ErrorCode::rejected};
}

}  // namespace detail
}  // namespace pannier::rpc
