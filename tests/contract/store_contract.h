#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include <pannier/limits.h>
#include "runtime/store/store.h"
#include "tests/contract/store_support.h"

/// What every store promises (runtime/store/store.h): this suite, and those of the other store_*_contract.h. A test
/// program instantiates their templates for its fixtures, of which each has store().
TEST_CASE_TEMPLATE_DEFINE("store: its contract", Fixture, store_contract) {
  using namespace pannier;
  using namespace pannier::contract;
  Fixture fixture;
  Store& store = fixture.store();

  SUBCASE("what was committed is read back field by field") {
    const StreamId stream = make_stream(store);
    const std::string payload("\0\x01zero inside\xff", 14);
    REQUIRE(store.begin().ok());
    Row row = row_of(stream, *store.next_sequence(), payload, "order-7");
    row.producer = "tablet-3";
    row.attempts = 2;
    row.cause = "timeout";
    REQUIRE(store.put(row).ok());
    REQUIRE(store.commit(Durability::fsynced).ok());
    std::size_t seen = 0;
    REQUIRE(store
                .read(stream, RowState::ready, 0, 10,
                      [&](const Row& found) {
                        ++seen;
                        CHECK(found.stream == stream);
                        CHECK(found.sequence == row.sequence);
                        CHECK(found.key == "order-7");
                        CHECK(found.type == row.type);
                        CHECK(text_of(found.payload) == payload);
                        CHECK(found.enqueued_at == row.enqueued_at);
                        CHECK(found.state == RowState::ready);
                        CHECK(found.attempts == 2);
                        CHECK(found.producer == "tablet-3");
                        CHECK(found.cause == "timeout");
                        return true;
                      })
                .ok());
    CHECK(seen == 1);
  }

  SUBCASE("a rollback gives up rows, marks, watermarks, state, streams and counts alike") {
    const StreamId stream = make_stream(store);
    const std::vector<Sequence> rows = put_rows(store, stream, 3);
    REQUIRE(store.begin().ok());
    REQUIRE(store.put_watermark({"tablet-3", 9, "orders", 5}).ok());
    REQUIRE(store.state()->put_state("key", std::as_bytes(std::span{std::string_view("old")})).ok());
    REQUIRE(store.commit(Durability::fsynced).ok());
    const Store::Counters before = store.counters();

    REQUIRE(store.begin().ok());
    REQUIRE(store.put(row_of(stream, *store.next_sequence(), "new")).ok());
    REQUIRE(store.erase(stream, rows[0]).ok());
    REQUIRE(store.mark(stream, rows[1], {RowState::dead_lettered, 5, "bad"}).ok());
    REQUIRE(store.erase_through(stream, rows[2]).ok());
    REQUIRE(store.put_watermark({"tablet-3", 9, "orders", 6}).ok());
    REQUIRE(store.put_watermark({"tablet-4", 9, "orders", 1}).ok());
    REQUIRE(store.state()->put_state("key", std::as_bytes(std::span{std::string_view("new")})).ok());
    REQUIRE(store.state()->put_state("other", {}).ok());
    REQUIRE(store.stream(Box::inbox, "", "another").ok());
    store.rollback();

    CHECK(read_sequences(store, stream) == rows);
    CHECK(read_sequences(store, stream, RowState::dead_lettered).empty());
    CHECK(stream_of(store, stream)[RowState::ready].messages == 3);
    CHECK(stream_of(store, stream)[RowState::dead_lettered].messages == 0);
    CHECK(count_streams(store) == 1);
    const Result<std::vector<Watermark>> marks = store.watermarks();
    REQUIRE(marks->size() == 1);
    CHECK(marks->front().sequence == 5);
    CHECK(state_keys(store, "") == std::vector<std::string>{"key"});
    CHECK(store.counters().rows_put == before.rows_put);
    CHECK(store.counters().commits == before.commits);
  }

  SUBCASE("an error within a transaction takes the whole group, until the caller rolls back") {
    const StreamId stream = make_stream(store);
    REQUIRE(store.begin().ok());
    const Sequence first = *store.next_sequence();
    REQUIRE(store.put(row_of(stream, first, "one")).ok());
    CHECK(store.put(row_of(stream, first, "again")).error().code == ErrorCode::invalid_argument);
    CHECK(store.put(row_of(stream, *store.next_sequence(), "two")).error().code == ErrorCode::invalid_argument);
    CHECK(store.commit(Durability::fsynced).error().code == ErrorCode::invalid_argument);
    store.rollback();
    CHECK(read_sequences(store, stream).empty());
    CHECK(stream_of(store, stream)[RowState::ready].messages == 0);
    CHECK(put_rows(store, stream, 2).size() == 2);  // And the store goes on.
  }

  SUBCASE("a mark of a row that is gone says not_found and leaves the group alone") {
    const StreamId stream = make_stream(store);
    REQUIRE(store.begin().ok());
    const Sequence sequence = *store.next_sequence();
    REQUIRE(store.put(row_of(stream, sequence, "x")).ok());
    CHECK(store.mark(stream, sequence + 1, {RowState::dead_lettered, 1, ""}).error().code == ErrorCode::not_found);
    REQUIRE(store.commit(Durability::fsynced).ok());
    CHECK(read_sequences(store, stream) == std::vector<Sequence>{sequence});
  }

  SUBCASE("a change outside a transaction, and a transaction within one, are refused") {
    const StreamId stream = make_stream(store);
    CHECK(store.put(row_of(stream, *store.next_sequence(), "x")).error().code == ErrorCode::invalid_argument);
    CHECK(store.commit(Durability::fsynced).error().code == ErrorCode::invalid_argument);
    CHECK(store.stream(Box::outbox, "hub", "unknown").error().code == ErrorCode::not_found);
    store.rollback();  // Harmless.
    REQUIRE(store.begin().ok());
    CHECK(store.begin().error().code == ErrorCode::invalid_argument);
    REQUIRE(store.commit(Durability::fsynced).ok());
  }

  SUBCASE("a put to a stream that nobody made is refused") {
    REQUIRE(store.begin().ok());
    CHECK(store.put(row_of(StreamId{77}, *store.next_sequence(), "x")).error().code == ErrorCode::invalid_argument);
    store.rollback();
  }

  SUBCASE("reads within a transaction see its own changes") {
    const StreamId stream = make_stream(store);
    const std::vector<Sequence> rows = put_rows(store, stream, 2);
    REQUIRE(store.begin().ok());
    REQUIRE(store.erase(stream, rows[0]).ok());
    CHECK(read_sequences(store, stream) == std::vector<Sequence>{rows[1]});
    CHECK(stream_of(store, stream)[RowState::ready].messages == 1);
    store.rollback();
  }

  SUBCASE("whatever reads first in a transaction sees the one row that was just put") {
    const StreamId stream = make_stream(store);
    const auto put_one = [&] {
      REQUIRE(store.begin().ok());
      const Sequence sequence = *store.next_sequence();
      REQUIRE(store.put(row_of(stream, sequence, "x")).ok());
      return sequence;
    };
    CHECK(read_sequences(store, stream, RowState::ready, put_one() - 1).size() == 1);
    store.rollback();
    CHECK(store.mark(stream, put_one(), {RowState::dead_lettered, 1, "x"}).ok());
    CHECK(stream_of(store, stream)[RowState::dead_lettered].messages == 1);
    store.rollback();
    CHECK(find_row(store, put_one()).sequence != 0);
    store.rollback();
    const Sequence moved = put_one();
    CHECK(store.requeue(stream, moved, *store.next_sequence()).ok());
    CHECK(read_sequences(store, stream) == std::vector<Sequence>{moved + 1});
    store.rollback();
    CHECK(store.erase(stream, put_one()).ok());
    CHECK(read_sequences(store, stream).empty());
    store.rollback();
    CHECK(store.erase_through(stream, put_one()).ok());
    CHECK(stream_of(store, stream)[RowState::ready] == Load{});
    store.rollback();
  }

  SUBCASE("rows come in order, in pages after X of at most N, and a visitor can stop") {
    const StreamId stream = make_stream(store);
    const StreamId other = make_stream(store, "positions");
    std::vector<Sequence> rows = put_rows(store, stream, 5);
    put_rows(store, other, 3);
    for (const Sequence sequence : put_rows(store, stream, 5)) rows.push_back(sequence);
    CHECK(std::is_sorted(rows.begin(), rows.end()));
    CHECK(read_sequences(store, stream) == rows);
    std::vector<Sequence> paged;
    for (Sequence after = 0;;) {
      const std::vector<Sequence> page = read_sequences(store, stream, RowState::ready, after, 3);
      if (page.empty()) break;
      CHECK(page.size() <= 3);
      paged.insert(paged.end(), page.begin(), page.end());
      after = page.back();
    }
    CHECK(paged == rows);
    std::size_t visits = 0;
    REQUIRE(store.read(stream, RowState::ready, 0, 10, [&](const Row&) { return ++visits < 4; }).ok());
    CHECK(visits == 4);
    CHECK(read_sequences(store, stream, RowState::ready, 0, 0).empty());
    CHECK(read_sequences(store, stream, RowState::ready, ~Sequence{0}).empty());
    CHECK(read_sequences(store, StreamId{999}).empty());
  }

  SUBCASE("erasing removes one row, and removing it again is no error") {
    const StreamId stream = make_stream(store);
    const std::vector<Sequence> rows = put_rows(store, stream, 3);
    for (int i = 0; i < 2; ++i) {
      REQUIRE(store.begin().ok());
      REQUIRE(store.erase(stream, rows[1]).ok());
      REQUIRE(store.erase(StreamId{999}, rows[1]).ok());
      REQUIRE(store.commit(Durability::fsynced).ok());
    }
    CHECK(read_sequences(store, stream) == std::vector<Sequence>{rows[0], rows[2]});
    CHECK(stream_of(store, stream)[RowState::ready].messages == 2);
  }

  SUBCASE("a cumulative acknowledgement removes what is ready up to its number, in its stream only") {
    const StreamId stream = make_stream(store);
    const StreamId other = make_stream(store, "positions");
    const std::vector<Sequence> other_rows = put_rows(store, other, 2);
    const std::vector<Sequence> rows = put_rows(store, stream, 5);
    REQUIRE(store.begin().ok());
    REQUIRE(store.mark(stream, rows[1], {RowState::dead_lettered, 5, "poison"}).ok());
    REQUIRE(store.erase_through(stream, rows[3]).ok());
    REQUIRE(store.commit(Durability::fsynced).ok());
    CHECK(read_sequences(store, stream) == std::vector<Sequence>{rows[4]});
    CHECK(read_sequences(store, stream, RowState::dead_lettered) == std::vector<Sequence>{rows[1]});
    CHECK(read_sequences(store, other) == other_rows);
    CHECK(stream_of(store, stream)[RowState::ready].messages == 1);
    CHECK(stream_of(store, stream)[RowState::ready].bytes == std::to_string(rows[4]).size());
    CHECK(stream_of(store, stream)[RowState::dead_lettered].messages == 1);
  }

  SUBCASE("a row is dead-lettered with its cause, made ready again, and keeps its content and place") {
    const StreamId stream = make_stream(store);
    const std::vector<Sequence> rows = put_rows(store, stream, 3);
    REQUIRE(store.begin().ok());
    REQUIRE(store.mark(stream, rows[0], {RowState::ready, 1, "unreachable"}).ok());
    REQUIRE(store.mark(stream, rows[1], {RowState::dead_lettered, 5, "handler failed"}).ok());
    REQUIRE(store.commit(Durability::fsynced).ok());
    CHECK(read_sequences(store, stream) == std::vector<Sequence>{rows[0], rows[2]});
    REQUIRE(store
                .read(stream, RowState::ready, 0, 1,
                      [&](const Row& row) {
                        CHECK(row.attempts == 1);
                        CHECK(row.cause == "unreachable");
                        return true;
                      })
                .ok());
    std::size_t parked = 0;
    REQUIRE(store
                .read(stream, RowState::dead_lettered, 0, 10,
                      [&](const Row& row) {
                        ++parked;
                        CHECK(row.sequence == rows[1]);
                        CHECK(row.state == RowState::dead_lettered);
                        CHECK(row.attempts == 5);
                        CHECK(row.cause == "handler failed");
                        CHECK(text_of(row.payload) == std::to_string(rows[1]));
                        return true;
                      })
                .ok());
    CHECK(parked == 1);
    REQUIRE(store.begin().ok());
    REQUIRE(store.mark(stream, rows[1], {RowState::ready, 0, ""}).ok());
    REQUIRE(store.commit(Durability::fsynced).ok());
    CHECK(read_sequences(store, stream) == rows);
    CHECK(stream_of(store, stream)[RowState::dead_lettered].messages == 0);
    CHECK(stream_of(store, stream)[RowState::ready].messages == 3);
    REQUIRE(store.begin().ok());
    REQUIRE(store.mark(stream, rows[2], {RowState::dead_lettered, 1, "x"}).ok());
    REQUIRE(store.erase(stream, rows[2]).ok());
    REQUIRE(store.commit(Durability::fsynced).ok());
    CHECK(stream_of(store, stream)[RowState::dead_lettered].messages == 0);
  }

  SUBCASE("counts follow messages and bytes") {
    const StreamId stream = make_stream(store);
    CHECK(stream_of(store, stream)[RowState::ready].messages == 0);
    REQUIRE(store.begin().ok());
    const Sequence first = *store.next_sequence();
    REQUIRE(store.put(row_of(stream, first, "12345")).ok());
    REQUIRE(store.put(row_of(stream, *store.next_sequence(), "123")).ok());
    Row parked = row_of(stream, *store.next_sequence(), "1234567");
    parked.state = RowState::dead_lettered;
    REQUIRE(store.put(parked).ok());
    REQUIRE(store.commit(Durability::fsynced).ok());
    CHECK(stream_of(store, stream)[RowState::ready].messages == 2);
    CHECK(stream_of(store, stream)[RowState::ready].bytes == 8);
    CHECK(stream_of(store, stream)[RowState::dead_lettered].messages == 1);
    CHECK(store.counters().rows_put == 3);
    REQUIRE(store.begin().ok());
    REQUIRE(store.erase(stream, first).ok());
    REQUIRE(store.commit(Durability::fsynced).ok());
    CHECK(stream_of(store, stream)[RowState::ready].bytes == 3);
  }

  SUBCASE("streams are told apart by box, node and lane, and found again") {
    REQUIRE(store.begin().ok());
    const StreamId a = *store.stream(Box::outbox, "a", "bc");
    const StreamId b = *store.stream(Box::outbox, "ab", "c");
    const StreamId c = *store.stream(Box::inbox, "a", "bc");
    CHECK(*store.stream(Box::outbox, "a", "bc") == a);
    REQUIRE(store.commit(Durability::fsynced).ok());
    CHECK(a != b);
    CHECK(a != c);
    CHECK(*store.stream(Box::outbox, "ab", "c") == b);
    CHECK(stream_of(store, c).box == Box::inbox);
    CHECK(stream_of(store, b).node == "ab");
    CHECK(stream_of(store, b).lane == "c");
  }

  SUBCASE("streams are visited in the order of their names, all of them or those of a box or a node") {
    REQUIRE(store.begin().ok());
    for (const char* node : {"b", "ab", "a"}) {
      for (const char* lane : {"y", "x"}) REQUIRE(store.stream(Box::outbox, node, lane).ok());
    }
    REQUIRE(store.stream(Box::inbox, "", "z").ok());
    REQUIRE(store.commit(Durability::fsynced).ok());
    const auto visited = [&](std::optional<Box> box, std::optional<std::string_view> node, std::size_t limit = 100) {
      std::string all;
      store.visit_streams(box, node, [&](const Stream& stream) {
        all += stream.node + "/" + stream.lane + " ";
        return --limit > 0;
      });
      return all;
    };
    CHECK(visited({}, {}) == "a/x a/y ab/x ab/y b/x b/y /z ");
    CHECK(visited(Box::outbox, {}) == "a/x a/y ab/x ab/y b/x b/y ");
    CHECK(visited(Box::inbox, {}) == "/z ");
    CHECK(visited(Box::outbox, "a") == "a/x a/y ");
    CHECK(visited({}, "") == "/z ");
    CHECK(visited(Box::inbox, "a").empty());
    CHECK(visited({}, {}, 2) == "a/x a/y ");
    CHECK(count_streams(store) == 7);
    CHECK(store.find_stream(Box::outbox, "ab", "x")->node == "ab");
    CHECK(store.find_stream(Box::outbox, "abc", "x") == nullptr);
    CHECK(store.find_stream(StreamId{0}) == nullptr);
    CHECK(store.find_stream(StreamId{999}) == nullptr);
  }

  SUBCASE("a stream that holds nothing is removed, and its id is free again; one that holds something stays") {
    const StreamId stream = make_stream(store);
    const StreamId other = make_stream(store, "positions");
    const std::vector<Sequence> rows = put_rows(store, stream, 1);
    CHECK(store.erase_stream(other).error().code == ErrorCode::invalid_argument);  // Outside of a transaction.
    transact(store, [&] {
      CHECK_FALSE(*store.erase_stream(stream));
      CHECK_FALSE(*store.erase_stream(StreamId{999}));
      REQUIRE(store.mark(stream, rows[0], {RowState::dead_lettered, 1, "x"}).ok());
      CHECK_FALSE(*store.erase_stream(stream));
    });
    REQUIRE(store.begin().ok());
    CHECK(*store.erase_stream(other));
    CHECK(store.find_stream(other) == nullptr);
    CHECK(*store.stream(Box::outbox, "hub", "third") == other);
    store.rollback();
    CHECK(stream_of(store, other).lane == "positions");
    CHECK(store.find_stream(Box::outbox, "hub", "third") == nullptr);
    transact(store, [&] {
      REQUIRE(store.retention()->put_cursor({other, "reader", 1}).ok());
      CHECK_FALSE(*store.erase_stream(other));
      REQUIRE(store.retention()->erase_cursor(other, "reader").ok());
      REQUIRE(store.tokens()->put_token(other, "t", 1, at_ms(1)).ok());
      CHECK_FALSE(*store.erase_stream(other));
      REQUIRE(store.tokens()->erase_tokens(at_ms(1), 10).ok());
      REQUIRE(store.erase(stream, rows[0]).ok());
      CHECK(*store.erase_stream(stream));
      CHECK(*store.erase_stream(other));
      CHECK(*store.stream(Box::inbox, "", "jobs") == stream);
      REQUIRE(store.put(row_of(stream, *store.next_sequence(), "new")).ok());
    });
    CHECK(count_streams(store) == 1);
    CHECK(stream_of(store, stream).lane == "jobs");
    CHECK(stream_of(store, stream)[RowState::ready].messages == 1);
    CHECK(store.stream(Box::outbox, "hub", "orders").error().code == ErrorCode::not_found);
  }

  SUBCASE("every sequence belongs to the incarnation of the open that gave it out") {
    CHECK(store.incarnation() != 0);
    const Sequence first = *store.next_sequence();
    CHECK(store.incarnation_of(first) == store.incarnation());
    const std::vector<std::uint64_t> all = store.incarnations();
    CHECK(std::find(all.begin(), all.end(), store.incarnation()) != all.end());
  }

  SUBCASE("watermarks are stored for each producer, incarnation and lane, and erased one by one") {
    REQUIRE(store.begin().ok());
    REQUIRE(store.put_watermark({"tablet-3", 1, "orders", 5}).ok());
    REQUIRE(store.put_watermark({"tablet-3", ~std::uint64_t{0}, "orders", 7}).ok());
    REQUIRE(store.put_watermark({"tablet-3", 1, "events", 8}).ok());
    REQUIRE(store.put_watermark({"tablet-3", 1, "orders", 9}).ok());
    REQUIRE(store.commit(Durability::fsynced).ok());
    const Result<std::vector<Watermark>> marks = store.watermarks();
    REQUIRE(marks.ok());
    REQUIRE(marks->size() == 3);
    for (const Watermark& mark : *marks) {
      const Sequence expected = mark.lane == "events" ? 8U : (mark.incarnation == 1 ? 9U : 7U);
      CHECK(mark.sequence == expected);
    }
    transact(store, [&] {
      REQUIRE(store.erase_watermark({"tablet-3", 1, "orders", 0}).ok());
      REQUIRE(store.erase_watermark({"nobody", 1, "orders", 0}).ok());
    });
    CHECK(store.watermarks()->size() == 2);
    REQUIRE(store.begin().ok());
    REQUIRE(store.erase_watermark({"tablet-3", 1, "events", 0}).ok());
    store.rollback();
    CHECK(store.watermarks()->size() == 2);
  }

  SUBCASE("state is replaced, removed, and read by prefix in byte order") {
    const auto value = [](std::string_view text) { return std::as_bytes(std::span{text}); };
    REQUIRE(store.begin().ok());
    for (const std::string_view key : {"b/2", "a", "b/10", "b", "c", "b/\xff", "b/\xff\xff"}) {
      REQUIRE(store.state()->put_state(key, value(key)).ok());
    }
    REQUIRE(store.state()->put_state("b/2", value("new")).ok());
    REQUIRE(store.state()->erase_state("c").ok());
    REQUIRE(store.state()->erase_state("never there").ok());
    REQUIRE(store.commit(Durability::fsynced).ok());
    CHECK(state_keys(store, "b/") == std::vector<std::string>{"b/10", "b/2", "b/\xff", "b/\xff\xff"});
    CHECK(state_keys(store, "b/\xff") == std::vector<std::string>{"b/\xff", "b/\xff\xff"});
    CHECK(state_keys(store, "") == std::vector<std::string>{"a", "b", "b/10", "b/2", "b/\xff", "b/\xff\xff"});
    CHECK(state_keys(store, "c").empty());
    REQUIRE(store.state()
                ->read_state("b/2",
                             [&](std::string_view, std::span<const std::byte> found) {
                               CHECK(text_of(found) == "new");
                               return false;
                             })
                .ok());
  }

  SUBCASE("names, keys and payloads are taken at their limits, empty included, and refused above") {
    const std::string lane(limits::kLaneNameBytes, 'l');
    const std::string node(limits::kNodeNameBytes, 'n');
    const std::string key(limits::kKeyBytes, 'k');
    const std::string big(limits::kPayloadBytes, '\x7f');
    const StreamId stream = make_stream(store, lane, node);
    REQUIRE(store.begin().ok());
    Row largest = row_of(stream, *store.next_sequence(), big, key);
    largest.producer = node;
    const std::string cause(limits::kCauseBytes + 100, 'c');
    largest.cause = cause;
    REQUIRE(store.put(largest).ok());
    REQUIRE(store.put(row_of(stream, *store.next_sequence(), "", "")).ok());
    REQUIRE(store.put_watermark({node, 1, lane, 1}).ok());
    REQUIRE(store.state()->put_state(key, largest.payload).ok());
    REQUIRE(store.state()->put_state("", {}).ok());
    REQUIRE(store.commit(Durability::fsynced).ok());
    std::vector<std::size_t> sizes;
    REQUIRE(store
                .read(stream, RowState::ready, 0, 10,
                      [&](const Row& row) {
                        sizes.push_back(row.payload.size());
                        if (row.key == key) {
                          CHECK(text_of(row.payload) == big);
                          CHECK(row.cause.size() == limits::kCauseBytes);
                        }
                        return true;
                      })
                .ok());
    CHECK(sizes == std::vector<std::size_t>{big.size(), 0});

    const std::string too_big = big + "x";
    const std::string long_key = key + "x";
    const std::string long_name = node + "x";
    const auto refused = [&](auto&& change) {
      REQUIRE(store.begin().ok());
      const auto result = change();
      REQUIRE_FALSE(result.ok());
      CHECK(result.error().code == ErrorCode::invalid_argument);
      store.rollback();
    };
    refused([&] { return store.put(row_of(stream, *store.next_sequence(), too_big)); });
    refused([&] { return store.put(row_of(stream, *store.next_sequence(), "x", long_key)); });
    refused([&] { return store.put(row_of(stream, limits::kMaxSequence + 1, "x")); });
    refused([&] { return store.put(row_of(stream, 0, "x")); });
    refused([&] { return store.stream(Box::outbox, long_name, lane); });
    refused([&] { return store.stream(Box::outbox, node, long_name); });
    refused([&] { return store.put_watermark({long_name, 1, lane, 1}); });
    refused([&] { return store.state()->put_state(long_key, {}); });
    CHECK(read_sequences(store, stream).size() == 2);
  }
}
