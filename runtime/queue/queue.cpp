#include "runtime/queue/queue.h"

#include <algorithm>

#include "platform/concat.h"
#include "runtime/actor/directory.h"
#include "runtime/store/mutants.h"
#include "runtime/queue/store_streams.h"

namespace pannier {

namespace {

/// How long an erasure waits for somebody else's commit to ride in. Losing it costs a duplicate that is dropped.
constexpr Duration kErasureDelay = std::chrono::milliseconds{100};
/// After a commit failed: what a consumer said of a delivery is tried again, not lost.
constexpr Duration kSettleAgain = std::chrono::milliseconds{100};
/// The clocks are noted in a commit that is made anyway, once the last note is so old.
constexpr Duration kAnchorAge = std::chrono::minutes{1};

/// What a batch asks for is refused, and would be each time: no fault of the disk.
bool is_refusal(ErrorCode code) noexcept {
  return code == ErrorCode::full || code == ErrorCode::rejected || code == ErrorCode::unsupported ||
         code == ErrorCode::invalid_argument;
}

}  // namespace

Queue::Queue(System& system, Store& store, std::vector<LaneOptions> lanes, QueueOptions options)
    : system_(system),
      store_(store),
      options_(options),
      lanes_(std::move(lanes)),
      clock_(system.platform.clock),
      group_(store),
      outbox_(store, group_, lanes_, clock_,
              [this](OutgoingRow row) {
                port_->worker().send_reserved(native_message(MessageKind::tell, system_.router, std::move(row)));
              }),
      inbox_(store, group_, lanes_, clock_),
      boxes_(store, outbox_, inbox_),
      parked_(store, group_, lanes_, boxes_),
      watermarks_(store),
      expiry_(store, group_, lanes_, boxes_, clock_),
      room_(store, group_, lanes_, outbox_, boxes_, expiry_, options.max_bytes),
      delayed_(store, group_, lanes_, boxes_, clock_),
      intake_(system.directory.own_node(), system.platform.clock, clock_, store, group_, lanes_, outbox_, inbox_, room_,
              expiry_, delayed_) {}

Result<void> Queue::load() {
  const auto streams = streams_of(store_);
  if (!streams) return streams.error();
  const auto anchor = store_.anchor();
  if (!anchor) return anchor.error();
  clock_.load(*anchor);
  if (auto loaded = watermarks_.load(); !loaded) return loaded;
  if (auto loaded = inbox_.load(*streams); !loaded) return loaded;
  outbox_.load(*streams);
  return expiry_.load();
}

void Queue::started(ServicePort& port) {
  port_ = &port;
  for (const std::string& finding : store_.findings()) port_->log(LogLevel::warning, finding);
  outbox_.start(port);
  inbox_.start(port);
  expiry_.start(port);
  delayed_.start(port);
}

void Queue::stopping() {
  if (outbox_.has_erasures()) static_cast<void>(outbox_.stage_erasures().ok());  // lost: duplicates, which are dropped
  anchored_ = MonoTime{};
  commit();
  port_ = nullptr;
}

Result<void> Queue::handle(Message& message) {
  const bool was_open = group_.is_open();
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
      port_->log(LogLevel::error,
                 concat({system_.describe(message.sender), " cannot consume: ", taken.error().text()}));
    }
  } else if (ClaimRows* claim = nullptr; is(claim)) {
    if (auto taken = inbox_.claim(message, *claim); !taken) port_->worker().reply_error(message, taken.error());
  } else if (ReplayLane* replay = nullptr; is(replay)) {
    if (auto taken = inbox_.replay(message.sender, *replay); !taken) {
      port_->log(LogLevel::error, concat({system_.describe(message.sender), " cannot replay: ", taken.error().text()}));
    }
  } else if (Ended* ended = nullptr; is(ended)) {
    inbox_.ended(ended->actor);
  } else if (LinkUp* up = nullptr; is(up)) {
    outbox_.link_up(up->node);
  } else if (LinkDown* down = nullptr; is(down)) {
    outbox_.link_down(down->node);
  } else if (!ask(message)) {
    return ErrorCode::rejected;
  }
  if (group_.is_open() && !was_open && !lazy_) group_.hurry();
  lazy_ = false;
  const Load& staged = intake_.staged();
  if (staged.messages >= limits::kGroupRows || staged.bytes >= limits::kGroupBytes) commit();
  return {};
}

