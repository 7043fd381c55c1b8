#include "tools/selftest_checks.h"

#include <doctest/doctest.h>

#include <chrono>

namespace pannier::tools {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t kGigabyte = 1024ULL * 1024 * 1024;

posix::FileSystemFacts file_system(const std::string& type, const std::string& disk = "mmcblk0",
                                   const std::string& options = ",rw,relatime,") {
  posix::FileSystemFacts facts;
  facts.folder = "/var/lib/pannier";
  facts.type = type;
  facts.disk = disk;
  facts.options = options;
  facts.free_bytes = kGigabyte;
  return facts;
}

Verdict verdict_on(const posix::FileSystemFacts& facts, std::uint64_t wanted = 0) {
  return judge_file_system(facts, wanted).verdict;
}

posix::SyncFacts syncs(Duration synced, Duration unsynced = Duration::zero()) {
  posix::SyncFacts facts;
  facts.synced.assign(9, synced);
  if (unsynced != Duration::zero()) facts.unsynced.assign(9, unsynced);
  return facts;
}

TEST_CASE("ext4 and F2FS on flash are good places for a store, memory and what is read-only are none") {
  CHECK(verdict_on(file_system("ext4")) == Verdict::ok);
  CHECK(verdict_on(file_system("f2fs")) == Verdict::ok);
  posix::FileSystemFacts memory = file_system("tmpfs", "");
  memory.in_memory = true;
  CHECK(verdict_on(memory) == Verdict::failed);
  CHECK(verdict_on(file_system("ext4", "mmcblk0", ",ro,relatime,")) == Verdict::failed);
}

TEST_CASE("a file system that cannot promise what a store rests on is named with what to do") {
  for (const char* type : {"nfs4", "fuse.sshfs", "9p", "overlay", "vfat", "ext2", ""}) {
    INFO(type);
    CHECK(verdict_on(file_system(type, "")) == Verdict::warning);
  }
}

TEST_CASE("mount options that keep a sync from the device make it suspicious") {
  for (const char* options : {",rw,nobarrier,", ",rw,relatime,rw,barrier=0,", ",rw,fsync_mode=nobarrier,"}) {
    INFO(options);
    CHECK(verdict_on(file_system("ext4", "mmcblk0", options)) == Verdict::suspicious);
  }
}

TEST_CASE("room that is short of the store's bound is a warning, room for nothing fails") {
  auto facts = file_system("ext4");
  CHECK(verdict_on(facts, 2 * kGigabyte) == Verdict::warning);
  facts.free_bytes = 1024 * 1024;
  CHECK(verdict_on(facts) == Verdict::failed);
}

TEST_CASE("syncs that no storage can do are suspicious, those of a slow card are only slow") {
  const auto card = file_system("ext4");
  const auto disk = file_system("ext4", "nvme0n1");
  CHECK(judge_syncs(syncs(milliseconds{4}), card).verdict == Verdict::ok);
  CHECK(judge_syncs(syncs(microseconds{40}), card).verdict == Verdict::suspicious);
  CHECK(judge_syncs(syncs(microseconds{40}), disk).verdict == Verdict::ok);
  CHECK(judge_syncs(syncs(microseconds{5}), disk).verdict == Verdict::suspicious);
  CHECK(judge_syncs(syncs(milliseconds{400}), card).verdict == Verdict::warning);
}

TEST_CASE("a flush of a write cache that takes no time is suspicious on a card, and a question on a server's disk") {
  auto card = file_system("ext4");
  auto disk = file_system("ext4", "nvme0n1");
  const auto free_flush = syncs(milliseconds{1}, microseconds{980});
  CHECK(judge_syncs(free_flush, card).verdict == Verdict::ok);  // it has no cache: nothing to flush
  card.volatile_cache = disk.volatile_cache = true;
  CHECK(judge_syncs(free_flush, card).verdict == Verdict::suspicious);
  CHECK(judge_syncs(free_flush, disk).verdict == Verdict::warning);
  CHECK(judge_syncs(syncs(milliseconds{3}, milliseconds{1}), card).verdict == Verdict::ok);
}

TEST_CASE("the rate of syncs is told with its median and its worst") {
  posix::SyncFacts facts;
  facts.synced = {milliseconds{1}, milliseconds{2}, milliseconds{9}};
  const Check check = judge_syncs(facts, file_system("ext4"));
  CHECK(check.text == "250 fdatasync/s, median 2.0 ms, worst 9.0 ms");
  CHECK(check.figures.at(0).name == std::string{"syncs_per_s"});
  CHECK(check.figures.at(0).value == 250);
}

posix::ClockFacts clock_facts() {
  posix::ClockFacts facts;
  facts.resolution = std::chrono::nanoseconds{40};
  facts.sees_suspend = true;
  facts.synchronised = true;
  facts.wall = WallTime{seconds{1'800'000'000}};
  return facts;
}

TEST_CASE("a monotonic clock that goes back fails; a wall clock that was never set is a warning") {
  CHECK(judge_clock(clock_facts()).verdict == Verdict::ok);
  auto facts = clock_facts();
  facts.steps_back = microseconds{3};
  CHECK(judge_clock(facts).verdict == Verdict::failed);
  facts = clock_facts();
  facts.wall = WallTime{seconds{86400}};
  CHECK(judge_clock(facts).verdict == Verdict::warning);
  CHECK(judge_clock(facts).text.find("1970-01-02") != std::string::npos);
  facts = clock_facts();
  facts.wall_step = seconds{3600};
  CHECK(judge_clock(facts).verdict == Verdict::warning);
  facts = clock_facts();
  facts.resolution = milliseconds{20};
  CHECK(judge_clock(facts).verdict == Verdict::warning);
}

TEST_CASE("descriptors are counted against the links that the configuration names") {
  CHECK(judge_descriptors({1024, 4096}, 1).verdict == Verdict::ok);
  CHECK(judge_descriptors({1024, 4096}, 200).verdict == Verdict::warning);
  CHECK(judge_descriptors({1024, 4096}, 300).verdict == Verdict::failed);
}

TEST_CASE("memory that is short is said before the system ends processes for it") {
  CHECK(judge_memory({kGigabyte, kGigabyte / 2}).verdict == Verdict::ok);
  CHECK(judge_memory({kGigabyte, kGigabyte / 32}).verdict == Verdict::warning);
  CHECK(judge_memory({kGigabyte, kGigabyte / 128}).verdict == Verdict::failed);
  CHECK(judge_memory({0, 0}).verdict == Verdict::skipped);
}

}  // namespace
}  // namespace pannier::tools
