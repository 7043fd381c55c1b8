#include <pannier/result.h>

#include <doctest/doctest.h>

#include <concepts>
#include <memory>
#include <string>
#include <vector>

using pannier::Error;
using pannier::ErrorCode;
using pannier::Result;

TEST_CASE("a result holds its value or the error in its place") {
  Result<int> good = 7;
  REQUIRE(good.ok());
  CHECK(*good == 7);

  Result<int> bad = ErrorCode::full;
  REQUIRE_FALSE(bad.ok());
  CHECK(bad.error().code == ErrorCode::full);
  CHECK(std::move(bad).value_or(3) == 3);
}

TEST_CASE("a value that can only be moved goes through a result") {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(5);
  const std::unique_ptr<int> taken = std::move(result).value();
  CHECK(*taken == 5);
}

TEST_CASE("a loop over what a temporary result holds does not outlive it") {
  const auto made = [] { return Result<std::vector<std::shared_ptr<int>>>{{std::make_shared<int>(1)}}; };
  static_assert(std::same_as<decltype(*made()), std::vector<std::shared_ptr<int>>>);
  static_assert(std::same_as<decltype(made().value()), std::vector<std::shared_ptr<int>>>);
  static_assert(std::same_as<decltype(made().error()), Error>);
  for (const std::weak_ptr<int> each : *made()) CHECK_FALSE(each.expired());
}

TEST_CASE("a result of nothing is good until it is given an error") {
  CHECK(Result<void>{}.ok());
  const Result<void> bad = Error{ErrorCode::in_use, "somebody listens there"};
  REQUIRE_FALSE(bad.ok());
  CHECK(bad.error().code == ErrorCode::in_use);
}

TEST_CASE("an error's text names the code and the detail") {
  CHECK(to_string(ErrorCode::storage_full) == "storage_full");
  const std::string text = Error{ErrorCode::not_found, "no lane \"jobs\""}.text();
  CHECK(text.find("not_found") != std::string::npos);
  CHECK(text.find("no lane \"jobs\"") != std::string::npos);
}
