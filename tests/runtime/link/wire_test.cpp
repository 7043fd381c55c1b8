#include "runtime/link/wire.h"

#include <doctest/doctest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <pannier/sim.h>

namespace pannier::wire {
namespace {

std::string text_of(sim::SeededEntropy& dice, std::size_t most) {
  std::string text(dice.below(most + 1), 'x');
  for (char& c : text) c = static_cast<char>('a' + dice.below(26));
  return text;
}

/// A record and what its views stand in.
struct Kept {
  std::string node;
  std::string origin;
  std::string first;
  std::string second;
  std::string payload;
  Record record;

  explicit Kept(sim::SeededEntropy& dice)
      : node(text_of(dice, 64)),
        origin(text_of(dice, 64)),
        first(text_of(dice, 40)),
        second(text_of(dice, 40)),
        payload(text_of(dice, 300)) {
    record.kind = static_cast<Kind>(1 + dice.below(11));
    record.flags = static_cast<std::uint8_t>(dice.next());
    record.code = static_cast<std::uint16_t>(dice.next());
    record.type = TypeId{dice.next()};
    record.id = dice.next();
    record.number = dice.next();
    record.trace = {dice.next(), dice.next(), dice.next(), static_cast<std::uint8_t>(dice.next())};
    record.hops = static_cast<std::uint8_t>(dice.next());
    record.node = node;
    record.origin = origin;
    record.first = first;
    record.second = second;
    record.payload = std::as_bytes(std::span{payload});
  }
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;
};

bool same(const Record& a, const Record& b) {
  return a.kind == b.kind && a.flags == b.flags && a.code == b.code && a.type == b.type && a.id == b.id &&
         a.number == b.number && a.trace == b.trace && a.hops == b.hops && a.node == b.node && a.origin == b.origin &&
         a.first == b.first && a.second == b.second &&
         std::equal(a.payload.begin(), a.payload.end(), b.payload.begin(), b.payload.end());
}

/// Reads all there is and touches each byte that a record claims. The frame stands in memory of exactly its size, so
/// that AddressSanitizer sees a look outside of it.
std::size_t read_all(std::span<const std::byte> bytes) {
  const auto memory = std::make_unique<std::byte[]>(bytes.size());
  if (!bytes.empty()) std::memcpy(memory.get(), bytes.data(), bytes.size());
  auto reader = FrameReader::open({memory.get(), bytes.size()});
  if (!reader) return 0;
  std::size_t records = 0;
  unsigned sum = 0;
  while (!reader->at_end()) {
    const auto record = reader->next();
    if (!record) break;
    ++records;
    for (const char c : record->first) sum += static_cast<unsigned char>(c);
    for (const char c : record->second) sum += static_cast<unsigned char>(c);
    for (const std::byte b : record->payload) sum += std::to_integer<unsigned>(b);
  }
  CHECK(sum < 0xffffffffU);
  return records;
}

std::vector<std::byte> random_frame(sim::SeededEntropy& dice, std::size_t records) {
  FrameWriter writer;
  for (std::size_t i = 0; i < records; ++i) {
    const Kept kept{dice};
    REQUIRE(writer.add(kept.record));
  }
  const auto frame = writer.frame();
  return {frame.begin(), frame.end()};
}

TEST_CASE("what was written is read, record by record, each at a multiple of 16") {
  sim::SeededEntropy dice{3};
  for (int round = 0; round < 200; ++round) {
    FrameWriter writer;
    std::vector<std::unique_ptr<Kept>> kept;
    for (std::uint64_t i = dice.below(8) + 1; i > 0; --i) {
      kept.push_back(std::make_unique<Kept>(dice));
      REQUIRE(writer.add(kept.back()->record));
    }
    const auto frame = writer.frame();
    CHECK(frame.size() % 16 == 0);
    auto reader = FrameReader::open(frame);
    REQUIRE(reader);
    for (const auto& each : kept) {
      const auto record = reader->next();
      REQUIRE(record);
      CHECK(same(*record, each->record));
      CHECK((record->payload.data() - frame.data()) % 16 == 0);
    }
    CHECK(reader->at_end());
  }
}

TEST_CASE("the bytes of a frame are those of docs/protocol.md") {
  FrameWriter writer;
  REQUIRE(writer.add({.kind = Kind::hello, .id = 0x0102, .number = 2000, .first = "hub"}));
  const auto frame = writer.frame();
  std::string hex;
  for (const std::byte b : frame) {
    hex += "0123456789abcdef"[std::to_integer<unsigned>(b) >> 4];
    hex += "0123456789abcdef"[std::to_integer<unsigned>(b) & 15];
  }
  CHECK(hex ==
        "504e0100600000000000000000000000"
        "50000000010000000000000000000000"
        "0201000000000000d007000000000000"
        "00000000000000000000000000000000"
        "00000000000000000000000000000300"
        "68756200000000000000000000000000");
}

TEST_CASE("every truncation of a frame is refused, or ends in an error, and nothing outside is read") {
  sim::SeededEntropy dice{4};
  for (int round = 0; round < 5; ++round) {
    const auto frame = random_frame(dice, 4);
    CHECK(read_all(frame) == 4);
    for (std::size_t size = 0; size < frame.size(); ++size) {
      std::vector<std::byte> cut{frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(size)};
      CHECK(read_all(cut) == 0);
      if (size < 8) continue;
      for (std::size_t i = 0; i < 4; ++i) cut[4 + i] = static_cast<std::byte>(size >> (8 * i));  // a header that fits
      CHECK(read_all(cut) < 4);
    }
  }
}

TEST_CASE("whatever bytes of a frame are changed, it is refused or read within its bounds") {
  sim::SeededEntropy dice{5};
  for (int round = 0; round < 20'000; ++round) {
    auto frame = random_frame(dice, 1 + dice.below(3));
    for (std::uint64_t i = dice.below(6) + 1; i > 0; --i) {
      // Mostly in the headers, where lengths are.
      const std::size_t at = dice.chance(0.7) ? dice.below(80) : dice.below(frame.size());
      if (at < frame.size()) frame[at] = static_cast<std::byte>(dice.chance(0.3) ? 0xff : dice.next());
    }
    CHECK(read_all(frame) <= 4096);
  }
}

TEST_CASE("another version is refused with both in the text") {
  FrameWriter writer;
  REQUIRE(writer.add({.kind = Kind::heartbeat}));
  const auto written = writer.frame();
  std::vector<std::byte> frame{written.begin(), written.end()};
  frame[2] = std::byte{7};
  const auto reader = FrameReader::open(frame);
  REQUIRE_FALSE(reader);
  CHECK(reader.error().code == ErrorCode::unsupported);
  CHECK(reader.error().detail.find("version 7") != std::string::npos);
  CHECK(reader.error().detail.find("version 1") != std::string::npos);
}

TEST_CASE("a full frame takes no more, and says so before anything is added") {
  FrameWriter writer;
  const std::vector<std::byte> payload(limits::kPayloadBytes);
  Record row{.kind = Kind::row};
  row.payload = payload;
  while (writer.size() + limits::kPayloadBytes + kRecordHeaderBytes <= limits::kFrameBytes) REQUIRE(writer.add(row));
  const std::size_t size = writer.size();
  const auto refused = writer.add(row);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::full);
  CHECK(writer.size() == size);
  const std::vector<std::byte> larger(limits::kPayloadBytes + 1);
  row.payload = larger;
  CHECK(writer.add(row).error().code == ErrorCode::invalid_argument);
  CHECK(read_all(writer.frame()) == 3);
}

}  // namespace
}  // namespace pannier::wire
