#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "platform/sim/seeded_entropy.h"
#include "runtime/store/sqlite_store.h"
#include "tests/contract/store_support.h"
#include "tests/runtime/store/sqlite_support.h"
#include "tests/support/fixtures.h"

// tests/data/storage-v*.db were written by the last revision that had their version; the README beside them says what
// is in them.

namespace {

using namespace pannier;
using namespace pannier::contract;
using pannier::testing::load;
using pannier::testing::open_or_fail;
using pannier::testing::save;
using pannier::testing::TempFolder;

std::string data(const std::string& name) {
  const std::string content = load(std::string(PANNIER_TEST_DATA) + "/" + name);
  REQUIRE_FALSE(content.empty());
  return content;
}

struct Kept {
  RowState state;
  std::string key;
  std::string payload;
  std::uint32_t attempts;
  std::string producer;
  std::string cause;
  bool operator==(const Kept&) const = default;
};

std::vector<Kept> rows_of(Store& store, StreamId stream) {
  std::vector<Kept> rows;
  for (const RowState state : kAllRowStates) {
    each_row(store, stream, state, [&](const Row& row) {
      CHECK((row.payload.empty() || row.type == type_id_of("test.Message")));
      CHECK(row.origin == 0);
      CHECK(row.expires_at == kNoMoment);
      rows.push_back({state, std::string(row.key), text_of(row.payload), row.attempts, std::string(row.producer),
                      std::string(row.cause)});
    });
  }
  return rows;
}

}  // namespace

TEST_CASE("a file of version 1 becomes one of this version with all that it holds") {
  TempFolder folder;
  const std::string path = folder.file("node.db");
  sim::SeededEntropy random(1);
  save(path, data("storage-v1.db"));
  for (int start = 0; start < 2; ++start) {  // Migrated, and then opened as what it has become.
    const std::unique_ptr<Store> store = open_or_fail({.path = path, .entropy = random});
    CHECK(store->incarnation() == 6332780174000220894ULL);
    CHECK(store->findings().empty());
    REQUIRE(store->streams()->size() == 3);
    const StreamId orders = *store->stream(Box::outbox, "hub", "orders");
    const StreamId positions = *store->stream(Box::outbox, "hub", "positions");
    const StreamId inbox = *store->stream(Box::inbox, "", "orders");
    CHECK(rows_of(*store, orders) ==
          std::vector<Kept>{{RowState::ready, "order-1", "payload 0", 0, "", ""},
                            {RowState::ready, "order-2", "payload 1", 2, "", "unreachable"},
                            {RowState::parked, "", "payload 2", 5, "", "handler failed"},
                            {RowState::parked, "", "", 0, "", "checksum does not hold"},    // Found by version 1,
                            {RowState::parked, "", "", 0, "", "checksum does not hold"}});  // found by this one.
    CHECK(rows_of(*store, positions) == std::vector<Kept>{{RowState::ready, "van-7", "payload 5", 0, "", ""}});
    CHECK(rows_of(*store, inbox) ==
          std::vector<Kept>{{RowState::ready, "order-9", "payload 6", 0, "tablet-3", ""},
                            {RowState::ready, "order-8", "payload 8", 0, "", ""},
                            {RowState::parked, "order-9", "payload 7", 3, "tablet-3", "poison"}});
    CHECK(store->counters().corrupt_rows == (start == 0 ? 1 : 0));
    CHECK(store->stream(orders)->exact);
    CHECK((*store->stream(orders))[RowState::ready] == Load{2, 18});
    CHECK((*store->stream(orders))[RowState::parked] == Load{3, 9});
    const std::vector<Watermark> marks = *store->watermarks();
    REQUIRE(marks.size() == 2);
    CHECK(marks[0].sequence == 41);
    CHECK(marks[1].incarnation == ~std::uint64_t{0});
    CHECK(state_keys(*store, "") == std::vector<std::string>{"day", "day/2"});
    CHECK(*store->next_sequence() > (std::uint64_t{1} << 20));  // Beyond every lease of version 1.
    const std::vector<Sequence> more = put_rows(*store, positions, 1);
    transact(*store, [&] { REQUIRE(store->erase(positions, more[0]).ok()); });
  }
}

