#include "runtime/queue/sqlite_store.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/queue/sqlite_schema.h"
#include "runtime/queue/sqlite_session.h"
#include "runtime/queue/sqlite_vfs.h"

namespace pannier {
namespace {

using sqlite_schema::position;
using sqlite_schema::sequence_of;

constexpr std::size_t kReady = 0;
constexpr std::size_t kParked = 1;
constexpr std::string_view kDamagedCause = "checksum does not hold";
/// Damaged rows that one read moves aside; the next read meets the others.
constexpr std::size_t kDamagedBatch = 64;
/// Pages below the cap that are kept from new messages.
constexpr std::int64_t kReservedPages = 64;

std::size_t table_of(RowState state) noexcept { return state == RowState::ready ? kReady : kParked; }

std::int64_t as_signed(std::uint64_t value) noexcept { return static_cast<std::int64_t>(value); }
std::uint64_t as_unsigned(std::int64_t value) noexcept { return static_cast<std::uint64_t>(value); }

Row row_at(const Statement& read, StreamId stream, RowState state) {
  return {.stream = stream,
          .sequence = sequence_of(read.integer(0)),
          .key = read.text(5),
          .type = static_cast<TypeId>(as_unsigned(read.integer(1))),
          .payload = read.blob(8),
          .enqueued_at = WallTime(Duration(read.integer(2))),
          .state = state,
          .attempts = static_cast<std::uint32_t>(read.integer(3)),
          .producer = read.text(6),
          .cause = read.text(7)};
}

class SqliteStore final : public Store {
 public:
  SqliteStore(const SqliteOptions& options, std::unique_ptr<CountingVfs> vfs)
      : options_(options), vfs_(std::move(vfs)) {}
  ~SqliteStore() override { SqliteStore::rollback(); }
  SqliteStore(const SqliteStore&) = delete;
  SqliteStore& operator=(const SqliteStore&) = delete;

  /// Opens the file and reads what is kept in memory. Also after a failure, in place of a closed session.
  [[nodiscard]] Result<void> open();
  /// Raises the lease for the numbers that this start gives out.
  [[nodiscard]] Result<void> first_lease();

  [[nodiscard]] std::uint64_t incarnation() const noexcept override { return incarnation_; }
  [[nodiscard]] Result<Sequence> next_sequence() override;
  [[nodiscard]] Result<void> begin() override;
  [[nodiscard]] Result<void> commit(Durability durability) override;
  void rollback() noexcept override;
  [[nodiscard]] Result<StreamId> stream(Box box, std::string_view node, std::string_view lane) override;
  [[nodiscard]] Result<void> put(const Row& row) override;
  [[nodiscard]] Result<void> erase(StreamId stream, Sequence sequence) override;
  [[nodiscard]] Result<void> erase_through(StreamId stream, Sequence sequence) override;
  [[nodiscard]] Result<void> mark(StreamId stream, Sequence sequence, RowState state, std::uint32_t attempts,
                                  std::string_view cause) override;
  [[nodiscard]] Result<void> put_watermark(const Watermark& watermark) override;
  [[nodiscard]] Result<void> put_state(std::string_view key, std::span<const std::byte> value) override;
  [[nodiscard]] Result<void> erase_state(std::string_view key) override;
  [[nodiscard]] Result<void> read(StreamId stream, RowState state, Sequence after, std::size_t limit,
                                  const RowVisitor& visit) override;
  [[nodiscard]] Result<std::vector<Stream>> streams() override { return streams_; }
  [[nodiscard]] Result<std::vector<Watermark>> watermarks() override;
  [[nodiscard]] Result<void> read_state(std::string_view prefix, const StateVisitor& visit) override;
  [[nodiscard]] Counters counters() const noexcept override;

 private:
  struct Counts {
    std::uint64_t messages;
    std::uint64_t bytes;
    std::uint64_t parked;
  };
  struct CountsBefore {
    std::size_t index;
    Counts counts;
  };

  static std::string name_key(Box box, std::string_view node, std::string_view lane);
  [[nodiscard]] Result<void> load_meta();
  [[nodiscard]] Result<void> load_streams();
  [[nodiscard]] Result<void> count_rows(Stream& stream);
  [[nodiscard]] int write_lease(Sequence lease);
  [[nodiscard]] Result<void> check_room();

