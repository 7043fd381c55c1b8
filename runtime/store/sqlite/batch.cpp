#include "runtime/store/sqlite/batch.h"

#include <algorithm>
#include <optional>

#include "runtime/store/crc32c.h"
#include "runtime/store/sqlite/log.h"
#include "runtime/store/sqlite/row.h"
#include "runtime/store/store_checks.h"

namespace pannier {
namespace {

// The head: crc, how many rows, whether it was compacted, the position of the last row, and a bit for each that says
// whether it has left.
constexpr std::size_t kCountAt = 4;
constexpr std::size_t kCompactedAt = 6;
constexpr std::size_t kLastAt = 8;
constexpr std::size_t kGoneAt = 16;
constexpr std::size_t kHeadBytes = kGoneAt + SqliteBatch::kRows / 8;

// Before each row: u64 position, u16 which one it is, u16 bytes of its head, u32 bytes of its payload.
constexpr std::size_t kFrameBytes = 16;

struct Frame {
  std::int64_t position = 0;
  std::uint32_t index = 0;
  std::uint32_t head_bytes = 0;
  std::uint32_t payload_bytes = 0;
  [[nodiscard]] std::size_t bytes() const noexcept { return kFrameBytes + head_bytes + payload_bytes; }
};

void put(std::span<std::byte> to, std::size_t at, std::uint64_t value, std::size_t size) noexcept {
  for (std::size_t i = 0; i < size; ++i) to[at + i] = static_cast<std::byte>(value >> (8 * i) & 0xFFU);
}

std::uint32_t little16(std::span<const std::byte> bytes, std::size_t at) noexcept {
  return std::to_integer<std::uint32_t>(bytes[at]) | std::to_integer<std::uint32_t>(bytes[at + 1]) << 8U;
}

bool bit(std::span<const std::byte> bytes, std::size_t index) noexcept {
  return (std::to_integer<unsigned>(bytes[kGoneAt + index / 8]) >> index % 8 & 1U) != 0;
}

std::int64_t little64(std::span<const std::byte> bytes, std::size_t at) noexcept {
  return static_cast<std::int64_t>(std::uint64_t{sqlite_log::little(bytes, at + 4)} << 32U |
                                   sqlite_log::little(bytes, at));
}

std::uint32_t checksum(std::int64_t position, std::span<const std::byte> bytes) noexcept {
  const std::span<const std::byte> head = bytes.subspan(kCountAt, kHeadBytes - kCountAt);
  return FieldChecksum().u64(static_cast<std::uint64_t>(position)).bytes(head).value();
}

bool head_holds(std::int64_t position, std::span<const std::byte> bytes) noexcept {
  return bytes.size() >= kHeadBytes && sqlite_log::little(bytes, 0) == checksum(position, bytes);
}

/// The frame that stands there, where a row of its lengths fits behind it.
std::optional<Frame> frame_at(std::span<const std::byte> bytes, std::size_t at) noexcept {
  if (bytes.size() < at + kFrameBytes) return std::nullopt;
  const Frame frame{little64(bytes, at), little16(bytes, at + 8), little16(bytes, at + 10),
                    sqlite_log::little(bytes, at + 12)};
  if (frame.index >= SqliteBatch::kRows || bytes.size() - at - kFrameBytes < frame.head_bytes ||
      bytes.size() - at - kFrameBytes - frame.head_bytes < frame.payload_bytes) {
    return std::nullopt;
  }
  return frame;
}

StoredRow row_at(std::span<const std::byte> bytes, std::size_t at, const Frame& frame) noexcept {
  return {frame.position, bytes.subspan(at + kFrameBytes, frame.head_bytes),
          bytes.subspan(at + kFrameBytes + frame.head_bytes, frame.payload_bytes)};
}

bool holds(const StoredRow& stored) noexcept {
  Row row;
  row.payload = stored.payload;
  return sqlite_row::decode(stored.head, row) && sqlite_row::holds(stored.head, stored.position, row);
}

}  // namespace

void SqliteBatch::clear() noexcept {
  bytes_.clear();
  slots_.clear();
  rows_ = row_bytes_ = 0;
}

void SqliteBatch::begin(std::int64_t position) {
  clear();
  position_ = position;
  bytes_.assign(kHeadBytes, std::byte{0});
}

bool SqliteBatch::add(const StoredRow& row) {
  if (bytes_.empty()) {
    bytes_.reserve(kBytes);
    begin(row.position);
  }
  const std::size_t size = kFrameBytes + row.head.size() + row.payload.size();
  if (slots_.size() == kRows || bytes_.size() + size > kBytes) return false;
  const std::size_t at = bytes_.size();
  bytes_.resize(at + kFrameBytes);
  put(bytes_, at, static_cast<std::uint64_t>(row.position), 8);
  put(bytes_, at + 8, slots_.size(), 2);
  put(bytes_, at + 10, row.head.size(), 2);
  put(bytes_, at + 12, row.payload.size(), 4);
  bytes_.insert(bytes_.end(), row.head.begin(), row.head.end());
  bytes_.insert(bytes_.end(), row.payload.begin(), row.payload.end());
  slots_.push_back({row.position, static_cast<std::uint32_t>(at + kFrameBytes),
                    static_cast<std::uint32_t>(row.head.size()), static_cast<std::uint32_t>(row.payload.size())});
  put(bytes_, kCountAt, slots_.size(), 2);
  put(bytes_, kLastAt, static_cast<std::uint64_t>(row.position), 8);
  ++rows_;
  row_bytes_ += size;
  return true;
}

bool SqliteBatch::parse(std::int64_t position, std::span<const std::byte> bytes) {
  clear();
  if (!head_holds(position, bytes)) return false;
  position_ = position;
  bytes_.assign(bytes.begin(), bytes.end());
  const std::uint32_t count = little16(bytes, kCountAt);
  for (std::size_t at = kHeadBytes; at < bytes.size();) {
    const std::optional<Frame> frame = frame_at(bytes, at);
    const std::int64_t least = slots_.empty() ? position : slots_.back().position + 1;
    if (!frame || frame->index != slots_.size() || frame->position < least) return false;
    if (!bit(bytes, slots_.size())) {
      ++rows_;
      row_bytes_ += frame->bytes();
    }
    slots_.push_back(
        {frame->position, static_cast<std::uint32_t>(at + kFrameBytes), frame->head_bytes, frame->payload_bytes});
    at += frame->bytes();
  }
  return !slots_.empty() && slots_.size() == count && slots_.back().position == last();
}

std::int64_t SqliteBatch::last() const noexcept { return little64(bytes_, kLastAt); }

std::size_t SqliteBatch::after(std::int64_t position) const noexcept {
  const auto found = std::upper_bound(slots_.begin(), slots_.end(), position,
                                      [](std::int64_t at, const Slot& slot) { return at < slot.position; });
  return static_cast<std::size_t>(found - slots_.begin());
}

StoredRow SqliteBatch::row(std::size_t index) const noexcept {
  const Slot& slot = slots_[index];
  const std::span<const std::byte> bytes = bytes_;
  return {slot.position, bytes.subspan(slot.at, slot.head_bytes),
          bytes.subspan(slot.at + slot.head_bytes, slot.payload_bytes)};
}

bool SqliteBatch::has_left(std::size_t index) const noexcept { return bit(bytes_, index); }

void SqliteBatch::remove(std::size_t index) noexcept {
  bytes_[kGoneAt + index / 8] |= static_cast<std::byte>(1U << index % 8);
  --rows_;
  row_bytes_ -= kFrameBytes + slots_[index].head_bytes + slots_[index].payload_bytes;
}

void SqliteBatch::compact() {
  SqliteBatch left;
  left.begin(position_);
  for (std::size_t i = 0; i < size(); ++i) {
    if (!has_left(i)) static_cast<void>(left.add(row(i)));
  }
  put(left.bytes_, kCompactedAt, 1, 2);
  *this = std::move(left);
}

bool SqliteBatch::was_compacted() const noexcept { return little16(bytes_, kCompactedAt) != 0; }

std::span<const std::byte> SqliteBatch::bytes() noexcept {
  put(bytes_, 0, checksum(position_, bytes_), 4);
  return bytes_;
}

bool SqliteBatch::take_head(std::int64_t position, std::span<const std::byte> bytes) {
  clear();
  if (!head_holds(position, bytes)) return false;
  position_ = position;
  bytes_.assign(bytes.begin(), bytes.begin() + kHeadBytes);
  const std::size_t count = std::min<std::size_t>(little16(bytes, kCountAt), kRows);
  for (std::size_t i = 0; i < count; ++i) rows_ += bit(bytes, i) ? 0U : 1U;
  return true;
}

void SqliteBatch::search(std::span<const std::byte> bytes,
                         FunctionRef<void(const StoredRow&, std::size_t index, bool sound)> visit) {
  std::size_t expected = 0;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::optional<Frame> frame = frame_at(bytes, at);
    if (!frame) {
      ++at;
      continue;
    }
    const StoredRow row = row_at(bytes, at, *frame);
    const bool sound = holds(row);
    const std::size_t end = at + frame->bytes();
    const std::optional<Frame> next = frame_at(bytes, end);
    const bool in_line = frame->index == expected && (end == bytes.size() || (next && next->index == expected + 1));
    if (!sound && !in_line) {
      ++at;
      continue;
    }
    visit(row, frame->index, sound);
    expected = frame->index + 1;
    at = end;
  }
}

}  // namespace pannier
