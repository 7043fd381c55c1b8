#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

#include "runtime/message/pool.h"

namespace pannier {

/// A shared, immutable run of bytes that starts at a multiple of 16. Counted by BlockRef; lives in a Pool.
class Block {
 public:
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {start_, size_}; }
  /// True once a verifier has passed these bytes, or they were built in this process: verified once, not at each
  /// reader.
  [[nodiscard]] bool verified() const noexcept { return verified_.load(std::memory_order_relaxed); }
  void set_verified() const noexcept { verified_.store(true, std::memory_order_relaxed); }

 private:
  friend class BlockRef;
  friend class BlockBuilder;
  using Destroy = void (*)(void*) noexcept;

  std::byte* start_ = nullptr;
  Destroy destroy_ = nullptr;  // of a native value that is shared by a fan-out
  std::uint32_t size_ = 0;
  mutable std::atomic<std::uint32_t> references_{1};
  mutable std::atomic<bool> verified_{false};
};

/// The space in front of the bytes, so that they keep 16-byte alignment on 32-bit and 64-bit alike.
inline constexpr std::size_t kBlockHeaderBytes = 32;
static_assert(sizeof(Block) <= kBlockHeaderBytes);

/// One share of a Block. Copying shares it; the last share to go gives the memory back. Any thread.
class BlockRef {
 public:
  BlockRef() noexcept = default;
  BlockRef(const BlockRef& other) noexcept : block_(other.block_) {
    if (block_ != nullptr) block_->references_.fetch_add(1, std::memory_order_relaxed);
  }
  BlockRef(BlockRef&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  BlockRef& operator=(BlockRef other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~BlockRef() { reset(); }

  explicit operator bool() const noexcept { return block_ != nullptr; }
  [[nodiscard]] const Block* operator->() const noexcept { return block_; }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
    return block_ == nullptr ? std::span<const std::byte>{} : block_->bytes();
  }
  [[nodiscard]] bool unique() const noexcept {
    return block_ != nullptr && block_->references_.load(std::memory_order_acquire) == 1;
  }

  /// A block with a copy of `bytes`, not yet verified: what comes from a wire or a disk.
  [[nodiscard]] static BlockRef copy_of(std::span<const std::byte> bytes) {
    BlockRef ref = with_space(bytes.size());
    if (!bytes.empty()) std::memcpy(ref.block_->start_, bytes.data(), bytes.size());
    return ref;
  }

  /// A block that holds one native value, destroyed with the last share.
  template <class T>
  [[nodiscard]] static BlockRef holding(T value) {
    static_assert(alignof(T) <= 16);
    BlockRef ref = with_space(sizeof(T));
    new (ref.block_->start_) T(std::move(value));
    ref.block_->destroy_ = [](void* memory) noexcept { static_cast<T*>(memory)->~T(); };
    ref.block_->set_verified();
    return ref;
  }

 private:
  friend class BlockBuilder;

  [[nodiscard]] static BlockRef with_space(std::size_t size) {
    auto* memory = static_cast<std::byte*>(Pool::allocate(kBlockHeaderBytes + size));
    BlockRef ref;
    ref.block_ = new (memory) Block;
    ref.block_->start_ = memory + kBlockHeaderBytes;
    ref.block_->size_ = static_cast<std::uint32_t>(size);
    return ref;
  }

  void reset() noexcept {
    if (block_ == nullptr) return;
    // One share left: nobody else can be counting, so the locked instruction is saved.
    if (block_->references_.load(std::memory_order_acquire) == 1 ||
        block_->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      if (block_->destroy_ != nullptr) block_->destroy_(block_->start_);
      block_->~Block();
      Pool::release(block_);
    }
    block_ = nullptr;
  }

  Block* block_ = nullptr;
};

}  // namespace pannier