  [[nodiscard]] Result<void> check_change() const;
  /// Ends the transaction with this error, which is given back until rollback().
  Error fail(Error error);
  Error fail(int rc, std::string_view doing) { return fail(session_->connection.error(rc, doing)); }
  void roll_back_changes() noexcept;
  void reopen() noexcept;

  /// Null for no such stream. The counts as they are now come back with a rollback.
  Stream* change(StreamId stream);
  [[nodiscard]] const Stream* find(StreamId stream) const;
  [[nodiscard]] int erase_from(std::size_t table, Stream& stream, std::int64_t at);
  void set_aside(std::size_t table, StreamId stream, const std::vector<std::int64_t>& positions);
  [[nodiscard]] int set_aside_one(std::size_t table, Stream& stream, std::int64_t at);

  SqliteOptions options_;
  std::unique_ptr<CountingVfs> vfs_;
  std::unique_ptr<SqliteSession> session_;  ///< Null after a failure that could not be healed.
  std::uint64_t incarnation_ = 0;

  Sequence next_ = 0;                   ///< The next number to be given out; 0 until the first lease.
  Sequence leased_ = 0;                 ///< Committed: no number at or above it may be given out.
  std::optional<Sequence> new_lease_;   ///< Written in the open transaction.

  std::vector<Stream> streams_;  ///< Stream n + 1 at n.
  std::map<std::string, StreamId, std::less<>> stream_ids_;

