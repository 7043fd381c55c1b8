#include "tools/tool_service.h"

#include <algorithm>

#include <pannier/actor.h>
#include "runtime/actor/system.h"
#include "runtime/queue/requests.h"

namespace pannier::tools {

namespace {

constexpr std::size_t kDesks = 256;
/// Streams and rows of one answer: the verifier of the far end takes limits::kVerifyTables.
constexpr std::size_t kRowsInAnswer = 400;
constexpr std::size_t kStreamsInAnswer = 500;
constexpr Duration kQueueAnswers = std::chrono::seconds{10};
constexpr Duration kLongest = std::chrono::hours{1};
/// Deliveries that wait at a lane's desk for somebody to fetch them.
constexpr std::uint32_t kDeskWindow = 8;

std::string text_of(const flatbuffers::String* text) { return text == nullptr ? std::string{} : text->str(); }

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
  return pack(table);
}

}  // namespace

void refuse(const Responder& responder, std::string_view text) { responder.reply(make<Refused>(text)); }

bool ToolService::may(const Responder& responder) const {
  const std::string_view asker = label();
  const bool known = std::any_of(options_.callers.begin(), options_.callers.end(), [&](const auto& caller) {
    return caller.prefix ? asker.starts_with(caller.name) : asker == caller.name;
  });
  if (known) return true;
  const std::string& own = system().directory.own_node();
  refuse(responder, own + " does not let '" + std::string{asker} +
                        "' use its tools; use the key of the node itself, or give the peer `tools = true` in its " +
                        "configuration");
  return false;
}

void ToolService::on(const Ping&, Responder responder) {
  responder.reply(make<Pong>(std::string_view{system().directory.own_node()}));
}

void ToolService::on(const Inspect& question, Responder responder) {
  if (!may(responder)) return;
  if (question.id() != 0) {
    queue().where(question.id()).then([this, responder](Result<pannier::RowStatus> row) {
      if (!row && row.error().code != ErrorCode::not_found) return responder.refuse(row.error().code);
      pannier::QueueStatus status;
      if (row) status.rows.push_back(std::move(*row));
      responder.reply(to_table(system().directory.own_node(), status, wall_now()));
    });
    return;
  }
  pannier::Inspect inspect{text_of(question.key()), std::min<std::size_t>(question.rows(), kRowsInAnswer)};
  ask<pannier::QueueStatus>(LocalRef{system().queue}, std::move(inspect), kQueueAnswers)
      .then([this, responder](Result<pannier::QueueStatus> status) {
        if (!status) return responder.refuse(status.error().code);
        responder.reply(to_table(system().directory.own_node(), *status, wall_now()));
      });
}

void ToolService::on(const Enqueue& request, Responder responder) {
  if (!may(responder)) return;
  EnqueueOptions options;
  // What is too long is refused by the queue; it must only not overflow here.
  constexpr std::uint64_t kMost = 1'000'000'000'000;
  options.delay = std::chrono::milliseconds{std::min<std::uint64_t>(request.delay_ms(), kMost)};
  options.expires_in = std::chrono::milliseconds{std::min<std::uint64_t>(request.expires_in_ms(), kMost)};
  options.token = text_of(request.token());
  if (request.durability() > 0 && request.durability() <= 3) {
    options.durability = static_cast<pannier::Durability>(request.durability() - 1);
  }
  enqueue(text_of(request.address()), text_of(request.key()), table_of(request.type_id(), request.payload()),
          std::move(options))
      .then([this, responder](Result<Receipt> receipt) {
        if (!receipt) return responder.refuse(receipt.error().code);
        const auto durability = receipt->durability == pannier::Durability::fsynced     ? Durability::Fsynced
                                : receipt->durability == pannier::Durability::committed ? Durability::Committed
                                                                                        : Durability::Memory;
        responder.reply(make<Enqueued>(std::string_view{system().directory.own_node()}, durability, receipt->sequence,
                                       receipt->duplicate));
      });
}

void ToolService::on(const Decide& request, Responder responder) {
  if (!may(responder)) return;
  const std::string_view own = system().directory.own_node();
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
  PublishOptions options;
  options.retain = request.retain();
  if (request.urgent()) options.urgency = Urgency::urgent;
  const auto published = publish(text_of(request.topic()), table_of(request.type_id(), request.payload()), options);
  if (!published) return refuse(responder, published.error().text());
  responder.reply(make<Published>(std::string_view{system().directory.own_node()}));
}

void ToolService::on(const Ask& request, Responder responder) {
  if (!may(responder)) return;
  const auto actor = system().directory.name(text_of(request.address()));
  if (!actor) return refuse(responder, actor.error().text());
  ask<AnyTable>(*actor, table_of(request.type_id(), request.payload()), bounded(request.timeout_ms()))
      .then([responder](Result<AnyTable> answer) {
        if (!answer) return responder.refuse(answer.error().code);
        if (answer->bytes().size() > kLargestCarried)
          return refuse(responder, "the answer is too large for the command");
        responder.reply(build<Answer>([&](flatbuffers::FlatBufferBuilder& builder) {
          const auto bytes = answer->bytes();
          const auto data = builder.CreateVector(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
          return CreateAnswer(builder, static_cast<std::uint64_t>(answer->type()), data);
        }));
      });
}

Result<LocalRef> ToolService::desk_of(const std::string& lane) {
  if (const auto found = desks_.find(lane); found != desks_.end()) return found->second;
  if (!valid_name(lane, limits::kLaneNameBytes)) {
    return Error{ErrorCode::invalid_argument, "'" + lane + "' is no lane: names are of a-z 0-9 . _ - only"};
  }
  if (desks_.size() >= kDesks) return Error{ErrorCode::full, "too many lanes are consumed by the command already"};
  ConsumeOptions consume;
  consume.window = kDeskWindow;
  SpawnOptions options;
  const std::string name = std::string{kServiceName} + "." + lane;  // what `pannier queue` says who has a message
  if (valid_name(name, limits::kActorNameBytes)) options.name = name;
  auto desk = spawn<LaneDesk>(options, lane, consume);
  if (!desk) return desk.error();
  desks_.emplace(lane, *desk);
  return LocalRef{*desk};
}

void ToolService::on(const Fetch& request, Responder responder) {
  if (!may(responder)) return;
  const std::string lane = text_of(request.lane());
  if (const auto found = options_.forwarded.find(lane); found != options_.forwarded.end()) {
    return refuse(responder, "lane '" + lane + "' leads on to " + found->second + "; consume it there");
  }
  const auto desk = desk_of(lane);
  if (!desk) return refuse(responder, desk.error().text());
  const auto told =
      tell(*desk, WantsMessage{responder, bounded(request.wait_ms()), bounded(std::max(request.lease_ms(), 1000U))});
  if (!told) responder.refuse(told.error().code);
}

void ToolService::on(const Settle& request, Responder responder) {
  if (!may(responder)) return;
  const auto desk = desks_.find(text_of(request.lane()));
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

}  // namespace pannier::tools