// --- In -------------------------------------------------------------------------------------------------------------

void Queue::take(Commit& commit, Message& question) {
  auto receipt = [&]() -> Result<Receipt> {
    if (auto fits = intake_.check(commit.batch); !fits) return fits.error();
    if (commit.settles && !inbox_.holds(commit.settles->id())) return ErrorCode::rejected;
    auto staged = intake_.stage(commit.batch);
    if (staged && commit.settles) {
      if (auto done = inbox_.settle({commit.settles->id(), Outcome::done, {}, {}, {}}); !done) return done.error();
      commit.settles->settled();
      staged->durability = std::max(staged->durability, Durability::committed);
    }
    return staged;
  }();
  if (!receipt) {
    ++refused_;
    for (const Batch::Enqueue& message : commit.batch.messages()) {
      if (lanes_.may_use(message.lane)) ++lanes_.count(message.lane).refused;
    }
    port_->worker().reply_error(question, receipt.error());
  } else {
    answer_later(question, *receipt, commit.batch.messages().size());
  }
}

void Queue::answer_later(const Message& question, const Receipt& receipt, std::size_t messages) {
  Receipt given = receipt;
  given.durability = std::min(receipt.durability, store_.strongest());
  MessagePtr answer = native_message(MessageKind::reply, question.sender, given);
  answer->sender = question.receiver;
  answer->correlation = question.correlation;
  answer->trace = question.trace;
  if (!group_.is_open()) {  // an empty batch, or all known: there is nothing to wait for
    port_->worker().send_reserved(std::move(answer));
    return;
  }
  if (receipt.durability == Durability::memory) {
    lazy_ = true;
    port_->worker().send_reserved(std::move(answer));
    group_.then([this, messages](const Result<void>& fate) {
      if (fate) {
        accepted_ += messages;
      } else {
        forgotten_ += messages;
      }
    });
    return;
  }
  group_.need(receipt.durability);
  group_.hurry();
  // The answer is made now and sent when the group's fate is known; the question is gone by then.
  group_.then([this, answer = std::move(answer), messages](const Result<void>& fate) mutable {
    if (fate) {
      accepted_ += messages;
    } else {
      refused_ += messages;
      answer->has_error = true;
      answer->error = fate.error().code;
    }
    port_->worker().send_reserved(std::move(answer));
  });
}

void Queue::take(IncomingRow& row) {
  if (!valid_name(row.lane, limits::kLaneNameBytes) || !lanes_.may_use(row.lane)) {
    ++refused_;
    send_ack({row.producer, row.lane, 0, true, ErrorCode::invalid_argument});
    return;
  }
  switch (watermarks_.judge(row)) {
    case Watermarks::Verdict::duplicate:
      ++duplicates_;
      ++lanes_.count(row.lane).duplicates;
      send_ack({row.producer, row.lane, watermarks_.committed(row), false, ErrorCode{}});
      return;
    case Watermarks::Verdict::gap:
      send_ack({row.producer, row.lane, watermarks_.committed(row), true, ErrorCode::not_found});
      return;
    case Watermarks::Verdict::fresh: break;
  }
  if (const auto staged = intake_.stage(row); !staged) {
    ++refused_;
    ++lanes_.count(row.lane).refused;
    send_ack({row.producer, row.lane, watermarks_.committed(row), true, staged.error().code});
    return;
  }
  group_.need(Durability::fsynced);
  group_.hurry();
  if constexpr (is_mutant(Mutant::ack_row_before_commit)) {
    send_ack({row.producer, row.lane, row.sequence, false, ErrorCode{}});
  }
  if (!watermarks_.staged(row)) return;
  group_.then([this](const Result<void>& fate) {  // acknowledged when the group is committed
    for (StreamAck& ack : watermarks_.settle(fate)) send_ack(std::move(ack));
  });
}

