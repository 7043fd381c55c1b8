#include <doctest/doctest.h>

#include <pannier/lane.h>

namespace pannier {
namespace {

using namespace std::chrono_literals;
using Kind = Backoff::Kind;

Duration at(Kind kind, std::uint32_t attempt, Duration previous = {}, std::uint64_t random = 0) {
  return Backoff{kind, 1s, 10s}.delay(attempt, previous, random);
}

TEST_CASE("a backoff grows as its kind says, and never past its cap") {
  CHECK(at(Kind::constant, 1) == 1s);
  CHECK(at(Kind::constant, 9) == 1s);
  CHECK(at(Kind::linear, 3) == 3s);
  CHECK(at(Kind::linear, 30) == 10s);
  CHECK(at(Kind::exponential, 1) == 1s);
  CHECK(at(Kind::exponential, 4) == 8s);
  CHECK(at(Kind::exponential, 5) == 10s);
  CHECK(at(Kind::exponential, 4'000'000'000) == 10s);
}

TEST_CASE("full jitter is anything from nothing to the exponential delay, both included") {
  const auto most = static_cast<std::uint64_t>(Duration{8s}.count());
  CHECK(at(Kind::full_jitter, 4, {}, 0) == 0s);
  CHECK(at(Kind::full_jitter, 4, {}, most) == 8s);
  CHECK(at(Kind::full_jitter, 4, {}, most + 1) == 0s);
}

TEST_CASE("decorrelated jitter goes from the base to three times the delay before") {
  const auto width = static_cast<std::uint64_t>(Duration{5s}.count());
  CHECK(at(Kind::decorrelated_jitter, 2, 2s, 0) == 1s);
  CHECK(at(Kind::decorrelated_jitter, 2, 2s, width) == 6s);
  CHECK(at(Kind::decorrelated_jitter, 1, 0s, static_cast<std::uint64_t>(Duration{2s}.count())) == 3s);
  CHECK(at(Kind::decorrelated_jitter, 7, 9s, ~std::uint64_t{0}) <= 10s);
}

TEST_CASE("a backoff without a base does not wait, whatever the attempt") {
  CHECK(Backoff{Kind::exponential, 0s, 10s}.delay(50, 0s, 7) == 0s);
  CHECK(Backoff{Kind::full_jitter, 0s, 0s}.delay(50, 0s, 7) == 0s);
}

}  // namespace
}  // namespace pannier
