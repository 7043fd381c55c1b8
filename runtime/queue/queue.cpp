#include "runtime/queue/queue.h"

#include "runtime/actor/directory.h"
#include "runtime/queue/mutants.h"

namespace pannier {

namespace {

/// How long an erasure waits for somebody else's commit to ride in. Losing it costs a duplicate that is dropped.
constexpr Duration kErasureDelay = std::chrono::milliseconds{100};
/// After a commit failed: what a consumer said of a delivery is tried again, not lost.
constexpr Duration kSettleAgain = std::chrono::milliseconds{100};

}  // namespace

Queue::Queue(System& system, Store& store, std::vector<LaneOptions> lanes)
    : system_(system),
      store_(store),
      group_(store),
      outbox_(store, group_,
              [this](OutgoingRow row) {
                port_->worker().send_reserved(native_message(MessageKind::tell, system_.router, std::move(row)));
              }),
      inbox_(store, group_),
      watermarks_(store) {
  for (LaneOptions& options : lanes) {
    outbox_.set_priority(options.name, options.priority);
    std::string name = options.name;
    lanes_.emplace(std::move(name), std::move(options));
  }
}

Result<void> Queue::load() {
  const auto streams = store_.streams();
  if (!streams) return streams.error();
  if (auto loaded = watermarks_.load(); !loaded) return loaded;
  inbox_.load(*streams);
  return outbox_.load(*streams);
}

void Queue::started(ServicePort& port) {
  port_ = &port;
  for (const std::string& finding : store_.findings()) port.log(LogLevel::error, finding);
  outbox_.start(port);
  inbox_.start(port);
}

void Queue::stopping() {
  if (outbox_.has_erasures()) static_cast<void>(outbox_.stage_erasures().ok());  // lost: duplicates, which are dropped
  commit();
  port_ = nullptr;
}

const LaneOptions& Queue::lane(std::string_view name) {
  auto [found, fresh] = lanes_.try_emplace(std::string{name});
  if (fresh) found->second.name = name;
  return found->second;
}

Result<void> Queue::handle(Message& message) {
  const auto is = [&]<class T>(T*& value) {
    if (message.inline_bytes == 0 || message.type != type_info<T>().id) return false;
    value = static_cast<T*>(message.inline_value());
    return true;
  };
  if (Commit* batch = nullptr; is(batch)) {
    take(*batch, message);
  } else if (IncomingRow* row = nullptr; is(row)) {
    take(*row);
  } else if (Settle* settle = nullptr; is(settle)) {
    take(*settle);
  } else if (StreamAck* ack = nullptr; is(ack)) {
    outbox_.acknowledged(*ack);
  } else if (Consume* consume = nullptr; is(consume)) {
    if (auto taken = inbox_.consume(message.sender, *consume); !taken) {
      port_->log(LogLevel::error, system_.describe(message.sender) + " cannot consume: " + taken.error().text());
    }
  } else if (Ended* ended = nullptr; is(ended)) {
    inbox_.ended(ended->actor);
  } else if (LinkUp* up = nullptr; is(up)) {
    outbox_.link_up(up->node);
  } else if (LinkDown* down = nullptr; is(down)) {
    outbox_.link_down(down->node);
  } else if (ReadState* wanted = nullptr; is(wanted)) {
    read_state(*wanted, message);
  } else if (Inspect* question = nullptr; is(question)) {
    inspect(*question, message);
  } else {
    return ErrorCode::rejected;
  }
  if (group_.size() >= limits::kGroupRows || group_bytes_ >= limits::kGroupBytes) commit();
  return {};
}

// --- In
// ----------------------------------------------------------------------------------------------------------------

Result<Sequence> Queue::stage(const Batch::Enqueue& message) {
  Sequence sequence = 0;
  // A change like the others: where there is no number, what the batch has staged before is given up as well.
  auto drawn = group_.change([&](Store& store) -> Result<void> {
    const auto next = store.next_sequence();
    if (!next) return next.error();
    sequence = *next;
    return {};
  });
  if (!drawn) return drawn.error();
  group_bytes_ += message.payload.bytes().size();
  const LaneOptions& options = lane(message.lane);
  const std::string& node = leads_to(message.node, options);
  if (!node.empty()) return outbox_.put(node, options, message.key, message.payload, sequence);
  return inbox_.put(options, {}, message.key, message.payload.type(), message.payload.block(), sequence);
}

Result<Sequence> Queue::stage(const Batch& batch) {
  Sequence first = 0;
  for (const Batch::Enqueue& message : batch.messages()) {
    const auto sequence = stage(message);
    if (!sequence) return sequence;
    if (first == 0) first = *sequence;
  }
  for (const Batch::StateChange& change : batch.state()) {
    auto staged = group_.change([&](Store& store) {
      return change.value ? store.put_state(change.key, change.value.bytes()) : store.erase_state(change.key);
    });
    if (!staged) return staged.error();
  }
  return first;
}

void Queue::take(Commit& commit, Message& question) {
  auto first = [&]() -> Result<Sequence> {
    if (auto fits = check(commit.batch); !fits) return fits.error();
    if (commit.settles && !inbox_.holds(commit.settles->id())) return ErrorCode::rejected;
    auto staged = stage(commit.batch);
    if (staged && commit.settles) {
      if (auto done = inbox_.settle({commit.settles->id(), Outcome::done, {}, {}, {}}); !done) staged = done.error();
    }
    if (staged && commit.settles) commit.settles->settled();
    return staged;
  }();
  if (!first) {
    ++refused_;
    port_->worker().reply_error(question, first.error().code);
    return;
  }
  if (!group_.open()) {  // an empty batch: there is nothing to wait for
    port_->worker().reply(question, native_message(MessageKind::reply, {}, Receipt{store_.strongest(), 0}));
    return;
  }
  // The answer is made now and sent when the group's fate is known; the question is gone by then.
  MessagePtr answer = native_message(MessageKind::reply, question.sender, Receipt{store_.strongest(), *first});
  answer->sender = question.receiver;
  answer->correlation = question.correlation;
  answer->trace = question.trace;
  group_.then(
      [this, answer = std::move(answer), count = commit.batch.messages().size()](const Result<void>& fate) mutable {
        if (fate) {
          accepted_ += count;
        } else {
          refused_ += count;
          answer->has_error = true;
          answer->error = fate.error().code;
        }
        port_->worker().send_reserved(std::move(answer));
      });
}

Result<void> Queue::check(const Batch& batch) {
  std::map<std::pair<std::string_view, std::string_view>, std::pair<std::uint64_t, std::uint64_t>> more;
  for (const Batch::Enqueue& message : batch.messages()) {
    if (!may_use(message.lane)) return ErrorCode::full;
    if (!valid_name(message.lane, limits::kLaneNameBytes) ||
        (!message.node.empty() && !valid_name(message.node, limits::kNodeNameBytes)) ||
        message.key.size() > limits::kKeyBytes || message.payload.bytes().size() > limits::kPayloadBytes) {
      return ErrorCode::invalid_argument;
    }
    const LaneOptions& options = lane(message.lane);
    const std::string& node = leads_to(message.node, options);
    auto& [messages, bytes] = more[{node, message.lane}];
    ++messages;
    bytes += message.payload.bytes().size();
    if (!has_room(node, options, messages, bytes)) return ErrorCode::full;
  }
  for (const Batch::StateChange& change : batch.state()) {
    if (change.key.empty() || change.key.size() > limits::kKeyBytes ||
        change.value.bytes().size() > limits::kPayloadBytes) {
      return ErrorCode::invalid_argument;
    }
  }
  return {};
}

const std::string& Queue::leads_to(const std::string& node, const LaneOptions& options) const noexcept {
  return node.empty() || node == system_.directory.own_node() ? options.forward_to : node;
}

bool Queue::has_room(std::string_view node, const LaneOptions& options, std::uint64_t messages,
                     std::uint64_t bytes) const noexcept {
  const Load held = node.empty() ? inbox_.load_of(options.name) : outbox_.load_of(node, options.name);
  return held.messages + messages <= options.max_messages && held.bytes + bytes <= options.max_bytes;
}

void Queue::take(IncomingRow& row) {
  if (!valid_name(row.lane, limits::kLaneNameBytes) || !may_use(row.lane)) {
    ++refused_;
    send_ack({row.producer, row.lane, 0, true, ErrorCode::invalid_argument});
    return;
  }
  switch (watermarks_.judge(row)) {
    case Watermarks::Verdict::duplicate:
      ++duplicates_;
      send_ack({row.producer, row.lane, watermarks_.committed(row), false, ErrorCode{}});
      return;
    case Watermarks::Verdict::gap:
      send_ack({row.producer, row.lane, watermarks_.committed(row), true, ErrorCode::not_found});
      return;
    case Watermarks::Verdict::fresh: break;
  }
  group_bytes_ += row.payload.bytes().size();
  const LaneOptions& options = lane(row.lane);
  ErrorCode refusal = ErrorCode::full;
  if (has_room(options.forward_to, options, 1, row.payload.bytes().size())) {
    const auto sequence = store_.next_sequence();
    const auto staged =
        !sequence ? sequence
        : options.forward_to.empty()
            ? inbox_.put(options, row.producer, row.key, row.type, row.payload, *sequence)
            : outbox_.put(options.forward_to, options, row.key, AnyTable{row.type, nullptr, row.payload}, *sequence);
    if (staged) {
      if constexpr (is_mutant(Mutant::ack_row_before_commit)) {
        send_ack({row.producer, row.lane, row.sequence, false, ErrorCode{}});
      }
      if (watermarks_.staged(row)) {
        group_.then([this](const Result<void>& fate) {
          for (StreamAck& ack : watermarks_.settle(fate)) send_ack(std::move(ack));
        });
      }
      return;  // acknowledged when the group is committed
    }
    refusal = staged.error().code;
  }
  ++refused_;
  send_ack({row.producer, row.lane, watermarks_.committed(row), true, refusal});
}

void Queue::take(Settle& settle) {
  if (settle.outcome == Outcome::done) {
    if (auto fits = check(settle.batch); !fits) {
      settle = {
          settle.delivery, Outcome::retry, kDefaultRetryDelay, "its effects were refused: " + fits.error().text(), {}};
    }
  }
  if (!inbox_.holds(settle.delivery)) return;  // the second word on a delivery, or of a consumer that has ended
  auto staged = settle.outcome == Outcome::done ? stage(settle.batch) : Result<Sequence>{Sequence{0}};
  if constexpr (is_mutant(Mutant::effect_apart)) commit();
  if (staged) {
    auto settled = inbox_.settle(settle);
    if (settled) return;
    staged = settled.error();
  }
  // The group has ended with an error, on a full disk perhaps: the word stands, and is tried again.
  port_->log(LogLevel::error, "the queue cannot keep what became of a delivery yet: " + staged.error().text());
  port_->after(kSettleAgain, [this, again = std::move(settle)]() mutable { take(again); });
}

// --- The commit
// ----------------------------------------------------------------------------------------------------------

void Queue::commit() {
  group_bytes_ = 0;
  if (!group_.open()) return;
  if (auto written = watermarks_.write(group_); written) group_.commit(Durability::fsynced);
}

bool Queue::after_actors(MonoTime) {
  if (port_ == nullptr) return false;
  if (outbox_.has_erasures() && (group_.open() || std::exchange(erase_now_, false))) {
    static_cast<void>(outbox_.stage_erasures().ok());  // they stay, and are tried again
  }
  commit();
  const bool stale = outbox_.count_is_stale() && !outbox_.has_erasures();
  if (std::exchange(failures_seen_, group_.failures()) != group_.failures() || stale) count_anew();
  if (outbox_.has_erasures() && erasing_ == TimerId{}) {
    erasing_ = port_->after(kErasureDelay, [this] {
      erasing_ = TimerId{};
      erase_now_ = true;
    });
  }
  inbox_.feed();
  return outbox_.pump();
}

void Queue::count_anew() {
  const auto streams = store_.streams();
  if (!streams) return;
  outbox_.recount(*streams);
  inbox_.recount(*streams);
}

void Queue::send_ack(StreamAck ack) {
  port_->worker().send_reserved(native_message(MessageKind::tell, system_.router, std::move(ack)));
}

// --- Questions
// -----------------------------------------------------------------------------------------------------------

void Queue::read_state(const ReadState& request, Message& question) {
  commit();  // what was put before is read
  std::vector<StateRow> rows;
  auto read = store_.read_state(request.prefix, [&](std::string_view key, std::span<const std::byte> value) {
    if (rows.size() >= request.limit) return false;
    rows.push_back({std::string{key}, BlockRef::copy_of(value)});
    return true;
  });
  if (!read) {
    port_->worker().reply_error(question, read.error().code);
  } else {
    port_->worker().reply(question, native_message(MessageKind::reply, {}, std::move(rows)));
  }
}

void Queue::inspect(const Inspect& request, Message& question) {
  commit();
  QueueStatus status;
  outbox_.describe(status, request);
  inbox_.describe(status, request);
  status.store = store_.counters();
  status.accepted = accepted_;
  status.delivered = outbox_.counters().delivered;
  status.handled = inbox_.counters().handled;
  status.duplicates = duplicates_;
  status.refused = refused_;
  port_->worker().reply(question, native_message(MessageKind::reply, {}, std::move(status)));
}

}  // namespace pannier
