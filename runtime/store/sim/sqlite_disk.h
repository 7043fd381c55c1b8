#pragma once

#include <memory>
#include <string>

#include "platform/sim/disk.h"

namespace pannier::sim {

/// SQLite on a simulated disk: registers it as a VFS while it lives, for SqliteOptions::vfs. The store above it is
/// the real one, on the real SQLite. Never the default, so that SQLite elsewhere in the process is not touched.
/// SQLite's own random numbers are seeded from the disk, so that the log's salts repeat, too: the one thing that is
/// process-wide.
///
/// File names are flat: a path is a name. No locks: a disk has one user at a time, and whether a second process is
/// kept out is tested on real files. As in the POSIX VFS, a log or journal opened to be made syncs the folder with its
/// first content.
///
/// Outlives every store that is open on it. The disk outlives it. One thread.
class SqliteDisk {
 public:
  explicit SqliteDisk(Disk& disk);
  ~SqliteDisk();
  SqliteDisk(const SqliteDisk&) = delete;
  SqliteDisk& operator=(const SqliteDisk&) = delete;

  [[nodiscard]] const std::string& name() const noexcept;

 private:
  struct Vfs;
  struct Methods;
  struct File;
  std::unique_ptr<Vfs> vfs_;
};

}  // namespace pannier::sim
