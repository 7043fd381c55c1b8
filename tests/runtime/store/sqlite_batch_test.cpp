// An entry of rows that came together, as bytes (docs/storage.md, Batch).

#include <span>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "platform/sim/seeded_entropy.h"
#include "runtime/store/sqlite/batch.h"
#include "runtime/store/sqlite/row.h"
#include "tests/contract/store_support.h"
#include "tests/support/campaign.h"

namespace pannier::testing {
namespace {

using namespace pannier::contract;

constexpr std::int64_t kFirst = std::int64_t{1} << 47;

/// Adds a sound row.
bool add(SqliteBatch& batch, std::int64_t position, const std::string& payload) {
  Row row;
  row.key = "order-1";
  row.payload = std::as_bytes(std::span{payload});
  std::string head;
  sqlite_row::encode(position, row, head);
  return batch.add({position, std::as_bytes(std::span{head}), row.payload});
}

SqliteBatch batch_of(std::size_t rows) {
  SqliteBatch batch;
  for (std::size_t i = 0; i < rows; ++i) {
    REQUIRE(add(batch, kFirst + static_cast<std::int64_t>(3 * i), "payload " + std::to_string(i)));
  }
  return batch;
}

std::vector<std::byte> copy_of(std::span<const std::byte> bytes) { return {bytes.begin(), bytes.end()}; }

std::vector<std::string> payloads_of(const SqliteBatch& batch) {
  std::vector<std::string> payloads;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (!batch.has_left(i)) payloads.push_back(text_of(batch.row(i).payload));
  }
  return payloads;
}

/// Payloads of the sound rows that a search finds.
std::vector<std::string> found_in(std::span<const std::byte> bytes, std::size_t* damaged = nullptr) {
  std::vector<std::string> found;
  SqliteBatch::search(bytes, [&](const StoredRow& row, std::size_t, bool sound) {
    if (sound) found.push_back(text_of(row.payload));
    if (!sound && damaged != nullptr) ++*damaged;
  });
  return found;
}

}  // namespace

TEST_CASE("a batch is read as it was written, with what has left, and nothing but its own bytes is one") {
  SqliteBatch batch = batch_of(40);
  batch.remove(0);
  batch.remove(17);
  const std::vector<std::byte> bytes = copy_of(batch.bytes());
  SqliteBatch read;
  REQUIRE(read.parse(kFirst, bytes));
  CHECK(payloads_of(read) == payloads_of(batch));
  CHECK(read.rows() == 38);
  CHECK(read.first() == kFirst);
  CHECK(read.last() == kFirst + 117);
  CHECK(read.after(kFirst + 4) == 2);
  CHECK(read.after(kFirst - 1) == 0);
  CHECK(read.after(kFirst + 117) == 40);
  CHECK_FALSE(read.parse(kFirst + 1, bytes));  // Of another place.
  for (const std::size_t size : {std::size_t{0}, std::size_t{79}, std::size_t{80}, bytes.size() - 1}) {
    CHECK_FALSE(read.parse(kFirst, std::span(bytes).first(size)));
  }
}

TEST_CASE("what has left a batch is left out when it is written anew, and the rest is in order") {
  SqliteBatch batch = batch_of(100);
  for (std::size_t i = 0; i < 100; ++i) {
    if (i % 9 != 4) batch.remove(i);
  }
  const auto before = payloads_of(batch);
  const std::size_t size = batch.bytes().size();
  CHECK_FALSE(batch.was_compacted());
  batch.compact();
  CHECK(batch.bytes().size() < size / 4);
  CHECK(payloads_of(batch) == before);
  SqliteBatch read;
  REQUIRE(read.parse(kFirst, batch.bytes()));
  CHECK(read.was_compacted());
  CHECK(payloads_of(read) == before);
}

TEST_CASE("a batch takes rows until its bytes or their number are at the limit") {
  SqliteBatch batch;
  std::size_t rows = 0;
  while (add(batch, kFirst + static_cast<std::int64_t>(rows), std::string(256, 'p'))) ++rows;
  CHECK(rows == (SqliteBatch::kBytes - 80) / 300);
  CHECK(batch.bytes().size() <= SqliteBatch::kBytes);
  batch.clear();
  for (rows = 0; add(batch, kFirst + static_cast<std::int64_t>(rows), ""); ++rows) {
  }
  CHECK(rows == SqliteBatch::kRows);
}

TEST_CASE("any damage to the bytes of a batch leaves the rows that it did not touch") {
  run_seeds(200, "any damage to the bytes*", [](std::uint64_t seed) -> std::string {
    sim::SeededEntropy dice(seed);
    const std::size_t rows = 2 + dice.below(60);
    SqliteBatch batch = batch_of(rows);
    std::vector<std::byte> bytes = copy_of(batch.bytes());
    const std::uint64_t hits = 1 + dice.below(3);
    for (std::uint64_t i = 0; i < hits; ++i)
      bytes[dice.below(bytes.size())] ^= static_cast<std::byte>(1 + dice.below(255));
    SqliteBatch read;
    static_cast<void>(read.parse(kFirst, bytes));  // It reads nothing that is not there: the sanitizers watch.
    const std::vector<std::string> found = found_in(bytes);
    if (found.size() + hits < rows) return "found " + std::to_string(found.size()) + " of " + std::to_string(rows);
    for (const std::string& payload : found) {
      if (payload.rfind("payload ", 0) != 0) return "found " + payload;
    }
    return {};
  });
}

TEST_CASE("a search starts anywhere, passes over what it does not know, and tells of rows in line that do not hold") {
  SqliteBatch batch = batch_of(10);
  std::vector<std::byte> bytes = copy_of(batch.bytes());
  CHECK(found_in(std::span(bytes).subspan(5)).size() == 10);
  CHECK(found_in(std::span(bytes).subspan(100)).size() == 9);
  CHECK(found_in({}).empty());
  bytes[bytes.size() - 1] ^= std::byte{1};
  std::size_t damaged = 0;
  CHECK(found_in(bytes, &damaged).size() == 9);
  CHECK(damaged == 1);
}

}  // namespace pannier::testing
