#include "runtime/store/sqlite/image.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/store/sqlite/log.h"

namespace pannier {

using sqlite_log::big;

SqliteImage::SqliteImage(sqlite3_vfs* vfs, const std::string& path) : file_(vfs, path), log_(vfs, path + "-wal") {
  if (file_.exists()) {
    const bool opened = file_.open(SQLITE_OPEN_READONLY | SQLITE_OPEN_MAIN_DB);
    const std::optional<std::int64_t> size = opened ? file_.size() : std::nullopt;
    disk_failed_ = !size;
    pages_ = static_cast<std::uint32_t>(size.value_or(0) / static_cast<std::int64_t>(kPageBytes));
  }
  if (!log_.exists()) return;
  if (log_.open(SQLITE_OPEN_READONLY | SQLITE_OPEN_WAL)) {
    read_log();
  } else {
    disk_failed_ = true;
  }
}

void SqliteImage::read_log() {
  std::array<std::byte, sqlite_log::kHeader> header{};
  if (!log_.read(header, 0) || (big(header, 0) & ~1U) != 0x377f0682 || big(header, 8) != kPageBytes) return;
  sqlite_log::Chain chain;
  chain.big_endian = (big(header, 0) & 1U) != 0;
  chain.add(std::span(header).first(24));
  if (!chain.is(header, 24)) return;
  std::array<std::byte, sqlite_log::kFrameHeader + kPageBytes> frame{};
  std::vector<std::pair<std::uint32_t, std::int64_t>> transaction;
  for (std::int64_t at = sqlite_log::kHeader; log_.read(frame, at); at += static_cast<std::int64_t>(frame.size())) {
    if (!std::equal(header.begin() + 16, header.begin() + 24, frame.begin() + 8)) return;  // Salts of an older log.
    chain.add(std::span(frame).first(8));
    chain.add(std::span(frame).subspan(sqlite_log::kFrameHeader));
    if (!chain.is(frame, 16)) return;
    transaction.emplace_back(big(frame, 0), at + static_cast<std::int64_t>(sqlite_log::kFrameHeader));
    const std::uint32_t pages = big(frame, 4);
    if (pages == 0) continue;  // Only the frame that commits has a size of the database.
    for (const auto& [page, offset] : transaction) in_log_[page] = offset;
    transaction.clear();
    pages_ = std::max(pages_, pages);
  }
}

bool SqliteImage::read(std::uint32_t number, Page& to) const {
  if (number == 0 || number > pages_) return false;
  bool done = false;
  if (const auto found = in_log_.find(number); found != in_log_.end()) {
    done = log_.read(to, found->second);
  } else {
    const std::int64_t at = std::int64_t{number - 1} * static_cast<std::int64_t>(kPageBytes);
    const auto end = file_.is_open() ? file_.size() : std::optional<std::int64_t>(0);
    if (end && at >= *end) return false;  // It was to come from a log that is cut off.
    done = end && file_.read(to, at);
  }
  disk_failed_ = disk_failed_ || !done;
  return done;
}

}  // namespace pannier
