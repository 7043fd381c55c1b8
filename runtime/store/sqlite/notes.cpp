#include "runtime/store/sqlite/notes.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <pannier/limits.h>
#include "platform/concat.h"
#include "runtime/mutants.h"
#include "runtime/store/crc32c.h"
#include "runtime/store/sqlite/log.h"

namespace pannier {
namespace {

using sqlite_log::big;
using sqlite_log::Chain;
using sqlite_log::kFrameHeader;
using sqlite_log::kPage;
using sqlite_log::little;
using sqlite_log::put_little;
constexpr std::size_t kLogHeader = sqlite_log::kHeader;
constexpr std::array<char, 8> kMagic = {'P', 'A', 'N', 'N', 'W', 'I', 'T', '1'};
// Where the parts of the file begin.
constexpr std::int64_t kPagesAt = 64;
constexpr std::int64_t kSlotsAt = 3 * static_cast<std::int64_t>(kPage);
static_assert(kPagesAt + static_cast<std::int64_t>(PageSums::kBytes) <= kSlotsAt);
using Slot = std::array<std::byte, 16>;

constexpr std::int64_t offset_of(std::uint32_t slot) noexcept {
  return kSlotsAt + std::int64_t{slot} * static_cast<std::int64_t>(Slot{}.size());
}

std::array<std::byte, 8> eight(std::span<const std::byte> bytes, std::size_t at) noexcept {
  std::array<std::byte, 8> copy{};
  std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), copy.size(), copy.begin());
  return copy;
}

}  // namespace

// --- The note ----------------------------------------------------------------------------------------------

Notes::LogNote Notes::encode(const Point& point) noexcept {
  LogNote note{};
  std::copy_n(reinterpret_cast<const std::byte*>(kMagic.data()), kMagic.size(), note.begin());
  std::copy(point.salts.begin(), point.salts.end(), note.begin() + 8);
  put_little(note, 16, point.generation);
  put_little(note, 24, static_cast<std::uint64_t>(point.end));
  std::copy(point.sum.begin(), point.sum.end(), note.begin() + 32);
  put_little(note, 40, crc32c(0, std::span(note).first(40)));
  return note;
}

bool Notes::decode(const LogNote& note, Point& point) noexcept {
  const bool ours = std::equal(kMagic.begin(), kMagic.end(), reinterpret_cast<const char*>(note.data()));
  if (!ours || little(note, 40) != crc32c(0, std::span(note).first(40))) return false;
  point.salts = eight(note, 8);
  point.generation = little(note, 16);
  point.end = static_cast<std::int64_t>(std::uint64_t{little(note, 24)} | std::uint64_t{little(note, 28)} << 32U);
  point.sum = eight(note, 32);
  return true;
}

bool Notes::write(std::span<const std::byte> bytes, std::int64_t offset) noexcept {
  constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MAIN_JOURNAL;
  if (!file_ || (!file_->is_open() && !file_->open(kFlags)) || !file_->write(bytes, offset)) return false;
  there_ = true;
  bytes_written_ += bytes.size();
  return true;
}

bool Notes::write_pages(PageSums::Beside beside) noexcept { return write(pages_.sealed(number(), beside), kPagesAt); }

/// A log that is restarted increments its generation and its first salt.
LogNumber Notes::number() const noexcept { return {big(now_.salts, 0) - now_.generation, now_.generation}; }

// --- At open -----------------------------------------------------------------------------------------------

