#include "runtime/link/links.h"

#include <algorithm>

#include <pannier/message.h>
#include "platform/concat.h"
#include "runtime/link/packing.h"
#include "runtime/mutants.h"

namespace pannier {

namespace {

/// The peer would refuse the next link as well.
bool is_refusal(ErrorCode code) noexcept {
  return code == ErrorCode::rejected || code == ErrorCode::permission || code == ErrorCode::in_use ||
         code == ErrorCode::malformed || code == ErrorCode::unsupported;
}

/// After so long without a sign the peer is gone, unless it sleeps.
Duration silence_of(const Link& link) noexcept { return link.heartbeat / 2 * limits::kSilentHalves; }

std::uint64_t microseconds(MonoTime time) noexcept {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count());
}

}  // namespace

Links::Links(Transport& transport, LinkEvents& events, std::string own_name, std::uint64_t incarnation,
             std::vector<LinkOptions> dials, std::vector<PeerOptions> peers, bool leaf)
    : transport_(transport),
      events_(events),
      own_name_(std::move(own_name)),
      incarnation_(incarnation),
      dials_(std::move(dials)),
      peers_(std::move(peers)),
      leaf_(leaf) {}

void Links::start(ServicePort& port) {
  port_ = &port;
  for (const LinkOptions& options : dials_) {
    Link& link = add_link();
    link.node = options.node;
    link.dial = &options;
    dial(link);
  }
}

void Links::stop() {
  for (auto& [id, link] : links_) {
    if (!link->open) continue;
    if (link->up) say_goodbye(*link, 0, "");
    counters_.lost += link->waiting.records();
    transport_.close(link->channel);
  }
  channels_.clear();
  nodes_.clear();
  links_.clear();
}

Link& Links::add_link() {
  auto link = std::make_unique<Link>();
  link->id = next_id_++;
  Link& added = *link;
  links_.emplace(added.id, std::move(link));
  return added;
}

Link* Links::by_channel(ChannelId channel) noexcept {
  const auto found = channels_.find(static_cast<std::uint64_t>(channel));
  return found == channels_.end() ? nullptr : found->second;
}

Link* Links::to(std::string_view node) noexcept {
  const auto found = nodes_.find(std::string{node});
  return found == nodes_.end() ? nullptr : found->second;
}

Link* Links::by_id(std::uint64_t id) noexcept {
  const auto found = links_.find(id);
  return found == links_.end() ? nullptr : found->second.get();
}

// --- Up and down -----------------------------------------------------------------------------------------------------

void Links::dial(Link& link) {
  // The peer has dialled this node meanwhile. A second link would replace that one, and the peer would dial again in
  // its turn, for ever; so this end waits until it is needed.
  if (to(link.node) != nullptr) {
    link.timer = port_->after(limits::kHeartbeatInterval, [this, &link] { dial(link); });
    return;
  }
  ++counters_.dials;
  const auto channel = transport_.connect(link.dial->address, link.dial->key);
  if (!channel) {
    port_->log(LogLevel::warning, concat({"link to ", link.node, ": ", channel.error().text()}));
    dial_later(link);
    return;
  }
  link.channel = *channel;
  channels_[static_cast<std::uint64_t>(*channel)] = &link;
  link.timer = port_->after(limits::kHandshakeTimeout, [this, &link] {
    if (!link.up) refuse(link, Error{ErrorCode::timeout, "no answer within 5 s"});
  });
}

void Links::dial_later(Link& link) {
  const bool soon = was_up_lately(link) && !link.refused;
  const Duration cap = soon ? limits::kReconnectCapSoon : limits::kReconnectCap;
  Duration ceiling = limits::kReconnectBase;
  for (std::uint32_t n = 0; n < link.failures && ceiling < cap; ++n) ceiling *= 2;
  ceiling = std::min(ceiling, cap);
  ++link.failures;
  const Duration jitter{static_cast<Duration::rep>(port_->random() % static_cast<std::uint64_t>(ceiling.count()))};
  const Duration delay = std::exchange(link.retry_after, Duration::zero()) + jitter;
  link.timer = port_->after(delay, [this, &link] { dial(link); });
}

