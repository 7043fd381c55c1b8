#pragma once

#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>

#include <doctest/doctest.h>

#include <pannier/sqlite_store.h>

/// What the tests of the SQLite store share.
namespace pannier::testing {

inline StorePtr open_or_fail(const SqliteOptions& options) {
  Result<StorePtr> opened = open_sqlite_store(options);
  INFO((opened ? std::string() : opened.error().text()));
  REQUIRE(opened.ok());
  return std::move(*opened);
}

/// The error of an open that must fail; it must name the file.
inline Error refusal(const SqliteOptions& options) {
  Result<StorePtr> opened = open_sqlite_store(options);
  REQUIRE_FALSE(opened.ok());
  CHECK(opened.error().detail.find(options.path) != std::string::npos);
  CHECK(opened.error().detail.find('\n') == std::string::npos);
  return opened.error();
}

inline std::string load(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void save(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

/// As in store_writer.cpp.
inline std::string written_payload(Sequence sequence) {
  std::string payload = std::to_string(sequence);
  payload.append(100 + sequence % 700, static_cast<char>('a' + sequence % 26));
  return payload;
}

}  // namespace pannier::testing
