#include <algorithm>
#include <utility>

#include "platform/concat.h"
#include "runtime/store/sqlite/row_source.h"
#include "runtime/store/sqlite/salvage.h"
#include "runtime/store/sqlite/store_impl.h"

namespace pannier {
namespace {

/// Rows that one step of a count reads at most: about a millisecond of a processor.
constexpr std::size_t kCountRows = 4096;

}  // namespace

using sqlite_schema::position;
using sqlite_schema::sequence_of;

void SqliteStore::check_log() {
  if (const std::string found = vfs_->witness().check(options_.path); !found.empty()) {
    ++counters_.broken_syncs;
    findings_.push_back(
        concat({"Store ", options_.path, ": ", found,
                ", less than the disk had reported as synced: messages that were acknowledged may be lost; "
                "check the disk and its write cache, and what was done to the files."}));
  }
}

Result<void> SqliteStore::open() {
  const bool again = incarnation_ != 0;  // After a failure: a running node's file is not replaced under it.
  const Result<bool> wanted = again ? Result<bool>(false) : sqlite_salvage::is_wanted(*vfs_, options_.path);
  if (!wanted) return wanted.error();
  if (!*wanted) {
    Result<void> opened = open_file();
    if (opened || again || !sqlite_salvage::is_damage(*vfs_, options_.path, opened.error())) return opened;
  }
  const Result<sqlite_salvage::Salvaged> salvaged = sqlite_salvage::run(options_, *vfs_);
  if (!salvaged) return salvaged.error();
  if (!salvaged->line.empty()) findings_.push_back(salvaged->line);
  counters_.corrupt_rows += salvaged->damaged_rows;
  return open_file();
}

Result<void> SqliteStore::open_file() {
  check_log();
  Result<Connection> connection = sqlite_schema::open(options_, *vfs_);
  if (!connection) return connection.error();
  Result<std::unique_ptr<SqliteSession>> session = SqliteSession::create(std::move(*connection), options_.batch_bytes);
  if (!session) return session.error();
  session_ = std::move(*session);
  const bool first = incarnation_ == 0;
  Result<void> loaded = load_meta();
  if (loaded) loaded = load_streams(clean_);
  if (loaded) loaded = load_tokens();
  if (loaded && first) loaded = check_records();
  if (!loaded) {
    session_.reset();
    if (first) incarnation_ = next_ = leased_ = 0;
    if (first) loads_.clear();
    return loaded;
  }
  session_->connection.on_damage([this] { sqlite_salvage::note_damage(*vfs_, options_.path); });
  if (!reserve_held_) reserve_held_ = hold_reserve();
  if (claims_ == nullptr) claims_ = std::make_unique<SqliteClaims>(*vfs_, options_.path + "-claims", incarnation_);
  return {};
}

Result<void> SqliteStore::load_meta() {
  Statement read(session_->connection, "SELECT incarnation, sequence_lease, clean, crc FROM meta WHERE id=1");
  const int rc = read.step();
  if (rc != SQLITE_ROW && rc != SQLITE_DONE) return session_->connection.error(rc, "read");
  const std::uint64_t incarnation = as_unsigned(read.integer(0));
  const Sequence lease = as_unsigned(read.integer(1));
  const bool clean = read.integer(2) != 0;
  if (rc == SQLITE_DONE || read.integer(3) != sqlite_schema::meta_checksum(incarnation, lease, clean)) {
    return store_error(ErrorCode::corrupt, options_.path, "the checksum of table meta does not hold");
  }
  if (incarnation_ != 0 && incarnation_ != incarnation) {
    return store_error(ErrorCode::corrupt, options_.path, "another file took its place while the node ran");
  }
  Result<sqlite_twin::Roots> roots = sqlite_twin::roots_of(session_->connection);
  if (!roots) return roots.error();
  roots_ = *roots;
  incarnation_ = incarnation;
  leased_ = lease;
  clean_ = clean;
  if (next_ == 0) next_ = first_ = lease;  // Reopened, it goes on within its own lease.
  return {};
}

Result<void> SqliteStore::load_streams(bool clean) {
  const std::vector<Stream> known = loads_.all();  // Of before a reopening: nearer to the truth than what was noted.
  loads_.clear();
  Statement read(session_->connection, "SELECT id, box, node, lane, crc FROM streams ORDER BY id");
  int rc = read.step();
  for (; rc == SQLITE_ROW; rc = read.step()) {
    const Stream& stream = loads_.add(static_cast<Box>(read.integer(1)), read.text(2), read.text(3));
    const auto crc = sqlite_schema::stream_checksum(stream.id, stream.box, stream.node, stream.lane);
    if (read.integer(0) != static_cast<std::int64_t>(stream.id) || read.integer(4) != std::int64_t{crc}) {
      return store_error(ErrorCode::corrupt, options_.path, "the checksum of table streams does not hold");
    }
    const std::size_t index = loads_.all().size() - 1;
    loads_.set(stream.id, index < known.size() ? known[index].loads : stream.loads, false);
  }
  if (rc != SQLITE_DONE) return session_->connection.error(rc, "read");

  Statement noted(
      session_->connection,
      "SELECT stream, ready, ready_bytes, parked, parked_bytes, delayed, delayed_bytes, kept, kept_bytes, crc"
      " FROM loads");
  for (rc = noted.step(); rc == SQLITE_ROW && known.empty(); rc = noted.step()) {
    const auto id = static_cast<StreamId>(noted.integer(0));
    std::array<Load, kRowStates> loads{};
    for (std::size_t i = 0; i < kRowStates; ++i) {
      const auto column = static_cast<int>(1 + 2 * i);
      loads[i] = {as_unsigned(noted.integer(column)), as_unsigned(noted.integer(column + 1))};
    }
    // One that does not hold is counted anew.
    if (loads_.find(id) == nullptr || noted.integer(9) != std::int64_t{sqlite_schema::loads_checksum(id, loads)})
      continue;
    loads_.set(id, loads, clean);
  }
  if (rc != SQLITE_DONE && rc != SQLITE_ROW) return session_->connection.error(rc, "read");
  noted.reset();
  loads_.commit();

  const Result<std::int64_t> pages = session_->connection.integer("PRAGMA page_count");
  if (!pages) return pages.error();
  if (static_cast<std::uint64_t>(*pages) * sqlite_schema::kPageBytes > options_.quick_check_bytes) return {};
  while (!loads_.exact()) {
    if (const Result<bool> more = count_rows(kCountRows); !more) return more.error();
  }
  return {};
}

Result<void> SqliteStore::load_tokens() {
  const Result<std::int64_t> count = session_->connection.integer("SELECT count(*) FROM tokens");
  if (!count) return count.error();
  tokens_ = static_cast<std::size_t>(*count);
  return {};
}

Result<void> SqliteStore::check_records() {
  if (const auto marks = watermarks(); !marks) return marks.error();
  if (const auto clock = anchor(); !clock) return clock.error();
  const Result<std::int64_t> pages = session_->connection.integer("PRAGMA page_count");
  if (!pages) return pages.error();
  if (static_cast<std::uint64_t>(*pages) * sqlite_schema::kPageBytes > options_.quick_check_bytes) return {};
  return read_state("", [](std::string_view, std::span<const std::byte>) { return true; });
}

Result<bool> SqliteStore::count_rows(std::size_t limit) {
  while (const std::optional<SqliteLoads::Piece> piece = loads_.uncounted()) {
    RowSource source(*session_, piece->state, position(piece->stream, piece->after),
                     position(piece->stream, store_checks::kMaxSequence), RowSource::What::sizes);
    Load load;
    Sequence through = piece->after;
    int rc = SQLITE_ROW;
    while (rc == SQLITE_ROW && load.messages < limit) {
      rc = source.step();
      if (rc != SQLITE_ROW) break;
      through = sequence_of(source.row().position);
      load += {1, source.payload_bytes()};
    }
    if (rc == SqliteBatches::kBroken) {
      source.end();
      if (Result<void> done = set_aside({}, true); !done) return done.error();
      return true;
    }
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) return session_->connection.error(rc, "count");
    const bool more = load.messages == limit;
    loads_.counted(*piece, more ? through : store_checks::kMaxSequence, load);
    if (more) return true;
    limit -= static_cast<std::size_t>(load.messages);  // Streams with little in them go together.
  }
  return false;
}

