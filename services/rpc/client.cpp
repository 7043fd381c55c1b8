#include <algorithm>

#include "services/rpc/halves.h"

namespace pannier::rpc {

namespace {

constexpr Duration kAgain = std::chrono::milliseconds{20};
constexpr int kCancelTries = 250;
constexpr Duration kCancelAnswers = std::chrono::seconds{5};

Duration deadline_of(const detail::Spec& spec) {
  Duration deadline = spec.options.deadline;
  if (deadline <= Duration::zero()) deadline = std::chrono::milliseconds{spec.method->deadline_ms};
  if (deadline <= Duration::zero()) deadline = kDefaultDeadline;
  return std::min(deadline, kLongestDeadline);
}

/// Tells the server that a call is over: in the order of the mailbox, so that it never overtakes the call itself.
/// `tries` while there is no room for it; after that the deadline tells the server.
void send_cancel(ActorHandle actor, Ref to, detail::LocalCancel cancel, Urgency urgency, int tries = kCancelTries) {
  const auto again = [actor, to, cancel, urgency, tries] {
    if (tries <= 1) return;
    actor.after(kAgain, [actor, to, cancel, urgency, tries] { send_cancel(actor, to, cancel, urgency, tries - 1); });
  };
  if (to.id().is_elsewhere()) {
    actor.ask(detail::question_of(to, make<wire::Cancel>(cancel.id), urgency), kCancelAnswers,
              [again](const Message* reply) {
                if (reply != nullptr && reply->has_error && reply->error == ErrorCode::full) again();
              });
    return;
  }
  MessagePtr message = native_message(MessageKind::tell, to.id(), cancel);
  message->urgency = urgency;
  const auto sent = actor.send(std::move(message));
  if (!sent && sent.error().code == ErrorCode::full) again();
}

}  // namespace

void InFlight::cancel() const {
  if (actor_ == nullptr) return;
  const bool bare = id_ == 0;
  const detail::LocalCancel cancel{bare ? actor_->self().id().bits() : 0,
                                   bare ? static_cast<std::uint64_t>(question_) : id_};
  const ActorHandle actor{*actor_};
  send_cancel(actor, to_, cancel, Urgency::normal);
  actor.cancel(question_);
}

const CallOptions& CallOptions::none() noexcept {
  static const CallOptions kNone;
  return kNone;
}

Client::Client(NodeActor& actor, std::string_view server) : Client(actor, ActorHandle{actor}.ref(server)) {}

namespace detail {

namespace {
constexpr std::string_view kTooMuch = "a call has at most 32 entries and 8 KiB of metadata, and 16 arguments";
bool small(const Spec& spec) { return fits(spec.options.metadata) && spec.arguments.size() <= kArguments; }
}  // namespace

Spec::Spec(NodeActor* caller, Ref server, const Method* called, BlockRef table, const CallOptions& how)
    : actor(caller), to(server), method(called), request(std::move(table)), options(how) {}
Spec::Spec(const Spec&) = default;
Spec::Spec(Spec&&) noexcept = default;
Spec& Spec::operator=(const Spec&) = default;
Spec& Spec::operator=(Spec&&) noexcept = default;
Spec::~Spec() = default;
void Spec::refer_to(const Argument& argument) { arguments.push_back(argument); }

namespace {

/// `request` is the spec's, or a copy of it.
InFlight start_with(const Spec& spec, BlockRef&& request, Callback<void(Message* reply)>&& outcome) {
  const ActorHandle actor{*spec.actor};
  if (!small(spec)) {
    const TimerId timer = actor.after(Duration::zero(), [outcome = std::move(outcome)]() mutable {
      Message refusal;
      refusal.has_error = true;
      refusal.error = ErrorCode::invalid_argument;
      refusal.label = BlockRef::copy_of(std::as_bytes(std::span{kTooMuch}));
      outcome(&refusal);
    });
    return {*spec.actor, spec.to, timer, 0};
  }
  const bool bare = !spec.to.id().is_elsewhere() && spec.options.metadata.empty() && !spec.options.keep_result &&
                    spec.arguments.empty();
  MessagePtr question;
  std::uint64_t id = 0;
  if (bare) {
    question = make_message(MessageKind::ask, spec.to.id());
    question->type = spec.method->info.id;
    question->info = &spec.method->info;
    question->block = std::move(request);
    question->urgency = spec.options.urgency;
  } else {
    id = actor.random() | 1;
    question = question_of(spec.to, call_of(spec, id), spec.options.urgency);
  }
  const TimerId asked = actor.ask(std::move(question), deadline_of(spec), std::move(outcome));
  return {*spec.actor, spec.to, asked, id};
}

}  // namespace

InFlight start(const Spec& spec, Callback<void(Message* reply)>&& outcome) {
  return start_with(spec, BlockRef{spec.request}, std::move(outcome));
}
InFlight start(Spec&& spec, Callback<void(Message* reply)>&& outcome) {
  return start_with(spec, std::move(spec.request), std::move(outcome));
}

Outcome::Outcome() = default;
Outcome::Outcome(Failure why, BlockRef response, Metadata pairs)
    : failure(std::move(why)), block(std::move(response)), metadata(std::move(pairs)) {}
Outcome::Outcome(const Outcome&) = default;
Outcome::Outcome(Outcome&&) noexcept = default;
Outcome& Outcome::operator=(const Outcome&) = default;
Outcome& Outcome::operator=(Outcome&&) noexcept = default;
Outcome::~Outcome() = default;

Outcome read_outcome(Message* reply, const Method& method) {
  if (reply == nullptr || reply->has_error) return {failure_of(reply), {}, {}};
  if (reply->type == method.response->id) {
    if (reply->block && !reply->block->verified() && method.response->verify(reply->block.bytes())) {
      reply->block->set_verified();
    }
    if (reply->block && reply->block->verified()) {
      return {{Status::ok}, std::move(reply->block), {}};
    }
  } else if (const auto* turn = read<wire::Turn>(*reply)) {
    Outcome outcome = outcome_of(*turn);
    if (outcome.failure.status != Status::ok) return outcome;
    if (turn->items() != nullptr && turn->items()->size() == 1) {
      outcome.block = block_of(turn->items()->Get(0), *method.response);
    }
    if (outcome.block) return outcome;
  }
  return {{Status::data_loss, "the answer is no " + std::string{method.response->name}, {}, false}, {}, {}};
}

/// The caller's half of a stream: one question at a time for what the server says, and one for what it hears. The
/// answer to the former that has `ended` ends the call.
class ClientStream : public std::enable_shared_from_this<ClientStream> {
 public:
  explicit ClientStream(const Spec& spec)
      : actor_(*spec.actor),
        to_(spec.to),
        method_(*spec.method),
        urgency_(spec.options.urgency),
        id_(actor_.random() | 1),
        deadline_(later(actor_.now(), deadline_of(spec))) {
    out_.closed = method_.kind == Kind::server_stream;
  }

