#include "runtime/link/router.h"

#include <algorithm>
#include <cstring>

#include "platform/concat.h"
#include "runtime/mutants.h"

namespace pannier {

namespace {

std::string_view text_of(const BlockRef& label) noexcept {
  const auto bytes = label.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// The error in a record whose code is not 0.
ErrorCode error_of(const wire::Record& record) noexcept {
  return static_cast<ErrorCode>(std::min<unsigned>(record.code - 1U, static_cast<unsigned>(ErrorCode::corrupt)));
}

/// Whether `asked` is among the actors that wait in a chain of questions, and how many wait.
bool comes_back(std::string_view chain, std::string_view asked, std::size_t& waiting) noexcept {
  for (waiting = 0; !chain.empty(); ++waiting) {
    const std::string_view word = chain.substr(0, chain.find(' '));
    if (word == asked) return true;
    chain.remove_prefix(std::min(word.size() + 1, chain.size()));
  }
  return false;
}

/// The longest that a question waits beyond this node.
constexpr std::uint64_t kAskMsMost = 86'400'000;

/// A message, as PeerLimits::rate counts them.
bool is_work(wire::Kind kind) noexcept {
  return kind == wire::Kind::tell || kind == wire::Kind::ask || kind == wire::Kind::publish || kind == wire::Kind::row;
}

bool is_change(wire::Kind kind) noexcept {
  return kind == wire::Kind::subscribe || kind == wire::Kind::unsubscribe || kind == wire::Kind::reach;
}

std::uint64_t remaining_ms(MonoTime deadline, MonoTime now) noexcept {
  if (deadline <= now) return 0;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now).count();
  return std::min(static_cast<std::uint64_t>(left), kAskMsMost);
}

}  // namespace

Router::Router(System& system, Transport* transport, bool listens, std::uint64_t incarnation,
               std::vector<LinkOptions> dials, std::vector<PeerOptions> peers)
    : system_(system),
      incarnation_(incarnation),
      links_(transport == nullptr ? nullptr
                                  : std::make_unique<Links>(*transport, *this, system.directory.own_node(), incarnation,
                                                            dials, std::move(peers), !listens && dials.size() == 1)),
      routes_(links_.get(), *this, system.directory.own_node(), !listens && dials.size() == 1),
      topics_(links_.get(), system.directory.own_node(), incarnation),
      inflows_(system) {}

void Router::started(ServicePort& port) {
  port_ = &port;
  topics_.start(port);
  inflows_.start(port);
  routes_.start(port);
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
    publication->trace = message.trace_context();
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
  if (WantWay* want = nullptr; is(want)) {
    routes_.want(want->node);
    return {};
  }
  if (AnnounceSleep* sleep = nullptr; is(sleep)) {
    if (links_ != nullptr) links_->announce_sleep(std::clamp(sleep->span, Duration::zero(), limits::kQuietMost));
    return {};
  }
  if (FetchMissed* question = nullptr; is(question)) {
    fetch_missed(message, question->gap);
    return {};
  }
  if (AskRoutes* question = nullptr; is(question)) {
    port_->worker().reply(message, native_message(MessageKind::reply, {}, routes_.list(question->node)));
    return {};
  }
  if (AskPeers* question = nullptr; is(question)) {
    port_->worker().reply(message, native_message(MessageKind::reply, {}, peer_uses()));
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
  const bool question = message.kind == MessageKind::ask;
  wire::Record record{.kind = question ? wire::Kind::ask : wire::Kind::tell, .type = message.type};
  Link* link = name == nullptr ? nullptr : address(record, name->node());
  Result<void> sent = ErrorCode::unreachable;
  if (name == nullptr) {
    sent = ErrorCode::not_found;
  } else if (link != nullptr && message.inline_bytes != 0) {
    sent = ErrorCode::rejected;  // native: it cannot leave
  } else if (link != nullptr) {
    const std::string sender = system_.describe(message.sender);
    record.first = name->actor();
    std::string chain;
    if (question) {
      chain = chain_text(message, sender);
      record.second = chain;
    } else if (sender.front() != '#') {
      record.second = sender;
    }
    record.payload = message.block.bytes();
    record.trace = message.trace_context();
    if (message.urgency == Urgency::urgent) record.flags |= wire::kUrgent;
    sent = question ? send_question(*link, message, record) : links_->send(*link, record);
    watch_congestion(*link);
  }
  if (sent) return {};
  if (question) {
    fail_ask({.asker = message.sender, .asked = message.receiver, .correlation = message.correlation}, sent.error());
    return {};
  }
  const bool full = sent.error().code == ErrorCode::full;
  const auto reason = full ? DeadLetterReason::link_full : DeadLetterReason::no_such_actor;
  system_.report({reason, message.type_name(), message.sender, message.receiver});
  system_.directory.give_back(message.receiver, message.payload_bytes());
  return {};
}

// --- Room ------------------------------------------------------------------------------------------------------------

void Router::set_ways(const Link& link, Directory::Path path) {
  if (routes_.is_uplink(link)) {
    system_.directory.set_all_ways(path);
  } else {
    routes_.each_over(link, [&](const std::string& node) { system_.directory.set_way(node, path); });
  }
}

void Router::watch_congestion(Link& link) {
  const std::size_t waits = link.waiting.bytes();
  if (!link.congested && waits >= limits::kLinkQueueBytes / 2) {
    link.congested = true;
    congested_.push_back(link.id);
    set_ways(link, Directory::Path::full);
  } else if (link.congested && waits < limits::kLinkQueueBytes / 4) {
    link.congested = false;
    if (link.up) set_ways(link, Directory::Path::open);
    std::vector<std::uint64_t> names;
    for (const auto& [name, waiters] : room_waiters_) names.push_back(name);
    for (const std::uint64_t name : names) {
      const ActorId id = ActorId::from_bits(name);
      if (system_.directory.path(id) == Directory::Path::open && system_.directory.has_credit(id))
        answer_room(name, {});
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
  wire::Record probe{.kind = wire::Kind::credit, .flags = wire::kProbe};
  Link* link = text == nullptr ? nullptr : address(probe, text->node());
  if (link == nullptr) return give_up_waiting();
  probe.first = text->actor();
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
  topics_.each_dropped([this](std::string_view origin, std::uint64_t count, bool on_link) {
    wire::Record lost{.kind = wire::Kind::credit, .flags = wire::kPublications, .id = count};
    lost.code = wire::code_of(ErrorCode::full);
    if (on_link) lost.flags |= wire::kOnLink;
    if (Link* link = address(lost, origin); link != nullptr && !links_->send(*link, lost)) links_->cut(*link);
  });
  inflows_.each_due([this](const Inflows::Due& due) {
    wire::Record credit{.kind = wire::Kind::credit, .code = due.code, .id = due.messages, .number = due.bytes};
    Link* link = address(credit, due.origin);
    if (link == nullptr) return;  // with its next way it begins anew
    credit.first = due.actor;
    if (!links_->send(*link, credit)) links_->cut(*link);
  });
}

void Router::heard_credit(std::string_view origin, const wire::Record& credit) {
  if ((credit.flags & wire::kProbe) != 0) {
    inflows_.await_room(origin, credit.first);
    return;
  }
  const auto messages = static_cast<std::uint32_t>(std::min<std::uint64_t>(credit.id, limits::kFlowMessages));
  const auto bytes = static_cast<std::uint32_t>(std::min<std::uint64_t>(credit.number, 2 * limits::kFlowBytes));
  const bool on_link = (credit.flags & wire::kOnLink) != 0;
  if ((credit.flags & wire::kPublications) != 0) {
    topics_.dropped_there(std::min<std::uint64_t>(credit.id, 1'000'000), on_link);
    return;
  }
  const ActorId name = system_.directory.give_credit(origin, credit.first, messages, bytes);
  if (credit.code != 0 && messages > 0) {
    const bool full = wire::error_of(credit.code) == ErrorCode::full;
    const auto reason = !full     ? DeadLetterReason::no_such_actor
                        : on_link ? DeadLetterReason::link_full
                                  : DeadLetterReason::mailbox_full;
    system_.report({reason, "", {}, name, messages});
  }
  if (name) answer_room(name.bits(), credit.code == 0 || messages > 0 ? Result<void>{} : wire::error_of(credit.code));
}

std::string Router::chain_text(const Message& question, const std::string& asker) {
  const std::string own = system_.directory.own_node() + "/";
  std::string text;
  const auto behind = question.label.bytes();
  for (std::size_t at = 0; at + sizeof(std::uint64_t) <= behind.size(); at += sizeof(std::uint64_t)) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, behind.data() + at, sizeof bits);
    const ActorId id = ActorId::from_bits(bits);
    text += (id.is_named() ? std::string{} : own) + system_.describe(id) + " ";
  }
  text += own + asker;
  return text.size() <= wire::kSecondBytes ? text : std::string{};
}

void Router::fetch_missed(const Message& question, const PublicationGap& gap) {
  if (gap.node == system_.directory.own_node()) {
    port_->worker().reply(question, native_message(MessageKind::reply, {}, topics_.history().find(gap)));
    return;
  }
  const BlockRef payload = encode(gap);
  wire::Record record{.kind = wire::Kind::ask, .flags = wire::kHistory, .type = gap.type};
  Link* link = address(record, gap.node);
  record.first = gap.topic;
  record.payload = payload.bytes();
  const Result<void> sent =
      link == nullptr ? Result<void>{ErrorCode::unreachable} : send_question(*link, question, record);
  if (!sent) {
    fail_ask({.asker = question.sender, .asked = question.receiver, .correlation = question.correlation}, sent.error());
  }
}

/// Another node asks for what this one has published.
Result<void> Router::heard_fetch(Link& link, const wire::Record& record) {
  const auto gap = decode_gap(record.first, record.type, record.payload);
  if (!gap) return gap.error();
  const BlockRef payload = encode(topics_.history().find(*gap));
  const wire::Record reply{.kind = wire::Kind::reply, .type = record.type, .id = record.id, .payload = payload.bytes()};
  if (!links_->send(link, reply)) links_->cut(link);
  return {};
}

Result<void> Router::send_question(Link& link, const Message& question, wire::Record& record) {
  auto& asked = peers_[link.id].asked;
  if (asked.size() >= limits::kAsksPerLink) return ErrorCode::full;
  const std::uint64_t id = next_ask_++;
  record.id = id;
  record.number = remaining_ms(question.deadline, port_->now());
  if (auto sent = links_->send(link, record); !sent) return sent;
  RemoteAsk ask{.asker = question.sender, .asked = question.receiver, .correlation = question.correlation};
  ask.fetches = (record.flags & wire::kHistory) != 0;
  const bool asker_waits_on = question.deadline == kNever;  // the asker has no timer of its own
  ask.deadline = port_->after(std::chrono::milliseconds{record.number}, [this, link_id = link.id, id, asker_waits_on] {
    const auto peer = peers_.find(link_id);
    if (peer == peers_.end()) return;
    const auto late = peer->second.asked.extract(id);
    if (!late.empty() && asker_waits_on) fail_ask(late.mapped(), ErrorCode::timeout);
  });
  asked.emplace(id, ask);
  return {};
}

void Router::fail_ask(const RemoteAsk& ask, const Error& why) {
  wire::Record refusal{.kind = wire::Kind::reply, .code = wire::code_of(why.code)};
  refusal.first = std::string_view{why.detail}.substr(0, limits::kGoodbyeBytes);
  answer_ask(ask, refusal);
}

void Router::answer_ask(const RemoteAsk& ask, const wire::Record& reply) {
  if (ask.from_link != 0) {
    if (const auto peer = peers_.find(ask.from_link); peer != peers_.end()) peer->second.answering.erase(ask.from_id);
    Link* link = links_->by_id(ask.from_link);
    if (link == nullptr || !link->up) return;
    wire::Record onward = reply;
    onward.id = ask.from_id;
    if (ask.urgency == Urgency::urgent) onward.flags |= wire::kUrgent;
    if (!links_->send(*link, onward)) links_->cut(*link);
    return;
  }
  MessagePtr message;
  if (reply.code == 0 && ask.fetches) {
    auto missed = decode_missed(reply.type, reply.payload);
    if (!missed) return fail_ask(ask, missed.error());
    message = native_message(MessageKind::reply, ask.asker, std::move(*missed));
  } else if (reply.code == 0) {
    message =
        any_message(MessageKind::reply, ask.asker, AnyTable{reply.type, nullptr, BlockRef::copy_of(reply.payload)});
  } else {
    message = make_message(MessageKind::reply, ask.asker);
    message->has_error = true;
    message->error = wire::error_of(reply.code);
    if (!reply.first.empty()) message->label = BlockRef::copy_of(std::as_bytes(std::span{reply.first}));
  }
  message->sender = ask.asked;
  message->correlation = ask.correlation;
  message->set_trace(reply.trace);
  port_->worker().send_reserved(std::move(message));
}

Link* Router::address(wire::Record& record, std::string_view node) const noexcept {
  Link* link = links_ == nullptr ? nullptr : routes_.way(node);
  if (link == nullptr || !link->up) return nullptr;
  if (link->node != node) {
    record.node = node;
    record.origin = system_.directory.own_node();
  }
  return link;
}

Result<void> Router::send_row(const OutgoingRow& row) {
  wire::Record record{.kind = wire::Kind::row, .type = row.type, .id = row.sequence, .number = row.after};
  Link* link = address(record, row.node);
  if (link == nullptr) return {};  // the queue hears of the loss by LinkDown, and starts again when the link is up
  std::string second;
  if (row.remaining_ms != 0) {
    record.flags |= wire::kExpires;
    second = wire::text_of_u64(row.remaining_ms);
  }
  record.trace = trace_of(row.trace);
  record.first = row.lane;
  const std::uint64_t incarnation = row.incarnation != 0 ? row.incarnation : incarnation_;
  if (incarnation != incarnation_ || !record.node.empty()) {  // a node further away has not heard hello
    record.flags |= wire::kIncarnation;
    second = wire::text_of_u64(incarnation) + second;
  }
  if (!row.path.empty()) {
    record.flags |= wire::kPath;
    second += static_cast<char>(row.path.size() & 0xffU);
    second += static_cast<char>(row.path.size() >> 8U);
    second += row.path;
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

std::vector<PeerUse> Router::peer_uses() const {
  std::vector<PeerUse> all;
  if (links_ == nullptr) return all;
  links_->each_account([&](const Account& account) {
    if (all.size() >= limits::kRoutesListed) return;
    PeerUse use{account.name(), {}};
    for (std::size_t i = 0; i < kResources; ++i) {
      const auto resource = static_cast<Resource>(i);
      use.resources.push_back(
          {to_string(resource), account.used(resource), account.limit(resource), account.refused(resource)});
    }
    use.resources.push_back({"rate", 0, account.rate(), account.messages_refused()});
    all.push_back(std::move(use));
  });
  return all;
}

Result<void> Router::send_ack(const StreamAck& ack) {
  wire::Record record{.kind = wire::Kind::ack, .id = ack.taken, .number = ack.incarnation, .first = ack.lane};
  Link* link = address(record, ack.node);
  if (link == nullptr) return {};  // the row comes again, and is acknowledged again
  if (ack.refused) record.code = wire::code_of(ack.cause);
  // The rows come again over the next link, and so does their acknowledgement.
  if (!links_->send(*link, record) && !is_mutant(Mutant::ack_dropped_when_full)) links_->cut(*link);
  return {};
}

Result<void> Router::send_incarnations(const SendIncarnations& lives) {
  wire::Record record{.kind = wire::Kind::lives};
  Link* link = address(record, lives.node);
  if (link == nullptr) return {};  // said again when it is up
  if (lives.incarnations.size() > limits::kIncarnations) return ErrorCode::rejected;
  std::vector<std::byte> payload(lives.incarnations.size() * sizeof(std::uint64_t));
  std::byte* at = payload.data();
  for (const std::uint64_t each : lives.incarnations) {
    wire::put_u64(at, each);
    at += sizeof each;
  }
  record.payload = payload;
  if (!links_->send(*link, record)) links_->cut(*link);
  return {};
}

void Router::tell_queue(MessagePtr message) {
  if (!system_.queue) return;
  message->receiver = system_.queue;
  port_->worker().send_reserved(std::move(message));
}

// --- From another node -----------------------------------------------------------------------------------------------

void Router::on_link_up(Link& link) {
  if (routes_.is_uplink(link)) system_.directory.set_all_ways(Directory::Path::open);
  routes_.link_up(link);
  topics_.link_up(link);
}

void Router::on_way(std::string_view node) {
  system_.directory.set_way(node, Directory::Path::open);
  tell_queue(native_message(MessageKind::tell, {}, LinkUp{std::string{node}}));
}

void Router::on_no_way(std::string_view node) {
  system_.directory.set_way(node, Directory::Path::unreachable);
  give_up_waiting();
  tell_queue(native_message(MessageKind::tell, {}, LinkDown{std::string{node}}));
}

void Router::on_rows_moved(Link& link) { tell_queue(native_message(MessageKind::tell, {}, LinkProgress{link.node})); }

void Router::on_link_down(Link& link) {
  for (std::size_t lost = link.waiting.tells(); lost > 0; --lost) {
    system_.report({DeadLetterReason::no_such_actor, "", {}, {}});
  }
  link.congested = false;
  if (routes_.is_uplink(link)) system_.directory.set_all_ways(Directory::Path::unreachable);
  routes_.link_down(link);
  give_up_waiting();
  topics_.link_down(link);
  const auto peer = peers_.extract(link.id);
  if (peer.empty() || is_mutant(Mutant::lost_link_keeps_asks)) return;
  for (const auto& [id, ask] : peer.mapped().asked) {
    port_->cancel(ask.deadline);
    fail_ask(ask, Error{ErrorCode::unreachable});
  }
  // These answers are no longer wanted. An actor may still answer; that counts as a late reply.
  for (const auto& [id, question] : peer.mapped().answering) cancel(question);
}

void Router::cancel(const Answering& question) {
  if (question.to_link == 0) {
    port_->cancel(question.question);
    return;
  }
  const auto peer = peers_.find(question.to_link);
  if (peer == peers_.end()) return;
  if (const auto ask = peer->second.asked.extract(question.to_id); !ask.empty()) port_->cancel(ask.mapped().deadline);
  Link* link = links_->by_id(question.to_link);
  if (link == nullptr || !link->up) return;
  if (!links_->send(*link, {.kind = wire::Kind::cancel, .id = question.to_id})) links_->cut(*link);
}

void Router::heard_cancel(const Link& link, const wire::Record& record) {
  const auto peer = peers_.find(link.id);
  if (peer == peers_.end()) return;
  if (const auto question = peer->second.answering.extract(record.id); !question.empty()) cancel(question.mapped());
}

Result<void> Router::on_record(Link& link, const wire::Record& record) {
  if (is_work(record.kind) && !link.account->takes_message(port_->now())) {
    bounce(link, record, ErrorCode::full);
    links_->audit(link);
    return {};
  }
  if (is_change(record.kind) && !link.account->takes_change(port_->now())) {
    return Error{ErrorCode::full, "filters or routes change too fast"};
  }
  if (!record.origin.empty() && record.origin != link.node) {
    if (!valid_name(record.origin, limits::kNodeNameBytes)) return Error{ErrorCode::malformed, "An origin is no node."};
    // The route has just changed, or the peer forges the origin. A retained value may outlive its origin.
    if (record.kind != wire::Kind::publish && !routes_.comes_by(link, record.origin)) return {};
  }
  if (!record.node.empty() && record.node != system_.directory.own_node()) {
    if (!valid_name(record.node, limits::kNodeNameBytes))
      return Error{ErrorCode::malformed, "A record goes to no node."};
    forward(link, record);
    return {};
  }
  const std::string_view origin = record.origin.empty() ? std::string_view{link.node} : record.origin;
  switch (record.kind) {
    case wire::Kind::tell:
      inflows_.take(origin, record, link.account);
      links_->audit(link);
      return {};
    case wire::Kind::credit: heard_credit(origin, record); return {};
    case wire::Kind::cancel: heard_cancel(link, record); return {};
    case wire::Kind::reach: return routes_.heard(link, record);
    case wire::Kind::ask: return heard_ask(link, record);
    case wire::Kind::reply: heard_reply(link, record); return {};
    case wire::Kind::publish: {
      if (!check_topic(record.first)) return ErrorCode::malformed;
      PublishOptions options;
      options.retain = (record.flags & wire::kRetain) != 0;
      if ((record.flags & wire::kUrgent) != 0) options.urgency = Urgency::urgent;
      if (origin == system_.directory.own_node() || record.hops + 1U >= limits::kHops) return {};  // a loop
      Publication publication{AnyTable{record.type, nullptr, BlockRef::copy_of(record.payload)}, options};
      publication.origin = origin;
      publication.hops = static_cast<std::uint8_t>(record.hops + 1);
      publication.trace = record.trace;
      publication.number = record.id;
      publication.series = record.number;
      topics_.publish(record.first, BlockRef::copy_of(std::as_bytes(std::span{record.first})), publication, ActorId{},
                      link.id);
      links_->audit(link);
      return {};
    }
    case wire::Kind::subscribe:
      if (record.code == 0) {
        topics_.link_subscribes(link, record.first, record.type);
        links_->audit(link);
      } else {
        topics_.link_refuses(link, record.first, error_of(record));
      }
      return {};
    case wire::Kind::unsubscribe: topics_.link_unsubscribes(link, record.first); return {};
    case wire::Kind::row: return heard_row(link, record);
    case wire::Kind::ack: heard_ack(link, origin, record); return {};
    case wire::Kind::lives: return heard_lives(link, origin, record);
    default: return ErrorCode::malformed;
  }
}

Result<void> Router::heard_ask(Link& link, const wire::Record& record) {
  if ((record.flags & wire::kHistory) != 0) return heard_fetch(link, record);
  const std::string_view origin = record.origin.empty() ? std::string_view{link.node} : record.origin;
  const ActorId receiver = system_.directory.find(record.first);
  auto& answering = peers_[link.id].answering;
  if (answering.contains(record.id)) return ErrorCode::malformed;  // one question, one id
  const bool behind = inflows_.holds(origin, record.first);        // it must not overtake those
  Charge charge;
  if (receiver && !behind && answering.size() < limits::kAsksPerLink) charge = {link.account, Resource::asks};
  if (!receiver || charge.account() == nullptr) {
    refuse_ask(link, record.id, receiver ? ErrorCode::full : ErrorCode::not_found);
    links_->audit(link);
    return {};
  }
  const std::string asked = concat({system_.directory.own_node(), "/", record.first});
  if (std::size_t waiting = 0; comes_back(record.second, asked, waiting) || waiting >= limits::kAskChain) {
    std::string path;
    for (const char c : record.second) path += c == ' ' ? std::string{" -> "} : std::string{c};
    refuse_ask(link, record.id,
               Error{ErrorCode::rejected,
                     concat({"ask cycle detected, or too long a chain of asks: ", printable(path), " -> ", asked})});
    return {};
  }
  MessagePtr question =
      any_message(MessageKind::ask, receiver, AnyTable{record.type, nullptr, BlockRef::copy_of(record.payload)});
  question->set_trace(record.trace);
  // Only the link's own node has proven its name.
  const bool relayed = !record.origin.empty() && record.origin != link.node;
  const std::string label = concat({origin, relayed ? " by way of " : "",
                                    relayed ? std::string_view{link.node} : std::string_view{}, "\n", record.second});
  question->label = BlockRef::copy_of(std::as_bytes(std::span{label}));
  question->from_afar = true;
  if ((record.flags & wire::kUrgent) != 0) question->urgency = Urgency::urgent;
  const Urgency question_urgency = question->urgency;
  const auto left = std::chrono::milliseconds{std::min(record.number, kAskMsMost)};
  const TimerId waits = port_->ask_message({port_, std::move(question), left},
                                           [this, link_id = link.id, id = record.id, urgency = question_urgency](
                                               Message* reply) { answer(link_id, id, urgency, reply); });
  answering.emplace(record.id, Answering{waits, 0, 0, std::move(charge)});
  return {};
}

void Router::refuse_ask(Link& link, std::uint64_t id, const Error& why) {
  wire::Record refusal{.kind = wire::Kind::reply, .code = wire::code_of(why.code), .id = id};
  refusal.first = std::string_view{why.detail}.substr(0, limits::kGoodbyeBytes);
  if (!links_->send(link, refusal)) links_->cut(link);
}

// --- For other nodes -------------------------------------------------------------------------------------------------

void Router::forward(Link& link, wire::Record record) {
  if (record.origin.empty()) record.origin = link.node;
  routes_.used(link, record.node);
  ++record.hops;
  Link* const next = record.hops >= limits::kHops ? nullptr : routes_.way(record.node);
  switch (record.kind) {
    case wire::Kind::tell:
    case wire::Kind::ask:
    case wire::Kind::row:
    case wire::Kind::ack:
    case wire::Kind::lives:
    case wire::Kind::credit: break;
    default: return;  // nothing else goes further than to the peer
  }
  if (next == nullptr || !next->up || next == &link) {
    bounce(link, record, ErrorCode::unreachable);
  } else if (record.kind == wire::Kind::ask) {
    forward_ask(link, *next, record);
  } else {
    const bool answers = record.kind != wire::Kind::tell && record.kind != wire::Kind::row;
    Charge charge = answers ? Charge{} : relay_charge(link, record);
    if (!charge.ok() || !links_->send(*next, record, 0, std::move(charge))) bounce(link, record, ErrorCode::full);
  }
}

Charge Router::relay_charge(const Link& link, const wire::Record& record) {
  return {link.account, Resource::relay_bytes, wire::size_of(record)};
}

void Router::bounce(const Link& link, const wire::Record& record, ErrorCode cause) {
  Link* const back = links_->by_id(link.id);
  if (back == nullptr || !back->up) return;
  wire::Record word;
  if (record.kind == wire::Kind::ask) {
    refuse_ask(*back, record.id, cause);
  } else if (record.kind == wire::Kind::tell) {
    word = {.kind = wire::Kind::credit, .flags = wire::kOnLink, .id = 1, .number = record.payload.size()};
  } else if (record.kind == wire::Kind::row && cause == ErrorCode::full) {
    word = {.kind = wire::Kind::ack};
    if ((record.flags & wire::kIncarnation) != 0 && record.second.size() >= sizeof word.number) {
      word.number = wire::get_u64(reinterpret_cast<const std::byte*>(record.second.data()));
    }
  } else if (record.kind == wire::Kind::publish) {
    word = {.kind = wire::Kind::credit, .flags = wire::kPublications | wire::kOnLink, .id = 1};
  } else if (cause != ErrorCode::unreachable) {
    return;  // what answers a row, or a tell, comes again
  }
  if (word.kind != wire::Kind{}) {
    word.code = wire::code_of(cause);
    word.first = record.first;
    word.origin = record.node;
    if (record.origin != link.node) word.node = record.origin;
    if (!links_->send(*back, word)) links_->cut(*back);
  }
  if (cause != ErrorCode::unreachable) return;
  const wire::Record news{.kind = wire::Kind::reach,
                          .code = wire::code_of(cause),
                          .first = record.node,
                          .second = system_.directory.own_node()};
  if (link.peer_is_leaf && !links_->send(*back, news)) links_->cut(*back);
}

void Router::forward_ask(Link& link, Link& next, wire::Record record) {
  auto& answering = peers_[link.id].answering;
  if (answering.contains(record.id)) return links_->cut(link, Error{ErrorCode::malformed, "two questions have one id"});
  auto& asked = peers_[next.id].asked;
  Charge charge{link.account, Resource::asks};
  if (!charge.ok() || answering.size() >= limits::kAsksPerLink || asked.size() >= limits::kAsksPerLink ||
      record.number == 0) {
    refuse_ask(link, record.id, record.number == 0 ? ErrorCode::timeout : ErrorCode::full);
    return;
  }
  RemoteAsk ask{.from_link = link.id, .from_id = record.id};
  if ((record.flags & wire::kUrgent) != 0) ask.urgency = Urgency::urgent;
  const std::uint64_t id = next_ask_++;
  record.id = id;
  Charge relayed = relay_charge(link, record);
  const Result<void> sent = relayed.ok() ? links_->send(next, record, 0, std::move(relayed)) : ErrorCode::full;
  if (!sent) return refuse_ask(link, ask.from_id, sent.error());
  const auto left = std::chrono::milliseconds{std::min(record.number, kAskMsMost)};
  ask.deadline = port_->after(left, [this, link_id = next.id, id, from_link = link.id, from_id = ask.from_id] {
    if (const auto peer = peers_.find(link_id); peer != peers_.end()) peer->second.asked.erase(id);
    if (const auto peer = peers_.find(from_link); peer != peers_.end()) peer->second.answering.erase(from_id);
  });
  answering.emplace(ask.from_id, Answering{{}, next.id, id, std::move(charge)});
  asked.emplace(id, ask);
}

void Router::answer(std::uint64_t link_id, std::uint64_t correlation, Urgency urgency, Message* reply) {
  const auto peer = peers_.find(link_id);
  if (peer == peers_.end()) return;
  if (peer->second.answering.erase(correlation) == 0) return;  // nobody waits any more
  if (reply == nullptr) return;                                // too late: each node on the way has a timer of its own
  Link* link = links_->by_id(link_id);
  if (link == nullptr || !link->up) return;
  wire::Record record{.kind = wire::Kind::reply, .id = correlation};
  if (urgency == Urgency::urgent) record.flags |= wire::kUrgent;
  record.trace = reply->trace_context();
  const bool native = reply->inline_bytes != 0;  // it cannot leave the process
  if (reply->has_error || native) {
    record.code = wire::code_of(reply->has_error ? reply->error : ErrorCode::rejected);
    const auto text = native ? std::span<const std::byte>{} : reply->label.bytes();
    record.first =
        std::string_view{reinterpret_cast<const char*>(text.data()), text.size()}.substr(0, limits::kGoodbyeBytes);
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
  if (record.code != 0 && ask.from_link == 0 && wire::error_of(record.code) == ErrorCode::full &&
      full_there_.size() < limits::kIdleNames) {
    full_there_.insert(ask.asked.bits());
  }
  answer_ask(ask, record);
}

Result<void> Router::heard_row(Link& link, const wire::Record& record) {
  const bool near = record.origin.empty();
  Charge charge{link.account, Resource::row_bytes, wire::size_of(record) + limits::kHeldMessageBytes};
  if (!charge.ok()) {
    links_->audit(link);
    if (near) link.unheeded += wire::size_of(record);
    if (link.unheeded > limits::kUnheededBytes) {
      return Error{ErrorCode::full, "rows come faster than they are stored, and refusals are not heeded"};
    }
    bounce(link, record, ErrorCode::full);
    return {};
  }
  link.unheeded = 0;
  IncomingRow row{std::string{near ? std::string_view{link.node} : record.origin},
                  near ? link.incarnation : 0,
                  std::string{record.first},
                  record.id,
                  record.number,
                  {},
                  record.type,
                  BlockRef::copy_of(record.payload),
                  0,
                  hold(record.trace),
                  std::move(charge)};
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
  if ((record.flags & wire::kPath) != 0) {
    const auto byte = [&rest](std::size_t at) {
      return static_cast<std::size_t>(static_cast<unsigned char>(rest[at]));
    };
    const std::size_t length = rest.size() < 2 ? wire::kSecondBytes : byte(0) + 256 * byte(1);
    if (length + 2 > rest.size())
      return Error{ErrorCode::malformed, "A row does not say where it has been, as it should."};
    row.path = rest.substr(2, length);
    rest.remove_prefix(length + 2);
  }
  row.key = rest;
  if (system_.queue) {
    tell_queue(native_message(MessageKind::tell, {}, std::move(row)));
    return {};
  }
  return send_ack({row.producer, row.lane, 0, true, ErrorCode::unsupported, row.incarnation});
}

void Router::heard_ack(const Link& link, std::string_view origin, const wire::Record& record) {
  Charge charge{link.account, Resource::row_bytes, limits::kHeldMessageBytes};
  if (!charge.ok()) return links_->audit(link);  // the row is sent again, and acknowledged again
  StreamAck ack{std::string{origin}, std::string{record.first}, record.id, record.code != 0, ErrorCode{},
                record.number,       std::move(charge)};
  if (ack.refused) ack.cause = wire::error_of(record.code);
  tell_queue(native_message(MessageKind::tell, {}, std::move(ack)));
}

Result<void> Router::heard_lives(const Link& link, std::string_view origin, const wire::Record& record) {
  constexpr std::size_t kEach = sizeof(std::uint64_t);
  if (record.payload.size() % kEach != 0 || record.payload.size() > limits::kIncarnations * kEach) {
    return Error{ErrorCode::malformed, "A list of incarnations has no such length."};
  }
  Charge charge{link.account, Resource::row_bytes, record.payload.size() + limits::kHeldMessageBytes};
  if (!charge.ok()) return {};  // said again with the next link
  ProducerIncarnations lives{std::string{origin}, {}, std::move(charge)};
  for (std::size_t at = 0; at < record.payload.size(); at += kEach) {
    lives.incarnations.push_back(wire::get_u64(record.payload.data() + at));
  }
  tell_queue(native_message(MessageKind::tell, {}, std::move(lives)));
  return {};
}

}  // namespace pannier
