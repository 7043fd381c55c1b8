#include "runtime/actor/timers.h"

#include <algorithm>

#include "runtime/actor/cell.h"

namespace pannier {

/// One timer. Does not move, so that the heap, the slot table and its owner's list can point to it.
struct TimerNode {
  Cell* owner = nullptr;  // null: dead
  TimerNode* previous = nullptr;
  TimerNode* next = nullptr;
  Timers::Function function;
  Waiting waiting;
  Duration period{};
  std::uint32_t generation = 0;  // of the current or next timer; 0: all have been used
  std::uint32_t slot = 0;
  bool in_heap = false;
  bool question = false;
};

Timers::~Timers() {
  for (Node* node : slots_) {
    if (node == nullptr) continue;
    node->~Node();
    Pool::release(node);
  }
}

TimerId Timers::id_of(const Node& node) const noexcept {
  return TimerId{std::uint64_t{node.slot} << 32 | node.generation};
}

Timers::Node* Timers::find(TimerId id) const noexcept {
  const auto slot = static_cast<std::size_t>(static_cast<std::uint64_t>(id) >> 32);
  const auto generation = static_cast<std::uint32_t>(static_cast<std::uint64_t>(id));
  if (slot >= slots_.size()) return nullptr;
  Node* node = slots_[slot];
  return node != nullptr && node->owner != nullptr && node->generation == generation ? node : nullptr;
}

TimerId Timers::arm(Cell& owner, MonoTime due, Duration period, Function function, Waiting waiting) {
  Node* node = nullptr;
  if (free_.empty()) {
    node = new (Pool::allocate(sizeof(Node))) Node;
    node->slot = static_cast<std::uint32_t>(slots_.size());
    node->generation = first_generation_;
    slots_.push_back(node);
  } else {
    node = free_.back();
    free_.pop_back();
  }
  node->function = std::move(function);
  node->waiting = std::move(waiting);
  node->period = period;
  link(owner, *node);
  ++armed_;
  push({due, order_++, node});
  return id_of(*node);
}

TimerId Timers::arm_question(Cell& owner, MonoTime due, Function function, Waiting waiting) {
  const TimerId id = arm(owner, due, Duration::zero(), std::move(function), std::move(waiting));
  find(id)->question = true;
  ++questions_;
  return id;
}

bool Timers::is_question(TimerId id) const noexcept {
  const Node* node = find(id);
  return node != nullptr && node->question;
}

void Timers::link(Cell& owner, Node& node) noexcept {
  node.owner = &owner;
  node.previous = nullptr;
  node.next = owner.timers;
  if (node.next != nullptr) node.next->previous = &node;
  owner.timers = &node;
}

void Timers::kill(Node& node) noexcept {
  (node.previous != nullptr ? node.previous->next : node.owner->timers) = node.next;
  if (node.next != nullptr) node.next->previous = node.previous;
  node.owner = nullptr;
  ++node.generation;
  --armed_;
  if (std::exchange(node.question, false)) --questions_;
  if (node.in_heap) {
    ++dead_;
  } else {
    recycle(&node);
  }
}

/// A slot whose 2^32 generations are used up is retired: reuse would let an old id name a new timer.
void Timers::recycle(Node* node) noexcept {
  if (node->generation != 0) {
    free_.push_back(node);
    return;
  }
  slots_[node->slot] = nullptr;
  node->~Node();
  Pool::release(node);
}

bool Timers::cancel(TimerId id) noexcept { return static_cast<bool>(take(id)); }

Timers::Fired Timers::take(TimerId id) noexcept {
  Node* node = find(id);
  if (node == nullptr) return {};
  Fired fired{node->owner, std::move(node->function), node->period, id, std::move(node->waiting)};
  kill(*node);
  drop_dead();
  return fired;
}

void Timers::cancel_all(Cell& owner) noexcept {
  while (owner.timers != nullptr) {
    Node* node = owner.timers;
    // Destroyed after the node is marked dead: a captured object may cancel or arm others in its destructor.
    const Function last = std::move(node->function);
    kill(*node);
  }
  drop_dead();
}

Timers::Fired Timers::pop_due(MonoTime now) noexcept {
  if (heap_.empty() || heap_.front().due > now) return {};
  Node* node = heap_.front().node;
  Fired fired{node->owner, std::move(node->function), node->period, id_of(*node), std::move(node->waiting)};
  pop_top();
  if (fired.period == Duration::zero()) kill(*node);
  drop_dead();
  return fired;
}

void Timers::rearm(Fired fired, MonoTime due) {
  Node* node = find(fired.id);
  if (node == nullptr) return;
  node->function = std::move(fired.function);
  push({due, order_++, node});
}

void Timers::push(Entry entry) {
  if (entry.due == kNever) return;  // ends by its answer, or by cancel
  entry.node->in_heap = true;
  std::size_t index = heap_.size();
  heap_.push_back(entry);
  while (index > 0) {
    const std::size_t parent = (index - 1) / 4;
    if (!before(entry, heap_[parent])) break;
    heap_[index] = heap_[parent];
    index = parent;
  }
  heap_[index] = entry;
}

void Timers::pop_top() noexcept {
  heap_.front().node->in_heap = false;
  heap_.front() = heap_.back();
  heap_.pop_back();
  if (!heap_.empty()) sift_down(0);
}

void Timers::sift_down(std::size_t index) noexcept {
  const Entry entry = heap_[index];
  while (true) {
    const std::size_t first = index * 4 + 1;
    if (first >= heap_.size()) break;
    std::size_t best = first;
    const std::size_t last = std::min(first + 4, heap_.size());
    for (std::size_t child = first + 1; child < last; ++child) {
      if (before(heap_[child], heap_[best])) best = child;
    }
    if (!before(heap_[best], entry)) break;
    heap_[index] = heap_[best];
    index = best;
  }
  heap_[index] = entry;
}

void Timers::drop_dead() noexcept {
  while (!heap_.empty() && heap_.front().node->owner == nullptr) {
    Node* node = heap_.front().node;
    pop_top();
    --dead_;
    recycle(node);
  }
  if (dead_ < 64 || dead_ * 2 < heap_.size()) return;
  std::erase_if(heap_, [this](const Entry& entry) {
    if (entry.node->owner != nullptr) return false;
    entry.node->in_heap = false;
    recycle(entry.node);
    return true;
  });
  dead_ = 0;
  for (std::size_t index = heap_.size() / 4 + 1; index-- > 0;) {
    if (index < heap_.size()) sift_down(index);
  }
}

}  // namespace pannier
