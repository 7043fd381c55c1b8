#include <pannier/message.h>

#include <doctest/doctest.h>

#include <cstring>
#include <vector>

#include <pannier/sim.h>
#include "tests/runtime/schema/messages.fbs.h"

namespace pannier::testing {
namespace {

/// What FlatBuffers itself says of the bytes, within the bounds of <pannier/limits.h>.
template <class T>
bool as_flatbuffers_verifies(const std::vector<std::byte>& bytes) {
  flatbuffers::Verifier verifier{reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(),
                                 limits::kVerifyDepth, limits::kVerifyTables};
  return verifier.VerifyBuffer<T>(nullptr);
}

template <class T>
std::vector<std::byte> bytes_of(const Table<T>& table) {
  return {table.bytes().begin(), table.bytes().end()};
}

TEST_CASE("bytes are a table exactly where FlatBuffers' own verifier says so") {
  Pool::Owner pool = Pool::create();
  Pool::Scope scope{*pool};
  sim::SeededEntropy dice{4};
  const auto whole = bytes_of(make<Note>("of the day", std::vector<std::int64_t>{1, 2, 3}));
  REQUIRE(verify_table<Note>(whole));
  int good = 0;
  const auto compare = [&](const std::vector<std::byte>& bytes) {
    const bool expected = as_flatbuffers_verifies<Note>(bytes);
    good += expected ? 1 : 0;
    CHECK(verify_table<Note>(bytes) == expected);
  };
  for (std::size_t length = 0; length <= whole.size(); ++length) {
    compare({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)});
  }
  for (int round = 0; round < 20'000; ++round) {
    auto damaged = whole;
    for (std::uint64_t i = 1 + dice.below(3); i > 0; --i) {
      damaged[dice.below(damaged.size())] = static_cast<std::byte>(dice.chance(0.5) ? dice.below(16) : dice.below(256));
    }
    if (dice.chance(0.3)) damaged.resize(dice.below(damaged.size()));
    compare(damaged);
  }
  CHECK(good > 100);
}

TEST_CASE("bytes too few for a root, a table and its vtable are no table, also where the three overlap") {
  // The root offset's own bytes read as a vtable without fields.
  std::vector<std::byte> overlapping(8);
  const std::uint32_t root = 4;
  const std::int32_t vtable = 4;
  std::memcpy(overlapping.data(), &root, 4);
  std::memcpy(overlapping.data() + 4, &vtable, 4);
  CHECK_FALSE(as_flatbuffers_verifies<Note>(overlapping));
  CHECK_FALSE(verify_table<Note>(overlapping));
}

}  // namespace
}  // namespace pannier::testing
