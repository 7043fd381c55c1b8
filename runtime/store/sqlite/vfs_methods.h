#pragma once

#include <sqlite3.h>

#include <cstddef>

namespace pannier {

/// Sets the methods of a VFS to the static functions of `M`: open, remove, access, full_path, randomness, sleep,
/// current_time, last_error. Leaves the rest of the structure unchanged.
template <class M>
void set_vfs_methods(sqlite3_vfs& vfs) noexcept {
  vfs.iVersion = 1;
  vfs.xOpen = M::open;
  vfs.xDelete = M::remove;
  vfs.xAccess = M::access;
  vfs.xFullPathname = M::full_path;
  vfs.xRandomness = M::randomness;
  vfs.xSleep = M::sleep;
  vfs.xCurrentTime = M::current_time;
  vfs.xGetLastError = M::last_error;
}

/// The same for its files. Version 1 has neither shared memory nor memory mapping, so SQLite cannot use either even if
/// a pragma failed to forbid it.
template <class M>
const sqlite3_io_methods* file_methods() noexcept {
  static const sqlite3_io_methods kIo = [] {
    sqlite3_io_methods io{};
    io.iVersion = 1;
    io.xClose = M::close;
    io.xRead = M::read;
    io.xWrite = M::write;
    io.xTruncate = M::truncate;
    io.xSync = M::sync;
    io.xFileSize = M::file_size;
    io.xLock = M::lock;
    io.xUnlock = M::unlock;
    io.xCheckReservedLock = M::check_reserved;
    io.xFileControl = M::control;
    io.xSectorSize = M::sector_size;
    io.xDeviceCharacteristics = M::characteristics;
    return io;
  }();
  return &kIo;
}

}  // namespace pannier
