#include "platform/function_ref.h"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <utility>

using pannier::FunctionRef;

namespace {

int twice(FunctionRef<int(int)> function) { return function(function(1)); }

std::string given_away(FunctionRef<std::string(std::unique_ptr<std::string>)> taker) {
  return taker(std::make_unique<std::string>("parcel"));
}

}  // namespace

TEST_CASE("a borrowed function keeps what it counts in the caller's hands") {
  int calls = 0;
  CHECK(twice([&calls](int value) {
          ++calls;
          return value * 10;
        }) == 100);
  CHECK(calls == 2);
}

TEST_CASE("a function that may not be changed, or may not be copied, can be borrowed") {
  const auto add = [](int value) { return value + 1; };
  CHECK(twice(add) == 3);
  auto owner = [label = std::make_unique<std::string>("fragile ")](std::unique_ptr<std::string> what) {
    return *label + *what;
  };
  CHECK(given_away(owner) == "fragile parcel");
}
