#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <pannier/sim.h>
#include "platform/sim/disk.h"
#include "runtime/store/store.h"
#include "tests/contract/store_support.h"
#include "tests/runtime/store/sqlite_support.h"
#include "tests/support/fixtures.h"

/// A store with some of everything, and what became of it.
namespace pannier::testing {

inline constexpr std::size_t kPage = 4096;

/// What a store holds, by the names and numbers that outlive a rebuild.
struct Content {
  std::map<Sequence, std::string> payloads;
  std::map<Sequence, RowState> states;
  std::map<Sequence, std::string> causes;
  std::map<std::string, Sequence> watermarks;
  std::map<std::string, std::string> state;
  std::map<std::int64_t, std::string> application;

  bool operator==(const Content&) const = default;
};

inline Content content_of(Store& store) {
  Content content;
  for (const Stream& stream : streams_of(store)) {
    for (const RowState state : kAllRowStates) {
      contract::each_row(store, stream.id, state, [&](const Row& row) {
        CHECK(content.payloads.emplace(row.id(), contract::text_of(row.payload)).second);
        content.states[row.id()] = row.state;
        content.causes[row.id()] = row.cause;
      });
    }
  }
  const auto marks = store.watermarks();
  REQUIRE(marks.ok());
  for (const Watermark& mark : *marks) content.watermarks[mark.producer] = mark.sequence;
  REQUIRE(store.state()->read_state("", [&](std::string_view key, std::span<const std::byte> value) {
    content.state[std::string(key)] = contract::text_of(value);
    return true;
  }));
  static_cast<void>(store.sql()->query({"SELECT id, total FROM orders", {}}, [&](std::span<const SqlValue> row) {
    content.application[std::get<std::int64_t>(row[0])] = std::get<std::string>(row[1]);
    return true;
  }));
  return content;
}

inline std::string findings_of(Store& store) {
  std::string text;
  for (const std::string& finding : store.findings()) text += finding + "\n";
  return text;
}

/// Puts `count` rows of a state in one transaction, some of them on pages of their own.
inline std::vector<Sequence> put_in_state(Store& store, StreamId stream, RowState state, int count) {
  std::vector<Sequence> put;
  contract::transact(store, [&] {
    for (int i = 0; i < count; ++i) {
      const Sequence sequence = *store.next_sequence();
      std::string payload = written_payload(sequence);
      if (i % 40 == 39) payload.append(9000, 'L');
      Row row = contract::row_of(stream, sequence, payload);
      row.state = state;
      if (state == RowState::delayed || state == RowState::retained) row.moment = contract::at_ms(1000 + i);
      REQUIRE(store.put(row).ok());
      put.push_back(sequence);
    }
  });
  return put;
}

/// Fills a few dozen pages, some of them free again with what was removed still on them. The numbers that were removed.
inline std::set<Sequence> fill_with_everything(Store& store) {
  const StreamId orders = contract::make_stream(store);
  const StreamId news = contract::make_stream(store, "news");
  StreamId jobs{};
  contract::transact(store, [&] { jobs = *store.stream(Box::inbox, "", "jobs"); });
  const auto gone = put_in_state(store, orders, RowState::ready, 120);
  const auto ready = put_in_state(store, orders, RowState::ready, 200);
  const auto some = put_in_state(store, jobs, RowState::ready, 40);
  put_in_state(store, orders, RowState::dead_lettered, 30);
  put_in_state(store, orders, RowState::delayed, 30);
  put_in_state(store, news, RowState::retained, 30);
  std::set<Sequence> removed(gone.begin(), gone.end());
  contract::transact(store, [&] {
    REQUIRE(store.erase_through(orders, gone.back()).ok());
    for (std::size_t i = 3; i < ready.size(); i += 7) {
      REQUIRE(store.erase(orders, ready[i]).ok());
      removed.insert(ready[i]);
    }
    REQUIRE(store.requeue(jobs, some[0], *store.next_sequence()).ok());
    for (int i = 0; i < 90; ++i) {
      const std::string name = std::to_string(i);
      const std::string value = "value " + std::string(200, 'v') + name;
      REQUIRE(store.put_watermark({"producer-" + name, 7, "orders", Sequence{1000} + static_cast<Sequence>(i)}).ok());
      REQUIRE(store.state()->put_state("key/" + name, std::as_bytes(std::span{value})).ok());
      REQUIRE(store.tokens()->put_token(orders, "token-" + name, ready[0], contract::at_ms(100'000)).ok());
    }
    REQUIRE(store.retention()->put_cursor({news, "reader", 3}).ok());
    REQUIRE(store.put_anchor({contract::at_ms(5000), MonoTime{}, WallTime{}, 1}).ok());
    REQUIRE(store.sql()->execute({"CREATE TABLE orders (id INTEGER PRIMARY KEY, total TEXT NOT NULL)", {}}).ok());
    REQUIRE(store.sql()->execute({"CREATE INDEX by_total ON orders (total)", {}}).ok());
    for (std::int64_t i = 1; i <= 60; ++i) {
      REQUIRE(store.sql()->execute({"INSERT INTO orders VALUES (?1, ?2)", {i, "total " + std::string(200, 't')}}).ok());
    }
  });
  return removed;
}

inline std::string read_file(sim::Disk& disk, const std::string& name) {
  const auto file = disk.open(name, false);
  REQUIRE(file.ok());
  std::string content((*file)->size().value_or(0), '\0');
  REQUIRE((*file)->read(std::as_writable_bytes(std::span{content}), 0).ok());
  return content;
}

/// As if it had always been there.
inline void write_file(sim::Disk& disk, const std::string& name, const std::string& content) {
  const auto file = disk.open(name, true);
  REQUIRE(file.ok());
  REQUIRE((*file)->write(std::as_bytes(std::span{content}), 0).ok());
  REQUIRE((*file)->sync().ok());
  REQUIRE(disk.sync_folder().ok());
}

enum class Damage : std::uint8_t { one_bit, some_bytes, head, zeros, garbage };
inline constexpr Damage kDamages[] = {Damage::one_bit, Damage::some_bytes, Damage::head, Damage::zeros,
                                      Damage::garbage};

/// `page` counts from 1.
inline void damage(std::string& file, std::size_t page, Damage how, sim::SeededEntropy& dice) {
  const std::size_t start = (page - 1) * kPage;
  const auto garble = [&](std::size_t at) { file[start + at] = static_cast<char>(dice.below(256)); };
  switch (how) {
    case Damage::one_bit: {
      char& byte = file[start + dice.below(kPage)];
      byte = static_cast<char>(static_cast<unsigned char>(byte) ^ (1U << dice.below(8)));
      break;
    }
    case Damage::some_bytes:
      for (int i = 0; i < 8; ++i) garble(dice.below(kPage));
      break;
    case Damage::head:
      for (std::size_t i = 0; i < 12; ++i) garble(i);
      break;
    case Damage::zeros: file.replace(start, kPage, kPage, '\0'); break;
    case Damage::garbage:
      for (std::size_t i = 0; i < kPage; ++i) garble(i);
      break;
  }
}

/// Pages of a file, from 1, on which `text` stands.
inline std::vector<std::size_t> pages_with(const std::string& file, const std::string& text) {
  std::vector<std::size_t> pages;
  for (std::size_t at = file.find(text); at != std::string::npos; at = file.find(text, at + 1)) {
    if (pages.empty() || pages.back() != at / kPage + 1) pages.push_back(at / kPage + 1);
  }
  return pages;
}

}  // namespace pannier::testing
