#include "runtime/store/sqlite/claims.h"

#include <array>
#include <cstddef>
#include <utility>

#include <pannier/limits.h>
#include "runtime/store/crc32c.h"

namespace pannier {
namespace {

constexpr std::size_t kSlotBytes = 16;
using Slot = std::array<std::byte, kSlotBytes>;

std::uint32_t checksum(std::int64_t position) noexcept {
  return FieldChecksum().u64(static_cast<std::uint64_t>(position)).value();
}

void put_integer(Slot& slot, std::size_t at, std::size_t size, std::uint64_t value) noexcept {
  for (std::size_t i = 0; i < size; ++i) slot[at + i] = static_cast<std::byte>(value >> (8 * i));
}

std::int64_t offset_of(std::uint32_t slot) noexcept {
  return std::int64_t{slot} * static_cast<std::int64_t>(kSlotBytes);
}

std::uint64_t integer(const Slot& slot, std::size_t at, std::size_t size) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i) value |= std::to_integer<std::uint64_t>(slot[at + i]) << (8 * i);
  return value;
}

}  // namespace

SqliteClaims::SqliteClaims(CountingVfs& vfs, std::string path) : vfs_(vfs), path_(std::move(path)) {
  if (vfs_.size_of(path_).value_or(0) == 0) return;
  file_ = vfs_.open_side_file(path_);
  if (file_ == nullptr) return;
  Slot slot{};
  for (; used_ < limits::kInFlight && file_->read(offset_of(used_), slot); ++used_) {
    const auto position = static_cast<std::int64_t>(integer(slot, 0, 8));
    const bool left = position != 0 && integer(slot, 8, 4) == checksum(position);
    if (left && slots_.emplace(position, used_).second) {
      left_.push_back(position);
    } else {
      free_.push_back(used_);
    }
  }
}

void SqliteClaims::write(std::uint32_t slot, std::int64_t position) noexcept {
  if (file_ == nullptr) file_ = vfs_.open_side_file(path_);
  if (file_ == nullptr) return;
  Slot bytes{};
  if (position != 0) {
    put_integer(bytes, 0, 8, static_cast<std::uint64_t>(position));
    put_integer(bytes, 8, 4, checksum(position));
  }
  static_cast<void>(file_->write(offset_of(slot), bytes));
}

bool SqliteClaims::claim(std::int64_t position) noexcept {
  if (slots_.contains(position)) return true;
  std::uint32_t slot = used_;
  if (!free_.empty()) {
    slot = free_.back();
    free_.pop_back();
  } else if (used_ < limits::kInFlight) {
    ++used_;
  } else {
    return false;
  }
  slots_.emplace(position, slot);
  write(slot, position);
  return true;
}

void SqliteClaims::release(std::int64_t position) noexcept {
  const auto held = slots_.find(position);
  if (held == slots_.end()) return;
  write(held->second, 0);
  free_.push_back(held->second);
  slots_.erase(held);
}

std::vector<std::int64_t> SqliteClaims::take() noexcept {
  for (const std::int64_t position : left_) release(position);
  return std::exchange(left_, {});
}

}  // namespace pannier
