#include "runtime/queue/sqlite_store.h"

#include <algorithm>
#include <utility>

#include "runtime/queue/mutants.h"
#include "runtime/queue/sqlite_store_impl.h"

namespace pannier {

using sqlite_schema::position;

std::string SqliteStore::name_key(Box box, std::string_view node, std::string_view lane) {
  std::string key;
  key.push_back(static_cast<char>(box));
  key.push_back(static_cast<char>(node.size()));  // At most 64; keeps "a" + "bc" and "ab" + "c" apart.
  key.append(node).append(lane);
  return key;
}

// --- Opening --------------------------------------------------------------------------------------------

Result<void> SqliteStore::open() {
  if (const std::string found = vfs_->witness().check(options_.path); !found.empty()) {
    ++counters_.broken_syncs;
    findings_.push_back("Store " + options_.path + ": " + found +
                        ", less than the disk had reported as synced: messages that were acknowledged may be lost; "
                        "check the disk and its write cache, and what was done to the files.");
  }
  Result<Connection> connection = sqlite_schema::open(options_, *vfs_);
  if (!connection) return connection.error();
  Result<std::unique_ptr<SqliteSession>> session = SqliteSession::create(std::move(*connection));
  if (!session) return session.error();
  session_ = std::move(*session);
  Result<void> loaded = load_meta();
  if (loaded) loaded = load_streams();
  if (!loaded) session_.reset();
  if (loaded && !reserve_held_) reserve_held_ = hold_reserve();
  return loaded;
}

Result<void> SqliteStore::load_meta() {
  Result<Statement> read = session_->connection.prepare("SELECT incarnation, sequence_lease, crc FROM meta WHERE id=1");
  if (!read) return read.error();
  const int rc = read->step();
  if (rc != SQLITE_ROW && rc != SQLITE_DONE) return session_->connection.error(rc, "read");
  const std::uint64_t incarnation = as_unsigned(read->integer(0));
  const Sequence lease = as_unsigned(read->integer(1));
  if (rc == SQLITE_DONE || read->integer(2) != sqlite_schema::meta_checksum(incarnation, lease)) {
    return store_error(ErrorCode::corrupt, options_.path, "the checksum of table meta does not hold");
  }
  if (incarnation_ != 0 && incarnation_ != incarnation) {
    return store_error(ErrorCode::corrupt, options_.path, "another file took its place while the node ran");
  }
  incarnation_ = incarnation;
  leased_ = lease;
  if (next_ == 0) next_ = lease;  // Reopened, it goes on within its own lease.
  return {};
}

Result<void> SqliteStore::load_streams() {
  streams_.clear();
  stream_ids_.clear();
  Result<Statement> read = session_->connection.prepare("SELECT id, box, node, lane, crc FROM streams ORDER BY id");
  if (!read) return read.error();
  int rc = read->step();
  for (; rc == SQLITE_ROW; rc = read->step()) {
    Stream stream;
    stream.id = static_cast<StreamId>(read->integer(0));
    stream.box = static_cast<Box>(read->integer(1));
    stream.node = read->text(2);
    stream.lane = read->text(3);
    const auto crc = sqlite_schema::stream_checksum(stream.id, stream.box, stream.node, stream.lane);
    if (read->integer(0) != static_cast<std::int64_t>(streams_.size() + 1) || read->integer(4) != crc) {
      return store_error(ErrorCode::corrupt, options_.path, "the checksum of table streams does not hold");
    }
    stream_ids_.emplace(name_key(stream.box, stream.node, stream.lane), stream.id);
    streams_.push_back(std::move(stream));
  }
  if (rc != SQLITE_DONE) return session_->connection.error(rc, "read");
  for (Stream& stream : streams_) {
    if (Result<void> counted = count_rows(stream); !counted) return counted;
  }
  return {};
}

Result<void> SqliteStore::count_rows(Stream& stream) {
  for (const std::size_t table : {kReady, kParked}) {
    Statement& count = session_->count[table];
    const StatementScope scope(count);
    count.bind(1, position(stream.id, 0));
    count.bind(2, position(stream.id, store_checks::kMaxSequence));
    if (const int rc = count.step(); rc != SQLITE_ROW) return session_->connection.error(rc, "count");
    if (table == kReady) {
      stream.messages = as_unsigned(count.integer(0));
      stream.bytes = as_unsigned(count.integer(1));
    } else {
      stream.parked = as_unsigned(count.integer(0));
    }
  }
  return {};
}

// --- Sequence -------------------------------------------------------------------------------------------

int SqliteStore::write_lease(Sequence lease) {
  if constexpr (is_mutant(Mutant::lease_not_kept)) return SQLITE_OK;
  session_->set_lease.bind(1, as_signed(lease));
  session_->set_lease.bind(2, std::int64_t{sqlite_schema::meta_checksum(incarnation_, lease)});
  return session_->set_lease.run();
}

Result<void> SqliteStore::first_lease() {
  const Sequence lease = std::min(next_ + options_.sequence_block, store_checks::kMaxSequence + 1);
  vfs_->transaction_begins();
  if (const int rc = write_lease(lease); rc != SQLITE_OK) {
    Error error = session_->connection.error(rc, "lease sequence numbers");
    vfs_->void_transaction();
    return error;
  }
  vfs_->witness().committed();
  leased_ = lease;
  return {};
}

Result<Sequence> SqliteStore::next_sequence() {
  if (next_ >= leased_) {
    if (next_ > store_checks::kMaxSequence) {
      return store_error(ErrorCode::full, options_.path, "all sequence numbers are used; start with a new file");
    }
    if (!session_) return store_error(ErrorCode::storage_io, options_.path, "closed after a failure");
    if (open_) return store_error(ErrorCode::full, options_.path, "too many sequence numbers in one transaction");
    if (Result<void> leased = first_lease(); !leased) {
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
  if (leased_ <= store_checks::kMaxSequence && leased_ - std::min(next_, leased_) < options_.sequence_block / 2) {
    const Sequence lease = std::min(leased_ + options_.sequence_block, store_checks::kMaxSequence + 1);
    if (write_lease(lease) == SQLITE_OK) {
      new_lease_ = lease;
    } else {  // Ahead of need: what is left will do until the disk has room again.
      if (!session_->connection.autocommit()) session_->rollback.run();
      if (const int rc = session_->begin.run(); rc != SQLITE_OK) return session_->connection.error(rc, "begin");
    }
  }
  open_ = true;
  room_checked_ = false;
  streams_before_ = streams_.size();
  rows_put_before_ = counters_.rows_put;
  return {};
}

Result<void> SqliteStore::commit(Durability /*durability*/) {
  // Every durability is fsynced: SQLite fixes the sync mode before a transaction begins (docs/storage.md).
  if (Result<void> ready = check_change(); !ready) return ready;
  if (const int rc = session_->commit.run(); rc != SQLITE_OK) {
    // The log may hold the whole group although its fsync failed.
    Error error = session_->connection.error(rc, "commit");
    vfs_->void_transaction();
    return fail(std::move(error));
  }
  vfs_->witness().committed();
  if (new_lease_) leased_ = *std::exchange(new_lease_, std::nullopt);
  counts_before_.clear();
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

void SqliteStore::roll_back_changes() noexcept {
  // SQLite ends a transaction by itself on some errors; a ROLLBACK then would be an error of its own.
  if (session_ && !session_->connection.autocommit()) session_->rollback.run();
  for (; !counts_before_.empty(); counts_before_.pop_back()) {
    const CountsBefore& before = counts_before_.back();
    if (before.index >= streams_.size()) continue;
    Stream& stream = streams_[before.index];
    stream.messages = before.counts.messages;
    stream.bytes = before.counts.bytes;
    stream.parked = before.counts.parked;
  }
  while (streams_.size() > streams_before_) {
    const Stream& made = streams_.back();
    stream_ids_.erase(name_key(made.box, made.node, made.lane));
    streams_.pop_back();
  }
  counters_.rows_put = rows_put_before_;
  new_lease_.reset();
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

Result<std::unique_ptr<Store>> open_sqlite_store(const SqliteOptions& options) {
  if (options.sequence_block < 2 || options.checkpoint_pages == 0) {
    return Error{ErrorCode::invalid_argument,
                 "A store needs a sequence block of 2 or more and a checkpoint of 1 or more."};
  }
  Result<std::unique_ptr<CountingVfs>> vfs = CountingVfs::create(options.vfs);
  if (!vfs) return vfs.error();
  auto store = std::make_unique<SqliteStore>(options, std::move(*vfs));
  if (Result<void> opened = store->open(); !opened) return opened.error();
  if (Result<void> leased = store->first_lease(); !leased && leased.error().code != ErrorCode::storage_full) {
    return leased.error();  // On a full disk what is there must still drain; new numbers wait for room.
  }
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace pannier
