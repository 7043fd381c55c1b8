// The way of a message into the store, from admission to receipt. Read it from top to bottom: what comes in, whether
// there is room, the row, the commit, and what follows from the commit.

#include <algorithm>
#include <optional>

#include "platform/concat.h"
#include "runtime/message/names.h"
#include "runtime/message/topic_text.h"
#include "runtime/mutants.h"
#include "runtime/queue/queue.h"

namespace pannier {

namespace {

/// After a commit failed, how a consumer settled a delivery is stored again after so long.
constexpr Duration kSettleAgain = std::chrono::milliseconds{100};
/// Rows that are looked at for one that may be evicted.
constexpr std::size_t kEvictRows = 64;

Error wrong(std::string what) { return {ErrorCode::invalid_argument, std::move(what)}; }

/// The batch itself is refused, and would be each time: the disk is not at fault.
bool is_refusal(ErrorCode code) noexcept {
  return code == ErrorCode::full || code == ErrorCode::rejected || code == ErrorCode::unsupported ||
         code == ErrorCode::invalid_argument || code == ErrorCode::conflict || code == ErrorCode::not_found;
}

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

/// What a peer sends joins a group of others only if it can be stored.
bool is_valid(const IncomingRow& row) noexcept {
  return valid_name(row.producer, limits::kNodeNameBytes) && valid_name(row.lane, limits::kLaneNameBytes) &&
         row.path.size() <= limits::kPathBytes - limits::kNodeNameBytes - 1 && row.key.size() <= limits::kKeyBytes &&
         row.payload.bytes().size() <= limits::kPayloadBytes && row.sequence > 0 &&
         row.sequence <= limits::kMaxSequence;
}

/// The nodes that have stored a row, its producer last.
std::string path_of(const IncomingRow& row) {
  return row.path.empty() ? row.producer : concat({row.path, " ", row.producer});
}

/// Of a row from a peer, which may say anything.
Duration lifetime(std::uint64_t remaining_ms) {
  constexpr auto kMost = std::chrono::duration_cast<std::chrono::milliseconds>(limits::kLongestWait);
  return std::chrono::milliseconds{std::min(remaining_ms, static_cast<std::uint64_t>(kMost.count()))};
}

}  // namespace

// --- 1. What comes in -----------------------------------------------------------------------------------------------

/// From an actor of this node.
void Queue::enqueue(Commit& commit, const ReplyTo& reply_to) {
  trace_ = reply_to.trace;
  auto receipt = [&]() -> Result<Receipt> {
    if (auto routed = route(commit.batch); !routed) return routed.error();
    if (auto valid = check(commit.batch); !valid) return valid.error();
    if (commit.settles && !inbox_.holds(commit.settles->id())) return ErrorCode::rejected;
    auto staged = stage(commit.batch);
    if (staged && commit.settles) {
      if (auto settled = inbox_.settle({commit.settles->id(), Outcome::ack, {}, {}, {}, {}}); !settled)
        return settled.error();
      commit.settles->mark_settled();
      staged->durability = std::max(staged->durability, Durability::committed);
    }
    return staged;
  }();
  if (receipt) {
    answer_after_commit(reply_to, *receipt, commit.batch.messages().size());
  } else {
    ++refused_;
    if (receipt.error().code == ErrorCode::storage_full) disk_is_full();
    for (const Batch::Enqueue& message : commit.batch.messages()) {
      if (LaneStatus* lane = lanes_.find(message.lane)) ++lane->counters.refused;
    }
    host_->reply(reply_to.message(receipt.error()));
    if (group_.is_open()) group_.hurry();
  }
  if (staged_.messages >= limits::kGroupRows || staged_.bytes >= limits::kGroupBytes) static_cast<void>(commit_group());
}

/// From another node.
void Queue::receive(IncomingRow& row) {
  trace_ = row.trace;
  Watermarks::Mark* mark = watermarks_.find(row);
  const auto committed = [&] { return mark == nullptr ? 0 : mark->watermark.sequence; };
  const auto refuse = [&](ErrorCode cause) { answer_row(row, committed(), cause); };
  if (!is_valid(row)) {
    ++refused_;
    return answer_row(row, 0, ErrorCode::invalid_argument);
  }
  switch (Watermarks::judge(row, mark)) {
    case Watermarks::Verdict::duplicate:
      ++duplicates_;
      if (LaneStatus* known = lanes_.find(row.lane)) ++known->counters.duplicates;
      return answer_row(row, committed(), {});
    case Watermarks::Verdict::gap: return refuse(ErrorCode::not_found);
    case Watermarks::Verdict::fresh: break;
  }
  // Nothing that the row names is entered anywhere before it is known that there is room for it.
  LaneStatus* lane = lanes_.use_for(row.lane, row.charge.account());
  if (lane != nullptr && mark == nullptr) mark = watermarks_.open(row);
  if (lane == nullptr || mark == nullptr) {
    ++refused_;
    return refuse(ErrorCode::full);
  }
  const std::string path = lane->options.forward_to.empty() ? std::string{} : path_of(row);
  if (!path.empty() && !leads_on(path, *lane)) {
    ++refused_;
    ++lane->counters.refused;
    return refuse(ErrorCode::rejected);
  }
  NewMessage message{.node = lane->options.forward_to,
                     .lane = lane,
                     .key = row.key,
                     .type = row.type,
                     .payload = row.payload,
                     .expires_at = expiry_of(*lane, lifetime(row.remaining_ms))};
  message.producer = message.node.empty() ? std::string_view{row.producer} : std::string_view{path};
  Receipt receipt;
  if (const auto staged = put(message, receipt); !staged) {
    ++refused_;
    ++lane->counters.refused;
    if (group_.is_open()) group_.hurry();
    return refuse(staged.error().code);
  }
  group_.need(Durability::fsynced);
  group_.hurry();
  if constexpr (is_mutant(Mutant::ack_row_before_commit)) answer_row(row, row.sequence, {});
  if (watermarks_.stage(row, *mark)) group_.then(effect::Received{});
  if (staged_.messages >= limits::kGroupRows || staged_.bytes >= limits::kGroupBytes) static_cast<void>(commit_group());
}

/// The row stays charged to its peer until its answer has left, so that answers cannot pile up either.
void Queue::answer_row(IncomingRow& row, Sequence taken, std::optional<ErrorCode> refusal) {
  if (refusal == ErrorCode::storage_full) disk_is_full();
  if (refusal == ErrorCode::storage_full || refusal == ErrorCode::full) {
    remember_refused(row.producer, row.lane, row.incarnation);
  }
  host_->send_ack({row.producer, row.lane, taken, refusal.has_value(), refusal.value_or(ErrorCode{}), row.incarnation,
                   std::move(row.charge)});
}

/// False: the lane goes in a circle, or over too many nodes.
bool Queue::leads_on(std::string_view path, const LaneStatus& lane) {
  std::string circle;
  bool returns = false;
  std::size_t nodes = 1;
  for (std::string_view rest = path; !rest.empty(); ++nodes) {
    const std::string_view node = rest.substr(0, rest.find(' '));
    returns = returns || node == lane.options.forward_to;
    if (returns) circle += concat({node, " -> "});
    rest.remove_prefix(std::min(node.size() + 1, rest.size()));
  }
  if (!returns && nodes < limits::kHops) return true;
  if (circles_.insert(lane.options.name).second) {
    host_->log(
        LogLevel::warning,
        concat({"lane '", lane.options.name, "' is forwarded ",
                returns ? concat({"in a circle, ", printable(circle), own_node_, " -> ", lane.options.forward_to})
                        : concat({"over more than ", limits::kHops, " nodes"}),
                ": change forward_to on one of them. Its messages are refused, and become dead letters."}));
  }
  return false;
}

/// From a consumer, with the effects that share the acknowledgement's transaction.
void Queue::settle(Settle& settle) {
  if (!inbox_.holds(settle.delivery)) return;  // settled before, or its consumer has ended
  trace_ = settle.trace;
  Result<void> staged;
  if (settle.outcome == Outcome::ack && !settle.batch.empty()) {
    staged = route(settle.batch);
    if (staged) staged = check(settle.batch);
    if (staged) {
      auto receipt = stage(settle.batch);
      if (receipt) {
        group_.need(receipt->durability);
      } else {
        staged = receipt.error();
      }
    }
    if (!staged && is_refusal(staged.error().code)) {
      settle = {settle.delivery, Outcome::retry, {}, "its effects were refused: " + staged.error().text(), {}, {}};
      staged = {};
    }
  }
  if constexpr (is_mutant(Mutant::effect_apart)) static_cast<void>(commit_group());
  if (staged) staged = inbox_.settle(settle);
  if (staged && group_.is_open()) group_.hurry();
  if (staged) return;
  // The group has failed, on a full disk perhaps: what the consumer said stands, and is tried again.
  host_->log(LogLevel::error, "a delivery is settled, but the store failed; trying again: " + staged.error().text());
  host_->after(kSettleAgain, [this, again = std::move(settle)]() mutable { this->settle(again); });
}

// --- 2. Whether it can be stored at all -----------------------------------------------------------------------------

/// What goes to a topic goes to each lane that takes it.
Result<void> Queue::route(Batch& batch) const {
  const Batch::Messages& all = batch.messages();
  if (std::none_of(all.begin(), all.end(), [](const Batch::Enqueue& each) { return each.to_topic; })) return {};
  Batch::Messages routed;
  for (const Batch::Enqueue& message : all) {
    routed.push_back(message);
    if (!message.to_topic) continue;
    routed.pop_back();
    if (auto good = check_topic(message.lane); !good) return good;
    const std::size_t before = routed.size();
    lanes_.each([&](const LaneStatus& lane) {
      const auto& filters = lane.options.topics;
      const auto takes = [&](const std::string& filter) { return topic_matches(filter, message.lane); };
      if (std::none_of(filters.begin(), filters.end(), takes)) return;
      routed.push_back(message);
      routed.back().lane = lane.options.name;
      routed.back().to_topic = false;
    });
    if (routed.size() == before) {
      return Error{ErrorCode::not_found, concat({"enqueue: no lane takes topic '", message.lane,
                                                 "': give the lane that should a filter in `topics`."})};
    }
  }
  batch.replace_messages(std::move(routed));
  return {};
}

Result<void> Queue::check(const Batch& batch) {
  for (const Batch::Enqueue& message : batch.messages()) {
    if (!valid_name(message.lane, limits::kLaneNameBytes)) {
      return wrong(concat({"enqueue: '", message.lane, "' is not a lane: use 1 to 64 characters of a-z 0-9 . _ -"}));
    }
    if (!message.node.empty() && !valid_name(message.node, limits::kNodeNameBytes)) {
      return wrong(concat({"enqueue: '", message.node, "' is not a node: use 1 to 64 characters of a-z 0-9 . _ -"}));
    }
    if (lanes_.use(message.lane) == nullptr) {
      return Error{ErrorCode::full, concat({"enqueue: this node uses ", limits::kLanes, " lanes already."})};
    }
    if (message.key.size() > limits::kKeyBytes) return wrong("enqueue: a key has at most 255 bytes.");
    if (message.payload.bytes().size() > limits::kPayloadBytes) return wrong("enqueue: a payload has at most 256 KiB.");
    if (auto sane = check_options(message.options); !sane) return sane;
    if (!message.options.token.empty() && store_.tokens() == nullptr) {
      return Error{ErrorCode::unsupported, "enqueue: the node's store was opened without tokens."};
    }
  }
  for (const Batch::StateChange& change : batch.state()) {
    if (change.key.empty() || change.key.size() > limits::kStateKeyBytes) {
      return wrong("put_state: a key has 1 to 255 bytes.");
    }
    if (change.value.bytes().size() > limits::kPayloadBytes) return wrong("put_state: a value has at most 256 KiB.");
  }
  if (!batch.state().empty() && store_.state() == nullptr) {
    return Error{ErrorCode::unsupported, "put_state: the node's store was opened without state."};
  }
  if (batch.sql().size() > limits::kSqlStatements) return wrong("execute: a batch has at most 256 statements.");
  if (!batch.sql().empty() && store_.sql() == nullptr) {
    return Error{ErrorCode::unsupported, "execute: the node's store knows no SQL."};
  }
  for (const SqlStatement& statement : batch.sql()) {
    if (auto sane = check_sql(statement); !sane) return sane;
  }
  return {};
}

/// All of a batch, or nothing of it. full: no room; rejected: an SQL statement failed; conflict: Batch::refuse_if;
/// otherwise what ended the group.
Result<Receipt> Queue::stage(const Batch& batch) {
  const auto& messages = batch.messages();
  const bool alone = messages.size() == 1 && batch.state().empty() && batch.sql().empty();
  // One message is not left half done; this most common case needs no savepoint.
  if (alone && messages.front().options.token.empty()) return stage(messages.front());
  Receipt receipt;
  bool skipped = false;
  in_part_ = true;
  auto staged = group_.part([&]() -> Result<void> {
    auto all = stage_all(batch, skipped);
    if (!all) return all.error();
    receipt = *all;
    return {};
  });
  in_part_ = false;
  // The earlier batch may be in this very group: the receipt waits for its commit.
  if (!staged && skipped) return Receipt{.durability = Durability::fsynced, .duplicate = true};
  if (!staged) return staged.error();
  if (!batch.sql().empty()) group_.then(effect::SqlChanged{});
  return receipt;
}

Result<void> Queue::run(const SqlStatement& statement, bool& skipped) {
  if (statement.purpose == SqlStatement::Purpose::change) {
    return group_.attempt([&](Store& store) { return store.sql()->execute(statement); });
  }
  std::optional<std::string> found;
  auto asked = group_.attempt([&](Store& store) {
    return store.sql()->query(statement, [&](std::span<const SqlValue> row) {
      const auto* text = row.empty() ? nullptr : std::get_if<std::string>(&row[0]);
      found = text != nullptr ? *text : std::string{"it is not as the batch expects it"};
      return false;
    });
  });
  if (!asked || !found) return asked;
  skipped = statement.purpose == SqlStatement::Purpose::skip_if;
  return Error{ErrorCode::conflict, std::move(*found)};
}

Result<Receipt> Queue::stage_all(const Batch& batch, bool& skipped) {
  Receipt receipt;
  constexpr auto kSkipIf = SqlStatement::Purpose::skip_if;
  for (const bool first : {true, false}) {
    for (const SqlStatement& statement : batch.sql()) {
      if ((statement.purpose == kSkipIf) != first) continue;
      if (auto done = run(statement, skipped); !done) return done.error();
    }
  }
  for (const Batch::StateChange& change : batch.state()) {
    auto put = group_.change([&](Store& store) {
      return change.value ? store.state()->put_state(change.key, change.value.bytes())
                          : store.state()->erase_state(change.key);
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

Result<Receipt> Queue::stage(const Batch::Enqueue& message) {
  LaneStatus& lane = *lanes_.find(message.lane);
  const EnqueueOptions& options = message.options;
  Receipt receipt{.durability = options.durability.value_or(lane.options.durability)};
  NewMessage row{.node = message.node.empty() || message.node == own_node_ ? lane.options.forward_to : message.node,
                 .lane = &lane,
                 .key = message.key,
                 .type = message.payload.type(),
                 .payload = message.payload.block(),
                 .expires_at = expiry_of(lane, options.expires_in),
                 .token = options.token};
  if (options.delay > Duration::zero()) row.due = clock_.now() + options.delay;
  // One that expires before it is due is never delivered; it goes when it expires.
  if (row.due != kNoMoment && row.expires_at != kNoMoment) row.due = std::min(row.due, row.expires_at);
  auto put_row = put(row, receipt);
  if (!put_row) return put_row.error();
  return receipt;
}

StoreTime Queue::expiry_of(const LaneStatus& lane, Duration asked) const noexcept {
  const Duration lives = asked > Duration::zero() ? asked : lane.options.expiry;
  return lives > Duration::zero() ? clock_.now() + std::min(lives, limits::kLongestWait) : kNoMoment;
}

// --- 3. Admission ---------------------------------------------------------------------------------------------------

/// Finds the stream and the room, and stages the row. Either the row is staged and exactly what had to go is gone, or
/// nothing has changed.
Result<void> Queue::put(const NewMessage& message, Receipt& receipt) {
  const Box box = message.node.empty() ? Box::inbox : Box::outbox;
  const LaneOptions& options = message.lane->options;
  StreamId id{};
  if (const Stream* known = store_.find_stream(box, message.node, options.name)) {
    id = known->id;
  } else {
    auto made = group_.attempt([&](Store& store) -> Result<void> {
      const auto stream = store.stream(box, message.node, options.name);
      if (stream) id = *stream;
      return stream ? Result<void>{} : stream.error();
    });
    if (!made) return made;
  }
  if (!message.token.empty()) {
    const auto earlier = store_.tokens()->token(id, message.token, clock_.now());
    if (!earlier) return earlier.error();
    if (*earlier != 0) {
      receipt.sequence = *earlier;
      receipt.duplicate = true;
      ++message.lane->counters.duplicates;
      return {};
    }
  }
  const std::size_t bytes = message.payload.bytes().size();
  const bool replaces = options.eviction == Eviction::latest_per_key && !message.key.empty();
  if (!replaces && fits(*store_.find_stream(id), *message.lane, bytes) && node_fits(bytes)) {
    return put_row(id, message, receipt);
  }
  const auto evict_and_put = [&]() -> Result<void> {
    if (auto room = make_room(id, message); !room) return room;
    return put_row(id, message, receipt);
  };
  return in_part_ ? evict_and_put() : group_.part(evict_and_put);
}

bool Queue::fits(const Stream& stream, const LaneStatus& lane, std::size_t bytes) const noexcept {
  Load load = stream[RowState::ready];
  load += stream[RowState::delayed];
  return load.messages + 1 <= lane.options.max_messages && load.bytes + bytes <= lane.options.max_bytes;
}

bool Queue::node_fits(std::size_t bytes) const noexcept {
  if (options_.max_bytes == 0) return true;
  Load load = store_.total(RowState::ready);
  load += store_.total(RowState::delayed);
  return load.bytes + bytes <= options_.max_bytes;
}

/// Within a part of the group. full: there is no room.
Result<void> Queue::make_room(StreamId id, const NewMessage& message) {
  LaneStatus& lane = *message.lane;
  const std::size_t bytes = message.payload.bytes().size();
  const auto enough = [&] { return fits(*store_.find_stream(id), lane, bytes); };
  if (lane.options.eviction == Eviction::latest_per_key && !message.key.empty()) {
    const RowState state = message.due == kNoMoment ? RowState::ready : RowState::delayed;
    const auto replaced = latest_of(id, state, message.key);
    if (!replaced) return replaced.error();
    if (*replaced != 0) {
      auto erased = erase(*store_.find_stream(id), lane, *replaced, &LaneCounters::evicted);
      if (!erased) return erased.error();
    }
  }
  // What was acknowledged or has expired, and still waits to be erased, counts no more.
  if (!enough() && outbox_.has_erasures()) {
    if (auto erased = outbox_.stage_erasures(); !erased) return erased;
  }
  if (!enough() && has_expired(id)) {
    if (auto swept = sweep(id); !swept) return swept.error();
  }
  if (!enough()) {
    if (lane.options.eviction != Eviction::oldest || bytes > lane.options.max_bytes) return ErrorCode::full;
    const auto evicted = evict(id, lane, enough);
    if (!evicted) return evicted.error();
    if (!*evicted) return ErrorCode::full;
  }
  if (!node_fits(bytes)) {
    if (lane.options.eviction != Eviction::lowest_priority) return ErrorCode::full;
    const auto evicted = evict_lower(message);
    if (!evicted) return evicted.error();
    if (!*evicted) return ErrorCode::full;
  }
  return {};
}

/// The message that a later one of its key replaces; 0: none. The table may name rows that have gone meanwhile.
Result<Sequence> Queue::latest_of(StreamId id, RowState state, std::string_view key) {
  const auto [at, fresh] = latest_.try_emplace({id, state});
  Latest& latest = at->second;
  if (fresh || latest.size() > limits::kLatestKeys) {
    latest.clear();
    auto read = store_.read(id, state, 0, limits::kLatestKeys, [&](const Row& row) {
      latest.insert_or_assign(std::string{row.key}, row.sequence);
      return true;
    });
    if (!read) {
      latest_.erase(at);
      return read.error();
    }
  }
  const auto known = latest.find(std::string{key});
  if (known == latest.end()) return Sequence{0};
  bool there = false;
  auto read = store_.read(id, state, known->second - 1, 1, [&](const Row& row) {
    there = row.sequence == known->second && row.key == key;
    return false;
  });
  if (!read) return read.error();
  return there ? known->second : Sequence{0};
}

/// Erases a row that has not left. False: it is in flight or in someone's hands.
Result<bool> Queue::erase(const Stream& stream, LaneStatus& lane, Sequence sequence,
                          std::uint64_t LaneCounters::*counter) {
  const StreamId id = stream.id;
  const Box box = stream.box;
  const bool may_go = box == Box::outbox ? outbox_.may_remove(id, sequence) : inbox_.remove(id, sequence);
  if (!may_go) return false;
  auto erased = group_.change([&](Store& store) { return store.erase(id, sequence); });
  if (!erased) return erased.error();
  group_.then(effect::Removed{id, box, &lane, sequence, counter});
  return true;
}

/// Erases the oldest ready rows of a stream until there is enough room. False: the rest may not be erased.
Result<bool> Queue::evict(StreamId id, LaneStatus& lane, FunctionRef<bool()> enough) {
  Sequence after = 0;
  while (!enough()) {
    std::vector<Sequence> oldest;
    auto read = store_.read(id, RowState::ready, after, kEvictRows, [&](const Row& row) {
      oldest.push_back(row.sequence);
      return true;
    });
    if (!read) return read.error();
    if (oldest.empty()) return false;
    for (const Sequence sequence : oldest) {
      if (enough()) break;
      after = sequence;
      if (auto erased = erase(*store_.find_stream(id), lane, sequence, &LaneCounters::evicted); !erased) return erased;
    }
  }
  return true;
}

/// Erases messages of lanes with a lower priority, the lowest first, until the node's quota has room.
Result<bool> Queue::evict_lower(const NewMessage& message) {
  struct Lower {
    std::uint32_t priority;
    StreamId stream;
    LaneStatus* lane;
  };
  std::vector<Lower> lower;
  const auto collect = [&](const Stream& each) {
    LaneStatus* lane = lanes_.of_stream(each.lane);
    const bool is_lower = lane != nullptr && lane->options.priority < message.lane->options.priority;
    if (is_lower && each[RowState::ready].messages > 0) lower.push_back({lane->options.priority, each.id, lane});
    return true;
  };
  store_.visit_streams(std::nullopt, std::nullopt, collect);
  std::sort(lower.begin(), lower.end(), [](const Lower& left, const Lower& right) {
    return std::pair{left.priority, left.stream} < std::pair{right.priority, right.stream};
  });
  const auto enough = [&] { return node_fits(message.payload.bytes().size()); };
  for (const Lower& each : lower) {
    const auto evicted = evict(each.stream, *each.lane, enough);
    if (!evicted || *evicted) return evicted;
  }
  return enough();
}

// --- 4. The row -----------------------------------------------------------------------------------------------------

Result<void> Queue::put_row(StreamId id, const NewMessage& message, Receipt& receipt) {
  Row row;
  auto drawn = group_.attempt([&](Store& store) -> Result<void> {
    const auto next = store.next_sequence();
    if (next) row.sequence = *next;
    return next ? Result<void>{} : next.error();
  });
  if (!drawn) return drawn;
  if (!message.token.empty()) {
    const StoreTime now = clock_.now();
    auto noted = group_.attempt([&](Store& store) -> Result<void> {
      // Two go for each that comes, so that the table shrinks to what still counts.
      if (auto erased = store.tokens()->erase_tokens(now, 2); !erased) return erased;
      return store.tokens()->put_token(id, message.token, row.sequence, now + limits::kTokenMemory);
    });
    if (!noted) return noted;
  }
  row.stream = id;
  row.key = message.key;
  row.type = message.type;
  row.payload = message.payload.bytes();
  row.enqueued_at = wall_.wall_now();
  row.expires_at = message.expires_at;
  row.moment = message.due;
  row.state = message.due == kNoMoment ? RowState::ready : RowState::delayed;
  row.producer = message.producer;
  row.trace = trace_of(trace_);
  auto staged = group_.change([&](Store& store) { return store.put(row); });
  if (!staged) return staged;
  receipt.sequence = row.sequence;
  staged_ += {1, row.payload.size()};
  if (const auto latest = latest_.find({id, row.state}); latest != latest_.end()) {
    latest->second.insert_or_assign(std::string{row.key}, row.sequence);
  }
  group_.then(effect::Added{id, message.node.empty() ? Box::inbox : Box::outbox, message.lane, row.sequence,
                            std::string{row.key}, row.type, message.payload, row.expires_at, message.due, trace_,
                            std::string{message.node.empty() ? std::string_view{} : message.producer}});
  return {};
}

// --- 5. The receipt waits for the commit ----------------------------------------------------------------------------

void Queue::answer_after_commit(const ReplyTo& reply_to, Receipt receipt, std::size_t messages) {
  const Durability asked = receipt.durability;
  receipt.durability = std::min(asked, store_.strongest());
  MessagePtr reply = reply_to.message(receipt);
  if (!group_.is_open()) {  // an empty batch, or one whose messages are all known: there is nothing to wait for
    host_->reply(std::move(reply));
  } else if (asked == Durability::memory) {
    host_->reply(std::move(reply));
    group_.then(effect::Answered{nullptr, messages});
  } else {
    group_.need(asked);
    group_.hurry();
    group_.then(effect::Answered{std::move(reply), messages});
  }
}

// --- Room that comes back -------------------------------------------------------------------------------------------

void Queue::remember_refused(std::string_view node, std::string_view lane, std::uint64_t incarnation) {
  // A lane that was not let in has no room to wait for.
  if (refused_streams_.size() >= limits::kRefusedStreams || lanes_.find(lane) == nullptr) return;
  refused_streams_.insert({std::string{lane}, std::string{node}, incarnation});
}

/// Asks once a second whether the disk has room again.
void Queue::disk_is_full() {
  if (room_ != TimerId{}) return;
  host_->log(LogLevel::warning, "the store has no room: messages are refused until it has");
  room_ = host_->after(limits::kStoreRetry, [this] { look_for_room(); });
}

void Queue::look_for_room() {
  if (group_.is_open() || !store_.has_room()) {
    room_ = host_->after(limits::kStoreRetry, [this] { look_for_room(); });
    return;
  }
  room_ = TimerId{};
  host_->log(LogLevel::info, "the store has room again");
  invite([](const std::string&) { return true; });
}

/// A quarter of the lane's quota has to be free, so that not every message that goes brings a window of others.
void Queue::invite_to(StreamId id) {
  const Stream* stream = store_.find_stream(id);
  if (stream == nullptr || stream->box != Box::inbox || room_ != TimerId{}) return;
  const LaneStatus* lane = lanes_.find(stream->lane);
  if (lane == nullptr) return;
  Load load = (*stream)[RowState::ready];
  load += (*stream)[RowState::delayed];
  const LaneOptions& options = lane->options;
  if (load.messages > options.max_messages / 4 * 3 || load.bytes > options.max_bytes / 4 * 3) return;
  invite([&](const std::string& name) { return name == options.name; });
}

/// Tells those whose rows were refused that they may come again.
void Queue::invite(FunctionRef<bool(const std::string& lane)> has_room) {
  std::erase_if(refused_streams_, [&](const RefusedStream& stream) {
    if (!has_room(stream.lane)) return false;
    const Sequence taken = watermarks_.committed(stream.node, stream.incarnation, stream.lane);
    host_->send_ack({stream.node, stream.lane, taken, false, {}, stream.incarnation});
    return true;
  });
}

// --- 6. The commit --------------------------------------------------------------------------------------------------

/// Commits what is staged: the durability point of every message in the group.
Result<void> Queue::commit_group() {
  staged_ = {};
  if (!group_.is_open()) return {};
  host_->cancel(std::exchange(linger_, TimerId{}));
  if (auto noted = note_anchor(); !noted) return noted;
  if (auto written = watermarks_.write(); !written) return written;
  return group_.commit();
}

// --- 7. What follows from the commit, in the order in which it was staged -------------------------------------------

void Queue::apply(Effect& effect, const Result<void>& fate) {
  if (!fate) latest_.clear();  // what it says of the failed changes is wrong
  if (auto* added = std::get_if<effect::Added>(&effect)) {
    if (!fate) return;
    ++added->lane->counters.accepted;
    if (added->withdrawn) return;
    if (added->due != kNoMoment) return arm_due(added->due);
    if (added->expires_at != kNoMoment) note_expiry(added->stream, added->expires_at);
    added->box == Box::outbox ? outbox_.added(*added) : inbox_.added(*added);
  } else if (auto* answered = std::get_if<effect::Answered>(&effect)) {
    const bool early = answered->reply == nullptr;
    (fate ? accepted_ : early ? forgotten_ : refused_) += answered->messages;
    if (early) return;
    if (!fate) {
      answered->reply->has_error = true;
      answered->reply->error = fate.error().code;
    }
    host_->reply(std::move(answered->reply));
  } else if (std::get_if<effect::Received>(&effect) != nullptr) {
    const bool full = !fate && fate.error().code == ErrorCode::storage_full;
    if (full) disk_is_full();
    for (StreamAck& ack : watermarks_.settle(fate)) {
      if (full) remember_refused(ack.node, ack.lane, ack.incarnation);
      host_->send_ack(std::move(ack));
    }
  } else if (auto* settled = std::get_if<effect::Settled>(&effect)) {
    if (fate && settled->next_try != kNoMoment) arm_due(settled->next_try);
    const StreamId stream = settled->lane->id;
    inbox_.settle(*settled, fate);
    if (fate) note_if_empty(stream);
    if (fate && !refused_streams_.empty()) invite_to(stream);
  } else if (auto* erased = std::get_if<effect::Acknowledged>(&effect)) {
    outbox_.settle(*erased, fate);
    for (const OutStream* each : erased->streams) note_if_empty(each->id);
  } else if (auto* removed = std::get_if<effect::Removed>(&effect)) {
    if (removed->box == Box::inbox) inbox_.settle(*removed, fate);
    if (!fate) return;
    ++(removed->lane->counters.*removed->counter);
    note_if_empty(removed->stream);
    if (!refused_streams_.empty()) invite_to(removed->stream);
  } else if (auto* moved = std::get_if<effect::Moved>(&effect)) {
    if (!fate) return arm_due(clock_.now() + limits::kStoreRetry);
    latest_.erase({moved->stream, RowState::ready});
    if (moved->counter != nullptr && moved->lane != nullptr) moved->lane->counters.*moved->counter += moved->rows;
    const Stream* stream = store_.find_stream(moved->stream);
    if (stream == nullptr) return;
    if (moved->expires_at != kNoMoment) note_expiry(moved->stream, moved->expires_at);
    stream->box == Box::outbox ? outbox_.grew(moved->stream) : inbox_.grew(moved->stream, moved->from);
    note_if_empty(moved->stream);
  } else if (auto* refused = std::get_if<effect::Refused>(&effect)) {
    outbox_.settle(*refused, fate);
  } else if (auto* read = std::get_if<effect::ReaderSettled>(&effect)) {
    inbox_.readers().settle(*read, fate);
  } else if (auto* changed = std::get_if<effect::ReaderChanged>(&effect)) {
    inbox_.readers().settle(*changed, fate);
  } else if (auto* gap = std::get_if<effect::ReaderGap>(&effect)) {
    inbox_.readers().settle(*gap, fate);
  } else if (auto* retained = std::get_if<effect::Retained>(&effect)) {
    inbox_.settle(*retained, fate);
  } else if (std::get_if<effect::SqlChanged>(&effect) != nullptr) {
    if (fate) sql_changed();
  }
}

}  // namespace pannier
