#include "runtime/store/sqlite/record.h"

namespace pannier {
namespace {

constexpr std::uint64_t kFirstBlob = 12;  // From here on even types are blobs and odd ones texts.

std::optional<std::size_t> size_of(std::uint64_t type) noexcept {
  constexpr std::size_t kSizes[] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0};
  if (type < std::size(kSizes)) return kSizes[type];
  if (type < kFirstBlob) return std::nullopt;
  return static_cast<std::size_t>((type - kFirstBlob) / 2);
}

}  // namespace

std::optional<std::uint64_t> take_varint(std::span<const std::byte>& bytes) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 9 && i < bytes.size(); ++i) {
    const auto byte = std::to_integer<std::uint64_t>(bytes[i]);
    const bool last = i == 8;  // The ninth byte has all its bits.
    value = last ? value << 8U | byte : value << 7U | (byte & 0x7FU);
    if (!last && (byte & 0x80U) != 0) continue;
    bytes = bytes.subspan(i + 1);
    return value;
  }
  return std::nullopt;
}

bool SqliteRecord::parse(std::int64_t rowid, std::span<const std::byte> bytes) {
  rowid_ = rowid;
  columns_.clear();
  std::span<const std::byte> header = bytes;
  const std::optional<std::uint64_t> header_size = take_varint(header);
  const std::size_t size_bytes = bytes.size() - header.size();
  if (!header_size || *header_size < size_bytes || *header_size > bytes.size()) return false;
  header = header.first(static_cast<std::size_t>(*header_size) - size_bytes);
  std::span<const std::byte> body = bytes.subspan(static_cast<std::size_t>(*header_size));
  while (!header.empty()) {
    const std::optional<std::uint64_t> type = take_varint(header);
    const std::optional<std::size_t> size = type ? size_of(*type) : std::nullopt;
    if (!size || *size > body.size()) return false;
    columns_.push_back({*type, body.first(*size)});
    body = body.subspan(*size);
  }
  return body.empty();
}

std::optional<std::int64_t> SqliteRecord::integer(std::size_t column) const noexcept {
  if (column >= columns_.size()) return std::nullopt;
  const auto& [type, bytes] = columns_[column];
  if (type == 8 || type == 9) return static_cast<std::int64_t>(type - 8);
  if (type == 0 || type > 6) return std::nullopt;
  const bool negative = (std::to_integer<unsigned>(bytes[0]) & 0x80U) != 0;
  std::uint64_t value = negative ? ~std::uint64_t{0} : 0;
  for (const std::byte byte : bytes) value = value << 8U | std::to_integer<std::uint64_t>(byte);
  return static_cast<std::int64_t>(value);
}

std::optional<std::string_view> SqliteRecord::text(std::size_t column) const noexcept {
  if (column >= columns_.size() || columns_[column].type < kFirstBlob || columns_[column].type % 2 == 0) {
    return std::nullopt;
  }
  const std::span<const std::byte> bytes = columns_[column].bytes;
  return std::string_view{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::optional<std::span<const std::byte>> SqliteRecord::blob(std::size_t column) const noexcept {
  if (column >= columns_.size() || columns_[column].type < kFirstBlob || columns_[column].type % 2 != 0) {
    return std::nullopt;
  }
  return columns_[column].bytes;
}

}  // namespace pannier
