#include "examples/delivery/day/ledger.h"

#include <doctest/doctest.h>

#include <fstream>

#include "tests/examples/delivery/temp_folder.h"

namespace pannier::delivery {
namespace {

const Accepted kAccepted{"hub-17", "o1", "OrderCreated", 1, 123'456};

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("every kind of ledger line is read as it was written") {
  const std::vector<LedgerLine> lines{kAccepted, Applied{"hub-17", "o1", "OrderCreated", 1, 3}, End{12},
                                      Status{"waiting", -4, 99}};
  for (const LedgerLine& line : lines) {
    std::string text = format(line);
    CAPTURE(text);
    REQUIRE(text.back() == '\n');
    text.pop_back();
    const auto again = parse_line(text);
    REQUIRE(again);
    CHECK(*again == line);
  }
  CHECK(format(kAccepted) == "accepted hub-17 o1 OrderCreated 1 123456\n");
}

TEST_CASE("a ledger line that is not whole is refused") {
  for (const char* text : {"", "accepted", "accepted e o T 1", "accepted e o T 1 2 3", "accepted e o T one 2",
                           "applied e o T 1", "applied e o T 1 -2", "end", "end x", "status s 1", "effect e"}) {
    CAPTURE(std::string(text));
    const auto line = parse_line(text);
    REQUIRE(!line);
    CHECK(line.error().code == ErrorCode::invalid_argument);
  }
}

TEST_CASE("a reader follows a ledger while it grows") {
  const TempFolder folder;
  LedgerReader reader(folder.path() + "/hub.ledger");
  auto lines = reader.read_more();
  REQUIRE(lines);
  CHECK(lines->empty());  // not begun yet

  auto writer = LedgerWriter::open(folder.path(), "hub");
  REQUIRE(writer);
  REQUIRE(writer->append(kAccepted));
  lines = reader.read_more();
  REQUIRE(lines);
  CHECK(*lines == std::vector<LedgerLine>{kAccepted});
  REQUIRE(writer->append(End{0}));
  lines = reader.read_more();
  REQUIRE(lines);
  CHECK(*lines == std::vector<LedgerLine>{End{0}});
}

TEST_CASE("a line that a killed writer did not finish is marked by its successor, not mistaken for another") {
  const TempFolder folder;
  const std::string path = folder.path() + "/hub.ledger";
  std::ofstream(path, std::ios::binary) << "end 1\naccepted hub-1 o1 OrderCr";
  LedgerReader reader(path);
  auto lines = reader.read_more();
  REQUIRE(lines);
  CHECK(lines->size() == 1);
  CHECK(reader.torn() == 0);

  auto writer = LedgerWriter::open(folder.path(), "hub");
  REQUIRE(writer);
  REQUIRE(writer->append(kAccepted));
  CHECK(content(path) == "end 1\naccepted hub-1 o1 OrderCr !torn\n" + format(kAccepted));
  lines = reader.read_more();
  REQUIRE(lines);
  CHECK(*lines == std::vector<LedgerLine>{kAccepted});
  CHECK(reader.torn() == 1);
}

TEST_CASE("a broken ledger line is named with its file and line") {
  const TempFolder folder;
  const std::string path = folder.path() + "/hub.ledger";
  std::ofstream(path, std::ios::binary) << "end 1\nnonsense\n";
  const auto lines = LedgerReader(path).read_more();
  REQUIRE(!lines);
  CHECK(lines.error().detail.starts_with(path + ":2: "));
}

TEST_CASE("a name that would break the line apart is refused and not written") {
  const TempFolder folder;
  auto writer = LedgerWriter::open(folder.path(), "hub");
  REQUIRE(writer);
  for (const char* name : {"", "two words", "two\nlines"}) {
    Accepted bad = kAccepted;
    bad.event = name;
    const auto written = writer->append(bad);
    REQUIRE(!written);
    CHECK(written.error().code == ErrorCode::invalid_argument);
  }
  CHECK(content(folder.path() + "/hub.ledger").empty());
}

TEST_CASE("a ledger in a folder that is not there is an error, not a silent loss") {
  const auto writer = LedgerWriter::open("/no/such/folder", "hub");
  REQUIRE(!writer);
  CHECK(writer.error().code == ErrorCode::storage_io);
}

}  // namespace pannier::delivery
