#include <pannier/projection.h>

#include "tests/services/events/bank_bench.h"

namespace pannier::testing::bank {
namespace {

/// What each account holds.
template <std::uint32_t version>
struct TotalsOf : Projection<TotalsOf<version>, Deposited, Withdrawn> {
  static EventTypes event_types() { return bank_events(); }
  static constexpr std::string_view kName = "totals";
  static constexpr std::uint32_t kVersion = version;
  static constexpr std::string_view kStreams = "account-";

  static void create(ReadModel& model) {
    model.table("total", "account TEXT PRIMARY KEY, cents INTEGER CHECK (cents<>666), events INTEGER");
    model.execute("CREATE INDEX {total_by_cents} ON {total} (cents)");
  }
  static void add(const RecordedEvent& event, std::int64_t cents, ReadModel& model) {
    model.execute(
        "INSERT INTO {total} VALUES (?1, ?2, 1) ON CONFLICT (account) DO UPDATE SET"
        " cents=cents+excluded.cents, events=events+1",
        event.stream, cents * static_cast<std::int64_t>(version));
  }
  static Result<void> apply(const Deposited& e, const RecordedEvent& event, ReadModel& model) {
    if (e.cents() == 13) return Error{ErrorCode::rejected, "thirteen"};
    add(event, e.cents(), model);
    return {};
  }
  static void apply(const Withdrawn& e, const RecordedEvent& event, ReadModel& model) { add(event, -e.cents(), model); }

