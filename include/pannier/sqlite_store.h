#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>

#include <pannier/platform.h>
#include <pannier/result.h>
#include <pannier/store.h>

namespace pannier {

struct SqliteOptions {
  static constexpr Sequence kSequenceBlock = Sequence{1} << 20;

  /// The database file; made where it is missing, in a folder that must exist. Its log is `path` + "-wal".
  std::string path;
  /// For the incarnation of this open. Must outlive the store.
  Entropy& entropy;
  /// Cap on the database file, the log not included; 0 for none. A file that is larger already opens, and
  /// drains.
  std::uint64_t max_bytes = 0;
  /// A file up to this size is checked whole at open; of a larger one the small tables (docs/storage.md, Damage). 64
  /// MiB take about 0.1 s from the page cache of a desktop, seconds from a slow card.
  std::uint64_t quick_check_bytes = std::uint64_t{64} * 1024 * 1024;
  /// Pages of 4096 bytes in the log before they are moved to the database (docs/storage.md, Cost).
  std::uint32_t checkpoint_pages = 256;
  /// Bytes held in `path` + "-reserve" and given up once the disk is full, so that acknowledgements still
  /// find room to remove rows; new messages are refused until it can be held again. Should exceed twice the
  /// log and the largest group. 0 for none: then a full disk may refuse removals, too.
  std::uint64_t reserve_bytes = std::uint64_t{2} * 1024 * 1024;
  /// Ready rows of one stream that are put in one transaction and make so many bytes together share an entry of the
  /// file; fewer have one each (docs/storage.md, Batch). Smaller only in tests.
  std::size_t batch_bytes = 4096;
  /// The most that the place of the file can keep, and a receipt can say: `committed` for a file system in memory
  /// (lies_in_memory() of <pannier/platform.h>), of which a power cut leaves nothing.
  Durability strongest = Durability::fsynced;
  /// Sequences leased at once, at least 2. Smaller only in tests.
  Sequence sequence_block = kSequenceBlock;
  /// A VFS registered with SQLite to write through, for tests; empty for the system's.
  std::string vfs = {};
};

/// Adds a part to a store that is about to be opened. A program that names no part links none of its code.
class SqliteStore;
using SqlitePartFactory = void (*)(SqliteStore&);
void with_retention(SqliteStore& store);
void with_tokens(SqliteStore& store);
void with_state(SqliteStore& store);
void with_sql_tables(SqliteStore& store);

/// Opens or makes the store of docs/storage.md in one SQLite file, which it holds alone until it is destroyed.
/// findings() tells what was wrong with the file. On an error nothing of an existing file was changed and nothing is
/// held.
///
/// not_found, permission: the path. in_use: another process, or another store of this one, holds the file.
/// corrupt: it is not a Pannier store, or damaged. unsupported: a newer version, or an SQLite that
/// does not take a setting. storage_io, storage_full: the disk. Each names the file and says what to do.
///
/// The store and every call to it belong to one thread; it may be opened on another.
[[nodiscard]] Result<StorePtr> open_sqlite_store(const SqliteOptions& options);
/// The same with the named parts only; the others are null (Store::retention and so on). What they keep in the file
/// stays in it: open_sqlite_store(options, {with_tokens}).
[[nodiscard]] Result<StorePtr> open_sqlite_store(const SqliteOptions& options,
                                                 std::initializer_list<SqlitePartFactory> parts);

}  // namespace pannier
