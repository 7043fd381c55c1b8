#pragma once

#include <sqlite3.h>

#include <cstddef>
#include <span>
#include <vector>

#include "runtime/store/row.h"

namespace pannier::sqlite_functions {

/// What statements that remove rows have met.
struct Tally {
  Load load;
  std::vector<Sequence> origins;  ///< Of rows that have one.

  void add(std::span<const std::byte> head, std::size_t payload_bytes);
};

/// Gives the connection functions for the store's own statements, so that one statement does what would take a read and
/// a write:
///
/// `pannier_tally(head, length)` in a WHERE is true, and adds a row to `tally`: what a statement removed is known when
/// it ends.
///
/// `pannier_remark(head, position, attempts, cause, moment)` is the head with another mark; with attempts NULL those
/// and the cause stay. What is no head stays as it is.
///
/// `pannier_head(crc, type, enqueued_at, attempts, key, producer, cause)` is the head of a row of version 1.
///
/// `tally` must outlive the connection. SQLITE_OK or an error.
[[nodiscard]] int add(sqlite3* database, Tally& tally) noexcept;

}  // namespace pannier::sqlite_functions
