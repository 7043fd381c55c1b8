#include "runtime/link/send_queue.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace pannier {
namespace {

using wire::Kind;

std::vector<std::byte> payload_of(std::size_t bytes) {
  std::vector<std::byte> payload(bytes);
  for (std::size_t i = 0; i < bytes; ++i) payload[i] = static_cast<std::byte>(i * 7);
  return payload;
}

/// What leaves a queue, put together again as at the far end.
struct Far {
  /// One frame of at most `piece`; says what came whole with it: "row:orders#3 tell#1".
  std::string frame(SendQueue& queue, std::size_t piece) {
    wire::FrameWriter writer;
    while (writer.size() < piece) {
      const std::size_t room = writer.empty() ? piece : piece - writer.size();
      const auto step = queue.move_into(writer, {.bytes = room, .piece = piece});
      if (step.moved != SendQueue::Moved::record) break;
    }
    std::string came;
    const auto bytes = writer.frame();
    auto reader = wire::FrameReader::open(bytes);
    REQUIRE(reader);
    CHECK(bytes.size() <= std::max(piece, std::size_t{64}));
    while (!reader->at_end()) {
      auto record = reader->next();
      REQUIRE(record);
      if (record->kind != Kind::piece) {
        came += describe(*record);
        continue;
      }
      REQUIRE(record->code < wire::kAssemblies);
      auto& assembly = assemblies[record->code];
      const auto whole = assembly.add(*record);
      REQUIRE(whole);
      if (!*whole) continue;
      const auto parsed = wire::parse(assembly.bytes());
      REQUIRE(parsed);
      CHECK(parsed->bytes == assembly.bytes().size());
      came += describe(parsed->record);
      assembly.clear();
    }
    return came;
  }
  std::string all(SendQueue& queue, std::size_t piece) {
    std::string came;
    for (int frames = 0; !queue.empty(); ++frames) {
      REQUIRE(frames < 100'000);
      came += frame(queue, piece);
    }
    return came;
  }
  static std::string describe(const wire::Record& record) {
    CHECK(std::ranges::equal(record.payload, payload_of(record.payload.size())));
    return std::string{record.first} + "#" + std::to_string(record.id) + " ";
  }
  std::array<Assembly, wire::kAssemblies> assemblies;
};

struct Sender {
  Result<void> row(const char* lane, std::uint64_t id, std::size_t bytes, std::uint32_t priority = 0) {
    return add({.kind = Kind::row, .id = id, .first = lane}, bytes, priority);
  }
  Result<void> tell(std::uint64_t id, std::size_t bytes, std::uint8_t flags = 0) {
    return add({.kind = Kind::tell, .flags = flags, .id = id, .first = flags == 0 ? "tell" : "urgent"}, bytes, 0);
  }
  Result<void> add(wire::Record record, std::size_t bytes, std::uint32_t priority) {
    const std::vector<std::byte> payload = payload_of(bytes);
    record.payload = payload;
    return queue.add(record, priority);
  }
  SendQueue queue;
};

TEST_CASE("records of any size leave in frames of any size, whole or in pieces, and arrive unchanged") {
  for (const std::size_t piece : {1024U, 1500U, 4096U, 32768U, 270'336U}) {
    Sender sender;
    Far far;
    std::string expected;
    for (std::uint64_t i = 0; i < 40; ++i) {
      REQUIRE(sender.tell(i, i * i * 97 % 70'000));
      expected += "tell#" + std::to_string(i) + " ";
    }
    CHECK(sender.queue.records() == 40);
    CHECK(far.all(sender.queue, piece) == expected);
    CHECK(sender.queue.bytes() == 0);
    CHECK(sender.queue.records() == 0);
  }
}

TEST_CASE("an urgent record, and a row of a higher lane, go before the next piece of a large one") {
  Sender sender;
  Far far;
  REQUIRE(sender.row("photos", 1, 100'000));
  CHECK(far.frame(sender.queue, 1024) == "");
  REQUIRE(sender.row("orders", 2, 100, 10));
  CHECK(far.frame(sender.queue, 1024).starts_with("orders#2 "));
  REQUIRE(sender.tell(3, 100, wire::kUrgent));
  CHECK(far.frame(sender.queue, 1024).starts_with("urgent#3 "));
  CHECK(far.all(sender.queue, 1024) == "photos#1 ");
}

TEST_CASE("rows of one lane never pass each other, whatever their priority") {
  Sender sender;
  Far far;
  REQUIRE(sender.row("photos", 1, 5000, 0));
  REQUIRE(sender.row("photos", 2, 10, 9));
  REQUIRE(sender.row("others", 3, 10, 5));
  CHECK(far.all(sender.queue, 1024) == "photos#1 photos#2 others#3 ");
}

TEST_CASE("lanes of one priority, and messages, take turns") {
  Sender sender;
  Far far;
  for (std::uint64_t i = 0; i < 3; ++i) {
    REQUIRE(sender.row("a", i, 900));
    REQUIRE(sender.row("b", i, 900));
    REQUIRE(sender.tell(i, 900));
  }
  CHECK(far.all(sender.queue, 1024) == "a#0 b#0 tell#0 a#1 b#1 tell#1 a#2 b#2 tell#2 ");
}

TEST_CASE("at most two records are in pieces at a time: a third large one waits, small ones do not") {
  Sender sender;
  Far far;
  REQUIRE(sender.row("a", 1, 3000, 0));
  far.frame(sender.queue, 1024);
  REQUIRE(sender.row("b", 2, 3000, 1));
  far.frame(sender.queue, 1024);
  REQUIRE(sender.row("c", 3, 3000, 2));
  REQUIRE(sender.row("d", 4, 10, 2));
  CHECK(far.frame(sender.queue, 1024).starts_with("d#4 "));
  const std::string rest = far.all(sender.queue, 1024);  // Far has two assemblies: a third would have failed
  CHECK(rest == "b#2 c#3 a#1 ");
}

TEST_CASE("a full queue refuses, but has a reserve for replies and filters, and room for tells that were accepted") {
  Sender sender;
  std::uint64_t id = 0;
  while (sender.row("a", id, 200'000)) ++id;
  CHECK(id == limits::kLinkQueueBytes / 200'000);
  for (std::uint64_t told = 0; told < 100; ++told) CHECK(sender.tell(told, 200'000));
  CHECK(sender.row("a", id, 200'000).error().code == ErrorCode::full);
  CHECK(sender.add({.kind = Kind::tell, .origin = "van", .first = "a"}, 200'000, 0).error().code == ErrorCode::full);
  CHECK(sender.add({.kind = Kind::reply, .id = 1}, 200'000, 0));
  CHECK(sender.add({.kind = Kind::subscribe, .first = "a/#"}, 0, 0));
  sender.queue.clear();
  CHECK(sender.queue.empty());
  CHECK(sender.tell(1, 200'000));
}

TEST_CASE("pieces that do not follow each other are malformed") {
  std::vector<std::byte> bytes(64);
  const auto piece = [&](std::uint64_t offset, std::uint64_t whole, std::size_t count) {
    return wire::Record{.kind = Kind::piece, .id = offset, .number = whole, .payload = std::span{bytes}.first(count)};
  };
  Assembly gap;
  CHECK(gap.add(piece(0, 200, 64)));
  CHECK(gap.add(piece(128, 200, 64)).error().code == ErrorCode::malformed);
  Assembly late;
  CHECK(late.add(piece(64, 200, 64)).error().code == ErrorCode::malformed);
  Assembly grown;
  CHECK(grown.add(piece(0, 200, 64)));
  CHECK(grown.add(piece(64, 300, 64)).error().code == ErrorCode::malformed);
  Assembly long_one;
  CHECK(long_one.add(piece(0, 63, 64)).error().code == ErrorCode::malformed);
  Assembly huge;
  CHECK(huge.add(piece(0, wire::kRecordBytes + 1, 64)).error().code == ErrorCode::malformed);
  Assembly empty;
  CHECK(empty.add(piece(0, 200, 0)).error().code == ErrorCode::malformed);
  Assembly again;
  CHECK(again.add(piece(0, 200, 64)));
  CHECK(again.add(piece(0, 200, 64)).error().code == ErrorCode::malformed);
}

}  // namespace
}  // namespace pannier