TEST_CASE("a node that was killed with version 1 has what is in the log") {
  TempFolder folder;
  const std::string path = folder.file("node.db");
  sim::SeededEntropy random(1);
  save(path, data("storage-v1-log.db"));
  save(path + "-wal", data("storage-v1-log.db-wal"));
  const std::unique_ptr<Store> store = open_or_fail({.path = path, .entropy = random});
  CHECK(store->incarnation() == 12543275776149051043ULL);
  const StreamId orders = *store->stream(Box::outbox, "hub", "orders");
  CHECK(rows_of(*store, orders) == std::vector<Kept>{{RowState::ready, "order-1", "logged 2", 0, "", ""},
                                                     {RowState::ready, "order-1", "logged 3", 0, "", ""},
                                                     {RowState::ready, "order-1", "logged 4", 0, "", ""},
                                                     {RowState::parked, "order-1", "logged 1", 4, "", "gave up"}});
  CHECK(store->watermarks()->front().sequence == 12);
}

TEST_CASE("a file of version 2 becomes one of this version with all that it holds") {
  TempFolder folder;
  const std::string path = folder.file("node.db");
  sim::SeededEntropy random(1);
  save(path, data("storage-v2.db"));
  for (int start = 0; start < 2; ++start) {
    const std::unique_ptr<Store> store = open_or_fail({.path = path, .entropy = random});
    CHECK(store->incarnation() == 1884871951439679575ULL);
    CHECK(store->findings().empty());
    const StreamId orders = *store->stream(Box::outbox, "hub", "orders");
    const StreamId inbox = *store->stream(Box::inbox, "", "orders");
    std::vector<std::string> found;
    for (const StreamId stream : {orders, inbox}) {
      for (const RowState state : kAllRowStates) {
        each_row(*store, stream, state, [&](const Row& row) {
          found.push_back(std::to_string(static_cast<int>(state)) + " " + std::string(row.key) + " " +
                          text_of(row.payload) + " " + std::to_string(row.attempts) + " " +
                          std::to_string(row.moment.time_since_epoch() / std::chrono::seconds(1)) + " " +
                          std::string(row.producer) + std::string(row.cause));
        });
      }
    }
    CHECK(found == std::vector<std::string>{"0 order-1 payload 0 0 0 ", "0 order-2 payload 1 2 0 unreachable",
                                            "1  payload 2 5 0 handler failed", "2 order-3 payload 3 0 100 ",
                                            "0 order-8 payload 5 0 0 ", "0 order-9 payload 4 0 0 tablet-3",
                                            "3 order-7 payload 6 0 50 tablet-3"});
    bool moved = false;
    CHECK(*store->find(5, [&](const Row& row) { return moved = row.key == "order-9"; }));
    CHECK(moved);
    CHECK(store->watermarks()->front().sequence == 41);
    CHECK(store->cursors()->front().sequence == 7);
    CHECK(*store->token(orders, "token-1", at_ms(0)) == 1);
    CHECK((*store->anchor())->boot == 9);
    const std::vector<Sequence> more = put_rows(*store, orders, 50);  // Enough to share an entry.
    CHECK(read_sequences(*store, orders).size() == 52);
    transact(*store, [&] {
      for (const Sequence row : more) REQUIRE(store->erase(orders, row).ok());
    });
  }
}

TEST_CASE("a node that was killed with version 2 has what is in the log") {
  TempFolder folder;
  const std::string path = folder.file("node.db");
  sim::SeededEntropy random(1);
  save(path, data("storage-v2-log.db"));
  save(path + "-wal", data("storage-v2-log.db-wal"));
  const std::unique_ptr<Store> store = open_or_fail({.path = path, .entropy = random});
  CHECK(store->incarnation() == 13383431742290777482ULL);
  const StreamId orders = *store->stream(Box::outbox, "hub", "orders");
  CHECK(rows_of(*store, orders) == std::vector<Kept>{{RowState::ready, "order-1", "logged 2", 0, "", ""},
                                                     {RowState::ready, "order-1", "logged 3", 0, "", ""},
                                                     {RowState::ready, "order-1", "logged 4", 0, "", ""},
                                                     {RowState::parked, "order-1", "logged 1", 4, "", "gave up"}});
}

TEST_CASE("a damaged file of version 2 is salvaged into one of this version") {
  TempFolder folder;
  const std::string path = folder.file("node.db");
  sim::SeededEntropy random(1);
  std::string file = data("storage-v2.db");
  file.replace(0, 100, 100, '\0');  // Its header.
  save(path, file);
  const std::unique_ptr<Store> store = open_or_fail({.path = path, .entropy = random});
  REQUIRE(store->findings().size() == 1);
  CHECK(store->findings()[0].find("7 messages salvaged, 0 damaged ones put aside, 0 pages") != std::string::npos);
  CHECK(store->incarnation() == 1884871951439679575ULL);
}
