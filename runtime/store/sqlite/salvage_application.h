#pragma once

#include <string>

#include "platform/result.h"
#include "runtime/store/sqlite/salvage_rows.h"
#include "runtime/store/sqlite/session.h"
#include "runtime/store/sqlite/vfs.h"

namespace pannier {

/// Makes the application's own tables of the damaged file `aside` anew in the file of `to`, with the rows that SQLite
/// can read of each from either end. What cannot be had is told in `report`. The damaged file is read only. An error:
/// the new file could not be written.
[[nodiscard]] Result<void> copy_application_tables(const std::string& aside, CountingVfs& vfs, SqliteSession& to,
                                                   SalvageReport& report);

}  // namespace pannier
