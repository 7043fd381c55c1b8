#include "runtime/store/sqlite/page_sums.h"

#include <cstddef>
#include <cstdint>
#include <vector>

#include <doctest/doctest.h>

#include "runtime/store/sqlite/page_sum.h"

namespace pannier::testing {
namespace {

using Beside = PageSums::Beside;

std::vector<std::byte> page_of(int seed, std::uint32_t number = 7) {
  std::vector<std::byte> page(kPageBytes);
  for (std::size_t i = 0; i < page.size(); ++i)
    page[i] = static_cast<std::byte>(static_cast<std::size_t>(seed) * i >> 3U);
  seal_page(number, page);
  return page;
}

/// What a file gives back.
PageSums through_file(PageSums& sums, const LogNumber& log, Beside beside) {
  PageSums read;
  read.take(sums.sealed(log, beside));
  return read;
}

}  // namespace

TEST_CASE("a list of pages knows what was written, to the bit, through a file") {
  PageSums sums;
  CHECK_FALSE(sums.changed());
  sums.written(7, page_of(1));
  CHECK(sums.changed());
  const PageSums read = through_file(sums, {5, 2}, Beside::this_and_next);
  CHECK_FALSE(sums.changed());
  CHECK(read.log() == LogNumber{5, 2});
  CHECK(read.page(7) == 7);
  CHECK(read.page(8) == 0);
  std::vector<std::byte> page = page_of(1);
  CHECK(read.holds(7, page));
  for (std::size_t bit = 0; bit < 8 * (page.size() - kPageSumBytes); bit += 37) {
    page[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
    CHECK_FALSE(read.holds(7, page));
    page[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
  }
}

TEST_CASE("of pages that share a place the one that was written last is known") {
  PageSums sums;
  sums.written(7, page_of(1));
  sums.written(7 + PageSums::kPlaces, page_of(2, 7 + PageSums::kPlaces));
  CHECK(sums.page(7) == 7 + PageSums::kPlaces);
  CHECK(sums.holds(7, page_of(2, 7 + PageSums::kPlaces)));
  sums.forget(7);
  CHECK(sums.page(7) == 7 + PageSums::kPlaces);
  sums.forget(7 + PageSums::kPlaces);
  CHECK(sums.page(7) == 0);
}

TEST_CASE("a list that is not whole says nothing") {
  PageSums sums;
  sums.written(7, page_of(1));
  const auto sealed = sums.sealed({5, 2}, Beside::this_and_next);
  std::vector<std::byte> file(sealed.begin(), sealed.end());
  for (const std::size_t at : {std::size_t{0}, std::size_t{12}, std::size_t{90}, file.size() - 1}) {
    file[at] ^= std::byte{1};
    PageSums read;
    read.take(file);
    CHECK(read.page(7) == 0);
    file[at] ^= std::byte{1};
  }
  PageSums read;
  read.take(std::span{file}.first(file.size() - 1));
  CHECK(read.page(7) == 0);
  read.take(file);
  CHECK(read.page(7) == 7);
}

TEST_CASE("a list is true beside the logs that its word is about, and no others") {
  const auto beside = [](Beside word, const LogNumber* log) {
    PageSums sums;
    return through_file(sums, {5, 2}, word).is_true_beside(log);
  };
  const LogNumber before{5, 1}, same{5, 2}, next{5, 3}, later{5, 4}, first_of_other{9, 0}, second_of_other{9, 1};
  for (const Beside word : {Beside::this_and_next, Beside::none, Beside::this_only}) {
    CAPTURE(static_cast<std::uint32_t>(word));
    CHECK_FALSE(beside(word, &before));
    CHECK(beside(word, &same));
    CHECK(beside(word, &next) == (word != Beside::this_only));
    CHECK_FALSE(beside(word, &later));
    CHECK(beside(word, nullptr) == (word == Beside::none));
    CHECK(beside(word, &first_of_other) == (word == Beside::none));
    CHECK_FALSE(beside(word, &second_of_other));
  }
}

}  // namespace pannier::testing
