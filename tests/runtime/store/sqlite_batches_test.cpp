// Rows that came together share an entry of the file: what a store does with them.

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <pannier/sim.h>
#include <pannier/sqlite_store.h>
#include "runtime/store/store.h"
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
  StorePtr store = open_or_fail(options);

  void reopen() {
    store.reset();
    store = open_or_fail(options);
  }
};

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

TEST_CASE("a sequence that is taken by a row in a batch is refused") {
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
    REQUIRE(bench.store->mark(stream, rows[7], {RowState::dead_lettered, 1, "no"}).ok());
    put_three();
    REQUIRE(bench.store->requeue(stream, rows[9], *bench.store->next_sequence()).ok());
    put_three();
    REQUIRE(bench.store->erase_through(stream, rows[1]).ok());
    bool found = false;
    CHECK(*bench.store->find(rows[13], [&](const Row&) { return found = true; }));
    put_three();
    retain_through(*bench.store, stream, rows[15], at_ms(5));
  });
  for (int start = 0; start < 2; ++start) {
    CHECK(read_sequences(*bench.store, stream).size() == 2);
    CHECK(read_sequences(*bench.store, stream, RowState::retained).size() ==
          12);  // And the one that was made ready again.
    CHECK(read_sequences(*bench.store, stream, RowState::dead_lettered) == std::vector<Sequence>{rows[7]});
    bench.reopen();
  }
}

TEST_CASE("what left a batch in a group that was rolled back is there again") {
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

}  // namespace pannier::testing
