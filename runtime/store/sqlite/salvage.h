#pragma once

#include <string>

#include "platform/result.h"
#include "runtime/store/sqlite/vfs.h"
#include "runtime/store/sqlite_store.h"

/// Puts a damaged file aside and makes a new one of what is sound in it (docs/storage.md, Damage). One thread.
namespace pannier::sqlite_salvage {

/// Damage was met: the next start salvages, however large the file is. Does what it can.
void note_damage(CountingVfs& vfs, const std::string& path) noexcept;

/// Whether a start before this one, or what it met, asks for a salvage. An error: that cannot be told now.
[[nodiscard]] Result<bool> is_wanted(CountingVfs& vfs, const std::string& path);

/// Whether `refused`, which opening gave, is what damage does to a store: not the file of another program, nor that of
/// a newer release.
[[nodiscard]] bool is_damage(CountingVfs& vfs, const std::string& path, const Error& refused);

struct Salvaged {
  std::string line;  ///< For the log; empty where there was nothing to salvage.
  std::uint64_t damaged_rows = 0;
};
/// From here on the file at the path is new, and holds what was sound; nobody has it open. Where the process or the
/// power ends in it, is_wanted() says so, and it is done again from the same old file. in_use: somebody else is at it.
/// corrupt: too many damaged files are kept already. Errors of the disk: nothing is lost by them.
[[nodiscard]] Result<Salvaged> run(const SqliteOptions& options, CountingVfs& vfs);

}  // namespace pannier::sqlite_salvage
