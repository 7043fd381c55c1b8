// Numbered publications: a subscriber notices what it missed, and fetches it from the publisher.

#include <doctest/doctest.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "runtime/link/topic_history.h"
#include "tests/runtime/link/fleet.h"

namespace pannier::testing {
namespace {

constexpr PublishOptions kNumbered{.history = 100};

/// Writes down each position that it hears of, fetches what it missed, and writes that down too.
struct Tracker : Actor<Tracker, Number> {
  struct Seen {
    std::set<std::int64_t> heard;
    std::set<std::int64_t> fetched;
    std::uint64_t missed = 0;
    std::string error;
  };
  explicit Tracker(Seen* seen) : seen_(seen) {}
  void on_start() { require(subscribe<Number>("fleet/#")); }
  void on(const Number& number) {
    CHECK(label() == "fleet/7");
    CHECK(seen_->heard.insert(number.value()).second);
    const auto gap = gaps_.take(label(), type_info<Number>().id, publication_number());
    if (!gap) return;
    seen_->missed += gap->last - gap->first + 1;
    fetch_missed(*gap).then([this](const Result<std::vector<MissedPublication>>& missed) {
      if (!missed) {
        seen_->error = missed.error().text();
        return;
      }
      for (const MissedPublication& each : *missed) {
        const auto position = each.message.as<Number>();
        REQUIRE(position);
        CHECK(seen_->fetched.insert((*position)->value()).second);
      }
    });
  }

 private:
  Seen* seen_;
  GapDetector gaps_;
};

TEST_CASE("a subscriber whose mailbox was full learns what it missed, and gets it from the publisher behind two hubs") {
  Fleet fleet;
  auto country = std::make_unique<Device>(fleet.simulator, fleet.network, fleet.script,
                                          NodeOptions{.name = "country", .listen = {"sim://country"}});
  auto town = std::make_unique<Device>(
      fleet.simulator, fleet.network, fleet.script,
      NodeOptions{.name = "town", .links = {{"country", "sim://country"}}, .listen = {"sim://town"}});
  auto van = fleet.device("van", "town", "sim://town");
  auto depot = fleet.device("depot", "country", "sim://country");
  Tracker::Seen seen;
  REQUIRE(depot->node->spawn<Tracker>(SpawnOptions{.mailbox = {.messages = 8}}, &seen));
  fleet.run(5s);
  for (std::int64_t burst = 0; burst < 5; ++burst) {
    let(fleet.simulator, *van->node, van->hand, [burst](Hand& hand) {
      for (std::int64_t i = 0; i < 20; ++i) CHECK(hand.publish("fleet/7", make<Number>(burst * 20 + i), kNumbered));
    });
    fleet.run(1s);
  }
  van->publish("fleet/7", 100, kNumbered);  // what was lost at the end shows with the next one
  fleet.run(1s);
  CHECK(seen.error.empty());
  CHECK(seen.missed > 0);
  CHECK(seen.fetched.size() == seen.missed);
  std::set<std::int64_t> all = seen.heard;
  for (const std::int64_t each : seen.fetched) CHECK(all.insert(each).second);
  CHECK(all.size() == 101);
}

TEST_CASE("a history holds so many of each topic and type, and numbers are not used twice") {
  TopicHistory history{9};
  for (std::int64_t i = 1; i <= 10; ++i) CHECK(history.add("a", AnyTable{make<Number>(i)}, 3) == std::uint64_t(i));
  CHECK(history.add("b", AnyTable{make<Number>(std::int64_t{1})}, 3) == 1);
  CHECK(history.add("a", AnyTable{note("other type")}, 3) == 1);
  const TypeId type = type_info<Number>().id;
  const auto found = history.find({"a", type, "van", 9, 2, 9});
  REQUIRE(found.size() == 2);  // 8 and 9
  CHECK(found[0].number == 8);
  CHECK((*found[0].message.as<Number>())->value() == 8);
  CHECK(history.find({"a", type, "van", 8, 2, 9}).empty());  // an earlier life of the publisher
  CHECK(history.find({"c", type, "van", 9, 2, 9}).empty());
  CHECK(history.find({"a", type, "van", 9, 0, ~std::uint64_t{0}}).size() == 3);
}

TEST_CASE("a detector tells gaps, and neither the first publication of a series nor one that comes again") {
  GapDetector gaps;
  const TypeId type{5};
  const auto take = [&](std::uint64_t series, std::uint64_t number) {
    return gaps.take("t", type, {"van", series, number});
  };
  CHECK_FALSE(take(1, 17));
  CHECK_FALSE(take(1, 18));
  const auto gap = take(1, 22);
  REQUIRE(gap);
  CHECK(gap->first == 19);
  CHECK(gap->last == 21);
  CHECK_FALSE(take(1, 20));  // a retained value that comes late
  CHECK_FALSE(take(1, 23));
  CHECK_FALSE(take(2, 4));  // the publisher has started anew
  CHECK(take(2, 6));
  CHECK_FALSE(gaps.take("t", type, {}));
}

TEST_CASE("requests and answers that contradict themselves are malformed") {
  const PublicationGap gap{"t", TypeId{5}, {}, 9, 2, 7};
  const BlockRef request = encode(gap);
  CHECK(decode_gap("t", TypeId{5}, request.bytes())->last == 7);
  CHECK_FALSE(decode_gap("t", TypeId{5}, request.bytes().first(16)));
  const BlockRef answer =
      encode({{4, AnyTable{make<Number>(std::int64_t{4})}}, {5, AnyTable{make<Number>(std::int64_t{5})}}});
  const TypeId type = type_info<Number>().id;
  CHECK(decode_missed(type, answer.bytes())->size() == 2);
  for (std::size_t cut = 1; cut < answer.bytes().size(); ++cut) {
    const auto part = decode_missed(type, answer.bytes().first(cut));
    CHECK((!part || part->size() < 2));
  }
  std::vector<std::byte> wrong(answer.bytes().begin(), answer.bytes().end());
  for (std::size_t i = 8; i < 16; ++i) wrong[i] = std::byte{0xff};
  CHECK_FALSE(decode_missed(type, wrong));
}

}  // namespace
}  // namespace pannier::testing