void Links::on_open(ChannelId channel, const PeerIdentity& peer) {
  if (Link* link = by_channel(channel)) opened(*link, peer);
}

void Links::on_accept(ChannelId channel, const PeerIdentity& peer) {
  if (links_.size() >= limits::kLinks) {
    ++counters_.refused;
    transport_.close(channel);
    return;
  }
  Link& link = add_link();
  link.channel = channel;
  channels_[static_cast<std::uint64_t>(channel)] = &link;
  if (!takes_stranger()) {
    ++counters_.refused;
    link.open = true;
    // Spreads the redials.
    const auto spread = static_cast<std::uint64_t>(limits::kRetrySpread.count());
    say_goodbye(link, wire::code_of(ErrorCode::full), "too many come at once",
                Duration{static_cast<Duration::rep>(port_->random() % spread)});
    drop(link, Error{ErrorCode::full, "too many come at once"});
    return;
  }
  if (peer.key) {
    link.account = peers_.account(peer, {}, false);
    if (auto charged = charge(link); !charged) {
      link.open = true;
      return refuse(link, charged.error());
    }
  }
  const std::uint64_t id = link.id;
  link.timer = port_->after(limits::kHandshakeTimeout, [this, id] {
    const auto found = links_.find(id);
    if (found == links_.end() || found->second->up) return;
    ++counters_.refused;
    refuse(*found->second, Error{ErrorCode::timeout, "no hello within 5 s"});
  });
  opened(link, peer);
}

void Links::opened(Link& link, const PeerIdentity& peer) {
  link.open = true;
  link.peer = peer;
  link.heard = link.sent = port_->now();
  const bool own_choice = link.dial != nullptr && link.dial->heartbeat > Duration::zero();
  link.heartbeat = own_choice ? std::clamp(link.dial->heartbeat, limits::kHeartbeatLeast, limits::kHeartbeatMost)
                              : limits::kHeartbeatInterval;
  const auto interval = std::chrono::duration_cast<std::chrono::milliseconds>(link.heartbeat);
  wire::Record hello{.kind = wire::Kind::hello, .id = incarnation_, .first = own_name_};
  hello.number = static_cast<std::uint64_t>(interval.count());
  hello.flags = wire::kUnpacks;
  if (leaf_) hello.flags |= wire::kLeaf;
  link.out.frame.add(hello).ignore();  // the first record of an empty frame fits
  send_frame(link);
}

