#include <algorithm>
#include <utility>

#include "runtime/mutants.h"
#include "runtime/store/sqlite/store_impl.h"

namespace pannier {

namespace {

constexpr char kHoldsTokens[] = "SELECT 1 FROM tokens WHERE stream=?1 LIMIT 1";
constexpr char kHoldsCursors[] = "SELECT 1 FROM cursors WHERE stream=?1 LIMIT 1";

}  // namespace

// --- Identity and sequence -------------------------------------------------------------------------------------------

std::uint64_t SqliteStore::incarnation_of(Sequence sequence) const noexcept {
  const auto after = std::upper_bound(incarnations_.begin(), incarnations_.end(), sequence,
                                      [](Sequence at, const Incarnation& each) { return at < each.first; });
  return after == incarnations_.begin() ? 0 : std::prev(after)->number;
}

std::vector<std::uint64_t> SqliteStore::incarnations() const {
  std::vector<std::uint64_t> all;
  all.reserve(incarnations_.size());
  for (const Incarnation& each : incarnations_) all.push_back(each.number);
  return all;
}

int SqliteStore::write_meta(Sequence lease, bool clean) {
  if constexpr (is_mutant(Mutant::lease_not_kept)) lease = 1;
  return session_->sql["UPDATE meta SET sequence_lease=?1, clean=?2 WHERE id=1"]
      .with(as_signed(lease), std::int64_t{clean ? 1 : 0})
      .run();
}

int SqliteStore::write_loads() {
  int rc = SQLITE_OK;
  for (const StreamId id : streams_.take_changed()) {
    Statement& put = session_->sql
                         ["UPDATE streams SET ready=?2, ready_bytes=?3, dead=?4, dead_bytes=?5, delayed=?6,"
                          " delayed_bytes=?7, retained=?8, retained_bytes=?9 WHERE id=?1"];
    put.bind(1, static_cast<std::int64_t>(id));
    int column = 2;
    for (const Load& load : streams_.find(id)->loads) {
      put.bind(column++, as_signed(load.messages));
      put.bind(column++, as_signed(load.bytes));
    }
    if (rc == SQLITE_OK) rc = put.run();
  }
  return rc;
}

int SqliteStore::write_lease(Sequence lease) {
  int rc = write_meta(lease, false);
  if (rc == SQLITE_OK && !incarnation_stored_) {
    rc = session_->sql["INSERT OR REPLACE INTO incarnations (first_sequence, incarnation) VALUES (?1, ?2)"]
             .with(as_signed(first_), as_signed(incarnation_))
             .run();
  }
  if (rc == SQLITE_OK && drop_before_ > 0) {
    rc = session_->sql["DELETE FROM incarnations WHERE first_sequence<?1"].with(as_signed(drop_before_)).run();
  }
  // A page is written anyway, so store the streams' loads as well, for a start after an unclean end.
  return rc == SQLITE_OK ? write_loads() : rc;
}

Result<Sequence> SqliteStore::next_sequence() {
  if (next_ < new_lease_.value_or(leased_)) return next_++;
  if (next_ > limits::kMaxSequence) {
    return store_error(ErrorCode::full, options_.path, "all sequences are used; start with a new file");
  }
  if (failed_) return next_++;  // The transaction has failed anyway; a later commit leases it.
  if (Result<void> ready = check_open(); !ready) return ready.error();
  const bool own = !open_;  // A lease needs a transaction: the open one or its own.
  if (own) {
    if (Result<void> begun = begin(); !begun) return begun.error();
  }
  const Sequence lease = std::min(next_ + options_.sequence_block, limits::kMaxSequence + 1);
  Result<void> done;
  if (const int rc = write_lease(lease); rc == SQLITE_OK) {
    new_lease_ = lease;
    lease_in_part_ = in_part_;
    if constexpr (is_mutant(Mutant::lease_raised_early)) leased_ = lease;
  } else {
    done = fail(rc, "lease sequences");
  }
  if (own && done) {
    done = commit(Durability::fsynced);
    if (done) --counters_.commits;  // Do not count internal commits.
  }
  if (own && !done) rollback();
  if (!done) return done.error();
  return next_++;
}

// --- Transactions ----------------------------------------------------------------------------------------------------

Result<void> SqliteStore::begin() {
  if (open_) return Error{ErrorCode::invalid_argument, "begin within a transaction: commit or roll back first."};
  if (session_ && vfs_->sync_failed()) reopen();  // In a checkpoint, or otherwise unreported.
  if (!session_) {
    if (Result<void> opened = open(); !opened) return opened;
  }
  if (vfs_->sync_failed()) {
    return store_error(ErrorCode::storage_io, options_.path, "a sync failed, and the log cannot be written anew yet");
  }
  vfs_->transaction_begins();
  int rc = session_->sql[kBegin].run();
  if (rc == SQLITE_OK && clean_) rc = write_meta(leased_, false);
  if (rc != SQLITE_OK) {
    Error error = session_->connection.error(rc, "begin");
    end_transaction();
    return error;
  }
  open_ = true;
  room_checked_ = false;
  rows_put_before_ = counters_.rows_put;
  for (const auto& part : parts.all) part->begin();
  return {};
}

Result<void> SqliteStore::commit(Durability durability) {
  if (Result<void> ready = check_change(); !ready) return ready;
  int rc = session_->batches.flush();
  if (rc == SQLITE_OK && next_ > new_lease_.value_or(leased_)) {
    // Drawn in a failed transaction, perhaps used in this one.
    new_lease_ = std::min(next_ + options_.sequence_block, limits::kMaxSequence + 1);
    rc = write_lease(*new_lease_);
  }
  if (rc != SQLITE_OK) return fail(rc, "put");
  vfs_->leave_out_commit_sync(durability != Durability::fsynced);
  rc = session_->sql[kCommit].run();
  vfs_->leave_out_commit_sync(false);
  // A group without changes writes and syncs nothing, but earlier groups may need the sync.
  if (rc == SQLITE_OK && durability == Durability::fsynced) rc = vfs_->sync_log();
  if (rc == SQLITE_OK && vfs_->sync_failed()) rc = SQLITE_IOERR_FSYNC;
  if (rc != SQLITE_OK) {
    // The log may hold the whole group even if its fsync failed.
    Error error = session_->connection.error(rc, "commit");
    vfs_->void_transaction();
    return fail(std::move(error));
  }
  vfs_->notes().committed();
  if (new_lease_) {
    leased_ = *std::exchange(new_lease_, std::nullopt);
    incarnation_stored_ = true;
    drop_before_ = 0;
  }
  clean_ = false;
  streams_.commit();
  in_part_ = false;
  open_ = false;
  ++counters_.commits;
  if (log_pages_ >= options_.checkpoint_pages) checkpoint();
  return {};
}

void SqliteStore::checkpoint() noexcept {
  // The group is stored even if this fails. The VFS remembers a failed sync; a full disk may have room the next time.
  int in_log = 0;
  int moved = 0;
  const int rc =
      sqlite3_wal_checkpoint_v2(session_->connection.get(), nullptr, SQLITE_CHECKPOINT_PASSIVE, &in_log, &moved);
  if (rc == SQLITE_OK) log_pages_ = 0;
  if (rc != SQLITE_OK) static_cast<void>(session_->connection.error(rc, "checkpoint"));
}

void SqliteStore::rollback() noexcept {
  if (!open_) return;
  if (!failed_) roll_back_changes();
  failed_.reset();
  open_ = false;
}

Result<void> SqliteStore::begin_part() {
  if (Result<void> ready = check_change(); !ready) return ready;
  if (in_part_) return fail({ErrorCode::invalid_argument, "begin_part within a part: end it first."});
  int rc = session_->batches.flush();  // Changes before the part must not be undone with it.
  if (rc == SQLITE_OK) rc = session_->sql["SAVEPOINT part"].run();
  if (rc != SQLITE_OK) return fail(rc, "begin a part");
  streams_.begin_part();
  for (const auto& part : parts.all) part->begin_part();
  rows_put_before_part_ = counters_.rows_put;
  lease_in_part_ = false;
  in_part_ = true;
  return {};
}

Result<void> SqliteStore::end_part(bool keep) {
  if (Result<void> ready = check_change(); !ready) return ready;
  if (!in_part_) return {};
  int rc = keep ? SQLITE_OK : session_->sql["ROLLBACK TO part"].run();
  if (rc == SQLITE_OK) rc = session_->sql["RELEASE part"].run();
  if (rc != SQLITE_OK) return fail(rc, "end a part");
  streams_.end_part(keep);
  in_part_ = false;
  if (keep) return {};
  session_->batches.forget();
  for (const auto& part : parts.all) part->undo_part();
  counters_.rows_put = rows_put_before_part_;
  // Drawn sequences are not returned.
  if (lease_in_part_) rc = write_lease(*new_lease_);
  return rc == SQLITE_OK ? Result<void>{} : fail(rc, "lease sequences");
}

void SqliteStore::end_transaction() noexcept {
  // SQLite ends a transaction by itself on some errors; a ROLLBACK then would be an error of its own.
  if (!session_ || session_->connection.autocommit()) return;
  session_->sql["ROLLBACK"].run();
  if (!session_->connection.autocommit()) close_session();  // Out of memory: closing rolls back as well.
}

void SqliteStore::roll_back_changes() noexcept {
  end_transaction();
  if (session_) session_->batches.forget();
  streams_.rollback();
  for (const auto& part : parts.all) part->rollback();
  counters_.rows_put = rows_put_before_;
  new_lease_.reset();
  in_part_ = lease_in_part_ = false;
}

Error SqliteStore::fail(Error error) {
  roll_back_changes();
  if (error.code == ErrorCode::storage_full && reserve_held_ && options_.reserve_bytes > 0 && session_ != nullptr) {
    // Release the reserve, so that the log has room for the removals that free space.
    vfs_->release_room(options_.path + "-reserve");
    reserve_held_ = false;
    refusals_ = 0;
  }
  if (error.code == ErrorCode::storage_io) reopen();
  failed_ = error;
  return error;
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

Result<void> SqliteStore::check_change(const Result<void>& valid) {
  if (Result<void> ready = check_change(); !ready) return ready;
  return valid ? Result<void>{} : fail(valid.error());
}

Result<void> SqliteStore::change(std::string_view doing, Statement& statement) {
  const int rc = statement.run();
  return rc == SQLITE_OK ? Result<void>{} : fail(rc, doing);
}

Result<void> SqliteStore::read_all(Statement& statement, FunctionRef<void(const Statement&)> visit) {
  const StatementScope scope(statement);
  int rc = statement.step();
  for (; rc == SQLITE_ROW; rc = statement.step()) visit(statement);
  return rc == SQLITE_DONE ? Result<void>{} : session_->connection.error(rc, "read");
}

Store::Counters SqliteStore::counters() const noexcept {
  Counters counters = counters_;
  counters.bytes_written = vfs_->bytes_written();
  counters.fsyncs = vfs_->syncs();
  counters.corrupt_pages = vfs_->corrupt_pages();
  return counters;
}

// --- Streams ---------------------------------------------------------------------------------------------------------

Result<StreamId> SqliteStore::stream(Box box, std::string_view node, std::string_view lane) {
  if (const Stream* known = streams_.find(box, node, lane)) return known->id;
  if (!open_) return Error{ErrorCode::not_found, "No such stream; making one needs a transaction."};
  if (failed_) return *failed_;
  if (Result<void> checked = store_checks::stream_name(node, lane); !checked) return fail(checked.error());
  if (streams_.size() >= limits::kStreams) return store_checks::too_many_streams();
  const StreamId id = streams_.make(box, node, lane).id;
  auto made = change("make a stream", session_->sql[kPutStream].with(static_cast<std::int64_t>(id),
                                                                     static_cast<std::int64_t>(box), node, lane));
  if (!made) return made.error();
  return id;
}

Result<bool> SqliteStore::erase_stream(StreamId id) {
  if (Result<void> ready = check_change(); !ready) return ready.error();
  const Stream* stream = streams_.find(id);
  if (stream == nullptr) return false;
  for (const RowState state : kAllRowStates) {
    if (!SqliteStreams::empty(*stream, state)) return false;
  }
  for (const char* look : {kHoldsTokens, kHoldsCursors}) {
    Statement& holds = session_->sql[look].with(static_cast<std::int64_t>(id));
    const StatementScope scope(holds);
    const int rc = holds.step();
    if (rc == SQLITE_ROW) return false;
    if (rc != SQLITE_DONE) return fail(rc, "look into a stream");
  }
  streams_.erase(id);
  auto erased =
      change("remove a stream", session_->sql["DELETE FROM streams WHERE id=?1"].with(static_cast<std::int64_t>(id)));
  if (!erased) return erased.error();
  return true;
}

}  // namespace pannier