void Queue::take(Settle& settle) {
  if (settle.outcome == Outcome::done) {
    if (auto can_be = intake_.check(settle.batch); !can_be) {
      settle = {settle.delivery, Outcome::retry, {}, "its effects were refused: " + can_be.error().text(), {}};
    }
  }
  if (!inbox_.holds(settle.delivery)) return;  // the second word on a delivery, or of a consumer that has ended
  Result<Receipt> staged = Receipt{.durability = Durability::fsynced};
  if (settle.outcome == Outcome::done && !settle.batch.empty()) {
    staged = intake_.stage(settle.batch);
    if (!staged && is_refusal(staged.error().code)) {
      settle = {settle.delivery, Outcome::retry, {}, "its effects were refused: " + staged.error().text(), {}};
      staged = Receipt{.durability = Durability::fsynced};
    }
  }
  if constexpr (is_mutant(Mutant::effect_apart)) this->commit();
  if (staged) {
    auto settled = inbox_.settle(settle);
    if (settled) {
      group_.need(std::max(staged->durability, Durability::committed));
      group_.hurry();
      return;
    }
    staged = settled.error();
  }
  // The group has ended with an error, on a full disk perhaps: the word stands, and is tried again.
  port_->log(LogLevel::error, "the queue cannot keep what became of a delivery yet: " + staged.error().text());
  port_->after(kSettleAgain, [this, again = std::move(settle)]() mutable { take(again); });
}

// --- The commit -----------------------------------------------------------------------------------------------------

bool Queue::may_wait(MonoTime now) {
  const Duration wait = group_.hurried() ? options_.commit_delay : std::max(limits::kLazyCommit, options_.commit_delay);
  if (wait <= Duration::zero()) return false;
  if (lingering_ == TimerId{}) commit_due_ = now + wait;
  commit_due_ = std::min(commit_due_, now + wait);
  if (now >= commit_due_) return false;
  port_->cancel(lingering_);
  lingering_ = port_->after(commit_due_ - now, [] {});  // its turn ends with another look
  return true;
}

void Queue::commit() {
  static_cast<void>(intake_.take_staged());
  if (!group_.is_open()) return;
  port_->cancel(std::exchange(lingering_, TimerId{}));
  note_anchor();
  if (!group_.is_open()) return;
  if (auto written = watermarks_.write(group_); written) group_.commit();
}

void Queue::note_anchor() {
  const ClockAnchor anchor = clock_.anchor();
  if (anchored_ != MonoTime{} && anchor.mono - anchored_ < kAnchorAge) return;
  if (group_.change([&](Store& store) { return store.put_anchor(anchor); })) anchored_ = anchor.mono;
}

void Queue::after_failures() {
  if (std::exchange(failures_seen_, group_.failures()) == group_.failures()) return;
  outbox_.forget_streams();
  inbox_.forget_streams();
  room_.forget_latest();
}

bool Queue::after_actors(MonoTime now) {
  if (port_ == nullptr) return false;
  if (outbox_.has_erasures() && (group_.is_open() || std::exchange(erase_now_, false))) {
    static_cast<void>(outbox_.stage_erasures().ok());  // they stay, and are tried again
  }
  after_failures();
  // What is staged must not be read before it is committed: boxes look at the store between groups only.
  if (group_.is_open() && may_wait(now)) return false;
  commit();
  after_failures();
  if (outbox_.has_erasures() && erasing_ == TimerId{}) {
    erasing_ = port_->after(kErasureDelay, [this] {
      erasing_ = TimerId{};
      erase_now_ = true;
    });
  }
  bool more = inbox_.feed();
  more = outbox_.pump() || more;
  if (counting_ && !group_.is_open()) {
    const auto counted = store_.count_some();
    counting_ = counted && *counted;
    more = more || counting_;
  }
  return more;
}

void Queue::send_ack(StreamAck ack) {
  port_->worker().send_reserved(native_message(MessageKind::tell, system_.router, std::move(ack)));
}

}  // namespace pannier