Result<bool> SqliteStore::count_some() {
  if (Result<void> ready = check_open(); !ready) return ready.error();
  if (open_) return Error{ErrorCode::invalid_argument, "count_some within a transaction: commit or roll back first."};
  return count_rows(kCountRows);
}

// --- Closing -----------------------------------------------------------------------------------------------------

int SqliteStore::write_loads(const Stream& stream) {
  Statement& put = session_->put_loads;
  put.bind(1, static_cast<std::int64_t>(stream.id));
  int column = 2;
  for (const Load& load : stream.loads) {
    put.bind(column++, as_signed(load.messages));
    put.bind(column++, as_signed(load.bytes));
  }
  put.bind(column, std::int64_t{sqlite_schema::loads_checksum(stream.id, stream.loads)});
  return put.run();
}

void SqliteStore::close() noexcept {
  rollback();
  if (session_ == nullptr || clean_) return;
  // One transaction; where it fails the next start counts. The checkpoint of closing syncs it.
  if (session_->begin.run() != SQLITE_OK) return;
  int rc = SQLITE_OK;
  for (const Stream& stream : loads_.all()) {
    if (rc == SQLITE_OK) rc = write_loads(stream);
  }
  if (rc == SQLITE_OK) rc = write_meta(leased_, loads_.exact());
  vfs_->transaction_begins();
  vfs_->leave_out_commit_sync(true);
  if (rc == SQLITE_OK) rc = session_->commit.run();
  vfs_->leave_out_commit_sync(false);
  if (rc != SQLITE_OK && !session_->connection.autocommit()) session_->rollback.run();
}

SqliteStore::~SqliteStore() { close(); }

Result<std::unique_ptr<Store>> open_sqlite_store(const SqliteOptions& options) {
  if (options.sequence_block < 2 || options.checkpoint_pages == 0) {
    return Error{ErrorCode::invalid_argument,
                 "A store needs a sequence block of 2 or more and a checkpoint of 1 or more."};
  }
  Result<std::unique_ptr<CountingVfs>> vfs = CountingVfs::create(options.vfs);
  if (!vfs) return vfs.error();
  auto store = std::make_unique<SqliteStore>(options, std::move(*vfs));
  if (Result<void> opened = store->open(); !opened) return opened.error();
  if (Result<void> leased = store->raise_lease(); !leased && leased.error().code != ErrorCode::storage_full) {
    return leased.error();  // On a full disk what is there must still drain; new numbers wait for room.
  }
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace pannier
