#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <pannier/limits.h>
#include "runtime/store/store.h"
#include "tests/contract/store_support.h"

/// What every store promises about rows that wait, are retained, or move: `store_states_contract`, for the fixtures
/// of store_contract.h.
TEST_CASE_TEMPLATE_DEFINE("store: the states of a row", Fixture, store_states_contract) {
  using namespace pannier;
  using namespace pannier::contract;
  Fixture fixture;
  Store& store = fixture.store();
  const StreamId stream = make_stream(store);

  SUBCASE("a row is put into any state, and read back there with its times and origin") {
    for (const RowState state : kAllRowStates) {
      Row row = row_of(stream, *store.next_sequence(), "content");
      row.state = state;
      row.origin = row.sequence + 1000;
      row.expires_at = at_ms(5000);
      row.moment = at_ms(7);
      transact(store, [&] { REQUIRE(store.put(row).ok()); });
      std::size_t seen = 0;
      each_row(store, stream, state, [&](const Row& found) {
        ++seen;
        CHECK(found.sequence == row.sequence);
        CHECK(found.origin == row.origin);
        CHECK(found.expires_at == at_ms(5000));
        CHECK(found.moment == at_ms(7));
        CHECK(found.state == state);
        CHECK(text_of(found.payload) == "content");
      });
      CHECK(seen == 1);
      CHECK(find_row(store, row.origin) == Found{state, row.sequence});
      CHECK(find_row(store, row.sequence) == Found{});  // It is known by its origin, and by that alone.
      const Stream now = stream_of(store, stream);
      CHECK(now[state] == Load{1, 7});
    }
    CHECK(store.counters().corrupt_pages == 0);
  }

  SUBCASE("a mark moves a row from any state to any other, in its place, with its content") {
    const std::vector<Sequence> rows = put_rows(store, stream, 3);
    const std::string payload = std::to_string(rows[1]);
    std::uint32_t attempts = 0;
    for (const RowState from : kAllRowStates) {
      for (const RowState to : kAllRowStates) {
        transact(store, [&] { REQUIRE(store.mark(stream, rows[1], {from, 0, "", kNoMoment}).ok()); });
        ++attempts;
        transact(store, [&] { REQUIRE(store.mark(stream, rows[1], {to, attempts, "why", at_ms(attempts)}).ok()); });
        std::size_t seen = 0;
        each_row(store, stream, to, [&](const Row& row) {
          if (row.sequence != rows[1]) return;
          ++seen;
          CHECK(row.attempts == attempts);
          CHECK(row.cause == "why");
          CHECK(row.moment == at_ms(attempts));
          CHECK(row.key == "order-1");
          CHECK(text_of(row.payload) == payload);
        });
        CHECK(seen == 1);
        CHECK(find_row(store, rows[1]) == Found{to, rows[1]});
        Load all;
        for (const RowState state : kAllRowStates) all += stream_of(store, stream)[state];
        CHECK(all.messages == 3);
        CHECK(stream_of(store, stream)[to].messages == (to == RowState::ready ? 3 : 1));
      }
    }
    CHECK(store.counters().corrupt_pages == 0);
  }

  SUBCASE("delayed rows come due in the order of their moments, whatever their order in the stream") {
    const StreamId other = make_stream(store, "positions");
    CHECK_FALSE(store.next_due()->has_value());
    std::vector<Sequence> rows;
    transact(store, [&] {
      for (const std::int64_t ms : {300, 100, 200, 100}) {
        Row row = row_of(rows.size() == 2 ? other : stream, *store.next_sequence(), "x");
        row.state = RowState::delayed;
        row.moment = at_ms(ms);
        REQUIRE(store.put(row).ok());
        rows.push_back(row.sequence);
      }
    });
    CHECK(store.next_due()->value() == at_ms(100));
    CHECK(due_at(store, at_ms(99)).empty());
    CHECK(due_at(store, at_ms(100)) == std::vector<Sequence>{rows[1], rows[3]});
    CHECK(due_at(store, at_ms(1000)) == std::vector<Sequence>{rows[1], rows[3], rows[2], rows[0]});
    CHECK(due_at(store, at_ms(1000), 1) == std::vector<Sequence>{rows[1]});
    transact(store, [&] {
      REQUIRE(store.mark(stream, rows[1], {RowState::ready, 0, "", kNoMoment}).ok());
      REQUIRE(store.mark(stream, rows[3], {RowState::delayed, 1, "again", at_ms(400)}).ok());
      REQUIRE(store.erase(other, rows[2]).ok());
    });
    CHECK(store.next_due()->value() == at_ms(300));
    CHECK(due_at(store, at_ms(1000)) == std::vector<Sequence>{rows[0], rows[3]});
    CHECK(read_sequences(store, stream) == std::vector<Sequence>{rows[1]});
  }

  SUBCASE("a ready row with a moment keeps its place, and comes due beside the delayed ones") {
    std::vector<Sequence> rows = put_rows(store, stream, 4);
    transact(store, [&] {
      REQUIRE(store.mark(stream, rows[1], {RowState::ready, 1, "again", at_ms(200)}).ok());
      REQUIRE(store.mark(stream, rows[2], {RowState::delayed, 0, "", at_ms(100)}).ok());
      Row row = row_of(stream, *store.next_sequence(), "x");
      row.moment = at_ms(50);
      REQUIRE(store.put(row).ok());
      rows.push_back(row.sequence);
    });
    CHECK(read_sequences(store, stream) == std::vector<Sequence>{rows[0], rows[1], rows[3], rows[4]});
    CHECK(store.next_due()->value() == at_ms(50));
    CHECK(due_at(store, at_ms(199)) == std::vector<Sequence>{rows[4], rows[2]});
    CHECK(due_at(store, at_ms(200)) == std::vector<Sequence>{rows[4], rows[2], rows[1]});
    transact(store, [&] {
      REQUIRE(store.mark(stream, rows[1], {RowState::ready, 2, "", kNoMoment}).ok());
      REQUIRE(store.erase_through(stream, rows[4]).ok());
    });
    CHECK(due_at(store, at_ms(1000)) == std::vector<Sequence>{rows[2]});
  }

  SUBCASE("the first of a key that is dead-lettered or waits for its next attempt is known, by its first sequence") {
    const StreamId other = make_stream(store, "positions");
    const auto first = [&](StreamId in, RowState state, std::string_view key) {
      return *store.first_of_key(in, state, key);
    };
    CHECK(first(stream, RowState::dead_lettered, "order-1") == 0);
    CHECK(first(stream, RowState::ready, "order-1") == 0);
    CHECK(first(StreamId{999}, RowState::ready, "order-1") == 0);
    const std::vector<Sequence> rows = put_rows(store, stream, 4);
    const std::vector<Sequence> others = put_rows(store, other, 1);
    CHECK(first(stream, RowState::ready, "order-1") == 0);
    transact(store, [&] {
      REQUIRE(store.mark(stream, rows[2], {RowState::dead_lettered, 1, "x"}).ok());
      REQUIRE(store.mark(stream, rows[1], {RowState::dead_lettered, 1, "x"}).ok());
      REQUIRE(store.mark(stream, rows[3], {RowState::ready, 1, "", at_ms(5)}).ok());
      REQUIRE(store.mark(other, others[0], {RowState::delayed, 1, "", at_ms(5)}).ok());
      CHECK(first(stream, RowState::dead_lettered, "order-1") == rows[1]);
    });
    CHECK(first(stream, RowState::dead_lettered, "order-1") == rows[1]);
    CHECK(first(stream, RowState::dead_lettered, "order-2") == 0);
    CHECK(first(stream, RowState::ready, "order-1") == rows[3]);
    CHECK(first(other, RowState::ready, "order-1") == 0);
    CHECK(first(other, RowState::dead_lettered, "order-1") == 0);
    // Known by what its receipt named, wherever it is now.
    Sequence moved = 0;
    transact(store, [&] {
      moved = *store.next_sequence();
      REQUIRE(store.requeue(stream, rows[0], moved).ok());
      REQUIRE(store.mark(stream, moved, {RowState::dead_lettered, 1, "x"}).ok());
    });
    CHECK(first(stream, RowState::dead_lettered, "order-1") == rows[0]);
    transact(store, [&] {
      REQUIRE(store.erase(stream, moved).ok());
      REQUIRE(store.erase(stream, rows[1]).ok());
      REQUIRE(store.mark(stream, rows[3], {RowState::ready, 1, "", kNoMoment}).ok());
    });
    CHECK(first(stream, RowState::dead_lettered, "order-1") == rows[2]);
    CHECK(first(stream, RowState::ready, "order-1") == 0);
  }

  SUBCASE("what is retained is trimmed from the oldest on, by number, by bytes and by age, a bounded piece at a time") {
    const std::vector<Sequence> rows = put_rows(store, stream, limits::kTrimRows + 20);
    transact(store, [&] {
      retain_through(store, stream, rows[9], at_ms(10));
      retain_through(store, stream, rows.back(), at_ms(20));
    });
    const Load any{~std::uint64_t{0}, ~std::uint64_t{0}};
    transact(store, [&] { REQUIRE(store.retention()->trim(stream, any, kNoMoment).ok()); });
    CHECK(stream_of(store, stream)[RowState::retained].messages == rows.size());
    transact(store, [&] { REQUIRE(store.retention()->trim(stream, any, at_ms(20)).ok()); });
    CHECK(read_sequences(store, stream, RowState::retained).front() == rows[10]);
    transact(store, [&] { REQUIRE(store.retention()->trim(stream, {5, ~std::uint64_t{0}}, kNoMoment).ok()); });
    CHECK(stream_of(store, stream)[RowState::retained].messages == 10);  // kTrimRows of them went.
    transact(store, [&] { REQUIRE(store.retention()->trim(stream, {5, ~std::uint64_t{0}}, kNoMoment).ok()); });
    CHECK(read_sequences(store, stream, RowState::retained) == std::vector<Sequence>(rows.end() - 5, rows.end()));
    const std::uint64_t bytes = std::to_string(rows.back()).size();
    transact(store, [&] { REQUIRE(store.retention()->trim(stream, {100, 2 * bytes}, kNoMoment).ok()); });
    CHECK(stream_of(store, stream)[RowState::retained] == Load{2, 2 * bytes});
    transact(store, [&] { REQUIRE(store.retention()->trim(StreamId{999}, {}, kNoMoment).ok()); });
  }

  SUBCASE("a row that is made ready again gets a place behind all others, and stays known by its first number") {
    const std::vector<Sequence> rows = put_rows(store, stream, 3);
    transact(store, [&] {
      REQUIRE(store.mark(stream, rows[0], {RowState::dead_lettered, 5, "poison", at_ms(3)}).ok());
    });
    const Sequence next = *store.next_sequence();
    transact(store, [&] { REQUIRE(store.requeue(stream, rows[0], next).ok()); });
    CHECK(read_sequences(store, stream) == std::vector<Sequence>{rows[1], rows[2], next});
    CHECK(read_sequences(store, stream, RowState::dead_lettered).empty());
    CHECK(find_row(store, rows[0]) == Found{RowState::ready, next});
    CHECK(find_row(store, next) == Found{});
    each_row(store, stream, RowState::ready, [&](const Row& row) {
      if (row.sequence != next) return;
      CHECK(row.attempts == 0);
      CHECK(row.cause.empty());
      CHECK(row.moment == kNoMoment);
      CHECK(row.id() == rows[0]);
      CHECK(text_of(row.payload) == std::to_string(rows[0]));
    });
    // From every state, ready too, and again: the first number stays.
    Sequence at = next;
    for (const RowState state : kAllRowStates) {
      const Sequence to = *store.next_sequence();
      transact(store, [&] {
        REQUIRE(store.mark(stream, at, {state, 1, "x", at_ms(9)}).ok());
        REQUIRE(store.requeue(stream, at, to).ok());
      });
      at = to;
      CHECK(find_row(store, rows[0]) == Found{RowState::ready, at});
    }
    CHECK(stream_of(store, stream)[RowState::ready].messages == 3);
    CHECK(store.counters().corrupt_pages == 0);
    REQUIRE(store.begin().ok());
    CHECK(store.requeue(stream, rows[0], *store.next_sequence()).error().code == ErrorCode::not_found);
    CHECK(store.requeue(StreamId{999}, at, *store.next_sequence()).error().code == ErrorCode::not_found);
    REQUIRE(store.commit(Durability::fsynced).ok());
    REQUIRE(store.begin().ok());
    CHECK(store.requeue(stream, at, rows[1]).error().code == ErrorCode::invalid_argument);  // It is taken.
    store.rollback();
    CHECK(find_row(store, rows[0]) == Found{RowState::ready, at});
  }

  SUBCASE("a row is found by its number in whatever stream it is, and one that is gone is not") {
    const StreamId other = make_stream(store, "positions");
    const std::vector<Sequence> rows = put_rows(store, stream, 2);
    const std::vector<Sequence> others = put_rows(store, other, 2);
    CHECK(find_row(store, rows[1]) == Found{RowState::ready, rows[1]});
    CHECK(find_row(store, others[0]) == Found{RowState::ready, others[0]});
    transact(store, [&] { REQUIRE(store.erase(other, others[0]).ok()); });
    CHECK(find_row(store, others[0]) == Found{});
    CHECK(find_row(store, 0) == Found{});
    CHECK(find_row(store, ~Sequence{0}) == Found{});
  }

  SUBCASE("a rollback brings moved, retained, trimmed and requeued rows back") {
    const std::vector<Sequence> rows = put_rows(store, stream, 6);
    transact(store, [&] {
      retain_through(store, stream, rows[1], at_ms(1));
      REQUIRE(store.mark(stream, rows[2], {RowState::delayed, 1, "later", at_ms(5)}).ok());
    });
    const Stream before = stream_of(store, stream);
    REQUIRE(store.begin().ok());
    retain_through(store, stream, rows[3], at_ms(2));
    REQUIRE(store.retention()->trim(stream, {1, 1}, kNoMoment).ok());
    REQUIRE(store.requeue(stream, rows[4], *store.next_sequence()).ok());
    REQUIRE(store.requeue(stream, rows[2], *store.next_sequence()).ok());
    store.rollback();
    CHECK(stream_of(store, stream).loads == before.loads);
    CHECK(read_sequences(store, stream) == std::vector<Sequence>{rows[3], rows[4], rows[5]});
    CHECK(read_sequences(store, stream, RowState::retained) == std::vector<Sequence>{rows[0], rows[1]});
    CHECK(store.next_due()->value() == at_ms(5));
  }
}
