#include "runtime/store/sqlite/page_sums.h"

#include <algorithm>

#include "runtime/store/crc32c.h"
#include "runtime/store/sqlite/log.h"
#include "runtime/store/sqlite/page_sum.h"

namespace pannier {
namespace {

using sqlite_log::little;
using sqlite_log::put_little;

constexpr std::array<char, 8> kMagic = {'P', 'A', 'N', 'N', 'S', 'U', 'M', '1'};
constexpr std::size_t kEnd = PageSums::kBytes - 4;

constexpr std::size_t place_of(std::uint32_t page) noexcept {
  return PageSums::kHeader + 8 * (page % PageSums::kPlaces);
}

std::uint32_t sum_of(std::uint32_t page, std::span<const std::byte> content) noexcept {
  return static_cast<std::uint32_t>(page_sum(page, content.first(kPageBytes - kPageSumBytes)));
}

}  // namespace

PageSums::PageSums() : bytes_(kBytes) { clear(); }

void PageSums::clear() noexcept {
  std::fill(bytes_.begin(), bytes_.end(), std::byte{0});
  std::transform(kMagic.begin(), kMagic.end(), bytes_.begin(), [](char c) { return static_cast<std::byte>(c); });
}

void PageSums::written(std::uint32_t page, std::span<const std::byte> content) noexcept {
  put_little(bytes_, place_of(page), page);
  put_little(bytes_, place_of(page) + 4, static_cast<std::uint32_t>(stored_sum(content)));
  changed_ = true;
}

void PageSums::forget(std::uint32_t page) noexcept {
  if (little(bytes_, place_of(page)) == page) put_little(bytes_, place_of(page), std::uint32_t{0});
}

void PageSums::cut(std::uint32_t pages) noexcept {
  for (std::size_t i = 0; i < kPlaces; ++i) {
    if (page(i) > pages) forget(page(i));
  }
}

std::span<const std::byte> PageSums::sealed(const LogNumber& log, Beside beside) noexcept {
  put_little(bytes_, 8, log.run);
  put_little(bytes_, 12, log.generation);
  put_little(bytes_, 16, static_cast<std::uint32_t>(beside));
  put_little(bytes_, kEnd, crc32c(0, std::span<const std::byte>(bytes_).first(kEnd)));
  changed_ = false;
  return bytes_;
}

void PageSums::take(std::span<const std::byte> bytes) noexcept {
  clear();
  // The magic stands already.
  const bool sound =
      bytes.size() == kBytes && std::equal(bytes_.begin(), bytes_.begin() + kMagic.size(), bytes.begin());
  if (!sound || little(bytes, kEnd) != crc32c(0, bytes.first(kEnd))) return;
  std::copy(bytes.begin(), bytes.end(), bytes_.begin());
}

bool PageSums::is_true_beside(const LogNumber* log) const noexcept {
  const auto beside = static_cast<Beside>(little(bytes_, 16));
  if (beside == Beside::none && (log == nullptr || log->generation == 0)) return true;
  const auto [run, generation] = this->log();
  return log != nullptr && log->run == run && log->generation - generation <= (beside == Beside::this_only ? 0U : 1U);
}

LogNumber PageSums::log() const noexcept { return {little(bytes_, 8), little(bytes_, 12)}; }

std::uint32_t PageSums::page(std::size_t i) const noexcept { return little(bytes_, kHeader + 8 * i); }

bool PageSums::holds(std::size_t i, std::span<const std::byte> content) const noexcept {
  return little(bytes_, kHeader + 8 * i + 4) == sum_of(page(i), content);
}

}  // namespace pannier
