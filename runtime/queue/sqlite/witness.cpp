#include "runtime/queue/sqlite/witness.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "runtime/queue/crc32c.h"
#include "runtime/queue/mutants.h"
#include "runtime/queue/sqlite/log.h"

namespace pannier {
namespace {

using sqlite_log::big;
using sqlite_log::Chain;
using sqlite_log::kFrameHeader;
using sqlite_log::kPage;
using sqlite_log::little;
constexpr std::size_t kLogHeader = sqlite_log::kHeader;
constexpr std::array<char, 8> kMagic = {'P', 'A', 'N', 'N', 'W', 'I', 'T', '1'};

template <class T>
void put_little(std::span<std::byte> bytes, std::size_t at, T value) noexcept {
  for (std::size_t i = 0; i < sizeof(T); ++i) bytes[at + i] = static_cast<std::byte>(value >> (8 * i) & 0xFFU);
}

std::array<std::byte, 8> eight(std::span<const std::byte> bytes, std::size_t at) noexcept {
  std::array<std::byte, 8> copy{};
  std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), copy.size(), copy.begin());
  return copy;
}

}  // namespace

// --- The note ----------------------------------------------------------------------------------------------

LogWitness::Note LogWitness::encode(const Point& point) noexcept {
  Note note{};
  std::copy_n(reinterpret_cast<const std::byte*>(kMagic.data()), kMagic.size(), note.begin());
  std::copy(point.salts.begin(), point.salts.end(), note.begin() + 8);
  put_little(note, 16, point.generation);
  put_little(note, 24, static_cast<std::uint64_t>(point.end));
  std::copy(point.sum.begin(), point.sum.end(), note.begin() + 32);
  put_little(note, 40, crc32c(0, std::span(note).first(40)));
  return note;
}

bool LogWitness::decode(const Note& note, Point& point) noexcept {
  const bool ours = std::equal(kMagic.begin(), kMagic.end(), reinterpret_cast<const char*>(note.data()));
  if (!ours || little(note, 40) != crc32c(0, std::span(note).first(40))) return false;
  point.salts = eight(note, 8);
  point.generation = little(note, 16);
  point.end = static_cast<std::int64_t>(std::uint64_t{little(note, 24)} | std::uint64_t{little(note, 28)} << 32U);
  point.sum = eight(note, 32);
  return true;
}

bool LogWitness::write(const Note& note) noexcept {
  constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MAIN_JOURNAL;
  if (!file_ || (!file_->is_open() && !file_->open(kFlags)) || !file_->write(note, 0)) return false;
  there_ = true;
  bytes_written_ += note.size();
  return true;
}

// --- At open -----------------------------------------------------------------------------------------------

std::string LogWitness::check(const std::string& path) {
  pending_ = false;
  file_ = std::make_unique<VfsFile>(base_, path + "-witness");
  there_ = file_->exists();
  if (!there_) return {};  // Made with the first commit, not in the folder of a file that is refused.
  Note note{};
  Point told;
  const bool readable = file_->open(SQLITE_OPEN_READWRITE | SQLITE_OPEN_MAIN_JOURNAL) && file_->read(note, 0);
  return readable && decode(note, told) ? missing(told, path + "-wal") : std::string{};
}

std::string LogWitness::missing(const Point& told, const std::string& log) {
  VfsFile file(base_, log);
  std::array<std::byte, kLogHeader + kFrameHeader + kPage> buffer{};
  const auto header = std::span(buffer).first(kLogHeader);
  if (!file.exists() || !file.open(SQLITE_OPEN_READONLY | SQLITE_OPEN_WAL)) return "its log is gone";
  if (!file.read(header, 0)) return "its log is cut off";
  Chain chain;
  chain.big_endian = (big(header, 0) & 1U) != 0;
  chain.add(header.first(24));
  if (!chain.is(header, 24)) return "the header of its log is damaged";
  // A reset adds one to the generation and to the first salt: their difference tells one log from another.
  const std::uint32_t generation = big(header, 12);
  if (big(header, 16) - generation != big(told.salts, 0) - told.generation) return "another log stands in its place";
  const auto resets = static_cast<std::int32_t>(generation - told.generation);
  if (resets > 0) return {};  // What the note is about went to the database, which was synced before the reset.
  if (resets < 0 || eight(header, 16) != told.salts) return "its log is an older one";
  const auto frame = std::span(buffer).last(kFrameHeader + kPage);
  std::int64_t at = kLogHeader;
  for (; at < told.end; at += static_cast<std::int64_t>(frame.size())) {
    if (!file.read(frame, at) || eight(frame, 8) != told.salts) break;
    chain.add(frame.first(8));
    chain.add(frame.subspan(kFrameHeader));
    if (!chain.is(frame, 16)) break;
  }
  if (at == told.end && eight(frame, 16) == told.sum) return {};
  return "its log holds " + std::to_string(at) + " of " + std::to_string(told.end) + " bytes";
}

// --- While it runs -----------------------------------------------------------------------------------------

void LogWitness::log_read(std::span<const std::byte> bytes, std::int64_t offset) noexcept {
  if (offset == 0 && bytes.size() == kLogHeader) now_.generation = big(bytes, 12);
}

void LogWitness::log_written(std::span<const std::byte> bytes, std::int64_t offset) noexcept {
  synced_ = false;
  if (offset == 0) {
    log_read(bytes, offset);
  } else if (bytes.size() == kFrameHeader) {
    // Only the frame that ends a transaction has a size of the database.
    pending_ = big(bytes, 4) != 0;
    now_.salts = eight(bytes, 8);
    now_.end = offset + static_cast<std::int64_t>(kFrameHeader + kPage);
    now_.sum = eight(bytes, 16);
  }
}

void LogWitness::committed() noexcept {
  if (std::exchange(pending_, false) && synced_) static_cast<void>(write(encode(now_)));
}

bool LogWitness::forget() noexcept {
  // Also where it reads as taken back already: after a sync that failed that may not be on the disk.
  return !there_ || is_mutant(Mutant::note_not_taken_back) || (write(Note{}) && file_->sync());
}

}  // namespace pannier
