#include "runtime/store/sqlite/row.h"

#include <array>

#include "runtime/store/crc32c.h"

namespace pannier::sqlite_row {
namespace {

/// Bits of the flags: which fields follow.
enum Field : std::uint8_t {
  kOrigin = 1,
  kExpiresAt = 2,
  kMoment = 4,
  kAttempts = 8,
  kProducer = 16,
  kCause = 32,
  kAll = 63,
};
constexpr std::size_t kCrcBytes = 4;
constexpr std::size_t kFixedBytes = kCrcBytes + 8 + 8 + 1;

/// The part of the checksum that stays while the row is in its place.
std::uint32_t fixed_part(std::int64_t position, const Row& row) noexcept {
  FieldChecksum sum;
  sum.u64(static_cast<std::uint64_t>(position))
      .u64(static_cast<std::uint64_t>(row.type))
      .u64(static_cast<std::uint64_t>(row.enqueued_at.time_since_epoch().count()))
      .text(row.key)
      .text(row.producer)
      .bytes(row.payload);
  // Where neither is there the sum is that of version 1, which a migration keeps.
  if (row.origin != 0 || row.expires_at != kNoMoment) {
    sum.u64(row.origin).u64(static_cast<std::uint64_t>(stored(row.expires_at)));
  }
  return sum.value();
}

/// The part that a mark rewrites; XOR of both is what is stored.
std::uint32_t mark_part(std::int64_t position, const Row& row) noexcept {
  FieldChecksum sum;
  sum.u64(static_cast<std::uint64_t>(position)).u32(row.attempts).text(row.cause);
  if (row.moment != kNoMoment) sum.u64(static_cast<std::uint64_t>(stored(row.moment)));
  return sum.value();
}

void put(std::string& out, std::uint64_t value, std::size_t size) {
  std::array<char, 8> little;
  for (std::size_t i = 0; i < little.size(); ++i) little[i] = static_cast<char>(value >> (8 * i) & 0xFFU);
  out.append(little.data(), size);
}

void write(std::uint32_t crc, const Row& row, std::string& head) {
  std::uint8_t fields = 0;
  if (row.origin != 0) fields |= kOrigin;
  if (row.expires_at != kNoMoment) fields |= kExpiresAt;
  if (row.moment != kNoMoment) fields |= kMoment;
  if (row.attempts != 0) fields |= kAttempts;
  if (!row.producer.empty()) fields |= kProducer;
  if (!row.cause.empty()) fields |= kCause;
  head.clear();
  put(head, crc, kCrcBytes);
  put(head, static_cast<std::uint64_t>(row.type), 8);
  put(head, static_cast<std::uint64_t>(row.enqueued_at.time_since_epoch().count()), 8);
  put(head, fields, 1);
  if ((fields & kOrigin) != 0) put(head, row.origin, 8);
  if ((fields & kExpiresAt) != 0) put(head, static_cast<std::uint64_t>(stored(row.expires_at)), 8);
  if ((fields & kMoment) != 0) put(head, static_cast<std::uint64_t>(stored(row.moment)), 8);
  if ((fields & kAttempts) != 0) put(head, row.attempts, 4);
  if ((fields & kProducer) != 0) {
    put(head, row.producer.size(), 2);
    head.append(row.producer);
  }
  if ((fields & kCause) != 0) {
    put(head, row.cause.size(), 2);
    head.append(row.cause);
  }
  head.append(row.key);
}

/// Takes pieces off the front of a head; short ones fail, and then all that follow.
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

std::uint32_t crc_of(std::span<const std::byte> head) noexcept {
  return static_cast<std::uint32_t>(Reader(head).integer(kCrcBytes));
}

StoreTime time_of(std::uint64_t value) noexcept { return store_time(as_signed(value)); }

}  // namespace

void encode(std::int64_t position, const Row& row, std::string& head) {
  write(fixed_part(position, row) ^ mark_part(position, row), row, head);
}

void encode_version_1(std::uint32_t crc, const Row& row, std::string& head) { write(crc, row, head); }

bool decode(std::span<const std::byte> head, Row& row) noexcept {
  if (head.size() < kFixedBytes) return false;
  Reader reader(head.subspan(kCrcBytes));
  row.type = static_cast<TypeId>(reader.integer(8));
  row.enqueued_at = WallTime(Duration(static_cast<std::int64_t>(reader.integer(8))));
  const auto fields = static_cast<std::uint8_t>(reader.integer(1));
  if ((fields & ~kAll) != 0) return false;
  const auto is_there = [&](Field field) { return (fields & field) != 0; };
  row.origin = is_there(kOrigin) ? reader.integer(8) : 0;
  row.expires_at = is_there(kExpiresAt) ? time_of(reader.integer(8)) : kNoMoment;
  row.moment = is_there(kMoment) ? time_of(reader.integer(8)) : kNoMoment;
  row.attempts = is_there(kAttempts) ? static_cast<std::uint32_t>(reader.integer(4)) : 0;
  row.producer = is_there(kProducer) ? reader.text(static_cast<std::size_t>(reader.integer(2))) : std::string_view{};
  row.cause = is_there(kCause) ? reader.text(static_cast<std::size_t>(reader.integer(2))) : std::string_view{};
  row.key = reader.text(reader.left());
  return reader.ok();
}

bool holds(std::span<const std::byte> head, std::int64_t position, const Row& row) noexcept {
  return crc_of(head) == (fixed_part(position, row) ^ mark_part(position, row));
}

bool remark(std::span<const std::byte> head, std::int64_t position, const Row& mark, std::string& out) {
  Row row;
  if (!decode(head, row)) return false;
  const std::uint32_t before = mark_part(position, row);
  row.attempts = mark.attempts;
  row.cause = mark.cause;
  row.moment = mark.moment;
  write(crc_of(head) ^ before ^ mark_part(position, row), row, out);
  return true;
}

}  // namespace pannier::sqlite_row
