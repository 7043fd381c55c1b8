#include "tests/services/events/bank_bench.h"

namespace pannier::testing::bank {
namespace {

TEST_CASE("events are appended at the version that is expected, and a conflict names the one that is") {
  BankBench bench;
  CHECK(bench.prepare() == "stored");
  CHECK(bench.append_to("account-1", ExpectedVersion::none, {withdrawn(1), withdrawn(2)}) == "stored");
  CHECK(bench.append_to("account-1", ExpectedVersion::exact(2), {withdrawn(3)}) == "stored");
  CHECK(bench.append_to("account-1", ExpectedVersion::exact(2), {withdrawn(4)}) ==
        "conflict: stream account-1 is at version 3, not 2");
  CHECK(bench.append_to("account-1", ExpectedVersion::exact(7), {withdrawn(4)}) ==
        "conflict: stream account-1 is at version 3, not 7");
  CHECK(bench.append_to("account-1", ExpectedVersion::none, {withdrawn(4)}) ==
        "conflict: stream account-1 is at version 3, not 0");
  CHECK(bench.append_to("account-1", ExpectedVersion::any, {withdrawn(5)}) == "stored");
  CHECK(bench.read({.stream = "account-1"}) == Lines{"account-1 1 bank.Withdrawn 1", "account-1 2 bank.Withdrawn 2",
                                                     "account-1 3 bank.Withdrawn 3", "account-1 4 bank.Withdrawn 5"});
}

TEST_CASE("a batch appends to several streams, with messages and state, or to none of them") {
  BankBench bench;
  CHECK(bench.prepare() == "stored");
  CHECK(bench.append_to("account-2", ExpectedVersion::none, {deposited(1)}) == "stored");
  const auto transfer = [&](std::uint64_t version_of_2) {
    Batch batch = bench.appending("account-1", ExpectedVersion::none, {withdrawn(5)});
    REQUIRE(append(batch, "account-2", ExpectedVersion::exact(version_of_2), std::vector{deposited(5)},
                   {.at = bench.wall()}));
    batch.enqueue("told", "k", make<Balance>(5)).put_state("last", make<Balance>(5));
    return batch;
  };
  CHECK(bench.commit(transfer(9)) == "conflict: stream account-2 is at version 1, not 9");
  CHECK(bench.read({.stream = "account-1"}).empty());
  CHECK(bench.node.store().total(RowState::ready).messages == 0);
  CHECK(bench.commit(transfer(1)) == "stored");
  CHECK(bench.read({}) ==
        Lines{"account-2 1 bank.Deposited 1", "account-1 1 bank.Withdrawn 5", "account-2 2 bank.Deposited 5"});
  CHECK(bench.node.store().total(RowState::ready).messages == 1);
}

TEST_CASE("a token makes an append idempotent, over restarts and whatever version is expected") {
  BankBench bench;
  CHECK(bench.prepare() == "stored");
  CHECK(bench.append_to("account-1", ExpectedVersion::none, {withdrawn(1)}, "order-7") == "stored");
  CHECK(bench.append_to("account-1", ExpectedVersion::none, {withdrawn(1)}, "order-7") == "duplicate");
  bench.sim.advance(100h);
  REQUIRE(bench.node.restart());
  Batch batch = bench.appending("account-2", ExpectedVersion::exact(5), {withdrawn(1)});
  REQUIRE(append(batch, "account-1", ExpectedVersion::any, std::vector{withdrawn(1)}, {.token = "order-7"}));
  CHECK(bench.commit(std::move(batch)) == "duplicate");
  CHECK(bench.number("SELECT count(*) FROM es_events") == 1);
}

TEST_CASE("events are read forward, backward, from a version, as of a version or a time, by type and by stream") {
  BankBench bench;
  CHECK(bench.prepare() == "stored");
  std::vector<WallTime> times;
  for (int i = 1; i <= 3; ++i) {
    CHECK(bench.append_to("account-1", ExpectedVersion::any, {withdrawn(i), deposited(10 * i)}) == "stored");
    CHECK(bench.append_to("audit", ExpectedVersion::any, {withdrawn(100 + i)}) == "stored");
    times.push_back(bench.wall());
    bench.sim.advance(1h);
  }
  const auto amounts = [&](EventSelection selection) {
    std::string text;
    for (const std::string& line : bench.read(std::move(selection))) text += line.substr(line.rfind(' '));
    return text;
  };
  CHECK(amounts({.stream = "account-1"}) == " 1 10 2 20 3 30");
  CHECK(amounts({.stream = "account-1", .backward = true}) == " 30 3 20 2 10 1");
  CHECK(amounts({.stream = "account-1", .after = 2, .limit = 3}) == " 2 20 3");
  CHECK(amounts({.stream = "account-1", .after = 3, .backward = true}) == " 10 1");
  CHECK(amounts({.stream = "account-1", .up_to = 3}) == " 1 10 2");
  CHECK(amounts({.stream = "account-1", .as_of = times[1]}) == " 1 10 2 20");
  CHECK(amounts({}) == " 1 10 101 2 20 102 3 30 103");
  CHECK(amounts({.after = 3, .limit = 2}) == " 2 20");
  CHECK(amounts({.types = {"bank.Withdrawn"}, .backward = true}) == " 103 3 102 2 101 1");
  CHECK(amounts({.stream_prefix = "account-"}) == " 1 10 2 20 3 30");
  CHECK(amounts({.stream_prefix = "au", .as_of = times[0]}) == " 101");
  CHECK(amounts({.stream_prefix = "b"}) == "");
}

TEST_CASE("a wall clock that goes back does not make a stream's times go back") {
  BankBench bench;
  CHECK(bench.prepare() == "stored");
  CHECK(bench.append_to("account-1", ExpectedVersion::any, {withdrawn(1)}) == "stored");
  bench.sim.simulator().clock().step_wall(-1h);
  CHECK(bench.append_to("account-1", ExpectedVersion::any, {withdrawn(2)}) == "stored");
  CHECK(bench.number("SELECT count(DISTINCT at) FROM es_events") == 1);
}

TEST_CASE("an append that cannot be is refused before anything is added") {
  Batch batch;
  const auto refusal = [&](std::string_view stream, std::vector<NewEvent> events, std::string token = {}) {
    const auto done = append(batch, stream, ExpectedVersion::any, events, {.token = std::move(token)});
    CHECK(batch.empty());
    return done ? std::string{"ok"} : done.error().text();
  };
  CHECK(refusal("", {withdrawn(1)}) == "invalid_argument: append: a stream's name has 1 to 255 bytes");
  CHECK(refusal("account-1", {}) == "invalid_argument: append: stream account-1: no events are given");
  CHECK(refusal("account-1", std::vector<NewEvent>(5000, withdrawn(1))).find("statements") != std::string::npos);
  CHECK(refusal("account-1", {withdrawn(1)}, std::string(200, 't')) ==
        "invalid_argument: append: a token has at most 128 bytes");
  CHECK(refusal("account-1", {{"", 1, {}}}) == "invalid_argument: append: stream account-1: an event has no type");
  CHECK(bank_events().event(make<Balance>(1)).error().text() ==
        "invalid_argument: pannier.testing.bank.Balance is no event that was declared: add it to the event types");
}

}  // namespace
}  // namespace pannier::testing::bank
