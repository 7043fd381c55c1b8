#include <pannier/actor_base.h>

#include <algorithm>
#include <cstring>

#include "platform/concat.h"
#include "runtime/actor/worker.h"

namespace pannier {

namespace {
thread_local ActorBase::Birth* birth = nullptr;
}

Error detail::refusal_of(const Message& reply) {
  const auto text = reply.label.bytes();
  return {reply.error, std::string{reinterpret_cast<const char*>(text.data()), text.size()}};
}

Result<BlockRef> detail::reply_block(const Message* reply, const TypeInfo& wanted) {
  if (reply == nullptr) return ErrorCode::timeout;
  if (reply->has_error) return refusal_of(*reply);
  if (reply->type != wanted.id) return ErrorCode::rejected;
  if (!reply->block) return ErrorCode::malformed;
  if (!reply->block->verified()) {
    if (!wanted.verify(reply->block.bytes())) return ErrorCode::malformed;
    reply->block->set_verified();
  }
  return reply->block;
}

Result<void*> detail::reply_value(Message* reply, TypeId wanted) {
  if (reply == nullptr) return ErrorCode::timeout;
  if (reply->has_error) return refusal_of(*reply);
  if (reply->inline_bytes == 0 || reply->type != wanted) return ErrorCode::rejected;
  return reply->inline_value();
}

ActorBase::Birth::Birth(Worker& worker, Cell& cell) noexcept : worker_(worker), cell_(cell), outer_(birth) {
  birth = this;
}
ActorBase::Birth::~Birth() { birth = outer_; }

ActorBase::ActorBase() : worker_(birth->worker_), cell_(birth->cell_) {}

Ref ActorBase::self() const noexcept { return Ref{cell_.id}; }
System& ActorBase::system() const noexcept { return worker_.system(); }

Ref ActorBase::sender() const noexcept {
  const Message* message = worker_.current_message();
  // A delivery comes from a lane: its producer may be long gone.
  return message == nullptr || message->kind == MessageKind::delivery ? Ref{} : Ref{message->sender};
}

std::string_view ActorBase::label() const noexcept {
  const Message* message = worker_.current_message();
  if (message == nullptr) return {};
  if (message->kind == MessageKind::ask) return message->asking_node();
  return message->label_text();
}

MonoTime ActorBase::deadline() const noexcept {
  const Message* cause = worker_.current_message();
  if (cause == nullptr) return kNever;
  if (cause->kind == MessageKind::reply) return worker_.reply_waiting().deadline;
  return cause->kind == MessageKind::ask ? cause->deadline : kNever;
}

MonoTime ActorBase::now() const noexcept { return worker_.now(); }
WallTime ActorBase::wall_now() const noexcept { return system().platform.clock.wall_now(); }
std::uint64_t ActorBase::random() const noexcept { return system().platform.entropy.next_u64(); }
void ActorBase::log(LogLevel level, std::string_view line) const { system().platform.log.write(level, line); }

Ref ActorBase::ref(std::string_view name) const {
  auto found = system().directory.name_for(cell_.id, name);
  if (found) cell_.holds_names = true;
  if (!found) log(LogLevel::error, found.error().text());
  return found ? *found : Ref{};
}

LocalRef ActorBase::local(std::string_view name) const {
  const Ref found = ref(name);
  if (!found || found.id().is_elsewhere()) return LocalRef{};
  return LocalRef{found.id()};
}

Result<void> ActorBase::send(MessagePtr message) {
  if (!message->receiver) return ErrorCode::not_found;
  message->sender = cell_.id;
  if (const Message* cause = worker_.current_message()) message->trace = cause->trace;
  return worker_.send(std::move(message));
}

Result<void> ActorBase::tell(Ref to, const AnyTable& message, Urgency urgency) {
  MessagePtr sent = any_message(MessageKind::tell, to.id(), message);
  sent->urgency = urgency;
  return send(std::move(sent));
}

TimerId ActorBase::on_room(Ref at, Callback<void(Result<void>)> then) {
  return ask_message({this, make_message(MessageKind::room, at.id()), Duration::max()}, [then = std::move(then)](
                                                                                            Message* reply) mutable {
    then(reply != nullptr && reply->has_error ? Result<void>{detail::refusal_of(*reply)} : Result<void>{});
  });
}

Waiting ActorBase::waiting() const {
  const Message* cause = worker_.current_message();
  if (cause == nullptr) return {};
  if (cause->kind == MessageKind::delivery) return {kNever, {}, true};
  if (cause->kind != MessageKind::ask && cause->kind != MessageKind::reply) return {};
  if (cause->kind == MessageKind::reply) return worker_.reply_waiting();
  std::vector<std::uint64_t> chain;
  chain.reserve(limits::kAskChain);
  if (cause->from_afar) {
    const auto bytes = cause->label.bytes();
    std::string_view text{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
    return {cause->deadline, system().waiting_afar(text), false};
  }
  const auto behind = cause->label.bytes();
  chain.resize(behind.size() / sizeof(std::uint64_t));
  if (!behind.empty()) std::memcpy(chain.data(), behind.data(), behind.size());
  chain.push_back(cause->sender.bits());
  return {cause->deadline, BlockRef::copy_of(std::as_bytes(std::span{chain})), false};
}

Result<void> ActorBase::check_chain(ActorId asked, const BlockRef& chain) const {
  const auto target = system().resolve(asked);
  if (!target) return {};  // sending will report it
  std::vector<std::uint64_t> waiting(chain.bytes().size() / sizeof(std::uint64_t));
  if (!waiting.empty()) std::memcpy(waiting.data(), chain.bytes().data(), chain.bytes().size());
  waiting.push_back(cell_.id.bits());
  // The router waits for nobody: it asks every question that arrived over a link, and takes every one that leaves.
  const bool comes_back = target->cell != system().router &&
                          std::find(waiting.begin(), waiting.end(), target->cell.bits()) != waiting.end();
  if (!comes_back && waiting.size() <= limits::kAskChain) return {};
  std::string path;
  for (const std::uint64_t each : waiting) path += system().describe(ActorId::from_bits(each)) + " -> ";
  path += system().describe(target->cell);
  return Error{ErrorCode::rejected, comes_back ? "ask cycle detected: " + path : "ask chain too long: " + path};
}

TimerId ActorBase::ask_message(detail::PendingAsk ask, Callback<void(Message*)> outcome) {
  Timers& timers = worker_.timers();
  // A nested question may not outlive the one it serves. The queue answers when it commits.
  const bool bounded = ask.timeout != Duration::max();
  Waiting behind = waiting();
  const MonoTime due = bounded ? std::min(later(now(), ask.timeout), behind.deadline) : kNever;
  ask.question->deadline = due;
  if (!ask.question->from_afar) ask.question->label = behind.chain;
  Result<void> sent;
  if (timers.questions() >= limits::kAsksInFlight) sent = ErrorCode::full;
  if (sent && bounded) sent = check_chain(ask.question->receiver, behind.chain);
  const TimerId id = timers.arm_question(cell_, due, std::move(outcome), std::move(behind));
  ask.question->correlation = static_cast<std::uint64_t>(id);
  if (sent) sent = send(std::move(ask.question));
  if (!sent) end_question(id, sent.error());
  return id;
}

void ActorBase::log_unheard(const Error& error) const {
  log(LogLevel::warning, "unhandled outcome: " + printable(error.text()));
}

void ActorBase::end_question(TimerId id, const Error& error) {
  MessagePtr refusal = make_message(MessageKind::reply, cell_.id);
  refusal->has_error = true;
  refusal->error = error.code;
  if (!error.detail.empty()) refusal->label = BlockRef::copy_of(std::as_bytes(std::span{error.detail}));
  refusal->correlation = static_cast<std::uint64_t>(id);
  worker_.send_reserved(std::move(refusal));
}

TimerId ActorBase::after(Duration delay, Callback<void()> function) {
  return worker_.timers().arm(cell_, later(now(), delay), Duration::zero(),
                              [function = std::move(function)](Message*) mutable { function(); });
}

TimerId ActorBase::every(Duration period, Callback<void()> function) {
  if (period <= Duration::zero()) period = std::chrono::milliseconds{1};
  return worker_.timers().arm(cell_, later(now(), period), period,
                              [function = std::move(function)](Message*) mutable { function(); });
}

void ActorBase::cancel(TimerId timer) {
  if (worker_.timers().is_question(timer)) {
    end_question(timer, ErrorCode::cancelled);
  } else {
    worker_.timers().cancel(timer);
  }
}

Result<void> ActorBase::stash() { return worker_.stash(cell_); }
void ActorBase::unstash() { worker_.unstash(cell_); }
void ActorBase::take_behaviour(const ActorType& type) noexcept { cell_.type.store(&type, std::memory_order_release); }
const ActorType& ActorBase::behaviour() const noexcept { return *cell_.type.load(std::memory_order_relaxed); }

void ActorBase::stop() {
  if (cell_.plan().options().restart == Restart::permanent) {
    fail("because it stopped and is permanent");
  } else {
    stop(self());
  }
}
void ActorBase::stop(Ref actor) { worker_.stop_actor(actor.id()); }
void ActorBase::stop_node() { system().stop(); }
void ActorBase::watch(Ref actor) { worker_.watch(cell_.id, actor.id()); }
void ActorBase::fail(std::string why) { worker_.fail(cell_, Error{ErrorCode::failed, std::move(why)}); }

Result<ActorId> ActorBase::spawn_recipe(MessagePtr start, const SpawnOptions& options, Restart restart) {
  auto id = system().reserve(options, worker_.index());
  if (!id) return id;
  recipe_of(*start)->parent = cell_.id;
  cell_.open_annex().children.push_back({*id, restart, options.stop_limit});
  start->receiver = *id;
  start->sender = cell_.id;
  worker_.send_reserved(std::move(start));
  return id;
}

}  // namespace pannier

namespace pannier::detail {

void send_reply(ActorBase& actor, const Message& question, MessagePtr reply) {
  actor.worker().reply(question, std::move(reply));
}

void send_refusal(ActorBase& actor, const Message& question, ErrorCode code) {
  actor.worker().reply_error(question, code);
}

Responder responder_of(ActorBase& actor, const Message& message) { return Responder{actor.system(), message}; }

bool stashed(const ActorBase& actor) noexcept { return actor.worker().keeps_message(); }

const void* value_of(Message& message) noexcept {
  if (message.inline_bytes != 0) return message.inline_value();
  return message.block ? message.block.bytes().data() : nullptr;
}

Result<void> verified(Message& message) {
  if (!message.block || message.info == nullptr || message.info->verify == nullptr) return ErrorCode::malformed;
  if (message.block->verified()) return {};
  if (!message.info->verify(message.block.bytes())) return ErrorCode::malformed;
  message.block->set_verified();
  return {};
}

}  // namespace pannier::detail
