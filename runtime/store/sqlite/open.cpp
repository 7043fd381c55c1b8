#include <algorithm>
#include <limits>
#include <utility>

#include "platform/concat.h"
#include "runtime/mutants.h"
#include "runtime/store/sqlite/rebuild.h"
#include "runtime/store/sqlite/store_impl.h"

namespace pannier {
namespace {

/// The most rows that one step of a count reads: about a millisecond of CPU time.
constexpr std::size_t kCountRows = 4096;

}  // namespace

using sqlite_schema::last_position;
using sqlite_schema::position;
using sqlite_schema::sequence_of;
using sqlite_schema::state_of;
using sqlite_schema::stream_of;

// --- Opening ---------------------------------------------------------------------------------------------------------

Result<StorePtr> open_sqlite_store(const SqliteOptions& options) {
  return open_sqlite_store(options, {with_retention, with_tokens, with_state, with_sql_tables});
}

Result<StorePtr> open_sqlite_store(const SqliteOptions& options, std::initializer_list<SqlitePartFactory> parts) {
  if (options.sequence_block < 2 || options.checkpoint_pages == 0) {
    return Error{ErrorCode::invalid_argument,
                 "A store needs a sequence block of 2 or more and a checkpoint of 1 or more."};
  }
  Result<std::unique_ptr<CountingVfs>> vfs = CountingVfs::create(options.vfs);
  if (!vfs) return vfs.error();
  if (options.vfs.empty() && !options.path.empty()) {
    // SQLite would give a new database the modes of the umask; the files beside it get those of the database.
    if (Result<void> there = ensure_private_file(options.path); !there) return there.error();
  }
  auto store = std::make_unique<SqliteStore>(options, std::move(*vfs));
  for (const SqlitePartFactory add : parts) add(*store);
  if (Result<void> opened = store->open(); !opened) return opened.error();
  return StorePtr{store.release()};
}

Result<void> SqliteStore::open() {
  const bool again = incarnation_ != 0;  // Reopened after a failure: never replace a running node's file.
  Result<bool> wanted = again ? Result<bool>(false) : sqlite_rebuild::is_wanted(*vfs_, options_.path);
  if (!wanted) return wanted.error();
  const bool unsealed = !again && !*wanted && vfs_->is_unsealed(options_.path);
  if (unsealed) {
    vfs_->accept_unsealed(true);
    Result<void> taken = take_over();
    vfs_->accept_unsealed(false);
    if (!taken && taken.error().code != ErrorCode::corrupt) return taken;
    wanted = !taken.ok();
  }
  if (!*wanted) {
    Result<void> opened = open_file();
    if (opened || again || !sqlite_rebuild::is_damage(*vfs_, options_.path, opened.error())) return opened;
  }
  const Result<std::string> rebuilt = sqlite_rebuild::run(options_, *vfs_);
  if (!rebuilt) return rebuilt.error();
  findings_.push_back(*rebuilt);
  return open_file();
}

Result<void> SqliteStore::open_file() {
  check_log();
  const bool found_log = vfs_->size_of(options_.path + "-wal").value_or(1) > 0;
  Result<Connection> connection = sqlite_schema::open(options_, *vfs_);
  if (!connection) return connection.error();
  session_ = std::make_unique<SqliteSession>(std::move(*connection), options_.batch_bytes);
  const bool first = incarnation_ == 0;
  sqlite3_wal_hook(
      session_->connection.get(),
      [](void* self, sqlite3*, const char*, int pages) {
        static_cast<SqliteStore*>(self)->log_pages_ = static_cast<std::uint32_t>(pages);
        return SQLITE_OK;
      },
      this);
  log_pages_ = 0;
  Result<void> loaded = sqlite_schema::check_columns(session_->connection);
  // A failed sync of an earlier process may have lost parts of the log that it left.
  const bool empties_found = found_log && !is_mutant(Mutant::found_log_not_emptied);
  if (loaded && (empties_found || vfs_->sync_failed())) {
    // If the disk is full or fails again, reads still work; begin() tries again before anything is acknowledged.
    const Result<void> emptied = empty_log();
    if (!emptied && emptied.error().code == ErrorCode::corrupt) loaded = emptied;
  }
  if (loaded) loaded = load_meta();
  if (loaded) loaded = load_streams();
  if (loaded && first) loaded = load_incarnations();
  if (loaded && first) loaded = choose_incarnation();
  for (const auto& part : parts.all) {
    if (loaded) loaded = part->opened(session_->connection);
  }
  if (loaded && first) {  // For telling duplicates, and for the clock.
    if (const auto marks = watermarks(); !marks) loaded = marks.error();
    if (const auto clock = anchor(); !clock) loaded = clock.error();
  }
  if (!loaded) {
    close_session();
    if (first) {
      incarnation_ = next_ = leased_ = 0;
      streams_.clear();
    }
    return loaded;
  }
  session_->connection.on_damage([this] { sqlite_rebuild::note_damage(*vfs_, options_.path); });
  may_be_paused_ = true;
  fresh_from_ = next_;
  if (!reserve_held_) reserve_held_ = hold_reserve();
  return {};
}

Result<void> SqliteStore::empty_log() {
  int in_log = 0;
  int moved = 0;
  const int rc =
      sqlite3_wal_checkpoint_v2(session_->connection.get(), nullptr, SQLITE_CHECKPOINT_TRUNCATE, &in_log, &moved);
  if (rc != SQLITE_OK) return session_->connection.error(rc, "empty the log");
  vfs_->log_given_up();
  return {};
}

void SqliteStore::check_log() {
  if (const std::string found = vfs_->notes().check(options_.path); !found.empty()) {
    ++counters_.broken_syncs;
    findings_.push_back(
        concat({"Store ", options_.path, ": ", found,
                ", less than the disk had reported as synced: messages that were acknowledged may be lost; "
                "check the disk and its write cache, and what was done to the files."}));
  }
}

Result<void> SqliteStore::load_meta() {
  Statement read(session_->connection, "SELECT sequence_lease, clean FROM meta WHERE id=1");
  const int rc = read.step();
  if (rc != SQLITE_ROW && rc != SQLITE_DONE) return session_->connection.error(rc, "read");
  const Sequence lease = as_unsigned(read.integer(0));
  if (rc == SQLITE_DONE || lease == 0 || lease > limits::kMaxSequence + 1) {
    return store_error(ErrorCode::corrupt, options_.path, "the table meta holds no lease");
  }
  leased_ = lease;
  clean_ = read.integer(1) != 0;
  if (incarnation_ == 0) next_ = first_ = lease;  // A reopened file continues within its lease.
  return {};
}

Result<void> SqliteStore::load_incarnations() {
  incarnations_.clear();
  return read_rows("SELECT first_sequence, incarnation FROM incarnations ORDER BY first_sequence",
                   [this](const Statement& row) {
                     incarnations_.push_back({as_unsigned(row.integer(0)), as_unsigned(row.integer(1))});
                   });
}

/// Chooses a new incarnation and drops those that no stored message can bear any more.
Result<void> SqliteStore::choose_incarnation() {
  drop_before_ = 0;
  if (incarnations_.size() > 1 && streams_.exact()) {
    Sequence lowest = limits::kMaxSequence;
    Result<void> done;
    streams_.visit(Box::outbox, {}, [&](const Stream& stream) {
      for (const RowState state : kAllRowStates) {
        if (SqliteStreams::empty(stream, state)) continue;
        SqliteRows rows(*session_, position(state, stream.id, 0), last_position(state, stream.id),
                        SqliteRows::What::sizes);
        const int rc = rows.step();
        if (rc == SQLITE_ROW) lowest = std::min(lowest, sequence_of(rows.row().position));
        if (rc != SQLITE_ROW && rc != SQLITE_DONE) done = session_->connection.error(rc, "read");
      }
      return done.ok() && lowest >= incarnations_[1].first;  // Otherwise none can be dropped.
    });
    if (!done) return done;
    const auto bears = std::upper_bound(incarnations_.begin(), incarnations_.end(), lowest,
                                        [](Sequence at, const Incarnation& each) { return at < each.first; });
    // Keep the newest, since a copy of this file may continue from it.
    const auto kept = std::min(std::prev(bears), std::prev(incarnations_.end()));
    if (kept != incarnations_.begin()) drop_before_ = kept->first;
    incarnations_.erase(incarnations_.begin(), kept);
  }
  if (incarnations_.size() >= limits::kIncarnations) {
    // Every stored message keeps its name, but an older copy of the file can no longer be told apart.
    incarnation_ = incarnations_.back().number;
    incarnation_stored_ = true;
    findings_.push_back(concat({"Store ", options_.path, ": messages of ", limits::kIncarnations,
                                " starts wait in it; this start shares the name of the last. Deliver or purge the "
                                "oldest of them before a copy of this file is put back."}));
    return {};
  }
  incarnation_ = options_.entropy.next_u64();
  if (incarnation_ == 0) incarnation_ = 1;
  incarnations_.push_back({first_, incarnation_});
  return {};
}

Result<void> SqliteStore::load_streams() {
  // The loads of a running store are more exact than those in the file.
  std::vector<Stream> known;
  streams_.visit({}, {}, [&](const Stream& stream) {
    known.push_back(stream);
    return true;
  });
  streams_.clear();
  bool twice = false;
  const auto load = [&](const Statement& row) {
    Stream stream{.id = static_cast<StreamId>(row.integer(0)),
                  .box = static_cast<Box>(row.integer(1)),
                  .node = std::string(row.text(2)),
                  .lane = std::string(row.text(3))};
    for (std::size_t i = 0; i < kRowStates; ++i) {
      const auto column = static_cast<int>(4 + 2 * i);
      stream.loads[i] = {as_unsigned(row.integer(column)), as_unsigned(row.integer(column + 1))};
    }
    twice = !streams_.load(std::move(stream)) || twice;
  };
  auto read = read_rows(
      "SELECT id, box, node, lane, ready, ready_bytes, dead, dead_bytes, delayed, delayed_bytes,"
      " retained, retained_bytes FROM streams",
      load);
  if (!read) return read;
  if (twice) return store_error(ErrorCode::corrupt, options_.path, "the table streams names one twice");
  if (clean_) return {};
  for (const Stream& stream : known) streams_.estimate(stream);
  streams_.start_count();
  const Result<bool> small = is_small();
  if (!small) return small.error();
  while (*small && !streams_.exact()) {
    if (const Result<bool> more = count_rows(kCountRows); !more) return more.error();
  }
  return {};
}

Result<bool> SqliteStore::is_small() {
  const Result<std::int64_t> pages = session_->connection.integer("PRAGMA page_count");
  if (!pages) return pages.error();
  return static_cast<std::uint64_t>(*pages) * sqlite_schema::kPageBytes <= options_.quick_check_bytes;
}

void SqliteStore::reopen() noexcept {
  // After a failed write or fsync the kernel may have dropped dirty pages and report success for the next fsync
  // (fsyncgate, LWN 752063), so trust only what is read back from the file. If this fails, begin() tries again.
  if (is_mutant(Mutant::no_reopen)) return vfs_->log_given_up();
  if (session_) session_->connection.checkpoint_on_close(false);
  close_session();
  if (!open()) close_session();
}

// --- Counting --------------------------------------------------------------------------------------------------------

Result<bool> SqliteStore::count_rows(std::size_t limit) {
  Statement next_single(session_->connection,
                        "SELECT position FROM messages WHERE position>?1 ORDER BY position LIMIT 1");
  while (const std::optional<std::int64_t> through = streams_.counted_through()) {
    std::int64_t at = *through;
    if (at < 0 || sequence_of(at) == limits::kMaxSequence) {
      // Continue with the next state and stream that has rows.
      std::int64_t batched = std::numeric_limits<std::int64_t>::max();
      std::int64_t single = batched;
      int rc = session_->batches.next_entry(at, batched);
      if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
        next_single.bind(1, at);
        rc = next_single.step();
        if (rc == SQLITE_ROW) single = next_single.integer(0);
        next_single.reset();
      }
      if (rc != SQLITE_ROW && rc != SQLITE_DONE) return session_->connection.error(rc, "count");
      const std::int64_t next = std::min(batched, single);
      if (next == std::numeric_limits<std::int64_t>::max()) {
        streams_.end_count();
        return false;
      }
      at = next - 1;
    }
    const std::int64_t end = last_position(state_of(at + 1), stream_of(at + 1));
    std::size_t rows = 0;
    int rc = SQLITE_ROW;
    {
      SqliteRows source(*session_, at, end, SqliteRows::What::sizes);
      for (; rows < limit && (rc = source.step()) == SQLITE_ROW; ++rows) {
        at = source.row().position;
        streams_.count(at, source.payload_bytes());
      }
    }
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) return session_->connection.error(rc, "count");
    streams_.count_reached(rc == SQLITE_DONE ? end : at);
    if (rows + 1 >= limit) return true;
    limit -= rows + 1;  // Count small streams in one step.
  }
  return false;
}

