#include "examples/delivery/day/options.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace pannier::delivery {
namespace {

Result<DemoCommand> parse(std::vector<const char*> words) {
  words.insert(words.begin(), "demo");
  return parse_command_line(static_cast<int>(words.size()), words.data());
}

}  // namespace

TEST_CASE("without options the demo makes up its day") {
  const auto command = parse({});
  REQUIRE(command);
  CHECK(!command->help);
  CHECK(!command->options.instance);
  CHECK(!command->options.quick);
  CHECK(command->options.seed == 1);
}

TEST_CASE("every option of the demo is read") {
  const auto command = parse({"--instance", "days/one", "--speed", "450.5", "--seed", "9", "--quick", "--json",
                              "r.json", "--keep", "kept", "--trace", "car.up"});
  REQUIRE(command);
  CHECK(command->options.instance == "days/one");
  CHECK(command->options.speed == 450.5);
  CHECK(command->options.seed == 9);
  CHECK(command->options.quick);
  CHECK(command->options.json == "r.json");
  CHECK(command->options.keep == "kept");
  CHECK(command->options.trace == "car.up");
  CHECK(parse({"--orders", "40"})->options.orders == 40U);
}

TEST_CASE("help is given when asked for, with an example") {
  const auto command = parse({"--help"});
  REQUIRE(command);
  REQUIRE(command->help);
  CHECK(command->help->find("Example: ") != std::string::npos);
}

TEST_CASE("what the demo does not know is refused in one line") {
  const std::vector<std::vector<const char*>> wrong{
      {"--frobnicate"}, {"--seed", "many"}, {"--seed"},        {"--seed", "-1"},
      {"--speed", "0"}, {"word"},           {"--orders", "0"}, {"--orders", "5", "--instance", "x"}};
  for (const auto& words : wrong) {
    CAPTURE(std::string(words.front()));
    const auto command = parse(words);
    REQUIRE(!command);
    CHECK(command.error().code == ErrorCode::invalid_argument);
    CHECK(!command.error().detail.empty());
    CHECK(command.error().detail.find('\n') == std::string::npos);
  }
}

}  // namespace pannier::delivery
