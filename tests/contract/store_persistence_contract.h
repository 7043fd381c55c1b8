#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "runtime/store/store.h"
#include "tests/contract/store_support.h"

/// What every store promises of which a file stays behind: `store_persistence_contract`, for fixtures that have store()
/// and reopen().
TEST_CASE_TEMPLATE_DEFINE("store: what stays when it is closed and opened again", Fixture, store_persistence_contract) {
  using namespace pannier;
  using namespace pannier::contract;
  Fixture fixture;

  SUBCASE("rows in their states, counts, watermarks, state and stream ids") {
    const StreamId stream = make_stream(fixture.store());
    const StreamId other = make_stream(fixture.store(), "positions");
    const std::vector<Sequence> rows = put_rows(fixture.store(), stream, 4);
    REQUIRE(fixture.store().begin().ok());
    REQUIRE(fixture.store().mark(stream, rows[2], {RowState::dead_lettered, 3, "gone"}).ok());
    REQUIRE(fixture.store().put_watermark({"tablet-3", 1, "orders", 5}).ok());
    REQUIRE(fixture.store().state()->put_state("day", std::as_bytes(std::span{std::string_view("monday")})).ok());
    REQUIRE(fixture.store().commit(Durability::fsynced).ok());
    const Stream before = stream_of(fixture.store(), stream);
    fixture.reopen();
    CHECK(read_sequences(fixture.store(), stream) == std::vector<Sequence>{rows[0], rows[1], rows[3]});
    CHECK(read_sequences(fixture.store(), stream, RowState::dead_lettered) == std::vector<Sequence>{rows[2]});
    const Stream after = stream_of(fixture.store(), stream);
    CHECK(after.loads == before.loads);
    CHECK(after.exact);
    CHECK(*fixture.store().stream(Box::outbox, "hub", "orders") == stream);
    CHECK(*fixture.store().stream(Box::outbox, "hub", "positions") == other);
    CHECK(fixture.store().watermarks()->size() == 1);
    CHECK(state_keys(fixture.store(), "") == std::vector<std::string>{"day"});
  }

  SUBCASE("each open has an incarnation of its own, and knows those of the messages that wait") {
    const StreamId stream = make_stream(fixture.store());
    std::vector<std::pair<Sequence, std::uint64_t>> waiting;
    for (int open = 0; open < 3; ++open) {
      waiting.emplace_back(put_rows(fixture.store(), stream, 1)[0], fixture.store().incarnation());
      fixture.reopen();
      for (const auto& [sequence, incarnation] : waiting) {
        CHECK(fixture.store().incarnation_of(sequence) == incarnation);
        CHECK(fixture.store().incarnation() != incarnation);
      }
      CHECK(fixture.store().incarnations().size() == waiting.size() + 1);
    }
    // One that drew no sequence leaves none; those that no message bears any more go.
    fixture.reopen();
    CHECK(fixture.store().incarnations().size() == waiting.size() + 1);
    transact(fixture.store(), [&] { REQUIRE(fixture.store().erase(stream, waiting[0].first).ok()); });
    fixture.reopen();
    CHECK(fixture.store().incarnation_of(waiting[1].first) == waiting[1].second);
    CHECK(fixture.store().incarnations().size() == waiting.size());
    put_rows(fixture.store(), stream, 1);
    fixture.reopen();
    CHECK(fixture.store().incarnation_of(waiting[1].first) == waiting[1].second);
    CHECK(fixture.store().incarnations().size() == waiting.size() + 1);
  }

  SUBCASE("streams that were removed stay away, and ids are given out again") {
    const StreamId first = make_stream(fixture.store(), "first");
    const StreamId second = make_stream(fixture.store(), "second");
    transact(fixture.store(), [&] { CHECK(*fixture.store().erase_stream(first)); });
    fixture.reopen();
    CHECK(fixture.store().find_stream(first) == nullptr);
    CHECK(*fixture.store().stream(Box::outbox, "hub", "second") == second);
    CHECK(make_stream(fixture.store(), "third") == first);
  }

  SUBCASE("a sequence never comes twice, although its row is gone or was never committed") {
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