Result<void> Links::heard_hello(Link& link, const wire::Record& hello) {
  const std::string name{hello.first};
  if (!valid_name(name, limits::kNodeNameBytes) || name == own_name_) {
    ++counters_.refused;
    return Error{ErrorCode::rejected,
                 concat({"'", printable(name), "' is not a name that another node of '", own_name_, "' may have"})};
  }
  if (link.dial != nullptr && name != link.dial->node) {
    ++counters_.refused;
    return Error{ErrorCode::permission, concat({"'", name, "' answers where '", link.dial->node,
                                                "' was dialled; correct the link's node name"})};
  }
  if (!peers_.may_bear(link.peer, name)) {
    ++counters_.refused;
    return Error{ErrorCode::permission, concat({"the key of this peer may not bear the name '", name,
                                                "'; correct its name, or the peers of '", own_name_, "'"})};
  }
  if (link.account == nullptr) {
    link.account = peers_.account(link.peer, name, link.dial != nullptr);
    if (auto charged = charge(link); !charged) return charged;
  }
  if (Link* older = to(name); older != nullptr && older != &link) {
    if (auto first = fence(link, hello.id, *older); !first) return first;
    make_way_for(link, *older);
  }
  port_->cancel(link.timer);
  link.node = name;
  link.incarnation = hello.id;
  link.peer_is_leaf = (hello.flags & wire::kLeaf) != 0;
  link.peer_unpacks = (hello.flags & wire::kUnpacks) != 0;
  link.up = true;
  link.up_since = port_->now();
  nodes_[name] = &link;
  ++counters_.ups;
  const auto theirs = std::chrono::milliseconds{std::min<std::uint64_t>(hello.number, 600'000)};
  link.heartbeat = std::max<Duration>(link.heartbeat, std::min<Duration>(theirs, limits::kHeartbeatMost));
  link.refused = false;
  beat_later(link);
  port_->log(LogLevel::info, concat({"link to ", name, " is up"}));
  add_mark(link);  // small and alone, it measures the delay of the empty line
  flush(link);
  events_.on_link_up(link);
  return {};
}

/// A process whose connection changes keeps the incarnation of its store, and one that has ended falls silent. So
/// another incarnation beside a living link is a copy of the store; the first one stays.
Result<void> Links::fence(const Link& link, std::uint64_t incarnation, const Link& older) {
  if (link.dial != nullptr || older.dial != nullptr || incarnation == 0 || older.incarnation == 0) return {};
  if (incarnation == older.incarnation || port_->now() >= older.heard + silence_of(older)) return {};
  ++counters_.refused;
  return Error{ErrorCode::in_use, concat({"'", older.node, "' is linked to '", own_name_,
                                          "' already, with another opening of its store: if this goes on, two machines "
                                          "run copies of one store, and one of them must stop"})};
}

MonoTime Links::silent_at(const Link& link) noexcept {
  return std::max(link.heard + silence_of(link), link.quiet_until);
}

void Links::make_way_for(Link& link, Link& older) {
  ++counters_.takeovers;
  if (older.dial != nullptr || link.dial != nullptr) {  // both ends have dialled
    refuse(older, Error{ErrorCode::closed, "replaced by a newer link"});
    return;
  }
  const MonoTime now = port_->now();
  const bool lived = now - older.heard <= 2 * older.heartbeat;
  if (lived || now - older.up_since < limits::kLinkProven) {
    complain(concat({"takeover ", older.node}),
             concat({"a newer link from ", older.node,
                     " takes the place of one in use; if this repeats, two machines have the name and key of ",
                     older.node}));
  }
  refuse(older, Error{ErrorCode::in_use, "replaced by a newer link of the same name and key"});
}

void Links::set_peers(std::vector<PeerOptions> peers) {
  peers_.set(std::move(peers));
  std::vector<Link*> refused;
  for (auto& [id, link] : links_) {
    if (link->up && !peers_.may_bear(link->peer, link->node)) refused.push_back(link.get());
  }
  for (Link* link : refused) {
    ++counters_.refused;
    refuse(*link, Error{ErrorCode::permission, concat({"'", own_name_, "' no longer lets this peer bear its name"})});
  }
}

void Links::beat(Link& link) {
  const MonoTime now = port_->now();
  if (now >= silent_at(link)) {
    const auto silence = std::chrono::duration_cast<std::chrono::milliseconds>(now - link.heard).count();
    refuse(link, Error{ErrorCode::timeout, concat({"nothing heard for ", silence, " ms"})});
    return;
  }
  // The mark for bytes unechoed for so long may be lost.
  if (link.window.in_flight() > 0) add_mark(link);
  if (now - link.sent >= link.heartbeat && link.out.frame.empty()) {
    send_control(link, {.kind = wire::Kind::heartbeat}).ignore();  // a full link is not a silent one
    link.sent = now;                                               // it leaves in this step
  }
  beat_later(link);
}

/// Arms the timer for the next heartbeat or for the silence timeout, whichever is earlier, but at least a quarter of an
/// interval from now.
void Links::beat_later(Link& link) {
  const MonoTime now = port_->now();
  const MonoTime due = std::max(std::min(link.sent + link.heartbeat, silent_at(link)), now + link.heartbeat / 4);
  link.timer = port_->after(due - now, [this, &link] { beat(link); });
}

void Links::announce_sleep(Duration span) {
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(span).count();
  each_up([&](Link& link) {
    send_control(link, {.kind = wire::Kind::heartbeat, .number = static_cast<std::uint64_t>(ms)}).ignore();
  });
}

Result<void> Links::charge(Link& link) {
  if (link.dial != nullptr) return {};
  link.place = Charge{link.account, Resource::links};
  if (link.place.ok()) return {};
  ++counters_.refused;
  audit(link);
  return Error{ErrorCode::full,
               concat({"this peer has ", link.account->limit(Resource::links), " links to '", own_name_, "' already"})};
}

void Links::audit(const Link& link) {
  if (link.account == nullptr || !link.account->has_news()) return;
  std::string text = concat({"peer ", link.account->name(), " is refused what exceeds its limits:"});
  for (std::size_t i = 0; i < kResources; ++i) {
    const auto resource = static_cast<Resource>(i);
    if (link.account->refused(resource) == 0) continue;
    text += concat({" ", to_string(resource), " (", link.account->limit(resource), ")"});
  }
  if (link.account->messages_refused() > 0) text += concat({" rate (", link.account->rate(), " a second)"});
  complain(concat({"limits of ", link.account->name()}), text);
}

bool Links::takes_stranger() noexcept {
  const MonoTime now = port_->now();
  if (now - accepts_since_ >= std::chrono::seconds{1}) {
    accepts_since_ = now;
    accepts_ = 0;
  }
  return ++accepts_ <= limits::kAcceptsPerSecond;
}

void Links::refuse(Link& link, const Error& why) {
  if (link.open) say_goodbye(link, wire::code_of(why.code), why.detail.empty() ? to_string(why.code) : why.detail);
  drop(link, why);
}

void Links::say_goodbye(Link& link, std::uint16_t code, std::string_view text, Duration retry_after) {
  wire::Record goodbye{.kind = wire::Kind::goodbye, .code = code};
  goodbye.number =
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(retry_after).count());
  goodbye.first = text.substr(0, limits::kGoodbyeBytes);
  // Best effort: otherwise the peer notices by silence.
  link.out.frame.add(goodbye).ignore();
  send_frame(link);
}

void Links::drop(Link& link, const Error& why) {
  port_->cancel(link.timer);
  if (link.channel != ChannelId{}) {
    transport_.close(link.channel);
    channels_.erase(static_cast<std::uint64_t>(link.channel));
    link.channel = ChannelId{};
  }
  counters_.lost += link.waiting.records();
  link.open = false;
  link.out.clear();
  link.window = {};
  link.assemblies = {};
  link.echo.reset();
  link.rows_until = 0;
  link.unheeded = 0;
  const bool was_up = std::exchange(link.up, false);
  link.refused = link.refused || is_refusal(why.code);
  link.quiet_until = {};
  if (was_up) {
    link.lost_at = port_->now();
    ++counters_.downs;
    port_->log(LogLevel::info, concat({"link to ", link.node, " is down: ", why.text()}));
    if (const auto found = nodes_.find(link.node); found != nodes_.end() && found->second == &link) nodes_.erase(found);
    events_.on_link_down(link);
  }
  link.waiting.clear();
  if (!was_up || (link.dial != nullptr && is_refusal(why.code))) {
    const std::string whom = link.node.empty() ? "from a stranger" : concat({"to ", link.node});
    complain(concat({whom, " ", to_string(why.code)}), concat({"link ", whom, ": ", why.text()}));
  }
  if (link.dial != nullptr) {
    back_off(link, why, was_up ? port_->now() - link.up_since : Duration::zero());
    dial_later(link);
    return;
  }
  const auto found = links_.find(link.id);
  gone_.push_back(std::move(found->second));
  links_.erase(found);
}

void Links::back_off(Link& link, const Error& why, Duration lived) noexcept {
  const bool refused = is_refusal(why.code);
  if (lived >= (refused ? limits::kLinkProven : limits::kLinkSettles)) {
    link.failures = 0;
  } else if (refused) {
    link.failures = std::max(link.failures, limits::kRefusedFailures);
  }
}

void Links::complain(const std::string& subject, std::string_view text) {
  if (complaints_.size() >= limits::kComplaints && !complaints_.contains(subject)) complaints_.clear();
  const MonoTime now = port_->now();
  const auto [found, fresh] = complaints_.try_emplace(subject);
  Complaint& complaint = found->second;
  if (!fresh && now - complaint.logged < limits::kComplaintInterval) {
    ++complaint.since;
    return;
  }
  complaint.logged = now;
  const std::uint64_t more = std::exchange(complaint.since, 0);
  port_->log(LogLevel::warning,
             more == 0 ? std::string{text} : concat({text, " (", more, " times more since this was last said)"}));
}

void Links::on_closed(ChannelId channel, const Error& cause) {
  Link* const link = by_channel(channel);
  if (link == nullptr) return;
  // A handshake that ends without a word may be a refusal, or a proxy whose hub is being restarted. A hub that let this
  // node in a moment ago is believed to do so again.
  const bool hopeful = !link->up && cause.code == ErrorCode::permission && was_up_lately(*link);
  drop(*link, hopeful ? Error{ErrorCode::unreachable, cause.detail} : cause);
}

bool Links::was_up_lately(const Link& link) const noexcept {
  return link.lost_at != MonoTime{} && port_->now() - link.lost_at < limits::kReconnectSoon;
}

// --- Frames ----------------------------------------------------------------------------------------------------------

bool Links::poll() {
  const bool more = transport_.poll(*this);
  gone_.clear();
  const std::uint64_t refused = transport_.counters().refused_peers;
  if (std::exchange(refused_keys_, refused) != refused) {
    complain("keys",
             "a stranger was refused in the handshake: no peer of this node has its key, or it has a wrong one "
             "for this node");
  }
  return more;
}

void Links::on_frame(ChannelId channel, std::span<const std::byte> borrowed) {
  Link* link = by_channel(channel);
  if (link == nullptr) return;
  link->heard = port_->now();
  link->quiet_until = {};
  Result<void> outcome;
  if (packing::is_packed(borrowed)) {
    outcome = packing::unpack(borrowed, unpacked_);
    borrowed = unpacked_;
  }
  const BlockRef frame = outcome ? BlockRef::copy_of(borrowed) : BlockRef{};  // aligned, so that payloads are
  auto reader = outcome ? wire::FrameReader::open(frame.bytes()) : Result<wire::FrameReader>{outcome.error()};
  if (!reader) outcome = reader.error();
  while (outcome && !reader->at_end() && link->channel == channel) {
    const auto record = reader->next();
    outcome = record ? heard(*link, *record) : Result<void>{record.error()};
  }
  if (outcome || link->channel != channel) return;
  if (outcome.error().code == ErrorCode::malformed) ++counters_.malformed;
  if (outcome.error().code == ErrorCode::unsupported) link->failures = 32;  // redial at the longest interval
  refuse(*link, outcome.error());
}

Result<void> Links::heard(Link& link, const wire::Record& record) {
  if (record.kind == wire::Kind::hello) return link.up ? Result<void>{} : heard_hello(link, record);
  // Before hello, everything is ignored except a goodbye that refuses a dialled link.
  if (!link.up && !(record.kind == wire::Kind::goodbye && link.dial != nullptr)) return {};
  switch (record.kind) {
    case wire::Kind::heartbeat:
      link.quiet_until = port_->now() + std::chrono::milliseconds{std::min<std::uint64_t>(record.number, 86'400'000)};
      return {};
    case wire::Kind::goodbye:
      link.retry_after = std::min<Duration>(std::chrono::milliseconds{std::min<std::uint64_t>(record.number, 600'000)},
                                            limits::kRetryAfterMost);
      if (record.code == 0) {
        drop(link, Error{ErrorCode::closed, "the peer said goodbye"});
      } else {
        drop(link, Error{wire::error_of(record.code),
                         concat({"the peer says: ", printable(record.first.substr(0, limits::kGoodbyeBytes))})});
      }
      return {};
    case wire::Kind::piece: return heard_piece(link, record);
    case wire::Kind::mark: heard_mark(link, record.id, record.number); return {};
    case wire::Kind::echo: heard_echo(link, record); return {};
    default: return events_.on_record(link, record);
  }
}

Result<void> Links::heard_piece(Link& link, const wire::Record& piece) {
  if (piece.code >= wire::kAssemblies) return Error{ErrorCode::malformed, "A piece is of no assembly."};
  heard_mark(link, static_cast<std::uint64_t>(piece.type), piece.trace.span);
  Assembly& assembly = link.assemblies[piece.code];
  const auto whole = assembly.add(piece);
  if (!whole) return whole.error();
  if (!*whole) return {};
  const BlockRef bytes = BlockRef::copy_of(assembly.bytes());
  assembly.clear();
  const auto parsed = wire::parse(bytes.bytes());
  if (!parsed) return parsed.error();
  if (parsed->bytes != bytes.bytes().size()) return Error{ErrorCode::malformed, "Pieces hold more than their record."};
  return events_.on_record(link, parsed->record);  // malformed for kinds that must not come in pieces
}

void Links::heard_mark(Link& link, std::uint64_t position, std::uint64_t clock) {
  // A second mark for the same bytes was sent later, and tells nothing of how long they took.
  if (link.echo && link.echo->position == position) return;
  link.echo = Link::Echo{position, microseconds(port_->now()) - clock};
  flush_soon(link);
}

void Links::heard_echo(Link& link, const wire::Record& echo) {
  // Ignore a transit beyond any difference between two clocks. A peer that sends it harms only itself.
  constexpr std::int64_t kMost = 1'000'000'000'000'000;
  const auto transit = static_cast<std::int64_t>(echo.number);
  if (transit > kMost || transit < -kMost) return;
  const MonoTime now = port_->now();
  const std::uint64_t before = link.window.echoed();
  link.window.echo(echo.id, std::chrono::microseconds{transit}, now);
  if (!link.waiting.empty()) flush_soon(link);
  if (link.window.echoed() == before || link.rows_until <= before) return;
  if (now - link.rows_told < limits::kRowProgress) return;
  link.rows_told = now;
  events_.on_rows_moved(link);
}

// --- Out -------------------------------------------------------------------------------------------------------------

Result<void> Links::send(Link& link, const wire::Record& record, std::uint32_t priority, Charge charge) {
  if (!link.up) return ErrorCode::unreachable;
  if (record.kind == wire::Kind::ack || record.kind == wire::Kind::credit || record.kind == wire::Kind::cancel) {
    return send_control(link, record);
  }
  const std::size_t size = wire::size_of(record);
  const std::size_t piece = link.window.piece();
  const auto fits = [&] {
    const std::size_t most = link.out.bytes == 0 ? piece : std::min(piece, limits::kFrameTargetBytes);
    return link.out.frame.size() + size <= most;
  };
  if (!fits()) send_frame(link);
  // If nothing waits, straight into the frame, which saves a copy.
  if (link.waiting.empty() && !link.out.full && fits() && link.window.takes(link.out.bytes + size)) {
    if (auto added = link.out.frame.add(record); !added) return added;
    link.out.bytes += size;
    link.out.row = link.out.row || record.kind == wire::Kind::row;
  } else if (auto added = link.waiting.add(record, priority, std::move(charge)); !added) {
    if (added.error().code == ErrorCode::full) ++counters_.full;
    return added;
  }
  flush_soon(link);
  return {};
}

Result<void> Links::send_control(Link& link, const wire::Record& record) {
  if (link.out.frame.size() >= limits::kFrameTargetBytes) send_frame(link);
  if (auto added = link.out.frame.add(record); !added) {
    ++counters_.full;
    return added;
  }
  flush_soon(link);
  return {};
}

void Links::add_mark(Link& link) {
  wire::Record mark{.kind = wire::Kind::mark, .id = link.window.sent(), .number = microseconds(port_->now())};
  if (!link.out.frame.add(mark)) return;
  link.window.marked(0, port_->now());
  flush_soon(link);
}

void Links::flush_soon(Link& link) {
  if (std::exchange(link.flushing, true)) return;
  to_flush_.push_back(link.id);
}

bool Links::send_frame(Link& link) {
  Link::Outgoing& out = link.out;
  if (out.frame.empty() || !link.open) return true;
  if (!out.marked && link.window.wants_mark(out.bytes)) {
    wire::Record mark{.kind = wire::Kind::mark, .id = link.window.sent() + out.bytes};
    mark.number = microseconds(port_->now());
    out.marked = out.frame.add(mark).ok();
  }
  std::span<const std::byte> bytes = out.frame.frame();
  std::size_t on_line = out.bytes;
  if (link.up && link.peer_unpacks && link.window.is_slow() && packing::pack(bytes, packed_)) {
    on_line = out.bytes * packed_.size() / bytes.size();
    bytes = packed_;
  }
  const auto sent = transport_.send(link.channel, bytes);
  const bool full = !sent && sent.error().code == ErrorCode::full;
  if (full && !is_mutant(Mutant::frame_dropped_when_full))
    return false;  // the frame is kept; the next step tries again
  link.window.handed_over(out.bytes, on_line);
  if (out.row) link.rows_until = link.window.sent();
  if (out.marked) link.window.marked(on_line, port_->now());
  out.clear();  // a closed channel reports itself by on_closed
  link.sent = port_->now();
  return true;
}

/// Moves waiting records into the frame, as far as the window and the frame size allow.
void Links::fill(Link& link) {
  Link::Outgoing& out = link.out;
  const std::size_t piece = link.window.piece();
  const std::size_t target = std::min(piece, limits::kFrameTargetBytes);
  while (!link.waiting.empty() && !out.full && (out.bytes == 0 || out.frame.size() < target)) {
    const std::size_t frame = out.bytes == 0 ? piece : target - out.frame.size();
    const std::size_t on_its_way = link.window.in_flight() + out.bytes;
    const std::size_t window = std::max(link.window.bytes(), on_its_way) - on_its_way;
    const auto step = link.waiting.move_into(out.frame, {.bytes = on_its_way == 0 ? piece : std::min(frame, window),
                                                         .piece = piece,
                                                         .position = link.window.sent() + out.bytes,
                                                         .clock = microseconds(port_->now())});
    if (step.moved == SendQueue::Moved::nothing) return;
    out.bytes += step.bytes;
    out.row = out.row || step.row;
    if (step.moved == SendQueue::Moved::piece) out.full = out.marked = true;
  }
}

void Links::flush(Link& link) {
  if (!link.open) return;
  if (link.echo) {
    wire::Record echo{.kind = wire::Kind::echo, .id = link.echo->position, .number = link.echo->transit};
    if (link.out.frame.add(echo)) link.echo.reset();
  }
  while (true) {
    fill(link);
    if (link.out.frame.empty()) break;
    if (!send_frame(link)) return;
  }
  // The window is full of bytes without a mark, and only the echo of a mark opens it.
  if (!link.waiting.empty() && !link.window.awaits_echo()) {
    add_mark(link);
    send_frame(link);
  }
}

void Links::flush() {
  for (const auto& [id, why] : std::exchange(to_cut_, {})) {
    if (Link* link = by_id(id)) refuse(*link, why);
  }
  std::vector<std::uint64_t> again;
  for (const std::uint64_t id : std::exchange(to_flush_, {})) {
    const auto found = links_.find(id);
    if (found == links_.end()) continue;
    Link& link = *found->second;
    flush(link);
    link.flushing = false;
    if (!link.out.frame.empty() && link.open) again.push_back(id);
  }
  for (const std::uint64_t id : again) flush_soon(*by_id(id));
  // The transport does not report when a full channel has room again, so poll.
  if (!to_flush_.empty() && retry_ == TimerId{}) {
    retry_ = port_->after(std::chrono::milliseconds{2}, [this] { retry_ = TimerId{}; });
  }
}

}  // namespace pannier
