#pragma once

#include <deque>
#include <vector>

#include "services/rpc/wire.h"

namespace pannier::rpc::detail {

/// Messages of a stream that the other side has not taken.
class Outgoing {
 public:
  Result<void> write(const BlockRef& block) {
    if (closed) return ErrorCode::closed;
    const std::size_t size = block.bytes().size();
    if (size > kStreamBytes) {
      return Error{ErrorCode::invalid_argument, "a message of a stream has at most 64 KiB; split it"};
    }
    if (waiting_ + travelling_ + size > kStreamBytes) {
      refused_ = true;
      return ErrorCode::full;
    }
    waiting_ += size;
    items_.push_back(block);
    return {};
  }
  /// What travels together next. It counts until `taken`.
  [[nodiscard]] std::vector<BlockRef> take() {
    std::vector<BlockRef> batch;
    std::size_t bytes = 0;
    while (!items_.empty() && batch.size() < kTurnItems) {
      const std::size_t size = items_.front().bytes().size();
      if (!batch.empty() && bytes + size > kTurnBytes) break;
      bytes += size;
      batch.push_back(std::move(items_.front()));
      items_.pop_front();
    }
    waiting_ -= bytes;
    travelling_ += bytes;
    return batch;
  }
  /// The other side has what travelled. True where somebody is to be told that there is room.
  [[nodiscard]] bool taken() {
    travelling_ = 0;
    return refused_ && !closed && waiting_ <= kStreamBytes / 2;
  }
  /// Tells who was refused.
  void call_ready() {
    refused_ = false;
    if (!ready) return;
    Callback<void()> function = std::move(ready);
    ready = {};
    function();
    if (!ready) ready = std::move(function);
  }
  [[nodiscard]] bool empty() const noexcept { return items_.empty(); }
  [[nodiscard]] std::size_t held() const noexcept { return waiting_ + travelling_; }
  void drop() {
    closed = true;
    items_.clear();
    waiting_ = travelling_ = 0;
    ready = {};
  }

  bool closed = false;
  Callback<void()> ready;

 private:
  std::deque<BlockRef> items_;
  std::size_t waiting_ = 0;
  std::size_t travelling_ = 0;
  bool refused_ = false;
};

/// Messages of a stream that came and were not read.
class Incoming {
 public:
  using Reader = Callback<void(const BlockRef*)>;

  void push(BlockRef block) {
    bytes_ += block.bytes().size();
    items_.push_back(std::move(block));
  }
  /// True where the reader has something to read, or the end to hear of: within a turn, call deliver.
  [[nodiscard]] bool due() const noexcept { return reader_ && !delivering_ && (!items_.empty() || ended); }
  void read(Reader reader, bool all) {
    reader_ = std::move(reader);
    all_ = all;
  }
  void deliver() {
    if (delivering_) return;
    delivering_ = true;
    while (reader_ && (!items_.empty() || ended)) {
      Reader reader = std::move(reader_);
      reader_ = {};
      if (items_.empty()) {
        reader(nullptr);
        break;
      }
      const BlockRef block = std::move(items_.front());
      items_.pop_front();
      bytes_ -= block.bytes().size();
      const bool again = all_;
      reader(&block);
      if (again && !reader_) reader_ = std::move(reader);
    }
    delivering_ = false;
  }
  [[nodiscard]] bool has_room() const noexcept { return bytes_ <= kStreamBytes - kTurnBytes; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] bool empty() const noexcept { return items_.empty(); }
  void drop() {
    items_.clear();
    bytes_ = 0;
  }

  bool ended = false;

 private:
  std::deque<BlockRef> items_;
  std::size_t bytes_ = 0;
  Reader reader_;
  bool all_ = false;
  bool delivering_ = false;
};

}  // namespace pannier::rpc::detail
