#include "examples/delivery/day/audit.h"

#include <doctest/doctest.h>

#include <fstream>

#include "tests/examples/delivery/temp_folder.h"

namespace pannier::delivery {
namespace {

LedgerLine accepted(const char* event, const char* type, std::uint64_t sequence, const char* order = "o1") {
  return Accepted{event, order, type, sequence, 1'000};
}

LedgerLine applied(const char* event, const char* type, std::uint64_t times, std::uint64_t position,
                   const char* order = "o1") {
  return Applied{event, order, type, times, position};
}

// What the devices of one whole order wrote; `hub` is what took effect at the hub.
AuditResult audit_of(std::vector<LedgerLine> hub) {
  Auditor auditor;
  hub.insert(hub.begin(), accepted("hub-1", "OrderCreated", 1));
  auditor.add("hub", hub);
  auditor.add("tablet", {accepted("tablet-1", "OrderAccepted", 1), accepted("tablet-2", "OrderReady", 2),
                         applied("hub-1", "OrderCreated", 1, 1), End{1}});
  auditor.add("handheld",
              {accepted("handheld-1", "OrderPickedUp", 1), accepted("handheld-2", "OrderDelivered", 2), End{0}});
  return auditor.result();
}

const LedgerLine kTablet1 = applied("tablet-1", "OrderAccepted", 1, 1);
const LedgerLine kTablet2 = applied("tablet-2", "OrderReady", 1, 2);
const LedgerLine kHandheld1 = applied("handheld-1", "OrderPickedUp", 1, 3);
const LedgerLine kHandheld2 = applied("handheld-2", "OrderDelivered", 1, 4);

}  // namespace

TEST_CASE("a day on which every event took effect once and in order is good") {
  const AuditResult result = audit_of({kTablet1, kTablet2, kHandheld1, kHandheld2, End{4}});
  CHECK(result.good());
  CHECK(result.events_accepted == 5);
  CHECK(result.events_applied == 5);
  CHECK(result.orders_delivered == 1);
  CHECK(result.unclaimed == 0);
  CHECK(result.examples.empty());
}

TEST_CASE("an event with a receipt and no effect is lost") {
  const AuditResult result = audit_of({kTablet1, kTablet2, kHandheld1, End{3}});
  CHECK(!result.good());
  CHECK(result.lost == 1);
  CHECK(result.orders_delivered == 0);
  REQUIRE(result.examples.size() == 1);
  CHECK(result.examples[0] == "lost: OrderDelivered handheld-2 of order o1, accepted at handheld");
}

TEST_CASE("an effect that was applied again is counted as twice") {
  const AuditResult result =
      audit_of({kTablet1, applied("tablet-2", "OrderReady", 2, 2), kHandheld1, kHandheld2, End{4}});
  CHECK(!result.good());
  CHECK(result.twice == 1);
  CHECK(result.lost == 0);
}

TEST_CASE("an effect at two receivers is counted as twice") {
  const AuditResult result =
      audit_of({kTablet1, kTablet2, kHandheld1, kHandheld2, applied("hub-1", "OrderCreated", 1, 5), End{5}});
  CHECK(!result.good());
  CHECK(result.twice == 1);
}

TEST_CASE("events of one sender that overtook each other within an order are out of order") {
  const AuditResult result = audit_of({applied("tablet-1", "OrderAccepted", 1, 2),
                                       applied("tablet-2", "OrderReady", 1, 1), kHandheld1, kHandheld2, End{4}});
  CHECK(!result.good());
  CHECK(result.out_of_order == 1);
  CHECK(result.twice == 0);
}

TEST_CASE("events of different senders, and of different orders, owe each other no order") {
  const AuditResult interleaved =
      audit_of({applied("handheld-1", "OrderPickedUp", 1, 1), applied("tablet-1", "OrderAccepted", 1, 2),
                applied("handheld-2", "OrderDelivered", 1, 3), applied("tablet-2", "OrderReady", 1, 4), End{4}});
  CHECK(interleaved.good());

  Auditor auditor;
  auditor.add("tablet", {accepted("t-1", "OrderReady", 1, "o1"), accepted("t-2", "OrderReady", 2, "o2"), End{0}});
  auditor.add("hub", {applied("t-1", "OrderReady", 1, 9, "o1"), applied("t-2", "OrderReady", 1, 1, "o2"), End{2}});
  CHECK(auditor.result().good());
}

TEST_CASE("a process that did not export its effects, or was cut off in it, makes the day not good") {
  const AuditResult missing = audit_of({kTablet1, kTablet2, kHandheld1, kHandheld2});
  CHECK(!missing.good());
  CHECK(missing.incomplete == std::vector<std::string>{"hub"});
  const AuditResult cut_off = audit_of({kTablet1, kTablet2, kHandheld1, kHandheld2, End{5}});
  CHECK(cut_off.incomplete == std::vector<std::string>{"hub"});
}

TEST_CASE("of two exports the later one counts") {
  const AuditResult result = audit_of({kTablet1, End{1}, kTablet1, kTablet2, kHandheld1, kHandheld2, End{4}});
  CHECK(result.good());
  CHECK(result.events_applied == 5);
}

TEST_CASE("an effect whose sender was killed before it wrote down the receipt counts, and breaks no promise") {
  Auditor auditor;
  auditor.add("handheld", {End{0}});
  auditor.add("hub", {applied("handheld-2", "OrderDelivered", 1, 1), End{1}});
  const AuditResult result = auditor.result();
  CHECK(result.good());
  CHECK(result.unclaimed == 1);
  CHECK(result.orders_delivered == 1);
}

TEST_CASE("a receipt noted twice is one promise") {
  Auditor auditor;
  auditor.add("tablet", {accepted("t-1", "OrderReady", 1), accepted("t-1", "OrderReady", 1), End{0}});
  auditor.add("hub", {applied("t-1", "OrderReady", 1, 1), End{1}});
  CHECK(auditor.result().good());
  CHECK(auditor.result().events_accepted == 1);
}

TEST_CASE("the examples are few however much went wrong") {
  Auditor auditor;
  std::vector<LedgerLine> lines;
  for (int i = 0; i < 1'000; ++i) lines.push_back(accepted(("t-" + std::to_string(i)).c_str(), "OrderReady", 1));
  auditor.add("tablet", lines);
  CHECK(auditor.result().lost == 1'000);
  CHECK(auditor.result().examples.size() == AuditResult::kMaxExamples);
}

TEST_CASE("the auditor reads ledgers from their files, and a missing one is an error") {
  const TempFolder folder;
  {
    auto writer = LedgerWriter::open(folder.path(), "hub");
    REQUIRE(writer);
    REQUIRE(writer->append(accepted("hub-1", "OrderCreated", 1)));
    REQUIRE(writer->append(End{0}));
  }
  Auditor auditor;
  REQUIRE(auditor.add_file(folder.path(), "hub"));
  CHECK(auditor.result().lost == 1);
  const auto missing = auditor.add_file(folder.path(), "tablet");
  REQUIRE(!missing);
  CHECK(missing.error().code == ErrorCode::not_found);
}

}  // namespace pannier::delivery
