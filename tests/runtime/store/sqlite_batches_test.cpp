// Rows that came together share an entry of the file: what a store does with them.

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <sqlite3.h>

#include "platform/sim/seeded_entropy.h"
#include "runtime/limits.h"
#include "runtime/store/sqlite_store.h"
#include "tests/contract/store_support.h"
#include "tests/runtime/store/sqlite_support.h"
#include "tests/support/fixtures.h"

namespace pannier::testing {
namespace {

using namespace pannier::contract;

/// A store whose rows share entries whenever two come together.
struct Bench {
  TempFolder folder;
  sim::SeededEntropy random{5};
  SqliteOptions options{.path = folder.file("node.db"), .entropy = random, .batch_bytes = 1};
  std::unique_ptr<Store> store = open_or_fail(options);

  void reopen() {
    store.reset();
    store = open_or_fail(options);
  }
  /// Changes the file while nobody has it.
  template <class Change>
  void damage(Change&& change) {
    store.reset();
    std::string file = load(options.path);
    change(file);
    save(options.path, file);
    store = open_or_fail(options);
  }
};

std::string named(Sequence sequence) { return "payload-" + std::to_string(sequence) + "."; }

/// Rows of one group, which can be found in the file.
std::vector<Sequence> put_named(Store& store, StreamId stream, std::size_t count) {
  std::vector<Sequence> rows;
  transact(store, [&] {
    for (std::size_t i = 0; i < count; ++i) {
      rows.push_back(*store.next_sequence());
      const std::string payload = named(rows.back());
      REQUIRE(store.put(row_of(stream, rows.back(), payload)).ok());
    }
  });
  return rows;
}

/// Where a row with this payload stands in a file: the bytes of its frame are the 16 before its head.
std::size_t frame_of(const std::string& file, const std::string& payload, std::size_t from = 0) {
  const std::size_t at = file.find(payload, from);
  REQUIRE(at != std::string::npos);
  return at - std::string("order-1").size() - 21 - 16;
}

}  // namespace

TEST_CASE("rows of one group are in order with those that came alone, are large, or came back") {
  Bench bench;
  const StreamId stream = make_stream(*bench.store);
  const StreamId other = make_stream(*bench.store, "news");
  std::vector<Sequence> rows;
  for (int i = 0; i < 6; ++i) {
    transact(*bench.store, [&] {
      for (int j = 0; j < i; ++j) {
        rows.push_back(*bench.store->next_sequence());
        const std::string payload(j == 3 ? 9000 : 20, 'p');
        REQUIRE(bench.store->put(row_of(stream, rows.back(), payload)).ok());
        REQUIRE(bench.store->put(row_of(other, *bench.store->next_sequence(), "between")).ok());
      }
    });
  }
  transact(*bench.store, [&] {
    for (const std::size_t i : {1U, 7U, 8U}) {
      REQUIRE(bench.store->mark(stream, rows[i], {RowState::ready, 3, "again"}).ok());
      REQUIRE(bench.store->mark(stream, rows[i + 3], {RowState::delayed, 0, {}, at_ms(50)}).ok());
    }
    REQUIRE(bench.store->mark(stream, rows[4], {RowState::ready, 0, {}}).ok());
  });
  rows.erase(rows.begin() + 10, rows.begin() + 12);
  for (int start = 0; start < 2; ++start) {
    CHECK(read_sequences(*bench.store, stream) == rows);
    CHECK(read_sequences(*bench.store, stream, RowState::ready, rows[4], 3) ==
          std::vector<Sequence>(rows.begin() + 5, rows.begin() + 8));
    CHECK(stream_of(*bench.store, stream)[RowState::ready].messages == rows.size());
    bench.reopen();
  }
}

TEST_CASE("a number that is taken by a row in a batch is refused") {
  Bench bench;
  const StreamId stream = make_stream(*bench.store);
  const std::vector<Sequence> rows = put_rows(*bench.store, stream, 5);
  for (int start = 0; start < 2; ++start) {
    REQUIRE(bench.store->begin().ok());
    CHECK(bench.store->put(row_of(stream, rows[2], "again")).error().code == ErrorCode::invalid_argument);
    bench.store->rollback();
    bench.reopen();
  }
  CHECK(read_sequences(*bench.store, stream) == rows);
}

TEST_CASE("a transaction sees the rows that it has put, whatever it does with them") {
  Bench bench;
  const StreamId stream = make_stream(*bench.store);
  std::vector<Sequence> rows;
  const auto put_three = [&] {
    for (int i = 0; i < 3; ++i) {
      rows.push_back(*bench.store->next_sequence());
      REQUIRE(bench.store->put(row_of(stream, rows.back(), "payload")).ok());
    }
  };
  transact(*bench.store, [&] {
    put_three();
    CHECK(read_sequences(*bench.store, stream) == rows);
    put_three();
    REQUIRE(bench.store->erase(stream, rows[4]).ok());
    put_three();
    REQUIRE(bench.store->mark(stream, rows[7], {RowState::parked, 1, "no"}).ok());
    put_three();
    REQUIRE(bench.store->requeue(stream, rows[9], *bench.store->next_sequence()).ok());
    put_three();
    REQUIRE(bench.store->erase_through(stream, rows[1]).ok());
    bool found = false;
    CHECK(*bench.store->find(rows[13], [&](const Row&) { return found = true; }));
    put_three();
    REQUIRE(bench.store->keep_through(stream, rows[15], at_ms(5)).ok());
  });
  for (int start = 0; start < 2; ++start) {
    CHECK(read_sequences(*bench.store, stream).size() == 2);
    CHECK(read_sequences(*bench.store, stream, RowState::kept).size() == 12);  // And the one that was made ready again.
    CHECK(read_sequences(*bench.store, stream, RowState::parked) == std::vector<Sequence>{rows[7]});
    bench.reopen();
  }
}

TEST_CASE("what left a batch in a group that was given up is there again") {
  Bench bench;
  const StreamId stream = make_stream(*bench.store);
  const std::vector<Sequence> rows = put_rows(*bench.store, stream, 20);
  REQUIRE(bench.store->begin().ok());
  REQUIRE(bench.store->erase_through(stream, rows[9]).ok());
  REQUIRE(bench.store->erase(stream, rows[15]).ok());
  CHECK(read_sequences(*bench.store, stream).size() == 9);
  bench.store->rollback();
  CHECK(read_sequences(*bench.store, stream) == rows);
  REQUIRE(bench.store->begin().ok());
  REQUIRE(bench.store->erase(stream, rows[0]).ok());
  REQUIRE(bench.store->begin_part().ok());
  REQUIRE(bench.store->erase(stream, rows[1]).ok());
  REQUIRE(bench.store->put(row_of(stream, *bench.store->next_sequence(), "not kept")).ok());
  REQUIRE(bench.store->end_part(false).ok());
  REQUIRE(bench.store->commit(Durability::fsynced).ok());
  bench.reopen();
  CHECK(read_sequences(*bench.store, stream) == std::vector<Sequence>(rows.begin() + 1, rows.end()));
}

TEST_CASE("a batch of which little is left gives its room back") {
  Bench bench;
  const StreamId stream = make_stream(*bench.store);
  std::vector<Sequence> left;
  for (int group = 0; group < 40; ++group) {
    transact(*bench.store, [&] {
      for (int i = 0; i < 80; ++i) {
        const Sequence sequence = *bench.store->next_sequence();
        REQUIRE(bench.store->put(row_of(stream, sequence, std::string(300, 'p'))).ok());
        if (i == 50) left.push_back(sequence);
      }
    });
    const std::vector<Sequence> rows = read_sequences(*bench.store, stream);
    transact(*bench.store, [&] {
      for (const Sequence row : rows) {
        if (!std::binary_search(left.begin(), left.end(), row)) REQUIRE(bench.store->erase(stream, row).ok());
      }
    });
  }
  CHECK(read_sequences(*bench.store, stream) == left);
  bench.store.reset();
  CHECK(load(bench.options.path).size() < 250'000);  // Of 1 MB that came; 40 rows are 14 kB.
}

TEST_CASE("a message under load costs its bytes twice, and few more, from its put to its end") {
  Bench bench;
  bench.options.batch_bytes = SqliteOptions{.path = {}, .entropy = bench.random}.batch_bytes;
  bench.reopen();
  const StreamId stream = make_stream(*bench.store);
  const std::string payload(256, 'p');
  const std::uint64_t before = bench.store->counters().bytes_written;
  constexpr std::uint64_t kGroups = 100;
  constexpr std::uint64_t kRows = 500;
  std::vector<Sequence> last;
  for (std::uint64_t group = 0; group < kGroups; ++group) {
    transact(*bench.store, [&] {
      for (std::uint64_t i = 0; i < kRows; ++i) {
        last.push_back(*bench.store->next_sequence());
        REQUIRE(bench.store->put(row_of(stream, last.back(), payload)).ok());
      }
      if (group >= 4) REQUIRE(bench.store->erase_through(stream, last[(group - 4) * kRows + 250]).ok());
    });
  }
  const std::uint64_t each = (bench.store->counters().bytes_written - before) / (kGroups * kRows);
  MESSAGE(each << " bytes a message of 256");
  CHECK(each < 850);  // In rows of their own they take 1,070: a page is written once more when it is emptied.
}

TEST_CASE("a row that rots in a batch is moved aside, and its neighbours stay where they are") {
  Bench bench;
  const StreamId stream = make_stream(*bench.store);
  std::vector<Sequence> rows = put_named(*bench.store, stream, 30);
  const std::string payload = named(rows[12]);
  bench.damage([&](std::string& file) { file[frame_of(file, payload) + 16 + 8] ^= 1; });
  const Sequence gone = rows[12];
  rows.erase(rows.begin() + 12);
  for (int start = 0; start < 2; ++start) {
    CHECK(read_sequences(*bench.store, stream) == rows);
    CHECK(read_sequences(*bench.store, stream, RowState::parked) == std::vector<Sequence>{gone});
    CHECK(bench.store->counters().corrupt_rows == (start == 0 ? 1 : 0));
    bench.reopen();
  }
}

TEST_CASE("a batch whose rows do not follow each other is taken apart: what holds goes on, in order") {
  Bench bench;
  const StreamId stream = make_stream(*bench.store);
  std::vector<Sequence> rows = put_named(*bench.store, stream, 30);
  const std::vector<Sequence> behind = put_named(*bench.store, stream, 10);
  transact(*bench.store, [&] { REQUIRE(bench.store->erase(stream, rows[20]).ok()); });
  const std::string payload = named(rows[12]);
  bench.damage([&](std::string& file) { file[frame_of(file, payload) + 12] ^= 64; });  // The length of a payload.
  std::vector<Sequence> left = rows;
  left.insert(left.end(), behind.begin(), behind.end());
  left.erase(left.begin() + 20);
  left.erase(left.begin() + 12);
  SUBCASE("by a read, which goes on behind what it had shown") { CHECK(read_sequences(*bench.store, stream) == left); }
  SUBCASE("by an acknowledgement") {
    transact(*bench.store, [&] { REQUIRE(bench.store->erase_through(stream, rows[5]).ok()); });
    left.erase(left.begin(), left.begin() + 6);
  }
  SUBCASE("by a mark") {
    transact(*bench.store, [&] { REQUIRE(bench.store->mark(stream, rows[6], {RowState::parked, 1, "no"}).ok()); });
    left.erase(left.begin() + 6);
  }
  SUBCASE("by a requeue") {
    transact(*bench.store, [&] {
      const Sequence next = *bench.store->next_sequence();
      REQUIRE(bench.store->requeue(stream, rows[6], next).ok());
      left.push_back(next);
    });
    left.erase(left.begin() + 6);
  }
  CHECK(bench.store->counters().corrupt_rows > 0);
  while (*bench.store->count_some()) {
  }
  for (int start = 0; start < 2; ++start) {
    CHECK(read_sequences(*bench.store, stream) == left);
    CHECK(stream_of(*bench.store, stream)[RowState::ready].messages == left.size());
    bench.reopen();
  }
}

TEST_CASE("a batch that is none, met by the count after an unclean end, is taken apart within the start") {
  Bench bench;
  bench.options.checkpoint_pages = 1;  // All is in the database, and none of it in the log alone.
  bench.reopen();
  const StreamId stream = make_stream(*bench.store);
  std::vector<Sequence> rows = put_named(*bench.store, stream, 30);
  std::string file = load(bench.options.path);
  file[frame_of(file, named(rows[12])) + 12] ^= 64;
  SqliteOptions killed{.path = bench.folder.file("killed.db"), .entropy = bench.random, .batch_bytes = 1};
  save(killed.path, file);
  SUBCASE("counted at once") {}
  SUBCASE("counted in steps") { killed.quick_check_bytes = 0; }
  const std::unique_ptr<Store> store = open_or_fail(killed);
  while (*store->count_some()) {
  }
  rows.erase(rows.begin() + 12);
  CHECK(stream_of(*store, stream)[RowState::ready].messages == rows.size());
  CHECK(stream_of(*store, stream).exact);
  CHECK(read_sequences(*store, stream) == rows);
  CHECK(store->counters().corrupt_rows > 0);
}

TEST_CASE("a group that met a broken batch in the middle of a count and was given up leaves a count that is right") {
  Bench bench;
  bench.options.checkpoint_pages = 1;
  bench.reopen();
  const StreamId stream = make_stream(*bench.store);
  const std::vector<Sequence> rows = put_named(*bench.store, stream, 6000);  // More than one step counts.
  std::string file = load(bench.options.path);
  file[frame_of(file, named(rows[5900])) + 12] ^= 64;
  const SqliteOptions killed{
      .path = bench.folder.file("killed.db"), .entropy = bench.random, .quick_check_bytes = 0, .batch_bytes = 1};
  save(killed.path, file);
  const std::unique_ptr<Store> store = open_or_fail(killed);
  REQUIRE(*store->count_some());
  REQUIRE(store->begin().ok());
  REQUIRE(store->erase(stream, rows[3]).ok());
  REQUIRE(store->erase(stream, rows[5899]).ok());
  store->rollback();
  while (*store->count_some()) {
  }
  CHECK(stream_of(*store, stream)[RowState::ready].messages == rows.size() - 1);
  CHECK(read_sequences(*store, stream).size() == rows.size() - 1);
}

TEST_CASE("of very many broken batches what holds is kept, and the bytes of a bounded number for a person") {
  Bench bench;
  const StreamId stream = make_stream(*bench.store);
  std::vector<Sequence> lost;
  std::size_t rows = 0;
  for (std::uint32_t i = 0; i < limits::kBrokenBatches + 6; ++i) {
    const std::vector<Sequence> batch = put_named(*bench.store, stream, 3);
    lost.push_back(batch[1]);
    rows += batch.size();
  }
  bench.damage([&](std::string& file) {
    for (const Sequence row : lost) {
      // Pages that were split have an older copy each in what they do not use.
      for (std::size_t at = 0; (at = file.find(named(row), at)) != std::string::npos; ++at) {
        file[frame_of(file, named(row), at) + 12] ^= 64;
      }
    }
  });
  CHECK(read_sequences(*bench.store, stream).size() == rows - lost.size());
  bench.store.reset();
  sqlite3* file = nullptr;
  sqlite3_stmt* count = nullptr;
  REQUIRE(sqlite3_open(bench.options.path.c_str(), &file) == SQLITE_OK);
  REQUIRE(sqlite3_prepare_v2(file, "SELECT count(*) FROM damaged WHERE position<0", -1, &count, nullptr) == SQLITE_OK);
  REQUIRE(sqlite3_step(count) == SQLITE_ROW);
  CHECK(sqlite3_column_int(count, 0) == limits::kBrokenBatches);
  sqlite3_finalize(count);
  sqlite3_close(file);
}

TEST_CASE("where the head of a batch is lost nobody knows what has left: all of it waits for a person") {
  Bench bench;
  const StreamId stream = make_stream(*bench.store);
  const std::vector<Sequence> rows = put_named(*bench.store, stream, 30);
  transact(*bench.store, [&] { REQUIRE(bench.store->erase_through(stream, rows[9]).ok()); });
  const std::string payload = named(rows[0]);
  bench.damage([&](std::string& file) { file[frame_of(file, payload) - 60] ^= 1; });  // Of what has left.
  CHECK(read_sequences(*bench.store, stream).empty());
  REQUIRE(bench.store->read(stream, RowState::parked, 0, 100, [&](const Row& row) {
    CHECK(row.cause.find("may have been delivered") != std::string_view::npos);
    CHECK(text_of(row.payload) == named(row.sequence));
    return true;
  }));
  CHECK(read_sequences(*bench.store, stream, RowState::parked) == rows);
  transact(*bench.store, [&] {
    REQUIRE(bench.store->requeue(stream, rows[20], *bench.store->next_sequence()).ok());  // As the person says.
  });
  CHECK(read_sequences(*bench.store, stream).size() == 1);
}

}  // namespace pannier::testing