  void start(const Spec& spec) {
    if (!small(spec)) {
      actor_.after(Duration::zero(), [self = shared_from_this()] {
        self->end({{Status::invalid_argument, std::string{kTooMuch}, {}, true}, {}, {}}, false);
      });
      return;
    }
    pull(call_of(spec, id_));
    timer_ = actor_.after(deadline_ - actor_.now(), [self = shared_from_this()] {
      self->end({{Status::deadline_exceeded}, {}, {}}, true);
    });
  }

  Result<void> write(const BlockRef& block) {
    if (ended_) return ErrorCode::closed;
    auto written = out_.write(block);
    if (written) push();
    return written;
  }
  void close() {
    if (out_.closed) return;
    out_.closed = true;
    push();
  }
  void on_ready(Callback<void()> function) { out_.ready = std::move(function); }
  void read(Incoming::Reader reader, bool all) {
    in_.read(std::move(reader), all);
    if (in_.due()) {
      actor_.after(Duration::zero(), [self = shared_from_this()] { self->deliver(); });
    }
  }
  void on_end(Callback<void(Outcome)> function) {
    end_ = std::move(function);
    if (ended_) {
      actor_.after(Duration::zero(), [self = shared_from_this()] { self->tell_end(); });
    }
  }
  void cancel() {
    if (ended_) return;
    actor_.after(Duration::zero(), [self = shared_from_this()] { self->end({{Status::cancelled}, {}, {}}, true); });
  }

 private:
  void ask(const AnyTable& table, Callback<void(Message* reply)> outcome) {
    actor_.ask(question_of(to_, table, urgency_), deadline_ - actor_.now(), std::move(outcome));
  }

