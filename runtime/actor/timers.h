#pragma once

#include <cstdint>
#include <vector>

#include <pannier/message.h>
#include <pannier/platform.h>

namespace pannier {

struct Cell;

struct TimerNode;

/// What a worker waits for: timers, and the questions whose deadline they are. A question in flight *is* a timer, whose
/// callback is given the reply when that comes first.
///
/// A 4-ary heap of deadlines over nodes that stay where they are. Cancelling is O(1): the node is marked and its
/// callback destroyed at once; the heap entry goes when it comes to the top, or all dead entries together when they
/// are the majority. The top is always live, so the next deadline is exact and nobody wakes for a dead one.
class Timers {
 public:
  /// `reply` is null when the deadline passed first.
  using Function = Callback<void(Message* reply)>;

  /// `first_generation` is for tests of what happens when a slot's numbers are used up.
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

  /// `owner` may be cancelled as a whole by cancel_all. A period of zero: once.
  TimerId arm(Cell& owner, MonoTime due, Duration period, Function function, Waiting waiting = {});
  /// A question in flight, of which the callback is told the reply or the deadline.
  TimerId arm_question(Cell& owner, MonoTime due, Function function, Waiting waiting);
  [[nodiscard]] bool is_question(TimerId id) const noexcept;
  /// False when it has fired (a periodic one: was cancelled) before.
  bool cancel(TimerId id) noexcept;
  void cancel_all(Cell& owner) noexcept;
  /// Takes the question `id` out, to hand it its reply. Empty when it is no longer there: the reply is late.
  [[nodiscard]] Fired take(TimerId id) noexcept;
  /// The next one due at `now`, if any. A periodic one is armed again by rearm after it ran.
  [[nodiscard]] Fired pop_due(MonoTime now) noexcept;
  /// Puts a periodic timer back with the same id, unless it was cancelled while it ran.
  void rearm(Fired fired, MonoTime due);

  [[nodiscard]] MonoTime next_due() const noexcept { return heap_.empty() ? kNever : heap_.front().due; }
  [[nodiscard]] std::size_t armed() const noexcept { return armed_; }
  [[nodiscard]] std::size_t questions() const noexcept { return questions_; }

 private:
  using Node = TimerNode;
  struct Entry {
    MonoTime due;
    std::uint64_t order;  // equal deadlines fire in the order they were armed
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
  std::size_t questions_ = 0;  // of those
  std::size_t dead_ = 0;       // entries of the heap whose node is dead
};

}  // namespace pannier
