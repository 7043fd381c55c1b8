#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "platform/result.h"
#include "runtime/store/row.h"
#include "runtime/store/sqlite/handle.h"
#include "runtime/store/sqlite/image.h"
#include "runtime/store/sqlite/record.h"

/// The second copy of what a file cannot be read without, on a page of its own (docs/storage.md, Damage).
namespace pannier::sqlite_twin {

/// Tables whose content a salvage takes over, in the order of the twin's roots.
enum class Table : std::uint8_t {
  meta,
  streams,
  rows,
  parked,
  delayed,
  kept,
  damaged,
  watermarks,
  state,
  cursors,
  tokens,
  clock,
  batches,
};
inline constexpr std::array<const char*, 13> kTables = {"meta",   "streams", "rows",       "parked", "delayed",
                                                        "kept",   "damaged", "watermarks", "state",  "cursors",
                                                        "tokens", "clock",   "batches"};
/// The first page of each; 0: not known.
struct Roots {
  std::array<std::uint32_t, kTables.size()> pages{};
  [[nodiscard]] std::uint32_t operator[](Table table) const noexcept { return pages[static_cast<std::size_t>(table)]; }
};

struct Twin {
  std::int64_t version = 0;
  std::uint64_t incarnation = 0;
  Sequence lease = 0;
  Roots roots;
};

inline constexpr const char* kCreate =
    "CREATE TABLE IF NOT EXISTS twin (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL,"
    " incarnation INTEGER NOT NULL, sequence_lease INTEGER NOT NULL, roots BLOB NOT NULL, crc INTEGER NOT NULL)"
    " STRICT;";
inline constexpr const char* kPut =
    "INSERT OR REPLACE INTO twin (id, version, incarnation, sequence_lease, roots, crc) VALUES (1, ?1, ?2, ?3, ?4, ?5)";

[[nodiscard]] Result<Roots> roots_of(Connection& database);
/// Runs `put`, which is kPut. SQLITE_OK or an error.
[[nodiscard]] int write(Statement& put, const Twin& twin);

/// Nothing where the record is no twin, or its checksum does not hold.
[[nodiscard]] std::optional<Twin> decode(const SqliteRecord& record);
/// Looks at each page of the file for it.
[[nodiscard]] std::optional<Twin> find(const SqliteImage& image);

}  // namespace pannier::sqlite_twin
