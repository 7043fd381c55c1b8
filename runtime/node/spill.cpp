#include "runtime/node/spill.h"

#include <utility>

#include <pannier/actor.h>
#include "platform/concat.h"
#include "runtime/actor/worker.h"
#include "runtime/queue/requests.h"

namespace pannier {

namespace {

/// Spilled messages in the mailbox at once, on top of its bound.
constexpr std::uint32_t kWindow = 64;
constexpr Duration kLookAgain = std::chrono::seconds{1};
constexpr Duration kPatience = std::chrono::seconds{10};

/// Enqueues behind everything that came before.
struct LooksEmpty {};

/// Returns a mailbox's spilled messages in order. While something older is in the lane, new messages go there too. The
/// detour ends once the queue reports that this actor holds all that was in the lane, which reaches the target's
/// mailbox before the next message can.
struct Spiller : Actor<Spiller, Down, LooksEmpty> {
  Spiller(ActorId target, std::string lane) : target_(target), lane_(std::move(lane)) {}

  void on_start() {
    watch(Ref{target_});
    consume_lane(lane_, {.window = kWindow}).ignore();
    keep_looking();  // an earlier life of the target may have left something
    look_if_active();
  }
  void on(const Down&) { stop(); }
  void on(const LooksEmpty&) {
    Spill* state = spill();
    if (state == nullptr || wrote_since_ || state->waiting > 0) return;
    state->active = false;
    Cell& cell = *target();
    cell.max_count.store(cell.plan().options().mailbox.messages, std::memory_order_relaxed);
  }

  Result<void> intercept(Message& message) {
    if (message.kind == MessageKind::delivery) {
      bring_back();
    } else if (message.type == type_info<Down>().id) {
      on(Down{});
    } else if (message.type == type_info<LooksEmpty>().id) {
      on(LooksEmpty{});
    } else {
      put_away(message);
    }
    return {};
  }

 private:
  [[nodiscard]] Cell* target() const noexcept {
    Cell* cell = worker().cell(target_.slot());
    return cell->generation.load(std::memory_order_relaxed) == target_.generation() ? cell : nullptr;
  }
  [[nodiscard]] Spill* spill() const noexcept {
    const Cell* cell = target();
    return cell == nullptr || cell->annex == nullptr ? nullptr : cell->annex->spill.get();
  }

  void put_away(const Message& message) {
    if (Spill* state = spill()) --state->waiting;
    wrote_since_ = true;
    keep_looking();
    enqueue(lane_, label(), AnyTable{message.type, message.info, message.block})
        .then([this, type = message.type_name(), sender = message.sender](const Result<Receipt>& kept) {
          if (!kept) system().report({DeadLetterReason::mailbox_full, type, sender, target_});
        });
  }

  void bring_back() {
    Cell* cell = target();
    if (cell == nullptr) return;  // its end is on the way; the lane gets this back when we end
    MessagePtr message = worker().keep_message();
    message->receiver = target_;
    worker().place(*cell, std::move(message));
    if (to_come_ > 0) --to_come_;
    const std::uint32_t waiting = cell->local_count.load(std::memory_order_relaxed);
    if (to_come_ == 0 && waiting <= cell->plan().options().mailbox.messages / 2) look_if_active();
  }

  /// In case no other message triggers the check. Not armed while memory suffices.
  void keep_looking() {
    if (std::exchange(keeps_looking_, true)) return;
    after(kLookAgain, [this] {
      keeps_looking_ = false;
      const Spill* state = spill();
      if (state == nullptr || !state->active) return;
      keep_looking();
      look_if_active();
    });
  }

  /// Asks the queue if the lane still holds anything.
  void look_if_active() {
    const Spill* state = spill();
    if (looking_ || state == nullptr || !state->active) return;
    looking_ = true;
    wrote_since_ = false;
    ask<QueueStatus>(LocalRef{system().queue}, Inspect{}, kPatience).then([this](const Result<QueueStatus>& status) {
      looking_ = false;
      if (!status) return;
      to_come_ = 0;
      for (const StreamStatus& stream : status->streams) {
        if (stream.box != Box::inbox || stream.lane != lane_) continue;
        to_come_ = stream.exact ? stream[RowState::ready].messages - stream.in_flight : 1;  // at least
      }
      if (to_come_ == 0) tell(LocalRef{self().id()}, LooksEmpty{}).ignore();
    });
  }

  ActorId target_;
  std::string lane_;
  std::uint64_t to_come_ = 0;  // rows of the lane that this actor does not hold, as last reported
  bool looking_ = false;
  bool keeps_looking_ = false;
  bool wrote_since_ = false;
};

constexpr std::string_view kLanePrefix = "mailbox.";

}  // namespace

Result<void> may_spill(const SpawnOptions& options) {
  constexpr std::size_t kLongest = limits::kLaneNameBytes - kLanePrefix.size();
  if (!options.name.empty() && options.name.size() <= kLongest) return {};
  return Error{ErrorCode::invalid_argument,
               concat({"A mailbox that spills needs an actor with a name of at most ", kLongest, " characters."})};
}

ActorId start_spiller(Worker& worker, ActorId target) {
  SpawnOptions options;
  options.worker = worker.index();
  System& system = worker.system();
  const auto id = system.reserve(options);
  if (!id) return {};
  MessagePtr start = detail::start_message<Spiller>(options, target, concat({kLanePrefix, system.describe(target)}));
  recipe_of(*start)->parent = system.root;
  start->receiver = *id;
  Child child{*id, options.restart, options.stop_limit};
  child.apart = true;
  worker.send_reserved(native_message(MessageKind::adopt, system.root, std::move(child)));
  worker.send_reserved(std::move(start));
  return *id;
}

}  // namespace pannier
