#include "runtime/link/packing.h"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

#include <pannier/limits.h>
#include "runtime/link/wire.h"

namespace pannier::testing {
namespace {

using Bytes = std::vector<std::byte>;

Bytes frame_of(const Bytes& payload) {
  wire::FrameWriter writer;
  REQUIRE(writer.add({.kind = wire::Kind::tell, .type = TypeId{7}, .first = "clerk", .payload = payload}));
  const auto frame = writer.frame();
  return {frame.begin(), frame.end()};
}

Bytes unpacked(const Bytes& packed) {
  Bytes frame;
  const auto done = packing::unpack(packed, frame);
  return done ? frame : Bytes{};
}

TEST_CASE("a frame comes out of its packed form as it went in, and a short one of tables is less than half as long") {
  std::mt19937 dice{7};
  for (int round = 0; round < 2000; ++round) {
    Bytes payload(dice() % 4096);
    const auto zeros = dice() % 100;  // per cent
    for (std::byte& each : payload) each = dice() % 100 < zeros ? std::byte{0} : static_cast<std::byte>(dice());
    const Bytes frame = frame_of(payload);
    Bytes packed;
    if (!packing::pack(frame, packed)) continue;
    CHECK(packed.size() < frame.size());
    CHECK(packing::is_packed(packed));
    CHECK(unpacked(packed) == frame);
  }
  const Bytes frame = frame_of(Bytes(64, std::byte{0}));
  Bytes packed;
  REQUIRE(packing::pack(frame, packed));
  CHECK(packed.size() < frame.size() / 2);
}

TEST_CASE("what does not shrink is left as it is") {
  std::mt19937 dice{7};
  Bytes payload(8192);
  for (std::byte& each : payload) each = static_cast<std::byte>(1 + dice() % 255);
  Bytes frame = frame_of(payload);
  for (std::size_t i = wire::kFrameHeaderBytes; i < frame.size(); ++i) frame[i] |= std::byte{1};  // no zero at all
  Bytes packed;
  CHECK(!packing::pack(frame, packed));
}

TEST_CASE(
    "a packed frame that was changed or cut anywhere is refused or another frame, and never more than it may be") {
  std::mt19937 dice{7};
  const Bytes frame = frame_of(Bytes(200, std::byte{3}));
  Bytes packed;
  REQUIRE(packing::pack(frame, packed));
  for (std::size_t size = wire::kFrameHeaderBytes + 1; size < packed.size(); ++size) {
    CHECK(unpacked({packed.begin(), packed.begin() + static_cast<std::ptrdiff_t>(size)}).empty());
  }
  for (int round = 0; round < 20'000; ++round) {
    Bytes wrong = packed;
    wrong[dice() % wrong.size()] = static_cast<std::byte>(dice());
    wrong[dice() % wrong.size()] = static_cast<std::byte>(dice());
    CHECK(unpacked(wrong).size() <= limits::kFrameBytes);
  }
}

}  // namespace
}  // namespace pannier::testing
