#include "runtime/store/sqlite/format.h"

#include <algorithm>
#include <array>
#include <utility>

#include "runtime/store/sqlite/schema.h"

namespace pannier {
namespace {

// --- Heads ----------------------------------------------------------------------------------------------------------

/// Flags of a head: which fields follow.
enum Field : std::uint8_t {
  kOrigin = 1,
  kExpiresAt = 2,
  kMoment = 4,
  kAttempts = 8,
  kProducer = 16,
  kCause = 32,
  kTrace = 64,
  kAllFields = 127,
};

void append(std::string& out, std::uint64_t value, std::size_t size) {
  std::array<char, 8> little;
  for (std::size_t i = 0; i < little.size(); ++i) little[i] = static_cast<char>(value >> (8 * i) & 0xFFU);
  out.append(little.data(), size);
}

/// Reads fields from the front. Once one is truncated, it and all later ones are empty.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> from) noexcept : left_(from) {}
  std::uint64_t integer(std::size_t size) noexcept {
    const std::span<const std::byte> bytes = take(size);
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) value |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
    return value;
  }
  std::string_view text(std::size_t size) noexcept {
    const std::span<const std::byte> bytes = take(size);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  [[nodiscard]] std::size_t left() const noexcept { return left_.size(); }
  [[nodiscard]] bool ok() const noexcept { return ok_; }

 private:
  std::span<const std::byte> take(std::size_t size) noexcept {
    if (size > left_.size()) {
      ok_ = false;
      left_ = {};
      return {};
    }
    const std::span<const std::byte> taken = left_.first(size);
    left_ = left_.subspan(size);
    return taken;
  }
  std::span<const std::byte> left_;
  bool ok_ = true;
};

StoreTime time_of(std::uint64_t value) noexcept { return store_time(as_signed(value)); }

// --- Batches --------------------------------------------------------------------------------------------------------

// A batch starts with the number of its rows and a bit for each that is set once it is removed. Each row is preceded by
// its position and the lengths of its head and payload.
constexpr std::size_t kGoneAt = 2;
constexpr std::size_t kBatchHeadBytes = kGoneAt + SqliteBatch::kRows / 8;
constexpr std::size_t kFrameBytes = 8 + 2 + 4;

void put(std::span<std::byte> to, std::size_t at, std::uint64_t value, std::size_t size) noexcept {
  for (std::size_t i = 0; i < size; ++i) to[at + i] = static_cast<std::byte>(value >> (8 * i) & 0xFFU);
}

bool bit(std::span<const std::byte> bytes, std::size_t index) noexcept {
  return (std::to_integer<unsigned>(bytes[kGoneAt + index / 8]) >> index % 8 & 1U) != 0;
}

}  // namespace

void encode_head(const Row& row, std::string& head) {
  std::uint8_t fields = 0;
  if (row.origin != 0) fields |= kOrigin;
  if (row.expires_at != kNoMoment) fields |= kExpiresAt;
  if (row.moment != kNoMoment) fields |= kMoment;
  if (row.attempts != 0) fields |= kAttempts;
  if (!row.producer.empty()) fields |= kProducer;
  if (!row.cause.empty()) fields |= kCause;
  if (row.trace) fields |= kTrace;
  head.clear();
  append(head, static_cast<std::uint64_t>(row.type), 8);
  append(head, static_cast<std::uint64_t>(row.enqueued_at.time_since_epoch().count()), 8);
  append(head, fields, 1);
  if ((fields & kOrigin) != 0) append(head, row.origin, 8);
  if ((fields & kExpiresAt) != 0) append(head, static_cast<std::uint64_t>(stored(row.expires_at)), 8);
  if ((fields & kMoment) != 0) append(head, static_cast<std::uint64_t>(stored(row.moment)), 8);
  if ((fields & kAttempts) != 0) append(head, row.attempts, 4);
  if ((fields & kProducer) != 0) {
    append(head, row.producer.size(), 2);
    head.append(row.producer);
  }
  if ((fields & kCause) != 0) {
    append(head, row.cause.size(), 2);
    head.append(row.cause);
  }
  if ((fields & kTrace) != 0) {
    for (const std::uint64_t part : {row.trace.high, row.trace.low, row.trace.span}) append(head, part, 8);
    append(head, row.trace.flags, 1);
  }
  head.append(row.key);
}

