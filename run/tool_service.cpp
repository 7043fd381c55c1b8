#include "run/tool_service.h"

#include <algorithm>
#include <memory>

#include <pannier/queue.h>

#include "runtime/message/names.h"

namespace pannier::tools {

namespace {

constexpr std::size_t kDesks = 256;
/// Streams and rows of one answer: the verifier of the far end takes limits::kVerifyTables.
constexpr std::size_t kRowsInAnswer = 400;
constexpr std::size_t kStreamsInAnswer = 500;
constexpr std::size_t kPeersInAnswer = 80;
constexpr Duration kLongest = std::chrono::hours{1};
/// Deliveries that wait at a lane's desk for somebody to fetch them.
constexpr std::uint32_t kDeskWindow = 8;

std::string text_of(const flatbuffers::String* text) { return text == nullptr ? std::string{} : text->str(); }

std::string what_queue(const Error& error) {
  return error.code == ErrorCode::closed ? "the node has no store, and so no queue" : error.text();
}

AnyTable table_of(std::uint64_t type, const flatbuffers::Vector<std::uint8_t>* payload) {
  const auto bytes =
      payload == nullptr ? std::span<const std::byte>{} : std::as_bytes(std::span{payload->data(), payload->size()});
  return AnyTable{TypeId{type}, nullptr, BlockRef::copy_of(bytes)};
}

std::int64_t milliseconds(Duration left) {
  return std::max<std::int64_t>(0, std::chrono::duration_cast<std::chrono::milliseconds>(left).count());
}

std::int64_t milliseconds(WallTime time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

Duration bounded(std::uint32_t ms) { return std::min<Duration>(std::chrono::milliseconds{ms}, kLongest); }

Table<QueueStatus> to_table(std::string_view node, const pannier::QueueStatus& status, WallTime now) {
  QueueStatusT table;
  table.node = node;
  for (const auto& stream : status.streams) {
    if (table.streams.size() >= kStreamsInAnswer) break;
    auto row = std::make_unique<StreamStatusT>();
    row->box = stream.box == pannier::Box::outbox ? Box::Outbox : Box::Inbox;
    row->node = stream.node;
    row->lane = stream.lane;
    row->messages = stream[pannier::RowState::ready].messages;
    row->bytes = stream[pannier::RowState::ready].bytes;
    row->dead_lettered = stream[pannier::RowState::dead_lettered].messages;
    row->in_flight = stream.in_flight;
    row->link_up = stream.link_up;
    row->delayed = stream[pannier::RowState::delayed].messages;
    row->retained = stream[pannier::RowState::retained].messages;
    table.streams.push_back(std::move(row));
  }
  for (const auto& each : status.rows) {
    auto row = std::make_unique<RowStatusT>();
    row->box = each.box == pannier::Box::outbox ? Box::Outbox : Box::Inbox;
    row->node = each.node;
    row->lane = each.lane;
    row->sequence = each.sequence;
    row->key = each.key;
    row->type_id = static_cast<std::uint64_t>(each.type);
    row->bytes = each.bytes;
    row->enqueued_at_ms = milliseconds(each.enqueued_at);
    row->age_ms = std::max<std::int64_t>(0, milliseconds(now) - milliseconds(each.enqueued_at));
    row->dead_lettered = each.state == pannier::RowState::dead_lettered;
    row->id = each.id;
    row->state = static_cast<RowState>(each.state);
    row->cause = each.cause;
    if (each.due_in) row->due_in_ms = milliseconds(*each.due_in);
    if (each.expires_in) row->expires_in_ms = milliseconds(*each.expires_in);
    row->attempts = each.attempts;
    row->position = each.position;
    row->position_is_least = each.position_is_least;
    row->waits_for = each.waits_for;
    table.rows.push_back(std::move(row));
  }
  for (const pannier::LaneStatus& each : status.lanes) {
    if (table.lanes.size() >= kStreamsInAnswer) break;
    auto row = std::make_unique<LaneStatusT>();
    const LaneCounters& counts = each.counters;
    row->lane = each.options.name;
    row->accepted = counts.accepted;
    row->refused = counts.refused;
    row->duplicates = counts.duplicates;
    row->evicted = counts.evicted;
    row->expired = counts.expired;
    row->cancelled = counts.cancelled;
    row->delivered = counts.delivered;
    row->handled = counts.handled;
    row->retried = counts.retried;
    row->dead_lettered = counts.dead_lettered;
    table.lanes.push_back(std::move(row));
  }
  table.bytes_written = status.store.bytes_written;
  table.rows_put = status.store.rows_put;
  table.forgotten = status.forgotten;
  table.accepted = status.accepted;
  table.delivered = status.delivered;
  table.handled = status.handled;
  table.duplicates = status.duplicates;
  table.refused = status.refused;
  table.commits = status.store.commits;
  table.fsyncs = status.store.fsyncs;
  table.corrupt_rows = status.store.corrupt_pages;
  table.rows_not_examined = status.rows_not_examined;
  return pack(table);
}

}  // namespace

namespace {

/// It has never retained anything, and will not.
bool retains_nothing(const pannier::QueueStatus& status, const std::string& lane) {
  const auto is_lane = [&](const auto& each) { return each.options.name == lane; };
  const auto known = std::find_if(status.lanes.begin(), status.lanes.end(), is_lane);
  const bool will = known != status.lanes.end() && known->options.retention.any();
  return !will && std::none_of(status.streams.begin(), status.streams.end(), [&](const auto& stream) {
    return stream.box == pannier::Box::inbox && stream.lane == lane && stream[pannier::RowState::retained].messages > 0;
  });
}

}  // namespace

void refuse(const Responder& responder, std::string_view text) { responder.reply(make<Refused>(text)); }

std::string ToolService::node_without_link(const std::string& address) const {
  const auto slash = address.find('/');
  if (slash == std::string::npos || options_.leads_to == nullptr) return {};
  std::string node = address.substr(0, slash);
  return options_.leads_to(node) ? std::string{} : node;
}

std::string ToolService::why_no_answer(const std::string& address, const Error& error) const {
  const auto slash = address.find('/');
  const std::string node = slash == std::string::npos ? options_.node : address.substr(0, slash);
  const std::string actor = slash == std::string::npos ? address : address.substr(slash + 1);
  switch (error.code) {
    case ErrorCode::unreachable:
      return "no way leads from " + options_.node + " to " + node + " now; see pannier route";
    case ErrorCode::not_found: return error.detail.empty() ? "no actor '" + actor + "' runs at " + node : error.detail;
    case ErrorCode::timeout: return "no answer from " + node + " in time";
    case ErrorCode::rejected:
      return error.detail.empty() ? "'" + actor + "' at " + node + " does not take this type of message" : error.detail;
    default: return error.text();
  }
}

bool ToolService::may(const Responder& responder) const {
  // Of a question that was passed on, only the node that passed it on has proven its name.
  constexpr std::string_view kRelayed = " by way of ";
  const std::string_view text = label();
  const std::size_t relayed = text.rfind(kRelayed);
  const std::string_view asker = relayed == std::string_view::npos ? text : text.substr(relayed + kRelayed.size());
  const bool known = std::any_of(options_.callers.begin(), options_.callers.end(), [&](const auto& caller) {
    return caller.prefix ? asker.starts_with(caller.name) : asker == caller.name;
  });
  if (known) return true;
  refuse(responder, options_.node + " does not let '" + std::string{text} +
                        "' use its tools; use the key of the node itself, or give the peer `tools = true` in its " +
                        "configuration");
  return false;
}

void ToolService::on(const NewSettings& settings) {
  options_ = settings.options;
  for (const LaneOptions& lane : settings.lanes) {
    queue().set_lane(lane).then([this, name = lane.name](const Result<void>& done) {
      if (!done) log(LogLevel::error, "lane '" + name + "' keeps its options: " + done.error().text());
    });
  }
}

void ToolService::on(const Ping&, Responder responder) { responder.reply(make<Pong>(std::string_view{options_.node})); }

void ToolService::on(const Inspect& question, Responder responder) {
  if (!may(responder)) return;
  if (question.id() != 0) {
    queue().where(question.id()).then([this, responder](Result<pannier::RowStatus> row) {
      if (!row && row.error().code != ErrorCode::not_found) return responder.refuse(row.error().code);
      pannier::QueueStatus status;
      if (row) status.rows.push_back(std::move(*row));
      responder.reply(to_table(options_.node, status, wall_now()));
    });
    return;
  }
  pannier::Inspect inspect{text_of(question.key()), std::min<std::size_t>(question.rows(), kRowsInAnswer)};
  queue().inspect(std::move(inspect)).then([this, responder](Result<pannier::QueueStatus> status) {
    if (!status) return refuse(responder, what_queue(status.error()));
    responder.reply(to_table(options_.node, *status, wall_now()));
  });
}

namespace {

EnqueueOptions options_of(const Enqueue& request) {
  EnqueueOptions options;
  // What is too long is refused by the queue; it must only not overflow here.
  constexpr std::uint64_t kMost = 1'000'000'000'000;
  options.delay = std::chrono::milliseconds{std::min<std::uint64_t>(request.delay_ms(), kMost)};
  options.expires_in = std::chrono::milliseconds{std::min<std::uint64_t>(request.expires_in_ms(), kMost)};
  options.token = text_of(request.token());
  if (request.durability() > 0 && request.durability() <= 3) {
    options.durability = static_cast<pannier::Durability>(request.durability() - 1);
  }
  return options;
}

Durability to_table(pannier::Durability durability) {
  return durability == pannier::Durability::fsynced     ? Durability::Fsynced
         : durability == pannier::Durability::committed ? Durability::Committed
                                                        : Durability::Memory;
}

/// What became of the messages of one EnqueueMany so far.
struct Many {
  EnqueuedManyT outcome;
  std::uint32_t waiting = 0;
  std::uint32_t durability = 3;  // the least of them, as in Enqueue

