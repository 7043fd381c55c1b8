#include "platform/concat.h"
#include "runtime/store/sqlite/store_impl.h"

namespace pannier {

Result<CompactedStore> compact_sqlite_store(const SqliteOptions& options) {
  Result<std::unique_ptr<CountingVfs>> vfs = CountingVfs::create(options.vfs);
  if (!vfs) return vfs.error();
  if ((*vfs)->size_of(options.path).value_or(0) <= 0) {
    return store_error(ErrorCode::not_found, options.path, "there is no such file");
  }
  SqliteStore store{options, std::move(*vfs)};
  if (Result<void> opened = store.open(); !opened) return opened.error();
  return store.compact();
}

Result<CompactedStore> SqliteStore::compact() {
  CompactedStore done;
  const auto bytes = [this] { return static_cast<std::uint64_t>(vfs_->size_of(options_.path).value_or(0)); };
  done.findings = findings_;
  done.bytes_before = bytes();
  // One transaction, synced to the log before the file is truncated.
  if (Result<void> written = session_->connection.execute("VACUUM"); !written) return written.error();
  if (Result<void> emptied = empty_log(); !emptied) return emptied.error();
  done.bytes_after = bytes();
  return done;
}

/// Adds checksums to a file that a program with plain SQLite has rewritten without them (VACUUM). If SQLite finds it
/// intact, rewrites each page through the log. A crash leads to a new start, or continues from the log.
Result<void> SqliteStore::take_over() {
  static_cast<void>(vfs_->notes().check(options_.path));  // The old notes are about other pages.
  Result<Connection> connection = sqlite_schema::open(options_, *vfs_);
  if (!connection) return connection.error();
  const Result<std::string> order = connection->text("PRAGMA integrity_check(1)");
  if (!order) return order.error();
  if (*order != "ok") return store_error(ErrorCode::corrupt, options_.path, *order);
  if (Result<void> written = connection->execute("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)"); !written) return written;
  findings_.push_back(concat({"Store ", options_.path,
                              ": another program has written it anew, with VACUUM perhaps. Nothing is missing, and its "
                              "pages have checksums again; use pannier compact instead."}));
  return {};
}

}  // namespace pannier
