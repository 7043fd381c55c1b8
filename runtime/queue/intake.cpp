#include "runtime/queue/intake.h"

#include <algorithm>

#include "platform/concat.h"
#include "runtime/actor/directory.h"

namespace pannier {

namespace {

Error wrong(std::string what) { return {ErrorCode::invalid_argument, std::move(what)}; }

Result<void> check_options(const EnqueueOptions& options) {
  const auto sane = [](Duration time) { return time >= Duration::zero() && time <= limits::kLongestWait; };
  if (!sane(options.delay)) return wrong("enqueue: a delay is 0 to a year.");
  if (!sane(options.expires_in)) return wrong("enqueue: expires_in is 0 (as the lane says) to a year.");
  if (options.token.size() > limits::kTokenBytes) return wrong("enqueue: a token has at most 128 bytes.");
  return {};
}

Result<void> check_sql(const SqlStatement& statement) {
  std::size_t bytes = statement.sql.size();
  for (const SqlValue& value : statement.values) {
    if (const auto* text = std::get_if<std::string>(&value)) bytes += text->size();
    if (const auto* blob = std::get_if<std::vector<std::byte>>(&value)) bytes += blob->size();
  }
  if (bytes > limits::kSqlBytes) return wrong("execute: a statement with its values has at most 1 MiB.");
  return {};
}

/// A peer may say anything.
Duration from_afar(std::uint64_t remaining_ms) {
  constexpr auto kMost = std::chrono::duration_cast<std::chrono::milliseconds>(limits::kLongestWait);
  return std::chrono::milliseconds{std::min(remaining_ms, static_cast<std::uint64_t>(kMost.count()))};
}

}  // namespace

Result<void> Intake::check(const Batch& batch) {
  for (const Batch::Enqueue& message : batch.messages()) {
    if (!lanes_.may_use(message.lane)) return Error{ErrorCode::full, "a node uses at most 1,024 lanes"};
    if (!valid_name(message.lane, limits::kLaneNameBytes)) {
      return wrong(concat({"enqueue: '", message.lane, "' is no lane: 1 to 64 characters of a-z 0-9 . _ -"}));
    }
    if (!message.node.empty() && !valid_name(message.node, limits::kNodeNameBytes)) {
      return wrong(concat({"enqueue: '", message.node, "' is no node: 1 to 64 characters of a-z 0-9 . _ -"}));
    }
    if (message.key.size() > limits::kKeyBytes) return wrong("enqueue: a key has at most 255 bytes.");
    if (message.payload.bytes().size() > limits::kPayloadBytes) return wrong("enqueue: a payload has at most 256 KiB.");
    if (auto sane = check_options(message.options); !sane) return sane;
  }
  for (const Batch::StateChange& change : batch.state()) {
    if (change.key.empty() || change.key.size() > limits::kStateKeyBytes) {
      return wrong("put_state: a key has 1 to 255 bytes.");
    }
    if (change.value.bytes().size() > limits::kPayloadBytes) return wrong("put_state: a value has at most 256 KiB.");
  }
  if (batch.sql().size() > limits::kSqlStatements) return wrong("execute: a batch has at most 256 statements.");
  for (const SqlStatement& statement : batch.sql()) {
    if (auto sane = check_sql(statement); !sane) return sane;
  }
  return {};
}

Result<Receipt> Intake::stage(const Batch& batch) {
  const auto& messages = batch.messages();
  const bool alone = messages.size() == 1 && batch.state().empty() && batch.sql().empty();
  // Of what is one change, nothing can be left half done; the most common case is spared the savepoint.
  if (alone && messages.front().options.token.empty()) return stage(messages.front());
  Receipt receipt;
  auto staged = group_.part([&]() -> Result<void> {
    auto all = stage_all(batch);
    if (!all) return all.error();
    receipt = *all;
    return {};
  });
  if (!staged) return staged.error();
  return receipt;
}

Result<Receipt> Intake::stage_all(const Batch& batch) {
  Receipt receipt;
  for (const SqlStatement& statement : batch.sql()) {
    if (auto run = group_.attempt([&](Store& store) { return store.sql() == nullptr ? Result<void>(Error{ErrorCode::unsupported, "This store has no SQL."}) : store.sql()->execute(statement); }); !run) return run.error();
  }
  for (const Batch::StateChange& change : batch.state()) {
    auto put = group_.change([&](Store& store) {
      return change.value ? store.state()->put_state(change.key, change.value.bytes()) : store.state()->erase_state(change.key);
    });
    if (!put) return put.error();
  }
  if (!batch.sql().empty() || !batch.state().empty()) receipt.durability = Durability::fsynced;
  for (const Batch::Enqueue& message : batch.messages()) {
    const auto staged = stage(message);
    if (!staged) return staged;
    if (receipt.sequence == 0) {
      receipt.sequence = staged->sequence;
      receipt.duplicate = staged->duplicate;
    }
    receipt.durability = std::max(receipt.durability, staged->durability);
  }
  return receipt;
}

Result<Receipt> Intake::stage(const Batch::Enqueue& message) {
  const LaneOptions& lane = lanes_[message.lane];
  const EnqueueOptions& options = message.options;
  Receipt receipt{.durability = options.durability.value_or(lane.durability)};
  const NewRow row{.key = message.key,
                   .type = message.payload.type(),
                   .payload = message.payload.block(),
                   .enqueued_at = clock_.wall_now(),
                   .expires_at = expiry_of(lane, options.expires_in),
                   .due = options.delay > Duration::zero() ? store_clock_.now() + options.delay : kNoMoment};
  auto put_row = put(leads_to(message.node, lane), lane, row, options.token, receipt);
  if (!put_row) return put_row.error();
  return receipt;
}

Result<void> Intake::stage(const IncomingRow& row) {
  const LaneOptions& lane = lanes_[row.lane];
  Receipt receipt;
  const NewRow taken{.key = row.key,
                     .type = row.type,
                     .payload = row.payload,
                     .enqueued_at = clock_.wall_now(),
                     .producer = lane.forward_to.empty() ? std::string_view{row.producer} : std::string_view{},
                     .expires_at = expiry_of(lane, from_afar(row.remaining_ms))};
  return put(lane.forward_to, lane, taken, {}, receipt);
}

Result<void> Intake::put(const std::string& node, const LaneOptions& lane, NewRow row, const std::string& token,
                         Receipt& receipt) {
  const Box box = node.empty() ? Box::inbox : Box::outbox;
  auto stream = store_.stream(box, node, lane.name);
  if (!stream) {  // its first message: made within the group
    auto made = group_.attempt([&](Store& store) -> Result<void> {
      stream = store.stream(box, node, lane.name);
      return stream ? Result<void>{} : stream.error();
    });
    if (!made) return made;
  }
  return put(*stream, node, lane, std::move(row), token, receipt);
}

Result<void> Intake::put(StreamId stream, const std::string& node, const LaneOptions& lane, NewRow row,
                         const std::string& token, Receipt& receipt) {
  if (!token.empty()) {
    const auto twice = known(stream, token, receipt);
    if (!twice) return twice.error();
    if (*twice) return {};
  }
  if (auto room = room_.make(stream, lane, row.key, row.payload.bytes().size()); !room) return room;
  auto drawn = group_.attempt([&](Store& store) -> Result<void> {
    const auto next = store.next_sequence();
    if (!next) return next.error();
    row.sequence = *next;
    return {};
  });
  if (!drawn) return drawn;
  if (!token.empty()) {
    if (auto noted = remember(stream, token, row.sequence); !noted) return noted;
  }
  auto staged = node.empty() ? inbox_.put(stream, lane, row) : outbox_.put(stream, node, lane, row);
  if (!staged) return staged;
  receipt.sequence = row.sequence;
  staged_ += {1, row.payload.bytes().size()};
  if (lane.eviction == Eviction::latest_per_key && !row.delayed()) room_.note_latest(stream, row.key, row.sequence);
  if (!row.delayed() && row.expires_at == kNoMoment) return {};
  group_.then([this, stream, due = row.due, expires_at = row.expires_at](const Result<void>& fate) {
    if (!fate) return;
    if (due != kNoMoment) {
      delayed_.note(due);
    } else {
      expiry_.note(stream, expires_at);
    }
  });
  return {};
}

StoreTime Intake::expiry_of(const LaneOptions& lane, Duration asked) const noexcept {
  const Duration lives = asked > Duration::zero() ? asked : lane.expiry;
  return lives > Duration::zero() ? store_clock_.now() + std::min(lives, limits::kLongestWait) : kNoMoment;
}

// --- Idempotency tokens ---------------------------------------------------------------------------------------------

Result<bool> Intake::known(StreamId stream, const std::string& token, Receipt& receipt) {
  const auto earlier = store_.tokens()->token(stream, token, store_clock_.now());
  if (!earlier) return earlier.error();
  if (*earlier == 0) return false;
  receipt.sequence = *earlier;
  receipt.duplicate = true;
  ++lanes_.count(store_.find_stream(stream)->lane).duplicates;
  return true;
}

Result<void> Intake::remember(StreamId stream, const std::string& token, Sequence sequence) {
  const StoreTime now = store_clock_.now();
  // Two go for each that comes, so that the table shrinks to what still counts.
  auto noted = group_.attempt([&](Store& store) -> Result<void> {
    if (auto erased = store.tokens()->erase_tokens(now, 2); !erased) return erased;
    return store.tokens()->put_token(stream, token, sequence, now + limits::kTokenMemory);
  });
  return noted;
}

}  // namespace pannier