  void add(std::uint32_t place, const Result<Receipt>& receipt) {
    --waiting;
    if (receipt) {
      ++outcome.stored;
      if (receipt->duplicate) ++outcome.duplicates;
      durability = std::min(durability, static_cast<std::uint32_t>(to_table(receipt->durability)));
      return;
    }
    if (outcome.failed++ == 0 || place < outcome.first_failed) {
      outcome.first_failed = place;
      outcome.error = receipt.error().text();
    }
  }
};

}  // namespace

void ToolService::on(const EnqueueMany& request, Responder responder) {
  if (!may(responder)) return;
  auto many = std::make_shared<Many>();
  many->outcome.node = options_.node;
  if (request.messages() == nullptr) return responder.reply(pack(many->outcome));
  many->waiting = request.messages()->size();
  std::uint32_t place = 0;
  for (const Enqueue* each : *request.messages()) {
    enqueue(text_of(each->address()), text_of(each->key()), table_of(each->type_id(), each->payload()),
            options_of(*each))
        .then([many, responder, place = place++](const Result<Receipt>& receipt) {
          many->add(place, receipt);
          if (many->waiting != 0) return;
          many->outcome.durability = static_cast<Durability>(std::min(many->durability, 2U));
          responder.reply(pack(many->outcome));
        });
  }
}

void ToolService::on(const Enqueue& request, Responder responder) {
  if (!may(responder)) return;
  enqueue(text_of(request.address()), text_of(request.key()), table_of(request.type_id(), request.payload()),
          options_of(request))
      .then([this, responder, node = node_without_link(text_of(request.address()))](const Result<Receipt>& receipt) {
        if (!receipt && receipt.error().code == ErrorCode::storage_full)
          return refuse(responder, receipt.error().text());
        if (!receipt) return responder.refuse(receipt.error().code);
        const auto reply = [this, responder, receipt = *receipt](bool no_way) {
          responder.reply(make<Enqueued>(std::string_view{options_.node}, to_table(receipt.durability),
                                         receipt.sequence, receipt.duplicate, no_way));
        };
        if (node.empty()) return reply(false);
        routes(node).then([reply](const Result<std::vector<NodeRoute>>& found) { reply(found && found->empty()); });
      });
}

void ToolService::on(const Decide& request, Responder responder) {
  if (!may(responder)) return;
  const std::string_view own = options_.node;
  if (request.decision() == Decision::Cancel) {
    queue().cancel(request.id()).then([own, responder](Result<Cancelled> cancelled) {
      if (!cancelled) return refuse(responder, cancelled.error().text());
      responder.reply(make<Decided>(own, std::uint64_t{1}, false, cancelled->may_have_left));
    });
    return;
  }
  const std::string node = text_of(request.node());
  const DeadLetterSelection selection{.box = node.empty() ? pannier::Box::inbox : pannier::Box::outbox,
                                      .node = node,
                                      .lane = text_of(request.lane()),
                                      .key = text_of(request.key()),
                                      .id = request.id()};
  auto answer = [own, responder](Result<DeadLetterCount> answered) {
    if (!answered) return refuse(responder, answered.error().text());
    responder.reply(make<Decided>(own, std::uint64_t{answered->messages}, answered->more, false));
  };
  if (request.decision() == Decision::Redrive) {
    queue().redrive(selection).then(answer);
  } else {
    queue().purge(selection).then(answer);
  }
}

void ToolService::on(const Publish& request, Responder responder) {
  if (!may(responder)) return;
  if (request.clear()) {
    const auto cleared = clear_retained(text_of(request.topic()));
    if (!cleared) return refuse(responder, cleared.error().text());
    return responder.reply(make<Published>(std::string_view{options_.node}));
  }
  PublishOptions options;
  options.retain = request.retain();
  if (request.urgent()) options.urgency = Urgency::urgent;
  const auto published = publish(text_of(request.topic()), table_of(request.type_id(), request.payload()), options);
  if (!published) return refuse(responder, published.error().text());
  responder.reply(make<Published>(std::string_view{options_.node}));
}

void ToolService::on(const Ask& request, Responder responder) {
  if (!may(responder)) return;
  const std::string address = text_of(request.address());
  const Ref actor = ref(address);
  if (actor.id() == ActorId{}) {
    return refuse(responder,
                  "'" + address + "' is no ACTOR or NODE/ACTOR: names are 1 to 64 characters of a-z 0-9 . _ -");
  }
  ask<AnyTable>(actor, table_of(request.type_id(), request.payload()), bounded(request.timeout_ms()))
      .then([this, responder, address](Result<AnyTable> answer) {
        if (!answer) return refuse(responder, why_no_answer(address, answer.error()));
        if (answer->bytes().size() > kLargestCarried)
          return refuse(responder, "the answer is too large for the command");
        responder.reply(build<Answer>([&](flatbuffers::FlatBufferBuilder& builder) {
          const auto bytes = answer->bytes();
          const auto data = builder.CreateVector(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
          return CreateAnswer(builder, static_cast<std::uint64_t>(answer->type()), data);
        }));
      });
}

void ToolService::on(const AskPeers&, Responder responder) {
  if (!may(responder)) return;
  peer_uses().then([this, responder](const Result<std::vector<pannier::PeerUse>>& peers) {
    if (!peers) return responder.refuse(peers.error());
    PeerListT table;
    table.node = options_.node;
    for (const pannier::PeerUse& peer : *peers) {
      if (table.peers.size() >= kPeersInAnswer) {
        ++table.more;
        continue;
      }
      auto status = std::make_unique<PeerStatusT>();
      status->peer = peer.peer;
      for (const auto& of : peer.resources) {
        auto resource = std::make_unique<PeerResourceT>();
        resource->resource = of.resource;
        resource->used = of.used;
        resource->limit = of.limit;
        resource->refused = of.refused;
        status->resources.push_back(std::move(resource));
      }
      table.peers.push_back(std::move(status));
    }
    responder.reply(pack(table));
  });
}

void ToolService::on(const AskRoutes& question, Responder responder) {
  if (!may(responder)) return;
  routes(text_of(question.node())).then([this, responder](const Result<std::vector<NodeRoute>>& routes) {
    if (!routes) return responder.refuse(routes.error());
    RouteListT table;
    table.node = options_.node;
    for (const NodeRoute& route : *routes) {
      if (table.routes.size() >= kRowsInAnswer) break;
      auto row = std::make_unique<RouteStatusT>();
      row->node = route.node;
      row->via = route.via;
      row->hops = static_cast<std::uint32_t>(route.hops);
      table.routes.push_back(std::move(row));
    }
    responder.reply(pack(table));
  });
}

Result<LocalRef> ToolService::desk_of(const std::string& lane, const ReplayOptions& replay) {
  if (const auto found = desks_.find({lane, replay.reader}); found != desks_.end()) return found->second;
  if (!valid_name(lane, limits::kLaneNameBytes)) {
    return Error{ErrorCode::invalid_argument, "'" + lane + "' is no lane: names are of a-z 0-9 . _ - only"};
  }
  if (!replay.reader.empty() && !valid_name(replay.reader, limits::kLaneNameBytes)) {
    return Error{ErrorCode::invalid_argument, "'" + replay.reader + "' is no reader: names are of a-z 0-9 . _ - only"};
  }
  if (desks_.size() >= kDesks) return Error{ErrorCode::full, "too many lanes are consumed by the command already"};
  SpawnOptions options;
  std::string name = std::string{kServiceName} + "." + lane;  // what `pannier queue` says who has a message
  if (!replay.reader.empty()) name += "." + replay.reader;
  if (valid_name(name, limits::kActorNameBytes)) options.name = name;
  options.restart = Restart::temporary;  // the next fetch makes another
  auto desk = spawn<LaneDesk>(options, lane, replay);
  if (!desk) return desk.error();
  desks_.emplace(std::pair{lane, replay.reader}, *desk);
  watch(*desk);
  return LocalRef{*desk};
}

void ToolService::on(const Fetch& request, Responder responder) {
  if (!may(responder)) return;
  const std::string lane = text_of(request.lane());
  if (const auto found = options_.forwarded.find(lane); found != options_.forwarded.end()) {
    return refuse(responder, "lane '" + lane + "' leads on to " + found->second + "; consume it there");
  }
  ReplayOptions replay{.reader = text_of(request.reader()), .window = kDeskWindow};
  if (request.from() != 0) replay.from = Replay::sequence(request.from());
  WantsMessage wants{responder, bounded(request.wait_ms()), bounded(std::max(request.lease_ms(), 1000U))};
  if (replay.reader.empty() || desks_.contains({lane, replay.reader})) return fetch(lane, replay, std::move(wants));
  queue().inspect({}).then([this, lane, replay, wants = std::move(wants)](const Result<pannier::QueueStatus>& status) {
    if (status && retains_nothing(*status, lane)) {
      return refuse(wants.responder, "lane '" + lane +
                                         "' retains nothing that was handled: give it retain_messages, retain_bytes or "
                                         "retain_for in the node's configuration");
    }
    fetch(lane, replay, wants);
  });
}

void ToolService::fetch(const std::string& lane, const ReplayOptions& replay, WantsMessage wants) {
  const Responder responder = wants.responder;
  const auto desk = desk_of(lane, replay);
  if (!desk) return refuse(responder, desk.error().text());
  if (const auto told = tell(*desk, std::move(wants)); !told) responder.refuse(told.error().code);
}

void ToolService::on(const Settle& request, Responder responder) {
  if (!may(responder)) return;
  const auto desk = desks_.find({text_of(request.lane()), text_of(request.reader())});
  if (desk == desks_.end()) {
    responder.reply(make<Settled>(false));
    return;
  }
  const auto outcome = request.outcome() == Outcome::Ack     ? pannier::Outcome::ack
                       : request.outcome() == Outcome::Retry ? pannier::Outcome::retry
                                                             : pannier::Outcome::dead_letter;
  const auto told = tell(desk->second, SettlesMessage{responder, request.handle(), outcome, text_of(request.cause())});
  if (!told) responder.refuse(told.error().code);
}

void ToolService::on(const ForgetReader& request, Responder responder) {
  if (!may(responder)) return;
  const auto desk = desks_.find({text_of(request.lane()), text_of(request.reader())});
  if (desk == desks_.end() || request.reader() == nullptr || request.reader()->size() == 0) {
    return responder.reply(build<Forgotten>([](auto& builder) { return CreateForgotten(builder); }));
  }
  const auto told = tell(desk->second, ForgetsReader{responder});
  desks_.erase(desk);
  if (!told) responder.refuse(told.error().code);
}

void ToolService::on(const Down& down) {
  std::erase_if(desks_, [&](const auto& desk) { return desk.second.id() == down.actor.id(); });
}

}  // namespace pannier::tools