std::string Notes::check(const std::string& path) {
  pending_ = false;
  pages_.clear();
  pages_end_log_ = false;
  const bool first = file_ == nullptr;
  file_ = std::make_unique<VfsFile>(base_, path + "-notes");
  there_ = file_->exists();
  // Created with the first note, so not beside a file that is refused.
  if (!there_) return {};
  if (!file_->open(SQLITE_OPEN_READWRITE | SQLITE_OPEN_MAIN_JOURNAL)) {
    forsake();
    return {};
  }
  if (first) read_in_flight();
  LogNote note{};
  Point told;
  const bool tells = file_->read(note, 0) && decode(note, told);
  if (std::vector<std::byte> pages(PageSums::kBytes); file_->read(pages, kPagesAt)) {
    pages_.take(pages);
    // Zeros: a hole, since no list was ever written.
    pages_end_log_ = std::any_of(pages.begin(), pages.end(), [](std::byte each) { return each != std::byte{0}; });
  } else if (file_->size().value_or(kPagesAt + 1) > kPagesAt) {
    forsake();
  }
  std::string found = missing(tells ? &told : nullptr, path + "-wal");
  if (const std::string lost = lost_pages(path); !lost.empty()) found += (found.empty() ? "" : " and ") + lost;
  return found;
}

/// An unreadable file may hold notes that become wrong, so give it up.
void Notes::forsake() noexcept {
  file_->close();
  there_ = !file_->remove(true);
}

/// Checks the listed pages that the log does not hold. Forgets those that it does hold, since the database may have an
/// older or newer version; forgets all if the list belongs to another log.
std::string Notes::missing(const Point* told, const std::string& log) {
  VfsFile file(base_, log);
  std::array<std::byte, kLogHeader + kFrameHeader + kPage> buffer{};
  const auto header = std::span(buffer).first(kLogHeader);
  const auto no_log = [&](const char* fault) {
    if (!pages_.is_true_beside(nullptr)) pages_.clear();
    return told == nullptr ? std::string{} : fault;
  };
  if (!file.exists() || !file.open(SQLITE_OPEN_READONLY | SQLITE_OPEN_WAL)) return no_log("its log is gone");
  if (!file.read(header, 0)) return no_log("its log is cut off");
  Chain chain;
  chain.big_endian = (big(header, 0) & 1U) != 0;
  chain.add(header.first(24));
  if (!chain.is(header, 24)) return no_log("the header of its log is damaged");

  log_read(header, 0);
  const LogNumber found = number();
  if (!pages_.is_true_beside(&found)) pages_.clear();
  const auto frame = std::span(buffer).last(kFrameHeader + kPage);
  std::int64_t end = kLogHeader;
  bool is_told = false;
  while (file.read(frame, end) && eight(frame, 8) == now_.salts) {
    chain.add(frame.first(8));
    chain.add(frame.subspan(kFrameHeader));
    if (!chain.is(frame, 16)) break;
    end += static_cast<std::int64_t>(frame.size());
    pages_.forget(big(frame, 0));
    if (const std::uint32_t size = big(frame, 4); size != 0)
      pages_.cut(size);  // A commit frame has the new size of the database.
    if (told != nullptr && end == told->end) is_told = eight(frame, 16) == told->sum;
  }
  if (told == nullptr) return {};
  if (found.run != big(told->salts, 0) - told->generation) return "another log stands in its place";
  const auto resets = static_cast<std::int32_t>(found.generation - told->generation);
  if (resets > 0) return {};  // The noted log went to the database, which was synced before the reset.
  if (resets < 0 || now_.salts != told->salts) return "its log is an older one";
  if (is_told) return {};
  return concat({"its log holds ", std::min(end, told->end), " of ", told->end, " bytes"});
}

std::string Notes::lost_pages(const std::string& path) {
  std::vector<std::pair<std::uint32_t, std::size_t>> known;  // in the order of the file
  for (std::size_t i = 0; i < PageSums::kPlaces; ++i) {
    if (pages_.page(i) != 0) known.emplace_back(pages_.page(i), i);
  }
  if (known.empty()) return {};
  std::sort(known.begin(), known.end());
  VfsFile file(base_, path);
  std::vector<std::byte> content(kPage);
  const bool readable = file.open(SQLITE_OPEN_READONLY | SQLITE_OPEN_MAIN_DB);
  std::string first;
  std::size_t lost = 0;
  for (const auto& [page, place] : known) {
    if (readable && file.read(content, static_cast<std::int64_t>(page - 1) * static_cast<std::int64_t>(kPage)) &&
        pages_.holds(place, content)) {
      continue;
    }
    if (lost++ == 0) first = std::to_string(page);
    pages_.forget(page);
  }
  if (lost == 0) return {};
  return concat({lost, " of the ", known.size(),
                 " pages that were written to its database last are not as they were written, the first is page ",
                 first});
}

