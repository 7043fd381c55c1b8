#include <pannier/message.h>

#include <cstdlib>
#include <new>

namespace pannier {

thread_local Pool* Pool::current_ = nullptr;

namespace {

constexpr std::size_t kSystemHeader = 16;  // links the system's pieces and keeps 16-byte alignment

}  // namespace

Pool::Header* Pool::header_of(void* memory) noexcept {
  return reinterpret_cast<Header*>(static_cast<std::byte*>(memory) - kHeaderBytes);
}

const Pool::Header* Pool::header_of(const void* memory) noexcept {
  return reinterpret_cast<const Header*>(static_cast<const std::byte*>(memory) - kHeaderBytes);
}

Pool::Free* Pool::retired_mark() noexcept {
  static Free mark{nullptr};
  return &mark;
}

void* Pool::allocate(std::size_t bytes) {
  const std::size_t whole = bytes + kHeaderBytes;
  const std::size_t size_class = class_of(whole);
  if (current_ != nullptr && size_class < kClasses) [[likely]]
    return current_->take(size_class);
  // 32-bit malloc aligns to 8 only, so the heap path aligns by itself.
  auto* memory = static_cast<std::byte*>(std::aligned_alloc(16, (whole + 15) & ~std::size_t{15}));
  if (memory == nullptr) std::abort();
  new (memory) Header{nullptr, kHeapClass, static_cast<std::uint32_t>(bytes)};
  return memory + kHeaderBytes;
}

void* Pool::take(std::size_t size_class) {
  ++live_;
  if (Free* piece = free_[size_class]) [[likely]] {
    free_[size_class] = piece->next;
    return piece;
  }
  const std::size_t bytes = class_bytes(size_class);
  const bool carve = bytes <= kChunkBytes / 4;
  // Take back what other threads returned only when needed, many pieces at once. Otherwise the list's cache line would
  // bounce between two workers with each message.
  if ((!carve || chunk_left_ < bytes) && collect_returned() && free_[size_class] != nullptr) {
    Free* piece = free_[size_class];
    free_[size_class] = piece->next;
    return piece;
  }
  if (!carve || chunk_left_ < bytes) {
    const std::size_t wanted = carve ? kChunkBytes : bytes;
    auto* fresh = static_cast<std::byte*>(std::aligned_alloc(16, wanted + kSystemHeader));
    if (fresh == nullptr) std::abort();
    ++system_allocations_;
    blocks_ = new (fresh) Free{blocks_};
    fresh += kSystemHeader;
    if (!carve) {
      new (fresh) Header{this, static_cast<std::uint32_t>(size_class), 0};
      return fresh + kHeaderBytes;
    }
    chunk_ = fresh;  // the tail of the old chunk, less than one piece, is abandoned
    chunk_left_ = wanted;
  }
  std::byte* memory = chunk_;
  chunk_ += bytes;
  chunk_left_ -= bytes;
  new (memory) Header{this, static_cast<std::uint32_t>(size_class), 0};
  return memory + kHeaderBytes;
}

void Pool::release(void* memory) noexcept {
  if (memory == nullptr) return;
  Header* header = header_of(memory);
  Pool* owner = header->owner;
  if (owner == nullptr) {
    std::free(header);
    return;
  }
  auto* piece = new (memory) Free{nullptr};
  if (owner == current_) [[likely]] {
    piece->next = owner->free_[header->size_class];
    owner->free_[header->size_class] = piece;
    --owner->live_;
    return;
  }
  owner->return_from_elsewhere(piece);
}

std::size_t Pool::usable_bytes(const void* memory) noexcept {
  const Header* header = header_of(memory);
  return header->size_class == kHeapClass ? header->heap_bytes : class_bytes(header->size_class) - kHeaderBytes;
}

void Pool::return_from_elsewhere(Free* piece) noexcept {
  Free* head = returned_.load(std::memory_order_relaxed);
  while (head != retired_mark()) {
    piece->next = head;
    if (returned_.compare_exchange_weak(head, piece, std::memory_order_release, std::memory_order_relaxed)) return;
  }
  // The owner is gone: whoever returns the last piece frees the pool.
  if (outstanding_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

bool Pool::collect_returned() noexcept {
  Free* piece = returned_.exchange(nullptr, std::memory_order_acquire);
  const bool any = piece != nullptr;
  while (piece != nullptr) {
    Free* next = piece->next;
    const std::uint32_t size_class = header_of(static_cast<void*>(piece))->size_class;
    piece->next = free_[size_class];
    free_[size_class] = piece;
    --live_;
    piece = next;
  }
  return any;
}

void Pool::retire() noexcept {
  Free* piece = returned_.exchange(retired_mark(), std::memory_order_acq_rel);
  for (; piece != nullptr; piece = piece->next) --live_;
  // Late returns may have counted below zero; the sum reaches zero exactly once. Work on a copy: after the addition
  // another thread may return the last piece and free this object.
  const std::int64_t live = live_;
  if (outstanding_.fetch_add(live, std::memory_order_acq_rel) + live == 0) delete this;
}

Pool::~Pool() {
  while (blocks_ != nullptr) {
    Free* next = blocks_->next;
    std::free(blocks_);
    blocks_ = next;
  }
}

}  // namespace pannier
