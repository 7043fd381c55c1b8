// A worker's cells: its actors, their slots, and what other threads can see of them.

#include <bit>

#include "runtime/actor/worker.h"

namespace pannier {

Cell* Worker::cell(std::uint32_t slot) noexcept {
  const std::size_t chunk = chunk_of(slot);
  if (chunk >= kChunks) return nullptr;
  Cell* cells = chunks_[chunk].load(std::memory_order_acquire);
  return cells == nullptr ? nullptr : cells + (slot - kFirstChunk * ((1U << chunk) - 1));
}

Cell& Worker::used_cell(std::uint32_t slot) noexcept {
  const std::size_t chunk = chunk_of(slot);
  return chunks_[chunk].load(std::memory_order_acquire)[slot - kFirstChunk * ((1U << chunk) - 1)];
}

Cell* Worker::living(ActorId id) noexcept {
  Cell* found = id ? cell(id.slot()) : nullptr;
  if (found == nullptr || found->generation.load(std::memory_order_relaxed) != id.generation()) return nullptr;
  return found;
}

Result<ActorId> Worker::reserve_slot(const MailboxOptions& mailbox, std::uint32_t name) {
  while (reserving_.test_and_set(std::memory_order_acquire)) {
  }
  Result<ActorId> result{Error{ErrorCode::full}};
  std::uint32_t slot = slots_used_.load(std::memory_order_relaxed);
  if (!free_slots_.empty()) {
    slot = free_slots_.back();
    free_slots_.pop_back();
  } else if (slot < 1U << ActorId::kSlotBits) {
    slots_used_.store(slot + 1, std::memory_order_release);
    const std::size_t chunk = chunk_of(slot);
    if (chunks_[chunk].load(std::memory_order_relaxed) == nullptr) {
      chunks_[chunk].store(new Cell[kFirstChunk << chunk], std::memory_order_release);
    }
  } else {
    reserving_.clear(std::memory_order_release);
    return result;
  }
  Cell& fresh = used_cell(slot);
  const std::uint32_t generation = fresh.generation.load(std::memory_order_relaxed) + 1;
  // With keep_latest every message takes the slow path: to the fast one such a mailbox is always full.
  const bool keyed = mailbox.when_full == WhenFull::keep_latest;
  fresh.max_count.store(keyed ? 0 : mailbox.messages, std::memory_order_relaxed);
  fresh.max_bytes.store(mailbox.bytes, std::memory_order_relaxed);
  fresh.when_full.store(mailbox.when_full, std::memory_order_relaxed);
  fresh.name.store(name, std::memory_order_relaxed);
  fresh.id = ActorId{index_, slot, generation};
  fresh.generation.store(generation, std::memory_order_release);
  result = fresh.id;
  reserving_.clear(std::memory_order_release);
  return result;
}

void Worker::release_slot(std::uint32_t slot) noexcept {
  while (reserving_.test_and_set(std::memory_order_acquire)) {
  }
  Cell& gone = used_cell(slot);
  gone.generation.store(gone.generation.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  free_slots_.push_back(slot);
  reserving_.clear(std::memory_order_release);
}

void Worker::record_time(std::uint32_t slot, Duration took) {
  const std::size_t chunk = chunk_of(slot);
  std::atomic<HandlerTimesCell*>* times = times_[chunk].load(std::memory_order_relaxed);
  if (times == nullptr) {
    times = new std::atomic<HandlerTimesCell*>[kFirstChunk << chunk] {};
    times_[chunk].store(times, std::memory_order_release);
  }
  std::atomic<HandlerTimesCell*>& mine = times[slot - kFirstChunk * ((1U << chunk) - 1)];
  HandlerTimesCell* counts = mine.load(std::memory_order_relaxed);
  if (counts == nullptr) {
    counts = new HandlerTimesCell{};
    mine.store(counts, std::memory_order_release);
  }
  add_by_owner((*counts)[HandlerTimes::bucket_of(took)], 1U);
}

HandlerTimesCell* Worker::times_of(std::uint32_t slot) noexcept {
  const std::size_t chunk = chunk_of(slot);
  if (chunk >= kChunks) return nullptr;
  std::atomic<HandlerTimesCell*>* times = times_[chunk].load(std::memory_order_acquire);
  return times == nullptr ? nullptr : times[slot - kFirstChunk * ((1U << chunk) - 1)].load(std::memory_order_acquire);
}

void Worker::forget_times(std::uint32_t slot) noexcept {
  HandlerTimesCell* counts = times_of(slot);
  if (counts == nullptr) return;
  for (auto& count : *counts) count.store(0, std::memory_order_relaxed);
}

HandlerTimes Worker::handler_times(ActorId id) noexcept {
  HandlerTimes read;
  const HandlerTimesCell* counts = times_of(id.slot());
  const Cell* seen = cell(id.slot());
  if (counts == nullptr || seen == nullptr) return read;
  for (std::size_t i = 0; i < read.counts.size(); ++i) read.counts[i] = (*counts)[i].load(std::memory_order_relaxed);
  return seen->generation.load(std::memory_order_acquire) == id.generation() ? read : HandlerTimes{};
}

void Worker::describe(std::vector<ActorStatus>& all) {
  const std::uint32_t used = slots_used_.load(std::memory_order_acquire);
  for (std::uint32_t slot = 0; slot < used; ++slot) {
    const Cell* seen = cell(slot);
    if (seen == nullptr) continue;
    const std::uint32_t generation = seen->generation.load(std::memory_order_acquire);
    const ActorType* type = seen->type.load(std::memory_order_acquire);
    if (generation % 2 == 0 || type == nullptr) continue;  // free, or its start is on the way
    const ActorId id{index_, slot, generation};
    all.push_back(
        {id, system_.describe(id), type->name, seen->handled.load(std::memory_order_relaxed),
         seen->rejected.load(std::memory_order_relaxed), seen->failures.load(std::memory_order_relaxed),
         seen->local_count.load(std::memory_order_relaxed) + seen->remote_count.load(std::memory_order_relaxed)});
  }
}

}  // namespace pannier
