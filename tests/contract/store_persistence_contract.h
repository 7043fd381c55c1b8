#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "tests/contract/store_support.h"

/// What every store promises of which a file stays behind: `store_persistence_contract`, for fixtures that have store()
/// and reopen().
TEST_CASE_TEMPLATE_DEFINE("store: what stays when it is closed and opened again", Fixture, store_persistence_contract) {
  using namespace pannier;
  using namespace pannier::contract;
  Fixture fixture;

  SUBCASE("rows, parked rows, counts, watermarks, state, stream ids and the incarnation") {
    const StreamId stream = make_stream(fixture.store());
    const StreamId other = make_stream(fixture.store(), "positions");
    const std::vector<Sequence> rows = put_rows(fixture.store(), stream, 4);
    REQUIRE(fixture.store().begin().ok());
    REQUIRE(fixture.store().mark(stream, rows[2], {RowState::parked, 3, "gone"}).ok());
    REQUIRE(fixture.store().put_watermark({"tablet-3", 1, "orders", 5}).ok());
    REQUIRE(fixture.store().put_state("day", std::as_bytes(std::span{std::string_view("monday")})).ok());
    REQUIRE(fixture.store().commit(Durability::fsynced).ok());
    const std::uint64_t incarnation = fixture.store().incarnation();
    const Stream before = stream_of(fixture.store(), stream);
    fixture.reopen();
    CHECK(fixture.store().incarnation() == incarnation);
    CHECK(read_sequences(fixture.store(), stream) == std::vector<Sequence>{rows[0], rows[1], rows[3]});
    CHECK(read_sequences(fixture.store(), stream, RowState::parked) == std::vector<Sequence>{rows[2]});
    const Stream after = stream_of(fixture.store(), stream);
    CHECK(after.loads == before.loads);
    CHECK(after.exact);
    CHECK(*fixture.store().stream(Box::outbox, "hub", "orders") == stream);
    CHECK(*fixture.store().stream(Box::outbox, "hub", "positions") == other);
    CHECK(fixture.store().watermarks()->size() == 1);
    CHECK(state_keys(fixture.store(), "") == std::vector<std::string>{"day"});
  }

  SUBCASE("a sequence number never comes twice, although its row is gone or was never committed") {
    const StreamId stream = make_stream(fixture.store());
    Sequence highest = 0;
    for (int run = 0; run < 4; ++run) {
      const Sequence uncommitted = *fixture.store().next_sequence();
      CHECK(uncommitted > highest);
      const std::vector<Sequence> rows = put_rows(fixture.store(), stream, 3);
      CHECK(rows.front() > uncommitted);
      highest = rows.back();
      REQUIRE(fixture.store().begin().ok());
      REQUIRE(fixture.store().erase_through(stream, highest).ok());
      REQUIRE(fixture.store().commit(Durability::fsynced).ok());
      REQUIRE(fixture.store().begin().ok());
      highest = *fixture.store().next_sequence();
      fixture.store().rollback();
      fixture.reopen();
    }
  }

  SUBCASE("a transaction that is open at the end is given up") {
    const StreamId stream = make_stream(fixture.store());
    REQUIRE(fixture.store().begin().ok());
    REQUIRE(fixture.store().put(row_of(stream, *fixture.store().next_sequence(), "x")).ok());
    fixture.reopen();
    CHECK(read_sequences(fixture.store(), stream).empty());
  }
}
