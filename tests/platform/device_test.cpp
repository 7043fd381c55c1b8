#include "platform/posix/device.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>

#include <doctest/doctest.h>
#include "tests/support/temp_folder.h"

namespace pannier::posix {
namespace {

using testing::TempFolder;

TEST_CASE("a folder's file system is known by its type, its room and its options") {
  const auto proc = look_at_file_system("/proc");
  REQUIRE(proc);
  CHECK(proc->type == "proc");
  CHECK(proc->disk.empty());
  const TempFolder folder;
  const auto own = look_at_file_system(folder.path());
  REQUIRE(own);
  CHECK(!own->type.empty());
  CHECK(own->free_bytes > 0);
  CHECK(own->options.find(",rw,") != std::string::npos);
  CHECK(look_at_file_system(folder / "none").error().code == ErrorCode::not_found);
}

TEST_CASE("in a root directory that is no mount point a file system is known all the same") {
  const TempFolder folder;
  const pid_t child = ::fork();
  if (child == 0) {
    if (::chroot(folder.path().c_str()) != 0) ::_exit(77);
    const auto facts = look_at_file_system("/");
    ::_exit(facts && !facts->type.empty() && facts->options == ",rw," ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) {
    MESSAGE("not tried: chroot is for root");
  } else {
    CHECK(WEXITSTATUS(status) == 0);
  }
}

TEST_CASE("syncs are measured in a folder, and leave nothing there") {
  const TempFolder folder;
  const auto syncs = measure_syncs(folder.path(), std::chrono::milliseconds{20});
  REQUIRE(syncs);
  CHECK(syncs->synced.size() >= 5);
  CHECK(std::is_sorted(syncs->synced.begin(), syncs->synced.end()));
  CHECK(syncs->synced.front() > Duration::zero());
  CHECK(std::filesystem::is_empty(folder.path()));

  const auto nowhere = measure_syncs(folder / "none", std::chrono::milliseconds{20});
  REQUIRE(!nowhere);
  CHECK(nowhere.error().code == ErrorCode::not_found);
  CHECK(nowhere.error().detail.find(folder / "none") != std::string::npos);
}

TEST_CASE("this machine's monotonic clock ticks and does not go back, on any core") {
  const ClockFacts facts = ClockWatch{}.look();
  CHECK(facts.steps_back == Duration::zero());
  CHECK(facts.resolution > Duration::zero());
  CHECK(facts.wall > WallTime{std::chrono::seconds{1'700'000'000}});
}

TEST_CASE("limits of descriptors and memory are those of this process and machine") {
  rlimit limit{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  CHECK(look_at_descriptors().limit == limit.rlim_cur);
  CHECK(look_at_memory().total_bytes > look_at_memory().available_bytes);
  CHECK(look_at_memory().available_bytes > 0);
}

}  // namespace
}  // namespace pannier::posix
