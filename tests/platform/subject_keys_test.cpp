#include <pannier/subject_keys.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <doctest/doctest.h>

#include "platform/posix/system_entropy.h"
#include "tests/support/temp_folder.h"

namespace pannier::posix {
namespace {

std::string content_of_key(const std::filesystem::path& path) {
  std::ifstream file{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{file}, {}};
}

std::filesystem::path only_file_in(const std::string& directory) {
  std::filesystem::directory_iterator files{directory};
  REQUIRE(files != std::filesystem::directory_iterator{});
  return files->path();
}

TEST_CASE("what is sealed for a subject is readable until the subject is forgotten, and never again") {
  const testing::TempFolder folder;
  SystemEntropy entropy;
  auto keys = open_subject_keys(folder / "keys", entropy);
  REQUIRE(keys);
  const auto address = (*keys)->seal("customer-7", "12 Elm Street");
  const auto other = (*keys)->seal("customer-8", "3 Oak Road");
  REQUIRE(address);
  REQUIRE(other);
  CHECK(address->find("Elm") == std::string::npos);
  CHECK(*(*keys)->open("customer-7", *address) == "12 Elm Street");

  REQUIRE((*keys)->forget("customer-7"));
  CHECK((*keys)->open("customer-7", *address).error().code == ErrorCode::not_found);
  CHECK(*(*keys)->open("customer-8", *other) == "3 Oak Road");
  CHECK((*keys)->forget("customer-7"));

  // The customer comes back: a new key, and the old address stays forgotten.
  const auto again = (*keys)->seal("customer-7", "9 Ash Lane");
  REQUIRE(again);
  CHECK((*keys)->open("customer-7", *address).error().code == ErrorCode::not_found);
  CHECK(*(*keys)->open("customer-7", *again) == "9 Ash Lane");
}

TEST_CASE("a forgotten subject's key is in no file of the directory, nor behind another name of its file") {
  const testing::TempFolder folder;
  SystemEntropy entropy;
  auto keys = open_subject_keys(folder / "keys", entropy);
  REQUIRE(keys);
  REQUIRE((*keys)->seal("customer-7", "12 Elm Street"));
  const auto path = only_file_in(folder / "keys");
  CHECK((std::filesystem::status(path).permissions() & std::filesystem::perms::all) ==
        (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
  const std::string key = content_of_key(path).substr(8);
  REQUIRE(key.size() == 32);
  std::filesystem::create_hard_link(path, folder / "link");  // shows that the bytes are overwritten, not only unlinked
  REQUIRE((*keys)->forget("customer-7"));
  CHECK_FALSE(std::filesystem::exists(path));
  for (const auto& each : std::filesystem::recursive_directory_iterator{folder.path()}) {
    if (each.is_regular_file()) CHECK(content_of_key(each.path()).find(key) == std::string::npos);
  }
}

TEST_CASE("keys outlive the process, half a key file is replaced, and damage is no forgetting") {
  const testing::TempFolder folder;
  SystemEntropy entropy;
  std::string sealed = *(*open_subject_keys(folder / "keys", entropy))->seal("customer-7", "12 Elm Street");
  auto keys = open_subject_keys(folder / "keys", entropy);
  REQUIRE(keys);
  CHECK(*(*keys)->open("customer-7", sealed) == "12 Elm Street");
  CHECK((*keys)->open("customer-7", "short").error().code == ErrorCode::corrupt);
  sealed.back() = static_cast<char>(sealed.back() ^ 1);
  CHECK((*keys)->open("customer-7", sealed).error().code == ErrorCode::corrupt);
  CHECK((*keys)->seal("", "x").error().code == ErrorCode::invalid_argument);

  std::filesystem::resize_file(only_file_in(folder / "keys"), 20);
  const auto fresh = (*keys)->seal("customer-7", "9 Ash Lane");
  REQUIRE(fresh);
  CHECK(*(*keys)->open("customer-7", *fresh) == "9 Ash Lane");
}

}  // namespace
}  // namespace pannier::posix