bool decode_head(std::span<const std::byte> head, Row& row) noexcept {
  Reader reader(head);
  row.type = static_cast<TypeId>(reader.integer(8));
  row.enqueued_at = WallTime(Duration(static_cast<std::int64_t>(reader.integer(8))));
  const auto fields = static_cast<std::uint8_t>(reader.integer(1));
  if ((fields & ~kAllFields) != 0) return false;
  const auto is_there = [&](Field field) { return (fields & field) != 0; };
  row.origin = is_there(kOrigin) ? reader.integer(8) : 0;
  row.expires_at = is_there(kExpiresAt) ? time_of(reader.integer(8)) : kNoMoment;
  row.moment = is_there(kMoment) ? time_of(reader.integer(8)) : kNoMoment;
  row.attempts = is_there(kAttempts) ? static_cast<std::uint32_t>(reader.integer(4)) : 0;
  row.producer = is_there(kProducer) ? reader.text(static_cast<std::size_t>(reader.integer(2))) : std::string_view{};
  row.cause = is_there(kCause) ? reader.text(static_cast<std::size_t>(reader.integer(2))) : std::string_view{};
  row.trace = {};
  if (is_there(kTrace)) {
    for (std::uint64_t* part : {&row.trace.high, &row.trace.low, &row.trace.span}) *part = reader.integer(8);
    row.trace.flags = static_cast<std::uint8_t>(reader.integer(1));
  }
  row.key = reader.text(reader.left());
  return reader.ok();
}

bool decode_row(const StoredRow& stored, Row& row) noexcept {
  row.stream = sqlite_schema::stream_of(stored.position);
  row.sequence = sqlite_schema::sequence_of(stored.position);
  row.state = sqlite_schema::state_of(stored.position);
  row.payload = stored.payload;
  return decode_head(stored.head, row);
}

void SqliteBatch::clear() noexcept {
  bytes_.clear();
  slots_.clear();
  rows_ = row_bytes_ = 0;
}

void SqliteBatch::begin(std::int64_t position) {
  clear();
  position_ = position;
  bytes_.assign(kBatchHeadBytes, std::byte{0});
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
  put(bytes_, at + 8, row.head.size(), 2);
  put(bytes_, at + 10, row.payload.size(), 4);
  bytes_.insert(bytes_.end(), row.head.begin(), row.head.end());
  bytes_.insert(bytes_.end(), row.payload.begin(), row.payload.end());
  slots_.push_back({row.position, static_cast<std::uint32_t>(at + kFrameBytes),
                    static_cast<std::uint32_t>(row.head.size()), static_cast<std::uint32_t>(row.payload.size())});
  put(bytes_, 0, slots_.size(), 2);
  ++rows_;
  row_bytes_ += size;
  return true;
}

bool SqliteBatch::parse(std::int64_t position, std::span<const std::byte> bytes, Parse what) {
  clear();
  if (bytes.size() < kBatchHeadBytes) return false;
  position_ = position;
  bytes_.assign(bytes.begin(), bytes.end());
  const auto count = rows_told();
  if (count > kRows) return false;
  std::size_t at = kBatchHeadBytes;
  while (slots_.size() < count && bytes.size() - at >= kFrameBytes) {
    Reader frame(bytes.subspan(at));
    const auto found = static_cast<std::int64_t>(frame.integer(8));
    const auto head_bytes = static_cast<std::uint32_t>(frame.integer(2));
    const auto payload_bytes = static_cast<std::uint32_t>(frame.integer(4));
    const std::int64_t least = slots_.empty() ? position : slots_.back().position + 1;
    if (found < least || std::uint64_t{head_bytes} + payload_bytes > frame.left()) break;
    if (!bit(bytes, slots_.size())) {
      ++rows_;
      row_bytes_ += kFrameBytes + head_bytes + payload_bytes;
    }
    slots_.push_back({found, static_cast<std::uint32_t>(at + kFrameBytes), head_bytes, payload_bytes});
    at += kFrameBytes + head_bytes + payload_bytes;
  }
  if (what == Parse::prefix) return true;
  return !slots_.empty() && slots_.size() == count && at == bytes.size();
}

std::size_t SqliteBatch::rows_told() const noexcept {
  return std::to_integer<std::size_t>(bytes_[0]) | std::to_integer<std::size_t>(bytes_[1]) << 8U;
}

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

bool SqliteBatch::is_gone(std::size_t index) const noexcept { return bit(bytes_, index); }

void SqliteBatch::remove(std::size_t index) noexcept {
  bytes_[kGoneAt + index / 8] |= static_cast<std::byte>(1U << index % 8);
  --rows_;
  row_bytes_ -= kFrameBytes + slots_[index].head_bytes + slots_[index].payload_bytes;
}

void SqliteBatch::compact() {
  SqliteBatch left;
  left.begin(position_);
  for (std::size_t i = 0; i < size(); ++i) {
    if (!is_gone(i)) static_cast<void>(left.add(row(i)));
  }
  *this = std::move(left);
}

}  // namespace pannier
