#include "tools/arguments.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace pannier::tools {
namespace {

struct Given {
  std::string lane = "none";
  std::string key;
  std::optional<std::string> raw;
  std::string durability;
  std::uint64_t count = 7;
  std::uint32_t rows = 0;
  std::chrono::milliseconds wait{0};
  bool json = false;
  bool taken = false;
  int status = 0;
};

Given read(std::vector<std::string> words) {
  static const Command kCommand{"test", "About", "pannier test", nullptr};
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  Given given;
  Arguments arguments{kCommand, pointers};
  arguments.add({"lane", &given.lane, "", true});
  arguments.add({"key", &given.key, ""});
  arguments.add({"--raw", &given.raw, ""});
  arguments.add({.name = "--durability", .place = &given.durability, .about = "", .choices = "memory|fsynced"});
  arguments.add({"--count", &given.count, ""});
  arguments.add({.name = "--rows", .place = &given.rows, .about = "", .least = 1, .most = 400});
  arguments.add({.name = "--wait", .place = &given.wait, .about = "", .least = 0.001, .most = 60});
  arguments.add({"--json", &given.json, ""});
  given.taken = arguments.read();
  given.status = arguments.status();
  return given;
}

TEST_CASE("options and positions come in any order, and what is not given stays as it was") {
  const Given given = read({"--wait", "0.25", "orders", "--json", "order-17", "--rows=3"});
  CHECK(given.taken);
  CHECK(given.lane == "orders");
  CHECK(given.key == "order-17");
  CHECK(given.wait.count() == 250);
  CHECK(given.rows == 3);
  CHECK(given.json);
  CHECK(given.count == 7);
  CHECK_FALSE(given.raw);
}

TEST_CASE("a value may be empty, a dash, or start with dashes; after -- nothing is an option") {
  CHECK(read({"a", "--raw", ""}).raw == "");
  CHECK(read({"a", "--raw="}).raw == "");
  CHECK(read({"a", "--raw", "-"}).raw == "-");
  CHECK(read({"a", "--raw", "--json"}).raw == "--json");
  CHECK(read({"a", "-"}).key == "-");
  CHECK(read({"a", "--", "--json"}).key == "--json");
}

TEST_CASE("what cannot be is refused with the status of wrong input") {
  const std::vector<std::vector<std::string>> wrong = {
      {},                             // a position that is required
      {"a", "b", "c"},                // one too many
      {"a", "--jsno"},                // unknown
      {"a", "-j"},                    //
      {"a", "--json", "--json"},      // twice
      {"a", "--json=yes"},            // a value where none is taken
      {"a", "--raw"},                 // none where one is
      {"a", "--count", "-1"},         // no whole number
      {"a", "--count", "1.5"},        //
      {"a", "--count", "0x10"},       //
      {"a", "--count", ""},           //
      {"a", "--rows", "0"},           // out of bounds
      {"a", "--rows", "401"},         //
      {"a", "--wait", "0"},           //
      {"a", "--wait", "nan"},         //
      {"a", "--wait", "1s"},          //
      {"a", "--durability", "disk"},  // none of the choices
  };
  for (const auto& words : wrong) {
    const std::string last = words.empty() ? "nothing" : words.back();
    INFO(last);
    const Given given = read(words);
    CHECK_FALSE(given.taken);
    CHECK(given.status == 2);
  }
  CHECK(read({"a", "--durability", "fsynced"}).durability == "fsynced");
}

}  // namespace
}  // namespace pannier::tools