// --- While it runs -----------------------------------------------------------------------------------------

void Notes::log_read(std::span<const std::byte> bytes, std::int64_t offset) noexcept {
  if (offset != 0 || bytes.size() != kLogHeader) return;
  now_.generation = big(bytes, 12);
  now_.salts = eight(bytes, 16);
}

bool Notes::log_written(std::span<const std::byte> bytes, std::int64_t offset) noexcept {
  synced_ = false;
  if (offset == 0) {
    log_read(bytes, offset);
    // The log was to be deleted, but its header is written again.
    pages_end_log_ = pages_end_log_ && pages_.log() == number();
    return true;
  }
  // After a crash, a log continues that a checkpoint had fully copied to the database.
  if (!reopen_pages()) return false;
  if (bytes.size() == kFrameHeader) {
    // Only a commit frame has the size of the database.
    pending_ = big(bytes, 4) != 0;
    now_.salts = eight(bytes, 8);
    now_.end = offset + static_cast<std::int64_t>(kFrameHeader + kPage);
    now_.sum = eight(bytes, 16);
  }
  return true;
}

/// Listed pages may change from here on.
bool Notes::reopen_pages() noexcept {
  if (pages_end_log_ && !(write_pages(PageSums::Beside::this_only) && file_->sync())) return false;
  pages_end_log_ = false;
  return true;
}

bool Notes::page_written_past_log(std::uint32_t page) noexcept {
  pages_.forget(page);
  return reopen_pages();
}

void Notes::committed() noexcept {
  if (std::exchange(pending_, false) && synced_) static_cast<void>(write(encode(now_), 0));
}

void Notes::database_synced() noexcept {
  if (!pages_.changed() || is_mutant(Mutant::pages_not_noted)) return;
  pages_end_log_ = true;
  static_cast<void>(write_pages(PageSums::Beside::this_and_next));
}

bool Notes::forget_log() noexcept {
  // Even if it reads as removed already: after a failed sync, the removal may not be on the disk.
  if (!there_ || is_mutant(Mutant::note_not_taken_back)) return true;
  pages_end_log_ = true;
  return write_pages(PageSums::Beside::none) && write(LogNote{}, 0) && file_->sync();
}

// --- What is in hands ------------------------------------------------------------------------------------------

void Notes::read_in_flight() {
  Slot slot{};
  for (; used_ < limits::kInFlight && file_->read(slot, offset_of(used_)); ++used_) {
    const auto position =
        static_cast<std::int64_t>(std::uint64_t{little(slot, 0)} | std::uint64_t{little(slot, 4)} << 32U);
    const bool left = position != 0 && little(slot, 8) == crc32c(0, std::span(slot).first(8));
    if (left && slots_.emplace(position, used_).second) {
      left_.push_back(position);
    } else {
      free_.push_back(used_);
    }
  }
}

void Notes::write_slot(std::uint32_t slot, std::int64_t position) noexcept {
  Slot bytes{};
  if (position != 0) {
    put_little(bytes, 0, static_cast<std::uint64_t>(position));
    put_little(bytes, 8, crc32c(0, std::span(bytes).first(8)));
  }
  static_cast<void>(write(bytes, offset_of(slot)));
}

bool Notes::put_in_flight(std::int64_t position) noexcept {
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
  write_slot(slot, position);
  return true;
}

void Notes::clear_in_flight(std::int64_t position) noexcept {
  const auto held = slots_.find(position);
  if (held == slots_.end()) return;
  write_slot(held->second, 0);
  free_.push_back(held->second);
  slots_.erase(held);
}

std::vector<std::int64_t> Notes::take_in_flight() noexcept {
  for (const std::int64_t position : left_) clear_in_flight(position);
  return std::exchange(left_, {});
}

}  // namespace pannier