  static ReadQuery on(const TotalQuestion& q) {
    return {"SELECT coalesce(sum(cents), 0), coalesce(sum(events), 0) FROM {total} WHERE account=?1",
            [](const std::vector<SqlRow>& rows) -> AnyTable {
              return make<Total>(std::get<std::int64_t>(rows.at(0)[0]), std::get<std::int64_t>(rows.at(0)[1]));
            },
            text_of(q.account())};
  }
};

template <class P = TotalsOf<1>>
auto totals(ProjectionOptions options = {}) {
  return [options](Node& node) {
    REQUIRE(node.spawn<ProjectionHost>(SpawnOptions{.name = "totals"}, projection_kind<P, TotalQuestion>(), options));
  };
}

struct Desk : BankBench {
  using BankBench::BankBench;
  Ref host() { return node->ref("totals"); }
  std::string total(std::string_view account) {
    const auto answer = node.probe().ask<Total>(host(), make<TotalQuestion>(account), 10s);
    if (!answer) return answer.error().text();
    return std::to_string((*answer)->cents()) + " in " + std::to_string((*answer)->events());
  }
  std::string status() {
    const auto answer =
        node.probe().ask<events::ProjectionStatus>(host(), make<events::ProjectionQuestion>(false), 10s);
    if (!answer) return answer.error().text();
    const auto& now = **answer;
    std::string text = std::string{events::EnumNameProjectionState(now.state())} + " " +
                       std::to_string(now.generation()) + ": " + std::to_string(now.position()) + " of " +
                       std::to_string(now.head());
    if (now.failures() > 0) text += ", " + std::to_string(now.failures()) + " failed";
    if (now.rebuilding()) text += ", rebuilt to " + std::to_string(now.rebuilt_to());
    if (!text_of(now.cause()).empty()) text += ", " + now.cause()->str();
    return text;
  }
  void order(events::ProjectionOrder order) {
    REQUIRE(node.probe().ask<events::ProjectionStatus>(host(), make<events::ProjectionCommand>(order), 10s));
  }
  void put(std::string_view stream, NewEvent event) {
    CHECK(append_to(stream, ExpectedVersion::any, {std::move(event)}) == "stored");
  }
};

TEST_CASE("a read model follows the events, live, and answers from its tables; idle it does not wake up") {
  Desk desk{totals()};
  desk.sim.advance(1s);
  CHECK(desk.status() == "live 1: 0 of 0");
  desk.put("account-1", deposited(100));
  desk.put("account-2", deposited(7));
  desk.put("elsewhere", deposited(1000));
  desk.put("account-1", withdrawn(30));
  CHECK(desk.total("account-1") == "70 in 2");
  CHECK(desk.total("elsewhere") == "0 in 0");
  CHECK(desk.status() == "live 1: 4 of 4");
  const auto steps = desk.sim.simulator().steps();
  desk.sim.advance(24h);
  CHECK(desk.sim.simulator().steps() - steps < 4);
}

TEST_CASE("killed at any point, a read model leaves out no event and applies none twice") {
  int crashes = 0;
  for (std::uint32_t calls = 1; calls <= 60; ++calls) {
    CAPTURE(calls);
    Desk desk{totals({.page = 3})};
    desk.sim.advance(1s);
    desk.node.crash_in_store_call(calls, calls % 2 == 0);
    for (int i = 0; i < 12 && desk.node.up(); ++i) {
      Batch batch;
      if (!append(batch, "account-1", ExpectedVersion::any, std::vector{deposited(1)}, {.at = desk.wall()})) continue;
      auto probe = desk.node.probe();
      static_cast<void>(probe
                            .let([&](testkit::ProbeActor& self) {
                              self.commit(std::move(batch)).then([](const Result<Receipt>&) {});
                            })
                            .ok());
      desk.sim.advance(1ms);
    }
    desk.sim.advance(1s);
    if (!desk.node.up()) {
      ++crashes;
      REQUIRE(desk.node.start());
    }
    desk.put("account-1", deposited(1));
    const auto stored = desk.number("SELECT count(*) FROM es_events");
    CHECK(desk.total("account-1") == std::to_string(stored) + " in " + std::to_string(stored));
  }
  CHECK(crashes > 40);
}

TEST_CASE("an event that the read model refuses stops it, by name, or is dead-lettered, as declared") {
  SUBCASE("stop") {
    Desk desk{totals()};
    desk.put("account-1", deposited(1));
    desk.put("account-1", deposited(13));
    desk.put("account-1", deposited(2));
    CHECK(desk.total("account-1") == "1 in 1");
    CHECK(desk.status() ==
          "stopped 1: 1 of 3, event 2, 'bank.Deposited', version 2 of stream account-1: rejected: thirteen");
    desk.execute("UPDATE es_events SET data=(SELECT data FROM es_events WHERE position=1) WHERE position=2");
    desk.order(events::ProjectionOrder::resume);
    desk.sim.advance(1s);
    CHECK(desk.total("account-1") == "4 in 3");
    CHECK(desk.status() == "live 1: 3 of 3");
  }
  SUBCASE("dead-letter, found among others by SQLite's refusal") {
    Desk desk{};
    CHECK(desk.prepare() == "stored");
    for (int i = 1; i <= 10; ++i) desk.put("account-" + std::to_string(i), deposited(i == 5 ? 666 : i));
    REQUIRE(desk.node->spawn<ProjectionHost>(SpawnOptions{.name = "totals"},
                                             projection_kind<TotalsOf<1>, TotalQuestion>(),
                                             ProjectionOptions{ProjectionOptions::OnFailure::dead_letter}));
    desk.sim.advance(1s);
    CHECK(desk.status() == "live 1: 10 of 10, 1 failed");
    CHECK(desk.total("account-5") == "0 in 0");
    CHECK(desk.total("account-10") == "10 in 1");
    CHECK(desk.number("SELECT position FROM es_failures WHERE cause LIKE '%CHECK constraint failed%'") == 5);
  }
  SUBCASE("one of an unknown version stops it whatever is declared") {
    Desk desk{totals({ProjectionOptions::OnFailure::dead_letter})};
    desk.put("account-1", deposited(1));
    desk.put("account-1", {"bank.Deposited", 9, make<Audited>(1).block()});
    desk.put("account-1", deposited(2));
    CHECK(
        desk.status() ==
        "stopped 1: 1 of 3, unsupported: event 2 of stream account-1 is 'bank.Deposited' version 9; this program knows "
        "versions up to 3");
  }
}

TEST_CASE("a rebuild makes new tables beside the old ones, which answer meanwhile, and swaps them") {
  Desk desk{totals({.page = 10})};
  desk.sim.advance(1s);
  for (int i = 0; i < 100; ++i) desk.put("account-1", deposited(1));
  desk.execute("UPDATE total_1 SET cents=0");
  CHECK(desk.total("account-1") == "0 in 100");
  desk.order(events::ProjectionOrder::rebuild);
  desk.sim.advance(1s);
  CHECK(desk.total("account-1") == "100 in 100");
  CHECK(desk.status() == "live 2: 100 of 100");
  CHECK(desk.number("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'total%'") == 2);  // with its index
}

TEST_CASE("another version of a projection builds its tables anew, killed on the way or not") {
  for (std::uint32_t calls : {0U, 5U, 9U, 14U, 20U, 27U, 35U, 44U}) {
    CAPTURE(calls);
    bool second = false;
    Desk desk{[&second](Node& node) { second ? totals<TotalsOf<2>>({.page = 10})(node) : totals({.page = 10})(node); }};
    desk.sim.advance(1s);
    for (int i = 0; i < 50; ++i) desk.put("account-1", deposited(1));
    CHECK(desk.total("account-1") == "50 in 50");
    second = true;
    desk.node.crash();
    if (calls > 0) desk.node.crash_in_store_call(calls, calls % 2 == 0);
    static_cast<void>(desk.node.start().ok());
    desk.sim.advance(1s);
    if (!desk.node.up()) REQUIRE(desk.node.start());
    desk.put("account-1", deposited(1));
    CHECK(desk.total("account-1") == "102 in 51");
    CHECK(desk.number("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'total%'") == 2);
  }
}

TEST_CASE("a node far away follows streams through a lane: each event once, in order") {
  BankBench bench{[](Node& node) {
    REQUIRE(node.spawn<ProjectionHost>(SpawnOptions{.name = "feed"}, event_feed("feed", "account-", "followed"),
                                       ProjectionOptions{}));
  }};
  auto follower = bench.node.probe();
  REQUIRE(follower.consume("followed"));
  bench.sim.advance(1s);
  for (int i = 1; i <= 3; ++i) CHECK(bench.append_to("account-1", ExpectedVersion::any, {withdrawn(i)}) == "stored");
  for (std::uint64_t i = 1; i <= 3; ++i) {
    auto next = follower.expect<events::Recorded>();
    REQUIRE(next);
    CHECK(next->label() == "account-1");
    CHECK((*next)->version() == i);
    CHECK((*next)->type()->str() == "bank.Withdrawn");
    REQUIRE(next->ack());
  }
}

}  // namespace
}  // namespace pannier::testing::bank
