#include "runtime/link/router.h"

#include <algorithm>

#include "platform/concat.h"
#include "runtime/mutants.h"

namespace pannier {

namespace {

std::string_view text_of(const BlockRef& label) noexcept {
  const auto bytes = label.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Of a record whose code is not 0.
ErrorCode error_of(const wire::Record& record) noexcept {
  return static_cast<ErrorCode>(std::min<unsigned>(record.code - 1U, static_cast<unsigned>(ErrorCode::corrupt)));
}

std::uint64_t remaining_ms(MonoTime deadline, MonoTime now) noexcept {
  if (deadline <= now) return 0;
  return static_cast<std::uint64_t>(std::chrono::ceil<std::chrono::milliseconds>(deadline - now).count());
}

}  // namespace

Router::Router(System& system, Transport* transport, std::uint64_t incarnation, std::vector<LinkOptions> dials,
               std::vector<PeerOptions> peers)
    : system_(system),
      incarnation_(incarnation),
      links_(transport == nullptr ? nullptr
                                  : std::make_unique<Links>(*transport, *this, system.directory.own_node(), incarnation,
                                                            std::move(dials), std::move(peers))),
      topics_(links_.get()),
      inflows_(system) {}

void Router::started(ServicePort& port) {
  port_ = &port;
  topics_.start(port);
  inflows_.start(port);
  if (links_ != nullptr) links_->start(port);
}

void Router::stopping() {
  if (links_ != nullptr) links_->stop();
  port_ = nullptr;
}

bool Router::before_actors(MonoTime) { return port_ != nullptr && links_ != nullptr && links_->poll(); }

bool Router::after_actors(MonoTime) {
  if (port_ != nullptr && links_ != nullptr) {
    send_credits();
    links_->flush();
    std::erase_if(congested_, [this](std::uint64_t id) {
      Link* const link = links_->by_id(id);
      if (link != nullptr) watch_congestion(*link);
      return link == nullptr || !link->congested;
    });
  }
  return false;
}

// --- From this node --------------------------------------------------------------------------------------------------

Result<void> Router::handle(Message& message) {
  if (message.kind == MessageKind::room) {
    await_room(message);
    return {};
  }
  if (message.receiver.is_named()) return send_away(message);
  const auto is = [&]<class T>(T*& value) {
    if (message.inline_bytes == 0 || message.type != type_info<T>().id) return false;
    value = static_cast<T*>(message.inline_value());
    return true;
  };
  if (OutgoingRow* row = nullptr; is(row)) return send_row(*row);
  if (StreamAck* ack = nullptr; is(ack)) return send_ack(*ack);
  if (SendIncarnations* lives = nullptr; is(lives)) return send_incarnations(*lives);
  if (Publication* publication = nullptr; is(publication)) {
    topics_.publish(text_of(message.label), message.label, *publication, message.sender, 0);
    return {};
  }
  if (Subscribe* subscribe = nullptr; is(subscribe)) {
    topics_.subscribe(message.sender, subscribe->filter, subscribe->type);
    return {};
  }
  if (Unsubscribe* unsubscribe = nullptr; is(unsubscribe)) {
    topics_.unsubscribe(message.sender, unsubscribe->filter);
    return {};
  }
  if (SetPeers* set = nullptr; is(set)) {
    if (links_ != nullptr) links_->set_peers(std::move(set->peers));
    return {};
  }
  if (CountTopics* question = nullptr; is(question)) {
    port_->worker().reply(message, native_message(MessageKind::reply, {}, topics_.counters()));
    return {};
  }
  if (Ended* ended = nullptr; is(ended)) {
    topics_.ended(ended->actor);
    return {};
  }
  return ErrorCode::rejected;
}

Result<void> Router::send_away(Message& message) {
  const auto name = system_.directory.text(message.receiver);
  Link* link = links_ == nullptr || name == nullptr ? nullptr : links_->to(name->node());
  const bool question = message.kind == MessageKind::ask;
  Result<void> sent = ErrorCode::unreachable;
  if (name == nullptr) {
    sent = ErrorCode::not_found;
  } else if (link != nullptr && message.inline_bytes != 0) {
    sent = ErrorCode::rejected;  // native: it cannot leave
  } else if (link != nullptr) {
    const std::string sender = system_.describe(message.sender);
    wire::Record record{.kind = question ? wire::Kind::ask : wire::Kind::tell, .type = message.type};
    record.first = name->actor();
    if (sender.front() != '#') record.second = sender;
    record.payload = message.block.bytes();
    record.trace = message.trace_context();
    if (message.urgency == Urgency::urgent) record.flags |= wire::kUrgent;
    sent = question ? send_question(*link, message, record) : links_->send(*link, record);
    watch_congestion(*link);
  }
  if (sent) return {};
  if (question) {
    fail_ask({message.sender, message.receiver, message.correlation, {}}, sent.error().code);
    return {};
  }
  const bool full = sent.error().code == ErrorCode::full;
  const auto reason = full ? DeadLetterReason::link_full : DeadLetterReason::no_such_actor;
  system_.report({reason, message.type_name(), message.sender, message.receiver});
  system_.directory.give_back(message.receiver, message.payload_bytes());
  return {};
}

// --- Room ------------------------------------------------------------------------------------------------------------

void Router::watch_congestion(Link& link) {
  const std::size_t waits = link.waiting.bytes();
  if (!link.congested && waits >= limits::kLinkQueueBytes / 2) {
    link.congested = true;
    congested_.push_back(link.id);
    system_.directory.set_way(link.node, Directory::Path::full);
  } else if (link.congested && waits < limits::kLinkQueueBytes / 4) {
    link.congested = false;
    if (link.up) system_.directory.set_way(link.node, Directory::Path::open);
    std::vector<std::uint64_t> names;
    for (const auto& [name, waiters] : room_waiters_) names.push_back(name);
    for (const std::uint64_t name : names) {
      const ActorId id = ActorId::from_bits(name);
      if (system_.directory.path(id) == Directory::Path::open && system_.directory.has_credit(id)) answer_room(name, {});
    }
  }
}

void Router::await_room(const Message& question) {
  const ActorId name = question.receiver;
  const Directory::Path path = system_.directory.path(name);
  if (path == Directory::Path::forgotten || path == Directory::Path::unreachable) {
    const bool known = path == Directory::Path::unreachable;
    port_->worker().reply_error(question, known ? ErrorCode::unreachable : ErrorCode::not_found);
    return;
  }
  const bool refused = full_there_.erase(name.bits()) > 0;
  if (path == Directory::Path::open && system_.directory.has_credit(name) && !refused) {
    port_->worker().reply(question, make_message(MessageKind::reply, {}));
    return;
  }
  room_waiters_[name.bits()].push_back({question.sender, question.correlation});
  if (!refused) return;
  const auto text = system_.directory.text(name);
  Link* link = text == nullptr ? nullptr : links_->to(text->node());
  if (link == nullptr) return give_up_waiting();
  const wire::Record probe{.kind = wire::Kind::credit, .flags = wire::kProbe, .first = text->actor()};
  if (!links_->send(*link, probe)) links_->cut(*link);
}

void Router::answer_room(std::uint64_t name, const Result<void>& room) {
  const auto waiters = room_waiters_.extract(name);
  if (waiters.empty()) return;
  for (const RoomWaiter& waiter : waiters.mapped()) {
    MessagePtr word = make_message(MessageKind::reply, waiter.asker);
    word->sender = ActorId::from_bits(name);
    word->correlation = waiter.correlation;
    if (!room) {
      word->has_error = true;
      word->error = room.error().code;
    }
    port_->worker().send_reserved(std::move(word));
  }
}

void Router::give_up_waiting() {
  std::vector<std::uint64_t> lost;
  for (const auto& [name, waiters] : room_waiters_) {
    const Directory::Path path = system_.directory.path(ActorId::from_bits(name));
    if (path == Directory::Path::unreachable || path == Directory::Path::forgotten) lost.push_back(name);
  }
  for (const std::uint64_t name : lost) answer_room(name, ErrorCode::unreachable);
}

void Router::send_credits() {
  inflows_.each_due([this](const Inflows::Due& due) {
    Link* link = links_->to(due.origin);
    if (link == nullptr) return;  // with its next link it begins anew
    wire::Record credit{.kind = wire::Kind::credit, .code = due.code, .id = due.messages, .number = due.bytes};
    credit.first = due.actor;
    if (!links_->send(*link, credit)) links_->cut(*link);
  });
}

void Router::heard_credit(const Link& link, const wire::Record& credit) {
  if ((credit.flags & wire::kProbe) != 0) {
    inflows_.await_room(link.node, credit.first);
    return;
  }
  const auto messages = static_cast<std::uint32_t>(std::min<std::uint64_t>(credit.id, limits::kFlowMessages));
  const auto bytes = static_cast<std::uint32_t>(std::min<std::uint64_t>(credit.number, 2 * limits::kFlowBytes));
  const ActorId name = system_.directory.give_credit(link.node, credit.first, messages, bytes);
  if (credit.code != 0 && messages > 0) {
    const bool full = wire::error_of(credit.code) == ErrorCode::full;
    const auto reason = full ? DeadLetterReason::mailbox_full : DeadLetterReason::no_such_actor;
    system_.report({reason, "", {}, name, messages});
  }
  if (name) answer_room(name.bits(), credit.code == 0 || messages > 0 ? Result<void>{} : wire::error_of(credit.code));
}

Result<void> Router::send_question(Link& link, const Message& question, wire::Record& record) {
  auto& asked = peers_[link.id].asked;
  if (asked.size() >= limits::kAsksPerLink) return ErrorCode::full;
  const std::uint64_t id = next_ask_++;
  record.id = id;
  record.number = remaining_ms(question.deadline, port_->now());
  if (auto sent = links_->send(link, record); !sent) return sent;
  RemoteAsk ask{question.sender, question.receiver, question.correlation, TimerId{}};
  // The asker's own timer answers it; this one only forgets.
  if (question.deadline != kNever) {
    ask.deadline = port_->after(question.deadline - port_->now(), [this, link_id = link.id, id] {
      if (const auto peer = peers_.find(link_id); peer != peers_.end()) peer->second.asked.erase(id);
    });
  }
  asked.emplace(id, ask);
  return {};
}

void Router::fail_ask(const RemoteAsk& ask, ErrorCode code) {
  MessagePtr reply = make_message(MessageKind::reply, ask.asker);
  reply->sender = ask.asked;
  reply->correlation = ask.correlation;
  reply->has_error = true;
  reply->error = code;
  port_->worker().send_reserved(std::move(reply));
}

Result<void> Router::send_row(const OutgoingRow& row) {
  Link* link = links_ == nullptr ? nullptr : links_->to(row.node);
  if (link == nullptr) return {};  // the queue hears of the loss by LinkDown, and starts again when the link is up
  wire::Record record{.kind = wire::Kind::row, .type = row.type, .id = row.sequence, .number = row.after};
  std::string second;
  if (row.remaining_ms != 0) {
    record.flags |= wire::kExpires;
    second = wire::text_of_u64(row.remaining_ms);
  }
  record.first = row.lane;
  if (row.incarnation != 0 && row.incarnation != incarnation_) {
    record.flags |= wire::kIncarnation;
    second = wire::text_of_u64(row.incarnation) + second;
  }
  second += row.key;
  record.second = second;
  record.payload = row.payload.bytes();
  if (auto sent = links_->send(*link, record, row.priority); !sent) {
    StreamAck bounced{row.node, row.lane, 0, true, sent.error().code, row.incarnation};
    tell_queue(native_message(MessageKind::tell, {}, std::move(bounced)));
  }
  return {};
}

Result<void> Router::send_ack(const StreamAck& ack) {
  Link* link = links_ == nullptr ? nullptr : links_->to(ack.node);
  if (link == nullptr) return {};  // the row comes again, and is acknowledged again
  wire::Record record{.kind = wire::Kind::ack, .id = ack.taken, .number = ack.incarnation, .first = ack.lane};
  if (ack.refused) record.code = wire::code_of(ack.cause);
  // The rows come again over the next link, and so does their acknowledgement.
  if (!links_->send(*link, record) && !is_mutant(Mutant::ack_dropped_when_full)) links_->cut(*link);
  return {};
}

Result<void> Router::send_incarnations(const SendIncarnations& lives) {
  Link* link = links_ == nullptr ? nullptr : links_->to(lives.node);
  if (link == nullptr) return {};  // said again when it is up
  if (lives.incarnations.size() > limits::kIncarnations) return ErrorCode::rejected;
  std::vector<std::byte> payload(lives.incarnations.size() * sizeof(std::uint64_t));
  std::byte* at = payload.data();
  for (const std::uint64_t each : lives.incarnations) {
    wire::put_u64(at, each);
    at += sizeof each;
  }
  if (!links_->send(*link, {.kind = wire::Kind::lives, .payload = payload})) links_->cut(*link);
  return {};
}

void Router::tell_queue(MessagePtr message) {
  if (!system_.queue) return;
  message->receiver = system_.queue;
  port_->worker().send_reserved(std::move(message));
}

// --- From another node -----------------------------------------------------------------------------------------------

void Router::on_link_up(Link& link) {
  system_.directory.set_way(link.node, Directory::Path::open);
  topics_.link_up(link);
  tell_queue(native_message(MessageKind::tell, {}, LinkUp{link.node}));
}

void Router::on_rows_moved(Link& link) { tell_queue(native_message(MessageKind::tell, {}, LinkProgress{link.node})); }

void Router::on_link_down(Link& link) {
  for (std::size_t lost = link.waiting.tells(); lost > 0; --lost) {
    system_.report({DeadLetterReason::no_such_actor, "", {}, {}});
  }
  system_.directory.set_way(link.node, Directory::Path::unreachable);
  link.congested = false;
  give_up_waiting();
  topics_.link_down(link);
  tell_queue(native_message(MessageKind::tell, {}, LinkDown{link.node}));
  const auto peer = peers_.extract(link.id);
  if (peer.empty() || is_mutant(Mutant::lost_link_keeps_asks)) return;
  for (const auto& [id, ask] : peer.mapped().asked) {
    port_->cancel(ask.deadline);
    fail_ask(ask, ErrorCode::unreachable);
  }
  // Nobody wants these answers any more. Whoever works on one still may answer; that is counted as a late reply.
  for (const auto& [id, question] : peer.mapped().answering) port_->cancel(question);
}

Result<void> Router::on_record(Link& link, const wire::Record& record) {
  switch (record.kind) {
    case wire::Kind::tell: inflows_.take(link.node, record); return {};
    case wire::Kind::credit: heard_credit(link, record); return {};
    case wire::Kind::ask: return heard_ask(link, record);
    case wire::Kind::reply: heard_reply(link, record); return {};
    case wire::Kind::publish: {
      if (!check_topic(record.first)) return ErrorCode::malformed;
      PublishOptions options;
      options.retain = (record.flags & wire::kRetain) != 0;
      if ((record.flags & wire::kUrgent) != 0) options.urgency = Urgency::urgent;
      const Publication publication{AnyTable{record.type, nullptr, BlockRef::copy_of(record.payload)}, options};
      topics_.publish(record.first, BlockRef::copy_of(std::as_bytes(std::span{record.first})), publication, ActorId{},
                      link.id);
      return {};
    }
    case wire::Kind::subscribe:
      if (record.code == 0) {
        topics_.link_subscribes(link, record.first, record.type);
      } else {
        topics_.link_refuses(link, record.first, error_of(record));
      }
      return {};
    case wire::Kind::unsubscribe: topics_.link_unsubscribes(link, record.first); return {};
    case wire::Kind::row: return heard_row(link, record);
    case wire::Kind::ack: heard_ack(link, record); return {};
    case wire::Kind::lives: return heard_lives(link, record);
    default: return ErrorCode::malformed;
  }
}

Result<void> Router::heard_ask(Link& link, const wire::Record& record) {
  const ActorId receiver = system_.directory.find(record.first);
  auto& answering = peers_[link.id].answering;
  if (answering.contains(record.id)) return ErrorCode::malformed;  // one question, one id
  const bool behind = inflows_.holds(link.node, record.first);  // it must not overtake those
  if (!receiver || behind || answering.size() >= limits::kAsksPerLink) {
    wire::Record refusal{.kind = wire::Kind::reply, .id = record.id};
    const ErrorCode code = receiver ? ErrorCode::full : ErrorCode::not_found;
    refusal.code = wire::code_of(code);
    if (!links_->send(link, refusal)) links_->cut(link);
    return {};
  }
  MessagePtr question =
      any_message(MessageKind::ask, receiver, AnyTable{record.type, nullptr, BlockRef::copy_of(record.payload)});
  question->set_trace(record.trace);
  question->label = BlockRef::copy_of(std::as_bytes(std::span{link.node}));
  question->from_afar = true;
  if ((record.flags & wire::kUrgent) != 0) question->urgency = Urgency::urgent;
  const Urgency question_urgency = question->urgency;
  const auto left = std::chrono::milliseconds{std::min<std::uint64_t>(record.number, 86'400'000)};
  const TimerId asked = port_->ask_message({port_, std::move(question), left},
                                           [this, link_id = link.id, id = record.id, urgency = question_urgency](
                                               Message* reply) { answer(link_id, id, urgency, reply); });
  answering.emplace(record.id, asked);
  return {};
}

void Router::answer(std::uint64_t link_id, std::uint64_t correlation, Urgency urgency, Message* reply) {
  const auto peer = peers_.find(link_id);
  if (peer == peers_.end()) return;
  peer->second.answering.erase(correlation);
  Link* link = links_->by_id(link_id);
  if (link == nullptr || !link->up) return;
  wire::Record record{.kind = wire::Kind::reply, .id = correlation};
  if (urgency == Urgency::urgent) record.flags |= wire::kUrgent;
  ErrorCode code = ErrorCode::timeout;
  bool refused = reply == nullptr;
  if (reply != nullptr && reply->has_error) {
    refused = true;
    code = reply->error;
  } else if (reply != nullptr && reply->inline_bytes != 0) {
    refused = true;
    code = ErrorCode::rejected;  // a native answer cannot leave the process
  }
  if (refused) {
    record.code = wire::code_of(code);
  } else {
    record.type = reply->type;
    record.payload = reply->block.bytes();
  }
  if (!links_->send(*link, record)) links_->cut(*link);
}

void Router::heard_reply(const Link& link, const wire::Record& record) {
  auto& asked = peers_[link.id].asked;
  const auto found = asked.find(record.id);
  if (found == asked.end()) {
    system_.report({DeadLetterReason::late_reply, "", {}, {}});
    return;
  }
  const RemoteAsk ask = found->second;
  asked.erase(found);
  port_->cancel(ask.deadline);
  if (record.code != 0) {
    const ErrorCode code = wire::error_of(record.code);
    if (code == ErrorCode::full && full_there_.size() < limits::kIdleNames) full_there_.insert(ask.asked.bits());
    fail_ask(ask, code);
    return;
  }
  MessagePtr reply =
      any_message(MessageKind::reply, ask.asker, AnyTable{record.type, nullptr, BlockRef::copy_of(record.payload)});
  reply->sender = ask.asked;
  reply->correlation = ask.correlation;
  port_->worker().send_reserved(std::move(reply));
}

Result<void> Router::heard_row(const Link& link, const wire::Record& record) {
  IncomingRow row{link.node,   link.incarnation, std::string{record.first},       record.id, record.number, {},
                  record.type, BlockRef::copy_of(record.payload), 0};
  std::string_view rest = record.second;
  const auto number = [&rest](std::uint64_t& value) {
    if (rest.size() < sizeof value) return false;
    value = wire::get_u64(reinterpret_cast<const std::byte*>(rest.data()));
    rest.remove_prefix(sizeof value);
    return true;
  };
  if ((record.flags & wire::kIncarnation) != 0 && !number(row.incarnation)) {
    return Error{ErrorCode::malformed, "A row does not name the incarnation that it should."};
  }
  if ((record.flags & wire::kExpires) != 0 && !number(row.remaining_ms)) {
    return Error{ErrorCode::malformed, "A row does not say when it expires, as it should."};
  }
  row.key = rest;
  if (system_.queue) {
    tell_queue(native_message(MessageKind::tell, {}, std::move(row)));
    return {};
  }
  return send_ack({link.node, row.lane, 0, true, ErrorCode::unsupported, row.incarnation});
}

void Router::heard_ack(const Link& link, const wire::Record& record) {
  StreamAck ack{link.node, std::string{record.first}, record.id, record.code != 0, ErrorCode{}, record.number};
  if (ack.refused) ack.cause = wire::error_of(record.code);
  tell_queue(native_message(MessageKind::tell, {}, std::move(ack)));
}

Result<void> Router::heard_lives(const Link& link, const wire::Record& record) {
  constexpr std::size_t kEach = sizeof(std::uint64_t);
  if (record.payload.size() % kEach != 0 || record.payload.size() > limits::kIncarnations * kEach) {
    return Error{ErrorCode::malformed, "A list of incarnations has no such length."};
  }
  ProducerIncarnations lives{link.node, {}};
  for (std::size_t at = 0; at < record.payload.size(); at += kEach) {
    lives.incarnations.push_back(wire::get_u64(record.payload.data() + at));
  }
  tell_queue(native_message(MessageKind::tell, {}, std::move(lives)));
  return {};
}

}  // namespace pannier
