#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <pannier/limits.h>
#include <pannier/result.h>
#include <pannier/sqlite_store.h>
#include "runtime/store/row.h"
#include "runtime/store/sqlite/handle.h"
#include "runtime/store/sqlite/vfs.h"

/// The file format of docs/storage.md: how a file is recognised, created, migrated, checked and configured. Change that
/// text first.
namespace pannier::sqlite_schema {

inline constexpr std::int64_t kApplicationId = 0x50414E4E;  // "PANN"
inline constexpr std::int64_t kPageBytes = 4096;
/// Reserved at the end of each page for its checksum.
inline constexpr std::int64_t kReservedBytes = 8;

/// The key of a row: state, stream and sequence in one number, so that each state of each stream is a contiguous range.
[[nodiscard]] constexpr std::int64_t position(RowState state, StreamId stream, Sequence sequence) noexcept {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(state) << (limits::kStreamBits + limits::kSequenceBits) |
                                   static_cast<std::uint64_t>(stream) << limits::kSequenceBits | sequence);
}
[[nodiscard]] constexpr std::int64_t first_position(RowState state, StreamId stream) noexcept {
  return position(state, stream, 0);
}
[[nodiscard]] constexpr std::int64_t last_position(RowState state, StreamId stream) noexcept {
  return position(state, stream, limits::kMaxSequence);
}
[[nodiscard]] constexpr RowState state_of(std::int64_t position) noexcept {
  return static_cast<RowState>(static_cast<std::uint64_t>(position) >> (limits::kStreamBits + limits::kSequenceBits));
}
[[nodiscard]] constexpr StreamId stream_of(std::int64_t position) noexcept {
  return static_cast<StreamId>(static_cast<std::uint64_t>(position) >> limits::kSequenceBits & limits::kStreams);
}
[[nodiscard]] constexpr Sequence sequence_of(std::int64_t position) noexcept {
  return static_cast<std::uint64_t>(position) & limits::kMaxSequence;
}

/// Migrates a file to the next version, within the caller's transaction.
using Migration = Result<void> (*)(Connection& database);
/// The migrations in order; the first is from version 1. Add one here to change the format.
[[nodiscard]] std::span<const Migration> migrations() noexcept;
/// The version that this release writes.
[[nodiscard]] std::int64_t version() noexcept;
/// Runs the migrations from version `from` on, each in a transaction that also sets the new version. If one fails, the
/// file stays as it was before that one.
[[nodiscard]] Result<void> migrate(Connection& database, std::int64_t from, std::span<const Migration> steps);

/// True for the name of a table or index of the store, or a name reserved for them.
[[nodiscard]] bool is_store_table(std::string_view name) noexcept;

/// corrupt if a table or a column of the store is missing.
[[nodiscard]] Result<void> check_columns(const Connection& database);

/// Opens the file. Refuses a file that is not ours before writing, creates the tables of a new one, migrates an older
/// one, applies and verifies every setting, and checks the structure.
[[nodiscard]] Result<Connection> open(const SqliteOptions& options, CountingVfs& vfs);

}  // namespace pannier::sqlite_schema
