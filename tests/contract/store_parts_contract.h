#pragma once

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "runtime/store/store.h"
#include "tests/contract/store_support.h"

/// What every store promises about a part of a transaction: `store_parts_contract`, for the fixtures of
/// store_contract.h.
TEST_CASE_TEMPLATE_DEFINE("store: a part of a transaction is kept or given up for itself", Fixture,
                          store_parts_contract) {
  using namespace pannier;
  using namespace pannier::contract;
  Fixture fixture;
  Store& store = fixture.store();
  const StreamId stream = make_stream(store);
  const std::vector<Sequence> rows = put_rows(store, stream, 4);
  const auto put_one = [&](StreamId to) {
    const Sequence sequence = *store.next_sequence();
    REQUIRE(store.put(row_of(to, sequence, "new")).ok());
    return sequence;
  };

  SUBCASE("what is kept is as if there had been no part") {
    Sequence added = 0;
    transact(store, [&] {
      REQUIRE(store.begin_part().ok());
      added = put_one(stream);
      REQUIRE(store.erase(stream, rows[0]).ok());
      REQUIRE(store.end_part(true).ok());
    });
    CHECK(read_sequences(store, stream) == std::vector<Sequence>{rows[1], rows[2], rows[3], added});
    CHECK(stream_of(store, stream)[RowState::ready].messages == 4);
  }

  SUBCASE("what is given up was never there; what came before it and after it in the transaction stays") {
    const auto key = std::string("kept");
    const std::uint64_t put_before = store.counters().rows_put;
    Sequence before = 0;
    Sequence after = 0;
    Sequence within = 0;
    transact(store, [&] {
      before = put_one(stream);
      REQUIRE(store.state()->put_state("before", std::as_bytes(std::span{key})).ok());
      REQUIRE(store.put_watermark({"tablet", 1, "orders", 5}).ok());
      REQUIRE(store.begin_part().ok());
      within = put_one(stream);
      REQUIRE(store.erase(stream, before).ok());
      REQUIRE(store.mark(stream, rows[0], {RowState::dead_lettered, 3, "cause", kNoMoment}).ok());
      REQUIRE(store.mark(stream, rows[1], {RowState::delayed, 0, "", at_ms(9)}).ok());
      REQUIRE(store.requeue(stream, rows[2], *store.next_sequence()).ok());
      retain_through(store, stream, rows[3], at_ms(7));
      REQUIRE(store.put_watermark({"tablet", 1, "orders", 50}).ok());
      REQUIRE(store.state()->put_state("within", std::as_bytes(std::span{key})).ok());
      REQUIRE(store.state()->erase_state("before").ok());
      REQUIRE(store.retention()->put_cursor({stream, "reader", 7}).ok());
      REQUIRE(store.tokens()->put_token(stream, "token", within, at_ms(100)).ok());
      REQUIRE(store.put_anchor({at_ms(5), MonoTime{}, WallTime{}, 1}).ok());
      REQUIRE(store.end_part(false).ok());
      CHECK(stream_of(store, stream)[RowState::ready].messages == 5);
      after = put_one(stream);
    });
    CHECK(read_sequences(store, stream) == std::vector<Sequence>{rows[0], rows[1], rows[2], rows[3], before, after});
    for (const RowState state : {RowState::dead_lettered, RowState::delayed, RowState::retained}) {
      CHECK(read_sequences(store, stream, state).empty());
      CHECK(stream_of(store, stream)[state] == Load{});
    }
    CHECK(stream_of(store, stream)[RowState::ready].messages == 6);
    CHECK(find_row(store, within) == Found{});
    CHECK_FALSE(store.next_due()->has_value());
    CHECK(store.watermarks()->front().sequence == 5);
    CHECK(state_keys(store, "") == std::vector<std::string>{"before"});
    CHECK(store.retention()->cursors()->empty());
    CHECK(*store.tokens()->token(stream, "token", at_ms(1)) == 0);
    CHECK_FALSE(store.anchor()->has_value());
    CHECK(store.counters().rows_put == put_before + 2);
  }

  SUBCASE("sequences that were drawn in a part stay drawn, whatever becomes of it") {
    Sequence drawn = 0;
    transact(store, [&] {
      REQUIRE(store.begin_part().ok());
      drawn = put_one(stream);
      REQUIRE(store.end_part(false).ok());
      CHECK(put_one(stream) > drawn);
    });
  }

  SUBCASE("a stream that was made in a part goes with it, and can be made again") {
    transact(store, [&] {
      REQUIRE(store.begin_part().ok());
      const Result<StreamId> made = store.stream(Box::inbox, "", "fresh");
      REQUIRE(made.ok());
      put_one(*made);
      REQUIRE(store.end_part(false).ok());
      CHECK(count_streams(store) == 1);
      const Result<StreamId> again = store.stream(Box::inbox, "", "fresh");
      REQUIRE(again.ok());
      CHECK(stream_of(store, *again)[RowState::ready].messages == 0);
      put_one(*again);
    });
    CHECK(count_streams(store) == 2);
    const Result<StreamId> fresh = store.stream(Box::inbox, "", "fresh");
    REQUIRE(fresh.ok());
    CHECK(read_sequences(store, *fresh).size() == 1);
  }

  SUBCASE("parts follow each other in a transaction, each with its own end") {
    std::vector<Sequence> kept = rows;
    transact(store, [&] {
      for (int i = 0; i < 6; ++i) {
        REQUIRE(store.begin_part().ok());
        const Sequence sequence = put_one(stream);
        REQUIRE(store.end_part(i % 2 == 0).ok());
        if (i % 2 == 0) kept.push_back(sequence);
      }
    });
    CHECK(read_sequences(store, stream) == kept);
    CHECK(stream_of(store, stream)[RowState::ready].messages == kept.size());
  }

  SUBCASE("a rollback takes all parts along, kept or not, and leaves none open") {
    REQUIRE(store.begin().ok());
    REQUIRE(store.begin_part().ok());
    put_one(stream);
    REQUIRE(store.end_part(true).ok());
    REQUIRE(store.begin_part().ok());
    REQUIRE(store.erase(stream, rows[0]).ok());
    store.rollback();
    CHECK(read_sequences(store, stream) == rows);
    transact(store, [&] {
      REQUIRE(store.begin_part().ok());
      REQUIRE(store.end_part(false).ok());
    });
  }

  SUBCASE("a commit keeps the part that is open, and leaves none open") {
    Sequence added = 0;
    transact(store, [&] {
      REQUIRE(store.begin_part().ok());
      added = put_one(stream);
    });
    CHECK(read_sequences(store, stream).back() == added);
    transact(store, [&] {
      REQUIRE(store.begin_part().ok());
      REQUIRE(store.erase(stream, added).ok());
      REQUIRE(store.end_part(false).ok());
    });
    CHECK(read_sequences(store, stream).back() == added);
    CHECK(stream_of(store, stream)[RowState::ready].messages == 5);
  }

  SUBCASE("an error that ends no transaction ends no part") {
    transact(store, [&] {
      REQUIRE(store.begin_part().ok());
      CHECK(store.mark(stream, 999'999, {}).error().code == ErrorCode::not_found);
      put_one(stream);
      REQUIRE(store.end_part(true).ok());
    });
    CHECK(read_sequences(store, stream).size() == 5);
  }

  SUBCASE("an error that ends the transaction ends the part with it, and what came before") {
    REQUIRE(store.begin().ok());
    put_one(stream);
    REQUIRE(store.begin_part().ok());
    REQUIRE(store.put(row_of(stream, 0, "no number")).error().code == ErrorCode::invalid_argument);
    CHECK(store.end_part(true).error().code == ErrorCode::invalid_argument);
    CHECK(store.commit(Durability::fsynced).error().code == ErrorCode::invalid_argument);
    store.rollback();
    CHECK(read_sequences(store, stream) == rows);
    transact(store, [&] {
      REQUIRE(store.begin_part().ok());
      put_one(stream);
      REQUIRE(store.end_part(true).ok());
    });
    CHECK(read_sequences(store, stream).size() == 5);
  }

  SUBCASE("parts do not nest, there are none outside of a transaction, and ending none is harmless") {
    CHECK(store.begin_part().error().code == ErrorCode::invalid_argument);
    transact(store, [&] {
      REQUIRE(store.end_part(false).ok());
      REQUIRE(store.end_part(true).ok());
      put_one(stream);
    });
    CHECK(read_sequences(store, stream).size() == 5);
    REQUIRE(store.begin().ok());
    REQUIRE(store.begin_part().ok());
    CHECK(store.begin_part().error().code == ErrorCode::invalid_argument);
    store.rollback();
    CHECK(read_sequences(store, stream).size() == 5);
  }
}
