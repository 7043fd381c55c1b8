#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <pannier/limits.h>
#include "runtime/store/store.h"
#include "tests/contract/store_support.h"

/// What every store promises about what it keeps beside its rows: `store_records_contract`, for the fixtures of
/// store_contract.h.
TEST_CASE_TEMPLATE_DEFINE("store: cursors, the clock, tokens, the in-flight journal and SQL", Fixture,
                          store_records_contract) {
  using namespace pannier;
  using namespace pannier::contract;
  Fixture fixture;
  Store& store = fixture.store();
  const StreamId stream = make_stream(store);

  SUBCASE("each reader of a stream has its own cursor, which moves, and goes") {
    const StreamId other = make_stream(store, "positions");
    transact(store, [&] {
      REQUIRE(store.retention()->put_cursor({stream, "report", 5}).ok());
      REQUIRE(store.retention()->put_cursor({stream, "archive", 6}).ok());
      REQUIRE(store.retention()->put_cursor({other, "report", 7}).ok());
      REQUIRE(store.retention()->put_cursor({stream, "report", 8}).ok());
    });
    CHECK(store.retention()->cursors()->size() == 3);
    for (const Cursor& cursor : *store.retention()->cursors()) {
      const Sequence expected = cursor.stream == other ? 7 : (cursor.reader == "report" ? 8 : 6);
      CHECK(cursor.sequence == expected);
    }
    REQUIRE(store.begin().ok());
    REQUIRE(store.retention()->put_cursor({stream, "report", 9}).ok());
    REQUIRE(store.retention()->erase_cursor(stream, "archive").ok());
    store.rollback();
    CHECK(store.retention()->cursors()->size() == 3);
    transact(store, [&] {
      REQUIRE(store.retention()->erase_cursor(stream, "archive").ok());
      REQUIRE(store.retention()->erase_cursor(stream, "nobody").ok());
      REQUIRE(store.retention()->erase_cursor(StreamId{999}, "report").ok());
    });
    CHECK(store.retention()->cursors()->size() == 2);
    REQUIRE(store.begin().ok());
    CHECK(store.retention()->put_cursor({StreamId{999}, "report", 1}).error().code == ErrorCode::invalid_argument);
    store.rollback();
  }

  SUBCASE("the clock's anchor is the last one that was put") {
    CHECK_FALSE(store.anchor()->has_value());
    const ClockAnchor anchor{at_ms(5), MonoTime(Duration(6)), WallTime(Duration(-7)), ~std::uint64_t{0}};
    transact(store, [&] {
      REQUIRE(store.put_anchor({}).ok());
      REQUIRE(store.put_anchor(anchor).ok());
    });
    REQUIRE(store.begin().ok());
    REQUIRE(store.put_anchor({}).ok());
    store.rollback();
    const ClockAnchor found = store.anchor()->value();
    CHECK(found.store == anchor.store);
    CHECK(found.mono == anchor.mono);
    CHECK(found.wall == anchor.wall);
    CHECK(found.boot == anchor.boot);
  }

  SUBCASE("a token names the number that its message got, in its stream, until it expires") {
    const StreamId other = make_stream(store, "positions");
    const std::string longest(limits::kTokenBytes, 't');
    transact(store, [&] {
      REQUIRE(store.tokens()->put_token(stream, "order-7", 41, at_ms(100)).ok());
      REQUIRE(store.tokens()->put_token(other, "order-7", 42, at_ms(100)).ok());
      REQUIRE(store.tokens()->put_token(stream, longest, 43, at_ms(50)).ok());
      REQUIRE(store.tokens()->put_token(stream, "", 44, at_ms(60)).ok());
    });
    CHECK(*store.tokens()->token(stream, "order-7", at_ms(99)) == 41);
    CHECK(*store.tokens()->token(other, "order-7", at_ms(99)) == 42);
    CHECK(*store.tokens()->token(stream, longest, at_ms(0)) == 43);
    CHECK(*store.tokens()->token(stream, "", at_ms(0)) == 44);
    CHECK(*store.tokens()->token(stream, "order-7", at_ms(100)) == 0);
    CHECK(*store.tokens()->token(stream, "order-8", at_ms(0)) == 0);
    transact(store, [&] { REQUIRE(store.tokens()->put_token(stream, "order-7", 51, at_ms(200)).ok()); });
    CHECK(*store.tokens()->token(stream, "order-7", at_ms(100)) == 51);
    REQUIRE(store.begin().ok());
    REQUIRE(store.tokens()->erase_tokens(at_ms(60), 1).ok());
    CHECK(*store.tokens()->token(stream, longest, at_ms(0)) + *store.tokens()->token(stream, "", at_ms(0)) !=
          43 + 44);  // One of them went,
    CHECK(*store.tokens()->token(stream, longest, at_ms(0)) + *store.tokens()->token(stream, "", at_ms(0)) !=
          0);  // and one alone.
    store.rollback();
    CHECK(*store.tokens()->token(stream, longest, at_ms(0)) == 43);
    transact(store, [&] { REQUIRE(store.tokens()->erase_tokens(at_ms(60), 10).ok()); });
    CHECK(*store.tokens()->token(stream, longest, at_ms(0)) == 0);
    CHECK(*store.tokens()->token(stream, "", at_ms(0)) == 0);
    CHECK(*store.tokens()->token(stream, "order-7", at_ms(0)) == 51);
    REQUIRE(store.begin().ok());
    CHECK(store.tokens()->put_token(stream, longest + "t", 1, at_ms(1)).error().code == ErrorCode::invalid_argument);
    store.rollback();
  }

  SUBCASE("at their bound tokens are refused and nothing else; one that is there is renewed; what expired makes room") {
    REQUIRE(store.begin().ok());
    for (std::size_t i = 0; i < limits::kTokens; ++i) {
      REQUIRE(store.tokens()->put_token(stream, std::to_string(i), i + 1, at_ms(i < 10 ? 10 : 1000)).ok());
    }
    CHECK(store.tokens()->put_token(stream, "one more", 1, at_ms(1000)).error().code == ErrorCode::full);
    REQUIRE(store.tokens()->put_token(stream, "5", 77, at_ms(1000)).ok());
    const Sequence sequence = *store.next_sequence();
    REQUIRE(store.put(row_of(stream, sequence, "x")).ok());
    REQUIRE(store.commit(Durability::fsynced).ok());
    CHECK(*store.tokens()->token(stream, "5", at_ms(0)) == 77);
    CHECK(read_sequences(store, stream) == std::vector<Sequence>{sequence});
    transact(store, [&] {
      REQUIRE(store.tokens()->erase_tokens(at_ms(10), 100).ok());
      REQUIRE(store.tokens()->put_token(stream, "one more", 1, at_ms(1000)).ok());
    });
  }

  SUBCASE("rows are noted as in flight and cleared, up to the bound, in transactions and out of them") {
    const std::vector<Sequence> rows = put_rows(store, stream, 2);
    CHECK(store.take_in_flight().empty());  // Nothing was left by an earlier life.
    CHECK(store.note_in_flight(stream, rows[0]));
    REQUIRE(store.begin().ok());
    CHECK(store.note_in_flight(stream, rows[1]));
    store.clear_in_flight(stream, rows[1]);
    store.clear_in_flight(stream, rows[1]);
    store.rollback();
    for (std::size_t i = 1; i < limits::kInFlight; ++i) REQUIRE(store.note_in_flight(stream, 1'000'000 + i));
    CHECK_FALSE(store.note_in_flight(stream, rows[1]));
    store.clear_in_flight(stream, rows[0]);
    CHECK(store.note_in_flight(stream, rows[1]));
  }

  SUBCASE("every durability is taken, and what it made is there") {
    for (const Durability durability : {Durability::memory, Durability::committed, Durability::fsynced}) {
      const Sequence sequence = *store.next_sequence();
      transact(
          store, [&] { REQUIRE(store.put(row_of(stream, sequence, "x")).ok()); }, durability);
      CHECK(find_row(store, sequence).sequence == sequence);
    }
    transact(
        store, [] {}, Durability::fsynced);
    REQUIRE(store.begin().ok());
    store.rollback();
  }

  SUBCASE("SQL of the application is in the transaction, or this store has none") {
    if (store.sql() == nullptr) return;
    REQUIRE(store.begin().ok());
    REQUIRE(store.sql()->execute({"CREATE TABLE stop (id INTEGER, name TEXT)", {}}).ok());
    REQUIRE(store.commit(Durability::fsynced).ok());
    REQUIRE(store.begin().ok());
    REQUIRE(store.sql()->execute({"INSERT INTO stop VALUES (1, 'depot')", {}}).ok());
    store.rollback();
    std::size_t seen = 0;
    const auto count = [&](auto row) {
      ++seen;
      CHECK(std::get<std::int64_t>(row[0]) == 0);
      return true;
    };
    REQUIRE(store.sql()->query({"SELECT count(*) FROM stop", {}}, count).ok());
    CHECK(seen == 1);
  }
}
