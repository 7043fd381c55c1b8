#include <fstream>
#include <iterator>

#include "tests/services/events/bank_bench.h"

namespace pannier::testing::bank {
namespace {

/// What `tests/services/events/golden` keeps: an event of each version as it was written then. Never change one.
RecordedEvent golden(const std::string& type, std::uint32_t schema) {
  const std::string name = (type == "bank.Deposited" ? "deposited_" : "withdrawn_") + std::to_string(schema) + ".bin";
  std::ifstream file(std::string{PANNIER_SOURCE_DIR} + "/tests/services/events/golden/" + name, std::ios::binary);
  REQUIRE(file.good());
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  return {1, "account-1", 1, type, schema, {}, BlockRef::copy_of(std::as_bytes(std::span{bytes}))};
}

std::string refusal_of(const RecordedEvent& event) { return bank_events().current(event).error().text(); }

TEST_CASE("an event of every version that was ever written is read as it is today") {
  struct Past {
    std::uint32_t schema;
    std::int64_t cents;
    const char* by;
  };
  for (const Past& past : {Past{1, 1200, "nobody"}, Past{2, 1250, "nobody"}, Past{3, 1275, "Anna"}}) {
    CAPTURE(past.schema);
    const auto event = bank_events().current(golden("bank.Deposited", past.schema));
    REQUIRE(event);
    const auto table = event->as<Deposited>();
    REQUIRE(table);
    CHECK((*table)->cents() == past.cents);
    CHECK(text_of((*table)->by()) == past.by);
  }
  CHECK(bank_events().current(golden("bank.Withdrawn", 1)));
}

TEST_CASE("an event of unknown type or version, or of other bytes, is refused by name") {
  RecordedEvent event = golden("bank.Deposited", 3);
  event.schema = 4;
  CHECK(refusal_of(event) ==
        "unsupported: event 1 of stream account-1 is 'bank.Deposited' version 4; this program knows versions up to 3");
  event.type = "bank.Closed";
  CHECK(refusal_of(event) ==
        "unsupported: event 1 of stream account-1 is 'bank.Closed' version 4, a type that this program does not know");
  event = golden("bank.Deposited", 3);
  event.schema = 0;
  CHECK(refusal_of(event) ==
        "unsupported: event 1 of stream account-1 is 'bank.Deposited' version 0; this program has no upcaster from "
        "version 0 to 1");
  event = golden("bank.Deposited", 1);
  event.data = BlockRef::copy_of(event.data.bytes().first(3));
  CHECK(refusal_of(event).find("malformed: event 1 of stream account-1 is 'bank.Deposited' version 1") == 0);
}

}  // namespace
}  // namespace pannier::testing::bank
