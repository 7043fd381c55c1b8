#pragma once

#include <cstddef>

#include "runtime/message/pool.h"

namespace pannier {

/// For containers that are filled on one worker and emptied on another: from the heap, each such hand-over would meet
/// the other thread at the heap's lock.
template <class T>
struct PoolAllocator {
  using value_type = T;
  static_assert(alignof(T) <= 16, "pool memory is aligned to 16");

  PoolAllocator() = default;
  template <class U>
  PoolAllocator(const PoolAllocator<U>&) noexcept {}

  [[nodiscard]] T* allocate(std::size_t count) { return static_cast<T*>(Pool::allocate(count * sizeof(T))); }
  void deallocate(T* memory, std::size_t) noexcept { Pool::release(memory); }
  friend bool operator==(PoolAllocator, PoolAllocator) noexcept { return true; }
};

}  // namespace pannier