  bool open_ = false;
  bool room_checked_ = false;
  std::optional<Error> failed_;
  std::vector<CountsBefore> counts_before_;
  std::size_t streams_before_ = 0;
  std::uint64_t rows_put_before_ = 0;
  Counters counters_;
};

std::string SqliteStore::name_key(Box box, std::string_view node, std::string_view lane) {
  std::string key;
  key.push_back(static_cast<char>(box));
  key.push_back(static_cast<char>(node.size()));  // At most 64; keeps "a" + "bc" and "ab" + "c" apart.
  key.append(node).append(lane);
  return key;
}

// --- Opening ------------------------------------------------------------------------------------------------------

Result<void> SqliteStore::open() {
  Result<Connection> connection = sqlite_schema::open(options_, *vfs_);
  if (!connection) return connection.error();
  Result<std::unique_ptr<SqliteSession>> session = SqliteSession::create(std::move(*connection));
  if (!session) return session.error();
  session_ = std::move(*session);
  Result<void> loaded = load_meta();
  if (loaded) loaded = load_streams();
  if (!loaded) session_.reset();
  return loaded;
}

Result<void> SqliteStore::load_meta() {
  Result<Statement> read =
      session_->connection.prepare("SELECT incarnation, sequence_lease, crc FROM meta WHERE id=1");
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

// --- Sequence -----------------------------------------------------------------------------------------------------

int SqliteStore::write_lease(Sequence lease) {
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

// --- Transactions -------------------------------------------------------------------------------------------------

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
  if (error.code == ErrorCode::storage_io) reopen();
  failed_ = error;
  return error;
}

void SqliteStore::reopen() noexcept {
  // After a failed write or fsync the kernel may have dropped dirty pages and call the next fsync a success: only what
  // is read back from the file is known (fsyncgate, LWN 752063). begin() tries again where this does not succeed.
  session_.reset();
  if (!open()) session_.reset();
}

Result<void> SqliteStore::check_change() const {
  if (failed_) return *failed_;
  if (!open_) return Error{ErrorCode::invalid_argument, "A change outside a transaction: call begin first."};
  return {};
}

// --- Streams and rows -----------------------------------------------------------------------------------------------

const Stream* SqliteStore::find(StreamId stream) const {
  const auto number = static_cast<std::size_t>(stream);
  return number == 0 || number > streams_.size() ? nullptr : &streams_[number - 1];
}

Stream* SqliteStore::change(StreamId id) {
  if (find(id) == nullptr) return nullptr;
  const std::size_t index = static_cast<std::size_t>(id) - 1;
  Stream& stream = streams_[index];
  // Groups touch few streams, mostly the one of the change before: the list stays short.
  for (auto before = counts_before_.rbegin(); before != counts_before_.rend(); ++before) {
    if (before->index == index) return &stream;
  }
  counts_before_.push_back({index, {stream.messages, stream.bytes, stream.parked}});
  return &stream;
}

Result<StreamId> SqliteStore::stream(Box box, std::string_view node, std::string_view lane) {
  if (const auto known = stream_ids_.find(name_key(box, node, lane)); known != stream_ids_.end()) return known->second;
  if (!open_) return Error{ErrorCode::not_found, "No such stream; making one needs a transaction."};
  if (failed_) return *failed_;
  if (Result<void> checked = store_checks::stream_name(node, lane); !checked) return fail(checked.error());
  if (streams_.size() >= store_checks::kMaxStreams) {
    return Error{ErrorCode::full, "A store holds at most 65,535 streams; use fewer destinations or lanes."};
  }
  Stream made;
  made.id = static_cast<StreamId>(streams_.size() + 1);
  made.box = box;
  made.node = node;
  made.lane = lane;
  Statement& put = session_->put_stream;
  put.bind(1, static_cast<std::int64_t>(made.id));
  put.bind(2, static_cast<std::int64_t>(box));
  put.bind(3, node);
  put.bind(4, lane);
  put.bind(5, std::int64_t{sqlite_schema::stream_checksum(made.id, box, node, lane)});
  if (const int rc = put.run(); rc != SQLITE_OK) return fail(rc, "make a stream");
  stream_ids_.emplace(name_key(box, node, lane), made.id);
  streams_.push_back(std::move(made));
  return streams_.back().id;
}

Result<void> SqliteStore::check_room() {
  if (options_.max_bytes == 0 || room_checked_) return {};
  const StatementScope pages_scope(session_->page_count);
  const StatementScope free_scope(session_->free_pages);
  int rc = session_->page_count.step();
  if (rc == SQLITE_ROW) rc = session_->free_pages.step();
  if (rc != SQLITE_ROW) return session_->connection.error(rc, "read");
  const std::int64_t most = static_cast<std::int64_t>(options_.max_bytes) / sqlite_schema::kPageBytes;
  const std::int64_t used = session_->page_count.integer(0) - session_->free_pages.integer(0);
  if (used >= most - std::min(kReservedPages, most / 16)) {
    return store_error(ErrorCode::storage_full, options_.path, "at its cap");
  }
  room_checked_ = true;  // Once a group: a group is small against a store, and the cap itself is hard.
  return {};
}

Result<void> SqliteStore::put(const Row& row) {
  if (Result<void> ready = check_change(); !ready) return ready;
  if (Result<void> checked = store_checks::row(row); !checked) return fail(checked.error());
  Stream* stream = change(row.stream);
  if (stream == nullptr) return fail({ErrorCode::invalid_argument, "put: no such stream; ask stream() for its id."});
  if (Result<void> room = check_room(); !room) return fail(room.error());
  const std::int64_t at = position(row.stream, row.sequence);
  const std::string_view cause = store_checks::cut_cause(row.cause);
  const std::size_t table = table_of(row.state);
  Statement& put = session_->put[table];
  put.bind(1, at);
  put.bind(2, as_signed(static_cast<std::uint64_t>(row.type)));
  put.bind(3, row.enqueued_at.time_since_epoch().count());
  put.bind(4, std::int64_t{row.attempts});
  put.bind(5, std::int64_t{sqlite_schema::fixed_checksum(at, row) ^
                           sqlite_schema::mark_checksum(at, row.attempts, cause)});
  put.bind(6, row.key);
  put.bind(7, row.producer);
  put.bind(8, cause);
  put.bind(9, row.payload);
  if (const int rc = put.run(); rc != SQLITE_OK) {
    if ((rc & 0xff) != SQLITE_CONSTRAINT) return fail(rc, "put");
    return fail({ErrorCode::invalid_argument, "put: this sequence number is taken; ask next_sequence() for one."});
  }
  if (table == kReady) {
    ++stream->messages;
    stream->bytes += row.payload.size();
  } else {
    ++stream->parked;
  }
  ++counters_.rows_put;
  return {};
}

int SqliteStore::erase_from(std::size_t table, Stream& stream, std::int64_t at) {
  std::uint64_t& rows = table == kReady ? stream.messages : stream.parked;
  if (rows == 0) return SQLITE_OK;
  Statement& size = session_->size[table];
  size.bind(1, at);
  const int found = size.step();
  const std::uint64_t bytes = found == SQLITE_ROW ? as_unsigned(size.integer(0)) : 0;
  size.reset();
  if (found != SQLITE_ROW) return found == SQLITE_DONE ? SQLITE_OK : found;
  session_->erase[table].bind(1, at);
  if (const int rc = session_->erase[table].run(); rc != SQLITE_OK) return rc;
  --rows;
  if (table == kReady) {
    stream.bytes -= bytes;
    return SQLITE_OK;
  }
  session_->erase_damaged.bind(1, at);  // With the stand-in goes what it stands for.
  return session_->erase_damaged.run();
}

Result<void> SqliteStore::erase(StreamId id, Sequence sequence) {
  if (Result<void> ready = check_change(); !ready) return ready;
  Stream* stream = change(id);
  if (stream == nullptr || sequence > store_checks::kMaxSequence) return {};
  for (const std::size_t table : {kReady, kParked}) {
    if (const int rc = erase_from(table, *stream, position(id, sequence)); rc != SQLITE_OK) return fail(rc, "erase");
  }
  return {};
}

Result<void> SqliteStore::erase_through(StreamId id, Sequence sequence) {
  if (Result<void> ready = check_change(); !ready) return ready;
  Stream* stream = change(id);
  if (stream == nullptr || stream->messages == 0) return {};
  const std::int64_t first = position(id, 0);
  const std::int64_t last = position(id, std::min(sequence, store_checks::kMaxSequence));
  Statement& count = session_->count[kReady];
  count.bind(1, first);
  count.bind(2, last);
  const int rc = count.step();
  const std::uint64_t messages = rc == SQLITE_ROW ? as_unsigned(count.integer(0)) : 0;
  const std::uint64_t bytes = rc == SQLITE_ROW ? as_unsigned(count.integer(1)) : 0;
  count.reset();
  if (rc != SQLITE_ROW) return fail(rc, "erase");
  if (messages == 0) return {};
  session_->erase_range.bind(1, first);
  session_->erase_range.bind(2, last);
  if (const int erased = session_->erase_range.run(); erased != SQLITE_OK) return fail(erased, "erase");
  stream->messages -= messages;
  stream->bytes -= bytes;
  return {};
}

Result<void> SqliteStore::mark(StreamId id, Sequence sequence, RowState state, std::uint32_t attempts,
                               std::string_view whole_cause) {
  if (Result<void> ready = check_change(); !ready) return ready;
  Stream* stream = change(id);
  if (stream == nullptr) return Error{ErrorCode::not_found, "mark: no such stream."};
  const std::int64_t at = position(id, sequence);
  const std::string_view cause = store_checks::cut_cause(whole_cause);
  for (const std::size_t table : {kReady, kParked}) {
    Statement& marked = session_->marked[table];
    marked.bind(1, at);
    const int found = marked.step();
    if (found != SQLITE_ROW) {
      marked.reset();
      if (found != SQLITE_DONE) return fail(found, "mark");
      continue;
    }
    const std::uint32_t old_part =
        sqlite_schema::mark_checksum(at, static_cast<std::uint32_t>(marked.integer(0)), marked.text(2));
    const auto old_crc = static_cast<std::uint32_t>(marked.integer(1));
    const std::uint64_t bytes = as_unsigned(marked.integer(3));
    marked.reset();
    const std::size_t target = table_of(state);
    if (target == kReady && table == kParked) {
      const StatementScope scope(session_->is_damaged);
      session_->is_damaged.bind(1, at);
      if (session_->is_damaged.step() == SQLITE_ROW) {
        return fail(store_error(ErrorCode::corrupt, options_.path, "a damaged message cannot be made ready again"));
      }
    }
    Statement& write = target == table ? session_->mark[table] : session_->move_in[target];
    write.bind(1, at);
    write.bind(2, std::int64_t{attempts});
    write.bind(3, cause);
    write.bind(4, std::int64_t{old_crc ^ old_part ^ sqlite_schema::mark_checksum(at, attempts, cause)});
    if (const int rc = write.run(); rc != SQLITE_OK) return fail(rc, "mark");
    if (target == table) return {};
    session_->erase[table].bind(1, at);
    if (const int rc = session_->erase[table].run(); rc != SQLITE_OK) return fail(rc, "mark");
    const bool parks = target == kParked;
    stream->messages += parks ? std::uint64_t(-1) : 1;
    stream->bytes += parks ? std::uint64_t(0) - bytes : bytes;
    stream->parked += parks ? 1 : std::uint64_t(-1);
    return {};
  }
  return Error{ErrorCode::not_found, "mark: this row is gone."};
}

Result<void> SqliteStore::read(StreamId id, RowState state, Sequence after, std::size_t limit,
                               const RowVisitor& visit) {
  if (!session_) return store_error(ErrorCode::storage_io, options_.path, "closed after a failure");
  if (find(id) == nullptr || after >= store_checks::kMaxSequence) return {};
  const std::size_t table = table_of(state);
  std::vector<std::int64_t> damaged;
  {
    Statement& read = session_->read[table];
    const StatementScope scope(read);
    read.bind(1, position(id, after));
    read.bind(2, position(id, store_checks::kMaxSequence));
    while (limit > 0) {
      const int rc = read.step();
      if (rc == SQLITE_DONE) break;
      if (rc != SQLITE_ROW) return session_->connection.error(rc, "read");
      const std::int64_t at = read.integer(0);
      const Row row = row_at(read, id, state);
      const std::uint32_t crc =
          sqlite_schema::fixed_checksum(at, row) ^ sqlite_schema::mark_checksum(at, row.attempts, row.cause);
      if (read.integer(4) != std::int64_t{crc}) {
        ++counters_.corrupt_rows;
        if (damaged.size() < kDamagedBatch) damaged.push_back(at);
        continue;
      }
      if (!visit(row)) break;
      --limit;
    }
  }
  if (!damaged.empty()) set_aside(table, id, damaged);
  return {};
}

void SqliteStore::set_aside(std::size_t table, StreamId id, const std::vector<std::int64_t>& positions) {
  // In the transaction that is open, or in one of its own. Where it fails the rows stay, and are counted again.
  if (failed_) return;
  const bool own = !open_;
  if (own && !begin()) return;
  Stream* stream = change(id);
  for (const std::int64_t at : positions) {
    if (const int rc = set_aside_one(table, *stream, at); rc != SQLITE_OK) {
      static_cast<void>(fail(rc, "move a damaged row aside"));
      break;
    }
  }
  if (!own) return;
  if (!commit(Durability::fsynced)) rollback();
}

int SqliteStore::set_aside_one(std::size_t table, Stream& stream, std::int64_t at) {
  session_->copy_damaged[table].bind(1, at);
  if (const int rc = session_->copy_damaged[table].run(); rc != SQLITE_OK) return rc;
  Statement& size = session_->size[table];
  size.bind(1, at);
  const int found = size.step();
  const std::uint64_t bytes = found == SQLITE_ROW ? as_unsigned(size.integer(0)) : 0;
  size.reset();
  if (found != SQLITE_ROW) return found;
  session_->erase[table].bind(1, at);
  if (const int rc = session_->erase[table].run(); rc != SQLITE_OK) return rc;
  Row stand_in;
  Statement& put = session_->put[kParked];
  put.bind(1, at);
  put.bind(2, std::int64_t{0});
  put.bind(3, std::int64_t{0});
  put.bind(4, std::int64_t{0});
  put.bind(5, std::int64_t{sqlite_schema::fixed_checksum(at, stand_in) ^
                           sqlite_schema::mark_checksum(at, 0, kDamagedCause)});
  put.bind(6, std::string_view{});
  put.bind(7, std::string_view{});
  put.bind(8, kDamagedCause);
  put.bind(9, std::span<const std::byte>{});
  if (const int rc = put.run(); rc != SQLITE_OK) return rc;
  if (table == kReady) {
    --stream.messages;
    stream.bytes -= bytes;
    ++stream.parked;
  }
  return SQLITE_OK;
}

// --- Watermarks and state -------------------------------------------------------------------------------------------

Result<void> SqliteStore::put_watermark(const Watermark& watermark) {
  if (Result<void> ready = check_change(); !ready) return ready;
  if (Result<void> checked = store_checks::watermark(watermark); !checked) return fail(checked.error());
  Statement& put = session_->put_watermark;
  put.bind(1, std::string_view(watermark.producer));
  put.bind(2, as_signed(watermark.incarnation));
  put.bind(3, std::string_view(watermark.lane));
  put.bind(4, as_signed(watermark.sequence));
  put.bind(5, std::int64_t{sqlite_schema::watermark_checksum(watermark)});
  if (const int rc = put.run(); rc != SQLITE_OK) return fail(rc, "put a watermark");
  return {};
}

Result<std::vector<Watermark>> SqliteStore::watermarks() {
  if (!session_) return store_error(ErrorCode::storage_io, options_.path, "closed after a failure");
  std::vector<Watermark> all;
  Statement& read = session_->watermarks;
  const StatementScope scope(read);
  int rc = read.step();
  for (; rc == SQLITE_ROW; rc = read.step()) {
    Watermark mark{std::string(read.text(0)), as_unsigned(read.integer(1)), std::string(read.text(2)),
                   as_unsigned(read.integer(3))};
    if (read.integer(4) != sqlite_schema::watermark_checksum(mark)) {
      return store_error(ErrorCode::corrupt, options_.path, "the checksum of a watermark does not hold");
    }
    all.push_back(std::move(mark));
  }
  if (rc != SQLITE_DONE) return session_->connection.error(rc, "read watermarks");
  return all;
}

Result<void> SqliteStore::put_state(std::string_view key, std::span<const std::byte> value) {
  if (Result<void> ready = check_change(); !ready) return ready;
  if (Result<void> checked = store_checks::state(key, value); !checked) return fail(checked.error());
  Statement& put = session_->put_state;
  put.bind(1, key);
  put.bind(2, value);
  put.bind(3, std::int64_t{sqlite_schema::state_checksum(key, value)});
  if (const int rc = put.run(); rc != SQLITE_OK) return fail(rc, "put state");
  return {};
}

Result<void> SqliteStore::erase_state(std::string_view key) {
  if (Result<void> ready = check_change(); !ready) return ready;
  session_->erase_state.bind(1, key);
  if (const int rc = session_->erase_state.run(); rc != SQLITE_OK) return fail(rc, "erase state");
  return {};
}

Result<void> SqliteStore::read_state(std::string_view prefix, const StateVisitor& visit) {
  if (!session_) return store_error(ErrorCode::storage_io, options_.path, "closed after a failure");
  Statement& read = session_->state_from;
  const StatementScope scope(read);
  read.bind(1, prefix);
  while (true) {
    const int rc = read.step();
    if (rc == SQLITE_DONE) return {};
    if (rc != SQLITE_ROW) return session_->connection.error(rc, "read state");
    if (!read.text(0).starts_with(prefix)) return {};
    if (read.integer(2) != sqlite_schema::state_checksum(read.text(0), read.blob(1))) {
      return store_error(ErrorCode::corrupt, options_.path, "the checksum of a value of state does not hold");
    }
    if (!visit(read.text(0), read.blob(1))) return {};
  }
}

Store::Counters SqliteStore::counters() const noexcept {
  Counters counters = counters_;
  counters.bytes_written = vfs_->bytes_written();
  counters.fsyncs = vfs_->syncs();
  return counters;
}

}  // namespace

Result<std::unique_ptr<Store>> open_sqlite_store(const SqliteOptions& options) {
  if (options.sequence_block < 2 || options.checkpoint_pages == 0) {
    return Error{ErrorCode::invalid_argument, "A store needs a sequence block of 2 or more and a checkpoint of 1 or more."};
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
