// The queue's step, its links, and its timers: delayed rows, expiry, streams that have become idle.

#include "runtime/queue/queue.h"

#include <algorithm>

#include "platform/concat.h"

namespace pannier {

namespace {

/// How long an erasure waits for another commit to ride in. Losing it costs a duplicate that is dropped.
constexpr Duration kErasureDelay = std::chrono::milliseconds{100};
/// The clocks are noted in a commit that is made anyway, once the last note is so old.
constexpr Duration kAnchorAge = std::chrono::minutes{1};
/// Streams that one step erases at most.
constexpr std::size_t kErasedStreams = 16;

bool is_empty(const Stream& stream) noexcept {
  return stream.exact &&
         std::all_of(stream.loads.begin(), stream.loads.end(), [](const Load& load) { return load.messages == 0; });
}

}  // namespace

Queue::Queue(Store& store, const Clock& clock, std::string own_node, std::vector<LaneOptions> lanes,
             QueueOptions options)
    : store_(store),
      wall_(clock),
      own_node_(std::move(own_node)),
      options_(options),
      lanes_(std::move(lanes)),
      clock_(clock),
      group_(store, [this](Effect& effect, const Result<void>& fate) { apply(effect, fate); }),
      outbox_(store, group_, lanes_, clock_),
      inbox_(store, group_, lanes_, clock_),
      watermarks_(store, group_) {}

Result<void> Queue::load() {
  const auto anchor = store_.anchor();
  if (!anchor) return anchor.error();
  clock_.load(*anchor);
  findings_ = store_.findings();
  if (auto loaded = watermarks_.load(); !loaded) return loaded;
  if (auto loaded = inbox_.load(findings_); !loaded) return loaded;
  // Which rows expire, and when, is not known before a stream is looked at.
  store_.visit_streams(std::nullopt, std::nullopt, [&](const Stream& stream) {
    if (is_empty(stream)) {
      idle_.push_back(stream.id);
      is_idle_.insert(stream.id);
    } else if (!stream.exact || stream[RowState::ready].messages > 0) {
      expiry_.emplace(clock_.now(), stream.id);
      expiry_of_stream_.emplace(stream.id, clock_.now());
    }
    return true;
  });
  return {};
}

void Queue::start(QueueHost& host, SettleSink& sink) {
  host_ = &host;
  for (const std::string& finding : findings_) host.log(LogLevel::warning, finding);
  outbox_.start(host);
  inbox_.start(host, sink);
  arm_due(clock_.now());
  arm_expiry();
}

void Queue::stop() {
  // What fails to be erased here is sent again later, and dropped as a duplicate.
  if (outbox_.has_erasures()) static_cast<void>(outbox_.stage_erasures());
  anchored_ = MonoTime{};
  static_cast<void>(commit_group());
  host_ = nullptr;
}

void Queue::link_down(std::string_view node) {
  outbox_.link_down(node);
  std::erase_if(refused_streams_, [&](const RefusedStream& stream) { return stream.node == node; });
}

// --- The step -------------------------------------------------------------------------------------------------------

bool Queue::step(MonoTime now) {
  if (host_ == nullptr) return false;
  if (outbox_.has_erasures() && (group_.is_open() || std::exchange(erase_now_, false))) {
    static_cast<void>(outbox_.stage_erasures());  // after a failure they are staged again
  }
  // Rows are read for sending and dispatch between groups only: what is staged must not leave before it is committed.
  if (group_.is_open() && may_wait(now)) return false;
  static_cast<void>(commit_group());
  if (outbox_.has_erasures() && erasing_ == TimerId{}) {
    erasing_ = host_->after(kErasureDelay, [this] {
      erasing_ = TimerId{};
      erase_now_ = true;
    });
  }
  bool more = inbox_.dispatch();
  more = outbox_.pump() || more;
  if (!group_.is_open()) {
    more = erase_idle_streams() || more;
    if (counting_ && !group_.is_open()) {
      const auto counted = store_.count_some();
      counting_ = counted && *counted;
      more = more || counting_;
    }
  }
  return more;
}

/// Whether the open group may wait for company a little longer.
bool Queue::may_wait(MonoTime now) {
  const Duration wait = group_.hurried() ? options_.commit_delay : std::max(limits::kLazyCommit, options_.commit_delay);
  if (wait <= Duration::zero()) return false;
  if (linger_ == TimerId{}) commit_due_ = now + wait;
  commit_due_ = std::min(commit_due_, now + wait);
  if (now >= commit_due_) return false;
  host_->cancel(linger_);
  linger_ = host_->after(commit_due_ - now, [] {});  // its step looks again
  return true;
}

Result<void> Queue::note_anchor() {
  const ClockAnchor anchor = clock_.anchor();
  if (anchored_ != MonoTime{} && anchor.mono - anchored_ < kAnchorAge) return {};
  auto noted = group_.change([&](Store& store) { return store.put_anchor(anchor); });
  if (noted) anchored_ = anchor.mono;
  return noted;
}

// --- Links and readers ----------------------------------------------------------------------------------------------

void Queue::link_up(std::string_view node) {
  static_cast<void>(commit_group());  // only streams that are committed are sent
  host_->send_incarnations(node, store_.incarnations());
  outbox_.link_up(node);
}

void Queue::incarnations(std::string_view node, const std::vector<std::uint64_t>& incarnations) {
  if (auto forgotten = watermarks_.forget_others(node, incarnations); !forgotten) {
    host_->log(LogLevel::error, "old watermarks stay for now: " + forgotten.error().text());
  }
}

Result<void> Queue::replay(ActorId reader, const ReplayLane& request) {
  static_cast<void>(commit_group());  // it starts at what is committed
  auto attached = inbox_.replay(reader, request);
  if (group_.is_open()) group_.hurry();
  return attached;
}

// --- Delayed rows, and rows that wait for their next attempt --------------------------------------------------------

/// One timer, for the earliest of them.
void Queue::arm_due(StoreTime due) {
  inbox_.rows_may_wait(true);
  if (due_timer_ != TimerId{} && due_ <= due) return;
  host_->cancel(due_timer_);
  due_ = due;
  due_timer_ = host_->after(std::max(due - clock_.now(), Duration::zero()), [this] {
    due_timer_ = TimerId{};
    release_due();
  });
}

void Queue::release_due() {
  const StoreTime now = clock_.now();
  std::vector<std::pair<StreamId, Sequence>> due;
  auto released = store_.read_due(now, limits::kMoveRows, [&](const Row& row) {
    due.emplace_back(row.stream, row.sequence);
    return true;
  });
  for (const auto& [id, sequence] : due) {
    if (!released) break;
    // Row by row: a change may not be made while rows are being read.
    Row row;
    std::string text;
    for (const RowState state : {RowState::ready, RowState::delayed}) {
      if (!released || row.sequence != 0) continue;
      released = store_.read(id, state, sequence - 1, 1, [&, wanted = sequence](const Row& found) {
        if (found.sequence != wanted) return false;
        text.assign(found.key).append(found.cause);
        row = found;
        return false;
      });
    }
    if (!released || row.sequence == 0) continue;
    row.key = std::string_view{text}.substr(0, row.key.size());
    row.cause = std::string_view{text}.substr(row.key.size());
    row.payload = {};
    row.producer = {};
    released = release(*store_.find_stream(id), row);
  }
  const auto next = released ? store_.next_due() : Result<std::optional<StoreTime>>{released.error()};
  if (!next) {
    host_->log(LogLevel::error, "messages that are due wait for the store: " + next.error().text());
    return arm_due(now + limits::kStoreRetry);
  }
  if (group_.is_open()) group_.hurry();
  inbox_.rows_may_wait(next->has_value());
  if (*next) arm_due(**next);
}

/// Stages what becomes of one row that is due: a delayed one goes behind all others of its stream, one that waited for
/// its next attempt keeps its place.
Result<void> Queue::release(const Stream& stream, const Row& row) {
  LaneStatus* lane = lanes_.of_stream(stream.lane);
  if (lane == nullptr) return ErrorCode::full;
  const StreamId id = stream.id;
  const Box box = stream.box;
  if (row.expires_at != kNoMoment && row.expires_at <= clock_.now()) {
    auto erased = group_.change([&](Store& store) { return store.erase(id, row.sequence); });
    if (erased) group_.then(effect::Removed{id, box, lane, row.sequence, &LaneCounters::expired});
    return erased;
  }
  if (row.state == RowState::ready) {
    auto marked = group_.change([&](Store& store) {
      return store.mark(id, row.sequence, {RowState::ready, row.attempts, row.cause, kNoMoment});
    });
    if (marked) group_.then(effect::Moved{id, lane, nullptr, 0, row.sequence, kNoMoment});
    return marked;
  }
  if (lane->options.eviction == Eviction::latest_per_key && !row.key.empty()) {
    const auto replaced = latest_of(id, RowState::ready, row.key);
    if (!replaced) return replaced.error();
    if (*replaced != 0) {
      if (auto erased = erase(stream, *lane, *replaced, &LaneCounters::evicted); !erased) return erased.error();
    }
  }
  auto moved = group_.change([&](Store& store) -> Result<void> {
    const auto next = store.next_sequence();
    return next ? store.requeue(id, row.sequence, *next) : next.error();
  });
  if (moved) group_.then(effect::Moved{id, lane, nullptr, 0, 0, row.expires_at});
  return moved;
}

// --- Expiry ---------------------------------------------------------------------------------------------------------

// That an expired message is never sent or delivered is outbox.cpp's and dispatch.cpp's care, when its turn comes. This
// is for those whose turn does not come, for want of a link or a consumer: it gives their room back.

void Queue::note_expiry(StreamId stream, StoreTime expires_at) {
  const auto [at, fresh] = expiry_of_stream_.try_emplace(stream, expires_at);
  if (!fresh) {
    if (at->second <= expires_at) return;
    expiry_.erase({at->second, stream});
    at->second = expires_at;
  }
  expiry_.emplace(expires_at, stream);
  if (expiry_.begin()->second == stream) arm_expiry();
}

void Queue::arm_expiry() {
  host_->cancel(std::exchange(expiry_timer_, TimerId{}));
  if (expiry_.empty()) return;
  expiry_timer_ = host_->after(std::max(expiry_.begin()->first - clock_.now(), Duration::zero()), [this] {
    expiry_timer_ = TimerId{};
    sweep_due();
  });
}

void Queue::sweep_due() {
  // One stream a turn: a start looks at each of them, and must not keep others waiting for that.
  if (!expiry_.empty() && expiry_.begin()->first <= clock_.now()) {
    const StreamId stream = expiry_.begin()->second;
    expiry_.erase(expiry_.begin());
    expiry_of_stream_.erase(stream);
    if (auto swept = sweep(stream); !swept) {
      host_->log(LogLevel::error, "expired messages wait for the store: " + swept.error().text());
      note_expiry(stream, clock_.now() + limits::kStoreRetry);
    }
    if (group_.is_open()) group_.hurry();
  }
  arm_expiry();
}

bool Queue::has_expired(StreamId id) const {
  const auto next = expiry_of_stream_.find(id);
  return next != expiry_of_stream_.end() && next->second <= clock_.now();
}

/// Stages the removal of what has expired among the first limits::kExpiryRows ready rows of a stream. How many.
Result<std::size_t> Queue::sweep(StreamId id) {
  const Stream* stream = store_.find_stream(id);
  if (stream == nullptr) return std::size_t{0};
  LaneStatus* lane = lanes_.of_stream(stream->lane);
  if (lane == nullptr) return std::size_t{0};
  const StoreTime now = clock_.now();
  std::vector<Sequence> expired;
  StoreTime next{};
  std::size_t seen = 0;
  auto read = store_.read(id, RowState::ready, 0, limits::kExpiryRows, [&](const Row& row) {
    ++seen;
    if (row.expires_at == kNoMoment) return true;
    if (row.expires_at <= now) {
      expired.push_back(row.sequence);
    } else if (next == kNoMoment || row.expires_at < next) {
      next = row.expires_at;
    }
    return true;
  });
  if (!read) return read.error();
  std::size_t count = 0;
  for (const Sequence sequence : expired) {
    const auto erased = erase(*store_.find_stream(id), *lane, sequence, &LaneCounters::expired);
    if (!erased) return erased.error();
    if (*erased) ++count;
  }
  // A full look that found some may have more behind it.
  if (seen == limits::kExpiryRows && count > 0) next = now;
  // Should the group fail, they are looked at again.
  if (count > 0 && next == kNoMoment) next = now + limits::kStoreRetry;
  if (next != kNoMoment) note_expiry(id, next);
  return count;
}

// --- Streams that come and go ---------------------------------------------------------------------------------------

void Queue::note_if_empty(StreamId id) {
  const Stream* stream = store_.find_stream(id);
  if (stream != nullptr && is_empty(*stream) && is_idle_.insert(id).second) idle_.push_back(id);
}

/// Erases streams that hold nothing, the longest idle first, once there are more than limits::kIdleStreams of them.
/// True where there are more to erase.
bool Queue::erase_idle_streams() {
  for (std::size_t n = 0; n < kErasedStreams && idle_.size() > limits::kIdleStreams; ++n) {
    const StreamId id = idle_.front();
    idle_.pop_front();
    is_idle_.erase(id);
    const Stream* stream = store_.find_stream(id);
    if (stream == nullptr || !is_empty(*stream)) continue;
    if (!outbox_.forget(id) || !inbox_.forget(id)) {  // in use
      idle_.push_back(id);
      is_idle_.insert(id);
      continue;
    }
    bool erased = false;
    auto staged = group_.attempt([&](Store& store) -> Result<void> {
      auto gone = store.erase_stream(id);
      if (gone) erased = *gone;
      return gone ? Result<void>{} : gone.error();
    });
    if (!staged || !erased) continue;
    if (const auto known = expiry_of_stream_.find(id); known != expiry_of_stream_.end()) {
      expiry_.erase({known->second, id});
      expiry_of_stream_.erase(known);
    }
    latest_.erase({id, RowState::ready});
    latest_.erase({id, RowState::delayed});
  }
  return group_.is_open();
}

}  // namespace pannier
