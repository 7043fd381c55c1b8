#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "runtime/store/store.h"

/// What the suites of the store's contract share.
namespace pannier::contract {

/// A row that owns nothing; `payload` lives as long as the caller's string.
inline Row row_of(StreamId stream, Sequence sequence, std::string_view payload, std::string_view key = "order-1") {
  Row row;
  row.stream = stream;
  row.sequence = sequence;
  row.key = key;
  row.type = type_id_of("test.Message");
  row.payload = std::as_bytes(std::span{payload});
  row.enqueued_at = WallTime(Duration(1'700'000'000'123'456'789));
  return row;
}

inline std::string text_of(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes) text.push_back(static_cast<char>(byte));
  return text;
}

inline StreamId make_stream(Store& store, std::string_view lane = "orders", std::string_view node = "hub") {
  REQUIRE(store.begin().ok());
  const Result<StreamId> stream = store.stream(Box::outbox, node, lane);
  REQUIRE(stream.ok());
  REQUIRE(store.commit(Durability::fsynced).ok());
  return *stream;
}

/// Puts `count` rows in one transaction, with their number as payload, and gives their sequences.
inline std::vector<Sequence> put_rows(Store& store, StreamId stream, std::size_t count) {
  std::vector<Sequence> sequences;
  REQUIRE(store.begin().ok());
  for (std::size_t i = 0; i < count; ++i) {
    const Result<Sequence> sequence = store.next_sequence();
    REQUIRE(sequence.ok());
    const std::string payload = std::to_string(*sequence);
    REQUIRE(store.put(row_of(stream, *sequence, payload)).ok());
    sequences.push_back(*sequence);
  }
  REQUIRE(store.commit(Durability::fsynced).ok());
  return sequences;
}

inline std::vector<Sequence> read_sequences(Store& store, StreamId stream, RowState state = RowState::ready,
                                            Sequence after = 0, std::size_t limit = 1'000'000) {
  std::vector<Sequence> sequences;
  const Result<void> read = store.read(stream, state, after, limit, [&](const Row& row) {
    sequences.push_back(row.sequence);
    return true;
  });
  REQUIRE(read.ok());
  return sequences;
}

inline Stream stream_of(Store& store, StreamId id) {
  const Stream* found = store.find_stream(id);
  REQUIRE(found != nullptr);
  return *found;
}

/// How many streams there are; also that visiting, finding and the totals agree.
inline std::size_t count_streams(const Store& store) {
  std::size_t count = 0;
  std::array<Load, kRowStates> totals{};
  store.visit_streams({}, {}, [&](const Stream& stream) {
    ++count;
    CHECK(store.find_stream(stream.id) == store.find_stream(stream.box, stream.node, stream.lane));
    for (const RowState state : kAllRowStates) totals[static_cast<std::size_t>(state)] += stream[state];
    return true;
  });
  for (const RowState state : kAllRowStates) CHECK(store.total(state) == totals[static_cast<std::size_t>(state)]);
  return count;
}

/// Marks ready rows up to `through` as retained at `moment`.
inline void retain_through(Store& store, StreamId stream, Sequence through, StoreTime moment) {
  std::vector<std::pair<Sequence, Store::Mark>> marks;
  REQUIRE(store
              .read(stream, RowState::ready, 0, 1'000'000,
                    [&](const Row& row) {
                      if (row.sequence <= through)
                        marks.push_back({row.sequence, {RowState::retained, row.attempts, {}, moment}});
                      return row.sequence <= through;
                    })
              .ok());
  for (const auto& [sequence, mark] : marks) REQUIRE(store.mark(stream, sequence, mark).ok());
}

inline std::vector<std::string> state_keys(Store& store, std::string_view prefix) {
  std::vector<std::string> keys;
  REQUIRE(store.state()
              ->read_state(prefix,
                           [&](std::string_view key, std::span<const std::byte>) {
                             keys.emplace_back(key);
                             return true;
                           })
              .ok());
  return keys;
}

/// All rows of one state, each given to `check`.
template <class Check>
void each_row(Store& store, StreamId stream, RowState state, Check&& check) {
  REQUIRE(store
              .read(stream, state, 0, 1'000'000,
                    [&](const Row& row) {
                      check(row);
                      return true;
                    })
              .ok());
}

/// One transaction of the changes that `change` makes; they must succeed.
template <class Change>
void transact(Store& store, Change&& change, Durability durability = Durability::fsynced) {
  REQUIRE(store.begin().ok());
  change();
  REQUIRE(store.commit(durability).ok());
}

inline StoreTime at_ms(std::int64_t ms) { return StoreTime(std::chrono::milliseconds(ms)); }

inline std::vector<Sequence> due_at(Store& store, StoreTime now, std::size_t limit = 1000) {
  std::vector<Sequence> due;
  REQUIRE(store
              .read_due(now, limit,
                        [&](const Row& row) {
                          due.push_back(row.sequence);
                          return true;
                        })
              .ok());
  return due;
}

/// Where the row known by `id` is now: its state and sequence; 0 for nowhere.
struct Found {
  RowState state = RowState::ready;
  Sequence sequence = 0;
  bool operator==(const Found&) const = default;
};
inline Found find_row(Store& store, Sequence id) {
  Found found;
  const Result<bool> done = store.find(id, [&](const Row& row) {
    CHECK(row.id() == id);
    found = {row.state, row.sequence};
    return true;
  });
  REQUIRE(done.ok());
  CHECK(*done == (found.sequence != 0));
  return found;
}

}  // namespace pannier::contract
