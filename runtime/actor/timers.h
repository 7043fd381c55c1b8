#pragma once

#include <cstdint>
#include <vector>

#include <pannier/actor_base.h>
#include <pannier/message.h>
#include <pannier/platform.h>

namespace pannier {

struct Cell;

struct TimerNode;

/// A worker's timers and outstanding questions. A question *is* a timer: its callback gets the reply, or the deadline.
///
/// A 4-ary heap of deadlines over nodes that do not move. Cancelling is O(1): it marks the node and destroys its
/// callback. The heap entry is removed when it reaches the top, or with all dead entries once they are the majority.
/// The top is always live, so the next deadline is exact and no wake-up is wasted.
class Timers {
 public:
  /// `reply` is null if the deadline passed first.
  using Function = Callback<void(Message* reply)>;

  /// `first_generation` is for tests that exhaust a slot's generations.
  explicit Timers(std::uint32_t first_generation = 1) noexcept : first_generation_(first_generation) {}
  Timers(const Timers&) = delete;
  Timers& operator=(const Timers&) = delete;
  ~Timers();

  struct Fired {
    Cell* owner = nullptr;
    Function function;
    Duration period{};
    TimerId id{};
    Waiting waiting;
    explicit operator bool() const noexcept { return owner != nullptr; }
  };

  /// Arms a timer. cancel_all cancels all timers of `owner`. A period of zero: once.
  TimerId arm(Cell& owner, MonoTime due, Duration period, Function function, Waiting waiting = {});
  /// Arms a question. Its callback gets the reply or the deadline.
  TimerId arm_question(Cell& owner, MonoTime due, Function function, Waiting waiting);
  [[nodiscard]] bool is_question(TimerId id) const noexcept;
  /// False if it had fired (or, if periodic, was cancelled).
  bool cancel(TimerId id) noexcept;
  void cancel_all(Cell& owner) noexcept;
  /// Removes the question `id` to give it its reply. Empty if it is gone: the reply is late.
  [[nodiscard]] Fired take(TimerId id) noexcept;
  /// The next one due at `now`, if any. After a periodic one ran, call rearm.
  [[nodiscard]] Fired pop_due(MonoTime now) noexcept;
  /// Rearms a periodic timer with the same id, unless it was cancelled meanwhile.
  void rearm(Fired fired, MonoTime due);

  [[nodiscard]] MonoTime next_due() const noexcept { return heap_.empty() ? kNever : heap_.front().due; }
  [[nodiscard]] std::size_t armed() const noexcept { return armed_; }
  [[nodiscard]] std::size_t questions() const noexcept { return questions_; }

 private:
  using Node = TimerNode;
  struct Entry {
    MonoTime due;
    std::uint64_t order;  // equal deadlines fire in the order of arming
    Node* node;
  };
  static bool before(const Entry& left, const Entry& right) noexcept {
    return left.due != right.due ? left.due < right.due : left.order < right.order;
  }

  [[nodiscard]] Node* find(TimerId id) const noexcept;
  [[nodiscard]] TimerId id_of(const Node& node) const noexcept;
  void link(Cell& owner, Node& node) noexcept;
  void kill(Node& node) noexcept;
  void push(Entry entry);
  void pop_top() noexcept;
  void sift_down(std::size_t index) noexcept;
  void drop_dead() noexcept;
  void recycle(Node* node) noexcept;

  const std::uint32_t first_generation_;
  std::vector<Entry> heap_;
  std::vector<Node*> slots_;  // null: retired, see recycle
  std::vector<Node*> free_;
  std::uint64_t order_ = 0;
  std::size_t armed_ = 0;
  std::size_t questions_ = 0;  // among the live ones
  std::size_t dead_ = 0;       // heap entries whose node is dead
};

}  // namespace pannier