  // --- What the server says ----------------------------------------------------------------------------------------
  void pull(const AnyTable& table) {
    pulling_ = true;
    ask(table, [self = shared_from_this()](Message* reply) { self->heard(reply); });
  }
  void heard(const Message* reply) {
    pulling_ = false;
    if (ended_) return;
    if (reply == nullptr || reply->has_error) return end({failure_of(reply), {}, {}}, false);
    const auto* turn = read_turn(*reply);
    if (turn == nullptr) return end(broken(), true);
    const bool streams = method_.kind != Kind::client_stream;
    Outcome outcome = outcome_of(*turn);
    if (turn->items() != nullptr) {
      for (const wire::Item* item : *turn->items()) {
        BlockRef block = block_of(item, *method_.response);
        if (!block) return end(broken(), true);
        if (streams) {
          in_.push(std::move(block));
        } else {
          outcome.block = std::move(block);
        }
      }
    }
    if (turn->ended()) {
      const bool response = !streams && outcome.failure.status == Status::ok;
      last_ = response && !outcome.block ? broken() : std::move(outcome);
    }
    deliver();
  }
  void deliver() {
    in_.deliver();
    if (ended_) return;
    if (last_) {
      if (in_.empty()) end(std::move(*last_), false);
    } else if (!pulling_ && in_.has_room()) {
      pull(make<wire::Next>(id_));
    }
  }

  // --- What it hears -----------------------------------------------------------------------------------------------
  void push() {
    if (pushing_ || ended_ || said_all_) return;
    if (out_.empty() && !out_.closed) return;
    const auto items = out_.take();
    said_all_ = out_.closed && out_.empty();
    send_push(push_of(id_, items, said_all_));
  }
  void send_push(const AnyTable& table) {
    pushing_ = true;
    ask(table, [self = shared_from_this(), table](Message* reply) { self->pushed(reply, table); });
  }
  void pushed(const Message* reply, const AnyTable& table) {
    pushing_ = false;
    if (ended_) return;
    if (reply != nullptr && reply->has_error && reply->error == ErrorCode::full) {
      pushing_ = true;  // nothing was taken: the same again
      actor_.after(kAgain, [self = shared_from_this(), table] {
        self->pushing_ = false;
        if (!self->ended_) self->send_push(table);
      });
      return;
    }
    if (reply == nullptr || reply->has_error) return end({failure_of(reply), {}, {}}, true);
    const auto* turn = read_turn(*reply);
    if (turn == nullptr) return end(broken(), true);
    if (turn->ended()) return out_.drop();  // how it ended comes by the other way
    if (out_.taken()) out_.call_ready();
    push();
  }

  // --- The end -------------------------------------------------------------------------------------------------------
  [[nodiscard]] static const wire::Turn* read_turn(const Message& reply) { return detail::read<wire::Turn>(reply); }
  [[nodiscard]] Outcome broken() const {
    return {{Status::data_loss, "the answer does not fit " + std::string{method_.info.name}, {}, false}, {}, {}};
  }
  void end(Outcome outcome, bool tell_server) {
    if (ended_) return;
    ended_ = true;
    actor_.cancel(timer_);
    if (tell_server) send_cancel(actor_, to_, {0, id_}, urgency_);
    out_.drop();
    in_.drop();
    in_.ended = true;
    last_ = std::move(outcome);
    const auto self = shared_from_this();
    in_.deliver();
    tell_end();
  }
  void tell_end() {
    if (!end_ || !last_) return;
    Callback<void(Outcome)> function = std::move(end_);
    end_ = {};
    Outcome outcome = std::move(*last_);
    last_.reset();
    function(std::move(outcome));
  }

  const ActorHandle actor_;
  const Ref to_;
  const Method& method_;
  const Urgency urgency_;
  const std::uint64_t id_;
  const MonoTime deadline_;
  TimerId timer_{};
  Outgoing out_;
  Incoming in_;
  bool pulling_ = false;
  bool pushing_ = false;
  bool said_all_ = false;
  bool ended_ = false;
  std::optional<Outcome> last_;  // said, and not told yet
  Callback<void(Outcome)> end_;
};

std::shared_ptr<ClientStream> start_stream(const Spec& spec) {
  auto stream = std::make_shared<ClientStream>(spec);
  stream->start(spec);
  return stream;
}

Result<void> StreamHandle::write_block(const BlockRef& block) { return state_->write(block); }
void StreamHandle::close_writes() { state_->close(); }
void StreamHandle::when_ready(Callback<void()> function) { state_->on_ready(std::move(function)); }
void StreamHandle::read_block(Callback<void(const BlockRef*)> function, bool all) {
  state_->read(std::move(function), all);
}
void StreamHandle::when_ended(Callback<void(Outcome)> function) { state_->on_end(std::move(function)); }
void StreamHandle::cancel_stream() { state_->cancel(); }

}  // namespace detail
}  // namespace pannier::rpc
