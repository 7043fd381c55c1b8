// An entry of rows that came together, as bytes (docs/storage.md, Batch).

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <pannier/limits.h>
#include <pannier/sim.h>
#include "runtime/store/sqlite/format.h"
#include "runtime/store/store.h"
#include "tests/contract/store_support.h"
#include "tests/support/campaign.h"

namespace pannier::testing {
namespace {

using namespace pannier::contract;

constexpr std::int64_t kFirst = std::int64_t{1} << limits::kSequenceBits;

bool add(SqliteBatch& batch, std::int64_t position, const std::string& payload) {
  Row row;
  row.key = "order-1";
  row.payload = std::as_bytes(std::span{payload});
  std::string head;
  encode_head(row, head);
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
    if (!batch.is_gone(i)) payloads.push_back(text_of(batch.row(i).payload));
  }
  return payloads;
}

}  // namespace

TEST_CASE("a batch is read as it was written, with the rows that are gone, and nothing but its own bytes is one") {
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
  for (const std::size_t size : {std::size_t{0}, std::size_t{65}, std::size_t{66}, bytes.size() - 1}) {
    CHECK_FALSE(read.parse(kFirst, std::span(bytes).first(size)));
  }
}

TEST_CASE("a batch that is cut off gives the rows before the cut, and says how many it had") {
  SqliteBatch batch = batch_of(40);
  batch.remove(3);
  const std::vector<std::byte> bytes = copy_of(batch.bytes());
  const std::vector<std::string> all = payloads_of(batch);
  std::size_t rows = 0;
  for (std::size_t size = 66; size <= bytes.size(); ++size) {
    SqliteBatch read;
    REQUIRE(read.parse(kFirst, std::span(bytes).first(size), SqliteBatch::Parse::prefix));
    CHECK(read.rows_told() == 40);
    const std::vector<std::string> found = payloads_of(read);
    REQUIRE(found.size() >= rows);
    rows = found.size();
    CHECK(std::equal(found.begin(), found.end(), all.begin()));
  }
  CHECK(rows == 39);
  CHECK_FALSE(SqliteBatch().parse(kFirst, std::span(bytes).first(65), SqliteBatch::Parse::prefix));
}

TEST_CASE("rows that are gone are left out when a batch is compacted, and the rest is in order") {
  SqliteBatch batch = batch_of(100);
  for (std::size_t i = 0; i < 100; ++i) {
    if (i % 9 != 4) batch.remove(i);
  }
  const auto before = payloads_of(batch);
  const std::size_t size = batch.bytes().size();
  batch.compact();
  CHECK(batch.bytes().size() < size / 4);
  CHECK(payloads_of(batch) == before);
  SqliteBatch read;
  REQUIRE(read.parse(kFirst, batch.bytes()));
  CHECK(payloads_of(read) == before);
}

TEST_CASE("a batch takes rows until its bytes or their number are at the limit") {
  SqliteBatch batch;
  std::size_t rows = 0;
  while (add(batch, kFirst + static_cast<std::int64_t>(rows), std::string(256, 'p'))) ++rows;
  CHECK(rows == (SqliteBatch::kBytes - 66) / (14 + 17 + 7 + 256));
  CHECK(batch.bytes().size() <= SqliteBatch::kBytes);
  batch.clear();
  for (rows = 0; add(batch, kFirst + static_cast<std::int64_t>(rows), ""); ++rows) {
  }
  CHECK(rows == SqliteBatch::kRows);
}

TEST_CASE("whatever the bytes of a batch are, reading them stays within them") {
  run_seeds(200, "whatever the bytes of a batch*", [](std::uint64_t seed) -> std::string {
    sim::SeededEntropy dice(seed);
    SqliteBatch batch = batch_of(2 + dice.below(60));
    std::vector<std::byte> bytes = copy_of(batch.bytes());
    for (std::uint64_t i = 1 + dice.below(3); i > 0; --i) {
      bytes[dice.below(bytes.size())] ^= static_cast<std::byte>(1 + dice.below(255));
    }
    for (const auto what : {SqliteBatch::Parse::whole, SqliteBatch::Parse::prefix}) {
      SqliteBatch read;
      if (!read.parse(kFirst, bytes, what)) continue;
      std::size_t size = 0;
      for (std::size_t i = 0; i < read.size(); ++i) size += read.row(i).head.size() + read.row(i).payload.size();
      if (size > bytes.size()) return "rows of " + std::to_string(size) + " bytes in " + std::to_string(bytes.size());
    }
    return {};
  });
}

}  // namespace pannier::testing
