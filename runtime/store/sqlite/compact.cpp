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
  // One transaction; the log takes it, synced, before the file is cut.
  if (Result<void> written = session_->connection.execute("VACUUM"); !written) return written.error();
  if (Result<void> emptied = empty_log(); !emptied) return emptied.error();
  done.bytes_after = bytes();
  return done;
}

}  // namespace pannier
