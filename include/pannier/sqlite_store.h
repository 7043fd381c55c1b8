#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include <pannier/platform.h>
#include <pannier/result.h>
#include <pannier/store.h>

namespace pannier {

struct SqliteOptions {
  static constexpr Sequence kSequenceBlock = Sequence{1} << 20;

  /// The database file. Created if missing; its folder must exist. The log is `path` + "-wal".
  std::string path;
  /// Draws the incarnation of this open. Must outlive the store.
  Entropy& entropy;
  /// Limit of the database file in bytes, without the log; 0 for none. A file already larger opens and drains.
  std::uint64_t max_bytes = 0;
  /// A file up to this size is checked in full at open; a larger one only in its small tables (docs/storage.md,
  /// Damage). 64 MiB take about 0.1 s from a desktop's page cache, seconds from a slow card.
  std::uint64_t quick_check_bytes = std::uint64_t{64} * 1024 * 1024;
  /// Pages of 4096 bytes in the log before a checkpoint (docs/storage.md, Cost).
  std::uint32_t checkpoint_pages = 256;
  /// Bytes reserved in `path` + "-reserve" and released once the disk is full, so that acknowledgements can still
  /// remove rows. New messages are refused until the reserve can be restored. Should exceed twice the log and the
  /// largest group. 0 for none: a full disk may then refuse removals too.
  std::uint64_t reserve_bytes = std::uint64_t{2} * 1024 * 1024;
  /// Ready rows of one stream and transaction that reach this many bytes together share an entry of the file; fewer
  /// have one each (docs/storage.md, Batch). Smaller only in tests.
  std::size_t batch_bytes = 4096;
  /// The strongest durability that the file's location gives and a receipt may claim. Use `committed` for a file system
  /// in memory (lies_in_memory() in <pannier/platform.h>).
  Durability strongest = Durability::fsynced;
  /// Sequences leased at once, at least 2. Smaller only in tests.
  Sequence sequence_block = kSequenceBlock;
  /// A VFS registered with SQLite to write through, for tests; empty for the system's.
  std::string vfs = {};
};

/// Adds a part to a store about to be opened. Parts that a program does not name are not linked.
class SqliteStore;
using SqlitePartFactory = void (*)(SqliteStore&);
void with_retention(SqliteStore& store);
void with_tokens(SqliteStore& store);
void with_state(SqliteStore& store);
void with_sql_tables(SqliteStore& store);

/// Opens or creates the store of docs/storage.md in one SQLite file and holds the file exclusively until destroyed.
/// After an error an existing file is unchanged and nothing is held.
///
/// Errors name the file and say what to do. not_found, permission: the path. in_use: the file is held by another store,
/// here or in another process. corrupt: not a Pannier store, or damaged. unsupported: a newer version, or an SQLite
/// that rejects a required setting. storage_io, storage_full: the disk.
///
/// One thread uses the store; another may open it.
[[nodiscard]] Result<StorePtr> open_sqlite_store(const SqliteOptions& options);
/// As above with the named parts only, such as `open_sqlite_store(options, {with_tokens})`. What other parts keep in
/// the file stays there.
[[nodiscard]] Result<StorePtr> open_sqlite_store(const SqliteOptions& options,
                                                 std::initializer_list<SqlitePartFactory> parts);

struct CompactedStore {
  std::uint64_t bytes_before = 0;  ///< Of the database file.
  std::uint64_t bytes_after = 0;
  std::vector<std::string> findings = {};  ///< As Store::findings.
};

/// Rewrites the file of a store that is not open without its free space, and returns that to the disk: a drained flood
/// leaves the file at its largest size. One transaction: if cut short, the file is unchanged. Temporarily needs memory
/// and disk space for the file's content. Errors as open_sqlite_store; not_found also if the file is missing.
[[nodiscard]] Result<CompactedStore> compact_sqlite_store(const SqliteOptions& options);

}  // namespace pannier
