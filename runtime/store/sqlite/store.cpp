#include "runtime/store/sqlite_store.h"

#include <algorithm>
#include <utility>

#include "runtime/mutants.h"
#include "runtime/store/sqlite/store_impl.h"

namespace pannier {

// --- Sequence -------------------------------------------------------------------------------------------

int SqliteStore::write_meta(Sequence lease, bool clean) {
  if constexpr (is_mutant(Mutant::lease_not_kept)) lease = 1;
  session_->set_meta.bind(1, as_signed(lease));
  session_->set_meta.bind(2, std::int64_t{clean ? 1 : 0});
  session_->set_meta.bind(3, std::int64_t{sqlite_schema::meta_checksum(incarnation_, lease, clean)});
  return session_->set_meta.run();
}

int SqliteStore::write_twin(Sequence lease) {
  return sqlite_twin::write(session_->put_twin, {sqlite_schema::kVersion, incarnation_, lease, roots_});
}

Result<void> SqliteStore::raise_lease() {
  const Sequence lease = std::min(next_ + options_.sequence_block, store_checks::kMaxSequence + 1);
  vfs_->transaction_begins();
  int rc = session_->begin.run();
  if (rc == SQLITE_OK) rc = write_meta(lease, false);
  if (rc == SQLITE_OK) rc = write_twin(lease);
  if (rc == SQLITE_OK) rc = session_->commit.run();
  if (rc != SQLITE_OK) {
    Error error = session_->connection.error(rc, "lease sequence numbers");
    vfs_->void_transaction();
    if (!session_->connection.autocommit()) session_->rollback.run();
    return error;
  }
  vfs_->witness().committed();
  leased_ = lease;
  clean_ = false;
  return {};
}

Result<Sequence> SqliteStore::next_sequence() {
  if (next_ >= leased_) {
    if (next_ > store_checks::kMaxSequence) {
      return store_error(ErrorCode::full, options_.path, "all sequence numbers are used; start with a new file");
    }
    if (Result<void> ready = check_open(); !ready) return ready.error();
    if (open_) return store_error(ErrorCode::full, options_.path, "too many sequence numbers in one transaction");
    if (Result<void> leased = raise_lease(); !leased) {
      if (leased.error().code == ErrorCode::storage_io) reopen();
      return leased.error();
    }
  }
  return next_++;
}

// --- Transactions ---------------------------------------------------------------------------------------

Result<void> SqliteStore::begin() {
  if (open_) return Error{ErrorCode::invalid_argument, "begin within a transaction: commit or roll back first."};
  if (!session_) {
    if (Result<void> opened = open(); !opened) return opened;
  }
  vfs_->transaction_begins();
  if (const int rc = session_->begin.run(); rc != SQLITE_OK) return session_->connection.error(rc, "begin");
  const bool low =
      leased_ <= store_checks::kMaxSequence && leased_ - std::min(next_, leased_) < options_.sequence_block / 2;
  if (low || clean_) {
    const Sequence lease = low ? std::min(leased_ + options_.sequence_block, store_checks::kMaxSequence + 1) : leased_;
    int rc = write_meta(lease, false);
    if (low && rc == SQLITE_OK) rc = write_twin(lease);
    // The page of the lease is written anyway: what the streams hold goes along, for a start after an unclean end.
    for (const Stream& stream : loads_.all()) {
      if (low && rc == SQLITE_OK) rc = write_loads(stream);
    }
    if (rc == SQLITE_OK) {
      new_lease_ = lease;
    } else {  // Ahead of need: what is left will do until the disk has room again.
      if (!session_->connection.autocommit()) session_->rollback.run();
      if (clean_) return session_->connection.error(rc, "begin");
      if (const int again = session_->begin.run(); again != SQLITE_OK)
        return session_->connection.error(again, "begin");
    }
  }
  open_ = true;
  room_checked_ = false;
  tokens_before_ = tokens_;
  rows_put_before_ = counters_.rows_put;
  return {};
}

Result<void> SqliteStore::commit(Durability durability) {
  if (Result<void> ready = check_change(); !ready) return ready;
  if (const int rc = session_->batches.flush(); rc != SQLITE_OK) return fail(rc, "put");
  vfs_->leave_out_commit_sync(durability != Durability::fsynced);
  int rc = session_->commit.run();
  vfs_->leave_out_commit_sync(false);
  // A group that changed nothing writes and syncs nothing; those before it may wait for that.
  if (rc == SQLITE_OK && durability == Durability::fsynced) rc = vfs_->sync_log();
  if (rc != SQLITE_OK) {
    // The log may hold the whole group although its fsync failed.
    Error error = session_->connection.error(rc, "commit");
    vfs_->void_transaction();
    return fail(std::move(error));
  }
  vfs_->witness().committed();
  if (new_lease_) {
    leased_ = *std::exchange(new_lease_, std::nullopt);
    clean_ = false;
  }
  loads_.commit();
  part_.reset();
  open_ = false;
  ++counters_.commits;
  return {};
}

void SqliteStore::rollback() noexcept {
  if (!open_) return;
  if (!failed_) roll_back_changes();
  failed_.reset();
  open_ = false;
}

Result<void> SqliteStore::begin_part() {
  if (Result<void> ready = check_change(); !ready) return ready;
  if (part_) return fail({ErrorCode::invalid_argument, "begin_part within a part: end it first."});
  int rc = session_->batches.flush();  // What stands before the part is not given up with it.
  if (rc == SQLITE_OK) rc = session_->begin_part.run();
  if (rc != SQLITE_OK) return fail(rc, "begin a part");
  loads_.begin_part();
  part_ = {tokens_, counters_.rows_put};
  return {};
}

Result<void> SqliteStore::end_part(bool keep) {
  if (Result<void> ready = check_change(); !ready) return ready;
  if (!part_) return {};
  int rc = keep ? SQLITE_OK : session_->undo_part.run();
  if (rc == SQLITE_OK) rc = session_->end_part.run();
  if (rc != SQLITE_OK) return fail(rc, "end a part");
  if (!keep) session_->batches.forget();
  loads_.end_part(keep);
  if (!keep) {
    tokens_ = part_->tokens;
    counters_.rows_put = part_->rows_put;
  }
  part_.reset();
  return {};
}

void SqliteStore::roll_back_changes() noexcept {
  // SQLite ends a transaction by itself on some errors; a ROLLBACK then would be an error of its own.
  if (session_ && !session_->connection.autocommit()) session_->rollback.run();
  if (session_) session_->batches.forget();
  loads_.rollback();
  tokens_ = tokens_before_;
  counters_.rows_put = rows_put_before_;
  new_lease_.reset();
  part_.reset();
}

Error SqliteStore::fail(Error error) {
  roll_back_changes();
  if (error.code == ErrorCode::storage_full && reserve_held_ && options_.reserve_bytes > 0 && session_ != nullptr) {
    // Ballast: what was held back for this moment lets the log take the removals that make room again.
    vfs_->release_room(options_.path + "-reserve");
    reserve_held_ = false;
    refusals_ = 0;
  }
  if (error.code == ErrorCode::storage_io) reopen();
  failed_ = error;
  return error;
}

void SqliteStore::reopen() noexcept {
  // After a failed write or fsync the kernel may have dropped dirty pages and call the next fsync a success:
  // only what is read back from the file is known (fsyncgate, LWN 752063). begin() tries again where this
  // does not succeed.
  session_.reset();
  if (!open()) session_.reset();
}

Result<void> SqliteStore::check_open() const {
  if (session_ == nullptr) return store_error(ErrorCode::storage_io, options_.path, "closed after a failure");
  return {};
}

Result<void> SqliteStore::check_change() const {
  if (failed_) return *failed_;
  if (!open_) return Error{ErrorCode::invalid_argument, "A change outside a transaction: call begin first."};
  return {};
}

Store::Counters SqliteStore::counters() const noexcept {
  Counters counters = counters_;
  counters.bytes_written = vfs_->bytes_written();
  counters.fsyncs = vfs_->syncs();
  return counters;
}

}  // namespace pannier
