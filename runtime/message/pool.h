#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace pannier {

/// Memory for messages, blocks and actors: free lists by size class, one pool a worker, no lock and no system call in
/// steady state. Memory may be released on any thread; what is released elsewhere comes back to its pool through one
/// atomic list, taken whole (the "thread-delayed free" of Leijen, Zorn, de Moura: Mimalloc, 2019).
///
/// A worker makes its pool the current one of its thread while it steps (Pool::Scope). Without a current pool, as on
/// a program's main thread, memory comes from the heap and goes back there.
/// A pool that is let go while memory of it is still held lives on until the last piece comes back.
class Pool {
 public:
  struct Retire {
    void operator()(Pool* pool) const noexcept { pool->retire(); }
  };
  using Owner = std::unique_ptr<Pool, Retire>;

  [[nodiscard]] static Owner create() { return Owner{new Pool}; }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// At least `bytes`, aligned to 16. Aborts when the system has no memory left: a bound is missing somewhere.
  [[nodiscard]] static void* allocate(std::size_t bytes);
  /// Any thread. `memory` came from allocate; null is ignored.
  static void release(void* memory) noexcept;
  /// What really can be used of `memory`, which came from allocate.
  [[nodiscard]] static std::size_t usable_bytes(const void* memory) noexcept;

  /// Makes `pool` the one that this thread allocates from.
  class Scope {
   public:
    explicit Scope(Pool& pool) noexcept : previous_(current_) { current_ = &pool; }
    ~Scope() { current_ = previous_; }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Pool* previous_;
  };

  /// Times the pool had to ask the system for memory. Steady state is where this stands still.
  [[nodiscard]] std::uint64_t system_allocations() const noexcept { return system_allocations_; }

 private:
  static constexpr std::size_t kClasses = 30;        // 48, 64, 96, 128 ... 768 Ki, 1 Mi bytes, header included
  static constexpr std::size_t kChunkBytes = 65536;  // classes up to a quarter of this are carved from chunks
  static constexpr std::uint32_t kHeapClass = 0xffffffff;

  struct Header {  // stands in front of every piece
    Pool* owner;   // null: straight from the heap
    std::uint32_t size_class;
    std::uint32_t heap_bytes;
  };
  static_assert(sizeof(Header) <= 16);
  static constexpr std::size_t kHeaderBytes = 16;
  struct Free {
    Free* next;
  };

  Pool() = default;
  ~Pool();
  void retire() noexcept;
  [[nodiscard]] void* take(std::size_t size_class);
  [[nodiscard]] bool collect_returned() noexcept;
  void return_from_elsewhere(Free* piece) noexcept;

  /// Two classes for each power of two: what is rounded away is at most a third.
  [[nodiscard]] static constexpr std::size_t class_of(std::size_t bytes) noexcept {
    if (bytes <= 48) return 0;
    const auto bits = static_cast<std::size_t>(std::bit_width(bytes - 1));  // 2^(bits - 1) < bytes <= 2^bits
    return (bits - 6) * 2 + (bytes > std::size_t{3} << (bits - 2) ? 1 : 0);
  }
  [[nodiscard]] static constexpr std::size_t class_bytes(std::size_t size_class) noexcept {
    return (size_class % 2 == 0 ? std::size_t{48} : std::size_t{64}) << (size_class / 2);
  }

  static Header* header_of(void* memory) noexcept;
  static const Header* header_of(const void* memory) noexcept;
  static Free* retired_mark() noexcept;

  static thread_local Pool* current_;

  std::array<Free*, kClasses> free_{};
  std::byte* chunk_ = nullptr;  // the rest of the newest chunk
  std::size_t chunk_left_ = 0;
  std::int64_t live_ = 0;  // pieces given out and not yet back, as far as the owner has seen
  std::uint64_t system_allocations_ = 0;
  Free* blocks_ = nullptr;  // everything that came from the system, for the destructor
  alignas(64) std::atomic<Free*> returned_{nullptr};
  std::atomic<std::int64_t> outstanding_{0};  // used only once retired
};

}  // namespace pannier
