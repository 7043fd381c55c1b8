#pragma once

#include <string>

#include <pannier/result.h>
#include <pannier/sqlite_store.h>
#include "runtime/store/sqlite/vfs.h"

/// A damaged file is set aside whole, and a new one is made of what SQLite can still read of it (docs/storage.md,
/// Damage). Every step can be cut short by a crash: the next start goes on from the last that was done.
namespace pannier::sqlite_rebuild {

/// Leaves word beside the database that damage was met in it: the next start rebuilds it. Does what it can.
void note_damage(CountingVfs& vfs, const std::string& path) noexcept;

/// Whether a start is to rebuild before it opens the file: damage was met, or a rebuild was cut short.
[[nodiscard]] Result<bool> is_wanted(CountingVfs& vfs, const std::string& path);

/// Whether an open was refused because of damage to a file of ours: some page of it or of its log is sealed as ours
/// are.
[[nodiscard]] bool is_damage(CountingVfs& vfs, const std::string& path, const Error& refused);

/// Rebuilds the file. One line for people: what was kept, what was lost, and where the old file is. On an error the
/// damaged file is kept, and the next start tries again.
[[nodiscard]] Result<std::string> run(const SqliteOptions& options, CountingVfs& vfs);

}  // namespace pannier::sqlite_rebuild
