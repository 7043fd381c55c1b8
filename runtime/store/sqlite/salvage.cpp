#include "runtime/store/sqlite/salvage.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "platform/concat.h"
#include "runtime/limits.h"
#include "runtime/store/crc32c.h"
#include "runtime/store/sqlite/file.h"
#include "runtime/store/sqlite/image.h"
#include "runtime/store/sqlite/log.h"
#include "runtime/store/sqlite/salvage_application.h"
#include "runtime/store/sqlite/salvage_rows.h"
#include "runtime/store/sqlite/schema.h"

namespace pannier::sqlite_salvage {
namespace {

constexpr std::array<char, 8> kMagic = {'P', 'A', 'N', 'N', 'S', 'L', 'V', '1'};
constexpr std::size_t kNoteBytes = 20;

/// How far a salvage has come, in a file beside the database.
struct Note {
  enum class Phase : std::uint32_t { damaged = 1, put_aside = 2 };
  Phase phase = Phase::damaged;
  std::uint32_t number = 0;  ///< Of the file that the damaged one is put aside as; 0: none chosen yet.
};
using NoteBytes = std::array<std::byte, kNoteBytes>;

NoteBytes encode(const Note& note) noexcept {
  NoteBytes bytes{};
  std::copy_n(reinterpret_cast<const std::byte*>(kMagic.data()), kMagic.size(), bytes.begin());
  const auto put = [&bytes](std::size_t at, std::uint32_t value) {
    for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<std::byte>(value >> (8 * i) & 0xFFU);
  };
  put(8, static_cast<std::uint32_t>(note.phase));
  put(12, note.number);
  put(16, crc32c(0, std::span(bytes).first(16)));
  return bytes;
}

std::string note_name(const std::string& path) { return path + "-salvage"; }
std::string aside_name(const std::string& path, std::uint32_t number) { return concat({path, "-damaged", number}); }

Error disk_error(int rc, const std::string& path, const char* doing) {
  const ErrorCode code = (rc & 0xff) == SQLITE_FULL ? ErrorCode::storage_full : ErrorCode::storage_io;
  return store_error(code, path, concat({"damaged, and not salvaged yet: cannot ", doing}));
}

/// Nothing where there is no note. A note that does not hold was being written: nothing had been done by then.
Result<std::optional<Note>> read_note(CountingVfs& vfs, const std::string& path) {
  VfsFile file(vfs.base(), note_name(path));
  if (!file.exists()) return std::optional<Note>{};
  NoteBytes bytes{};
  const bool opened = file.open(SQLITE_OPEN_READONLY | SQLITE_OPEN_MAIN_DB);
  const std::optional<std::int64_t> size = opened ? file.size() : std::nullopt;
  const bool short_of_it = size && *size < static_cast<std::int64_t>(kNoteBytes);
  if (!size || (!short_of_it && !file.read(bytes, 0))) return disk_error(SQLITE_IOERR, path, "read the note beside it");
  const bool holds = sqlite_log::little(bytes, 16) == crc32c(0, std::span(bytes).first(16)) &&
                     std::equal(kMagic.begin(), kMagic.end(), reinterpret_cast<const char*>(bytes.data()));
  if (!holds) return std::optional(Note{});
  return std::optional(Note{static_cast<Note::Phase>(sqlite_log::little(bytes, 8)), sqlite_log::little(bytes, 12)});
}

Result<void> make_note(CountingVfs& vfs, const std::string& path, const Note& note) {
  // Opened to be made as a journal is: the folder is synced with it.
  VfsFile file(vfs.base(), note_name(path));
  if (!file.open(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MAIN_JOURNAL)) {
    return disk_error(SQLITE_IOERR, path, "make a note beside it");
  }
  int rc = file.write_all(encode(note), 0);
  if (rc == SQLITE_OK && !file.sync()) rc = SQLITE_IOERR;
  if (rc != SQLITE_OK) return disk_error(rc, path, "make a note beside it");
  return {};
}

/// Again, page by page: those that the disk cannot read any more are zeros.
void read_what_can_be(VfsFile& source, std::span<std::byte> bytes, std::int64_t at) noexcept {
  while (!bytes.empty()) {
    const std::span<std::byte> page = bytes.first(std::min(bytes.size(), SqliteImage::kPageBytes));
    if (!source.read(page, at)) std::fill(page.begin(), page.end(), std::byte{0});
    at += static_cast<std::int64_t>(page.size());
    bytes = bytes.subspan(page.size());
  }
}

/// A copy, on the disk when this returns. Of a file that is not there: an empty one.
Result<void> copy(sqlite3_vfs* vfs, const std::string& from, const std::string& to, const std::string& path) {
  VfsFile source(vfs, from);
  VfsFile target(vfs, to);
  if (!source.open(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MAIN_DB) ||
      !target.open(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MAIN_JOURNAL)) {
    return disk_error(SQLITE_IOERR, path, "open the files to put it aside");
  }
  const std::optional<std::int64_t> size = source.size();
  if (!size || !target.truncate(0)) return disk_error(SQLITE_IOERR, path, "put it aside");
  std::array<std::byte, 16384> buffer{};
  for (std::int64_t at = 0; at < *size; at += static_cast<std::int64_t>(buffer.size())) {
    const auto piece = static_cast<std::size_t>(std::min<std::int64_t>(*size - at, buffer.size()));
    const std::span<std::byte> bytes = std::span(buffer).first(piece);
    if (!source.read(bytes, at)) read_what_can_be(source, bytes, at);
    if (const int rc = target.write_all(bytes, at); rc != SQLITE_OK) return disk_error(rc, path, "put it aside");
  }
  if (!target.sync()) return disk_error(SQLITE_IOERR, path, "put it aside");
  return {};
}

std::uint32_t free_number(CountingVfs& vfs, const std::string& path) {
  for (std::uint32_t number = 1; number <= limits::kDamagedFiles; ++number) {
    const std::string name = aside_name(path, number);
    if (!VfsFile(vfs.base(), name).exists() && !VfsFile(vfs.base(), name + "-wal").exists()) return number;
  }
  return 0;
}

Result<SalvageReport> fill_new_file(const SqliteOptions& options, CountingVfs& vfs, const std::string& aside) {
  const std::uint64_t new_incarnation = options.entropy.next_u64();
  Result<Connection> made = sqlite_schema::open(options, vfs);
  if (!made) return made.error();
  Result<std::unique_ptr<SqliteSession>> session = SqliteSession::create(std::move(*made), options.batch_bytes);
  if (!session) return session.error();
  const SqliteImage image(vfs.base(), aside);
  Result<SalvageReport> report = SqliteSalvage(image, **session, new_incarnation).run();
  if (!report) return report;
  if (image.disk_failed()) return disk_error(SQLITE_IOERR, options.path, "read it");
  if (Result<void> copied = copy_application_tables(aside, vfs, **session, *report); !copied) return copied.error();
  return report;
}

/// Version 1 had no twin and other rows; it would need a reader of its own.
bool can_salvage(std::int64_t version) noexcept { return version == 2 || version == sqlite_schema::kVersion; }

/// The parts of a database's header that are the same in every store, whatever it holds.
bool header_as_made(const SqliteImage::Page& page) noexcept {
  constexpr std::string_view kStart{"SQLite format 3\0\x10\0\x02\x02\0\x40\x20\x20", 24};
  const auto starts = [&](std::size_t at, std::uint32_t value) { return sqlite_log::big(page, at) == value; };
  return std::equal(kStart.begin(), kStart.end(), reinterpret_cast<const char*>(page.data())) && starts(52, 0) &&
         starts(56, 1) && starts(64, 0) && starts(68, static_cast<std::uint32_t>(sqlite_schema::kApplicationId));
}

}  // namespace

void note_damage(CountingVfs& vfs, const std::string& path) noexcept {
  const auto noted = read_note(vfs, path);
  if (noted && !*noted) static_cast<void>(make_note(vfs, path, {}).ok());
}

Result<bool> is_wanted(CountingVfs& vfs, const std::string& path) {
  const auto noted = read_note(vfs, path);
  if (!noted) return noted.error();
  return noted->has_value();
}

bool is_damage(CountingVfs& vfs, const std::string& path, const Error& refused) {
  switch (refused.code) {
    case ErrorCode::corrupt:
    case ErrorCode::unsupported:
    case ErrorCode::permission:
    case ErrorCode::invalid_argument: break;
    default: return false;
  }
  const SqliteImage image(vfs.base(), path);
  SqliteImage::Page first{};
  const bool readable = image.read(1, first);
  const std::uint32_t version = readable ? sqlite_log::big(first, 60) : 0;
  const std::optional<sqlite_twin::Twin> twin = sqlite_twin::find(image);
  const bool as_made = readable && header_as_made(first);
  if (twin) {
    // The header was damaged where it differs from what the twin tells; else it is trees and rows.
    return can_salvage(twin->version) && (refused.code == ErrorCode::corrupt || !as_made || version != twin->version);
  }
  return as_made && can_salvage(version) && refused.code == ErrorCode::corrupt;
}

Result<Salvaged> run(const SqliteOptions& options, CountingVfs& vfs) {
  const std::string& path = options.path;
  const auto noted_before = read_note(vfs, path);
  if (!noted_before) return noted_before.error();
  Note note = noted_before->value_or(Note{});
  if (!VfsFile(vfs.base(), path).open(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MAIN_DB)) {
    return store_error(ErrorCode::permission, path, "damaged, and not writable");
  }
  if (note.number == 0) {
    note.number = free_number(vfs, path);
    if (note.number == 0) {
      return store_error(ErrorCode::corrupt, path,
                         concat({"damaged, and ", limits::kDamagedFiles,
                                 " damaged files are kept beside it already; look into the disk, then remove those"}));
    }
    if (Result<void> noted = make_note(vfs, path, note); !noted) return noted.error();
  }
  VfsFile lock(vfs.base(), note_name(path));
  if (!lock.open(SQLITE_OPEN_READWRITE | SQLITE_OPEN_MAIN_DB) || !lock.lock()) {
    return store_error(ErrorCode::in_use, path, "another process salvages it");
  }
  if (const auto noted = read_note(vfs, path); !noted || !*noted) {
    return store_error(ErrorCode::in_use, path, "another process has just salvaged it");
  }
  const std::string aside = aside_name(path, note.number);
  if (note.phase != Note::Phase::put_aside) {
    // Whoever has salvaged it meanwhile holds it; or somebody has put another file there.
    if (Result<Connection> seen = sqlite_schema::open(options, vfs); !seen && !is_damage(vfs, path, seen.error())) {
      return seen.error();
    }
    vfs.release_room(path + "-reserve");  // It comes back once there is a store.
    for (const char* part : {"", "-wal"}) {
      if (Result<void> copied = copy(vfs.base(), path + part, aside + part, path); !copied) return copied.error();
    }
    note.phase = Note::Phase::put_aside;
    if (lock.write_all(encode(note), 0) != SQLITE_OK || !lock.sync()) {
      return disk_error(SQLITE_IOERR, path, "note that it is put aside");
    }
  }
  for (const char* part : {"-witness", "-wal", "-journal", ""}) {
    if (!VfsFile(vfs.base(), path + part).remove(true))
      return disk_error(SQLITE_IOERR, path, "make room for a new one");
  }
  static_cast<void>(vfs.witness().check(path));  // Of the new file from here on, which has no log yet.
  Result<SalvageReport> report = fill_new_file(options, vfs, aside);
  if (!report) return report.error();
  if (!VfsFile(vfs.base(), note_name(path)).remove(true)) return disk_error(SQLITE_IOERR, path, "end the salvage");
  return Salvaged{concat({"Store ", path, ": it was damaged. The damaged file is kept as ", aside,
                          "; a new one holds what was sound in it: ", report->text(), "."}),
                  report->damaged_rows + report->entries};
}

}  // namespace pannier::sqlite_salvage