Result<bool> SqliteStore::count_some() {
  if (Result<void> ready = check_open(); !ready) return ready.error();
  if (open_) return Error{ErrorCode::invalid_argument, "count_some within a transaction: commit or roll back first."};
  return count_rows(kCountRows);
}

// --- Closing ---------------------------------------------------------------------------------------------------------

void SqliteStore::close_session() noexcept {
  if (session_ && vfs_->sync_failed()) session_->connection.checkpoint_on_close(false);
  for (const auto& part : parts.all) part->closing();
  session_.reset();
}

void SqliteStore::close() noexcept {
  rollback();
  if (session_ == nullptr || (clean_ && next_ <= leased_)) return;
  // One transaction, synced by the checkpoint at close. If it fails, the next start counts.
  vfs_->transaction_begins();
  if (session_->sql[kBegin].run() != SQLITE_OK) return;
  int rc = write_loads();
  if (rc == SQLITE_OK) rc = write_meta(std::max(leased_, next_), streams_.exact());
  vfs_->leave_out_commit_sync(true);
  if (rc == SQLITE_OK) rc = session_->sql[kCommit].run();
  vfs_->leave_out_commit_sync(false);
  if (rc != SQLITE_OK) end_transaction();
}

SqliteStore::~SqliteStore() {
  close();
  close_session();
}

}  // namespace pannier
