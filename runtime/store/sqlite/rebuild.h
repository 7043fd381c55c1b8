#pragma once

#include <string>

#include <pannier/result.h>
#include <pannier/sqlite_store.h>
#include "runtime/store/sqlite/vfs.h"

/// Rebuilds a damaged file: sets it aside as a whole and creates a new one from what SQLite can still read
/// (docs/storage.md, Damage). After a crash the next start continues after the last finished step.
namespace pannier::sqlite_rebuild {

/// Notes beside the database that it is damaged, so that the next start rebuilds it. Best effort.
void note_damage(CountingVfs& vfs, const std::string& path) noexcept;

/// Whether to rebuild before opening the file: damage was noted, or a rebuild was interrupted.
[[nodiscard]] Result<bool> is_wanted(CountingVfs& vfs, const std::string& path);

/// Whether open failed with `refused` because one of our files is damaged. A file is ours if any page of it or of its
/// log has our checksum.
[[nodiscard]] bool is_damage(CountingVfs& vfs, const std::string& path, const Error& refused);

/// Rebuilds the file. Returns one line for people: what was kept, what was lost, and where the old file is. On an error
/// the damaged file is kept, and the next start tries again.
[[nodiscard]] Result<std::string> run(const SqliteOptions& options, CountingVfs& vfs);

}  // namespace pannier::sqlite_rebuild
