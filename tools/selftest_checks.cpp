#include "tools/selftest_checks.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>

namespace pannier::tools {
namespace {

using posix::FileSystemFacts;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t kMegabyte = 1024 * 1024;

/// A journal, a WAL and a few messages; less, and nothing fits.
constexpr std::uint64_t kLeastRoom = 8 * kMegabyte;
constexpr std::uint64_t kGoodRoom = 64 * kMegabyte;
/// Ours is 4 MB idle; bounded mailboxes and a link's buffers come on top under load.
constexpr std::uint64_t kLeastMemory = 16 * kMegabyte;
constexpr std::uint64_t kGoodMemory = 64 * kMegabyte;
/// Standard streams, store and WAL, wake-ups, ZeroMQ's own; and what one link takes at each end.
constexpr std::uint64_t kOwnDescriptors = 48;
constexpr std::uint64_t kDescriptorsALink = 4;

/// No device across a bus has a flushed block on its medium sooner: the fastest of 2025 (flash behind capacitors, PCIe)
/// takes about 10 us, and the kernel's part comes on top. What is faster answers from memory.
constexpr Duration kFastestSync = microseconds{15};
/// Programming a page of NAND flash takes 200 us and more (data sheets of eMMC's flash), and no card has capacitors.
constexpr Duration kFastestCardSync = microseconds{150};
/// A flush that adds less than this part to a write did nothing.
constexpr int kFlushPart = 10;
constexpr Duration kSlowSync = milliseconds{100};

/// Timers and deadlines are of milliseconds.
constexpr Duration kCoarse = milliseconds{10};
constexpr Duration kWallStep = milliseconds{500};
/// 2026-01-01: no device runs this program before it was written.
constexpr WallTime kWritten{seconds{1'767'225'600}};

bool is_any_of(std::string_view text, std::initializer_list<std::string_view> all) {
  return std::find(all.begin(), all.end(), text) != all.end();
}

bool has_option(const FileSystemFacts& facts, std::string_view option) {
  return facts.options.find("," + std::string{option} + ",") != std::string::npos;
}

std::string bytes(std::uint64_t value) {
  std::array<char, 32> text{};
  const auto megabytes = static_cast<double>(value) / static_cast<double>(kMegabyte);
  std::snprintf(text.data(), text.size(), megabytes >= 1024 ? "%.1f GB" : "%.0f MB",
                megabytes >= 1024 ? megabytes / 1024 : megabytes);
  return text.data();
}

std::string time(Duration value) {
  std::array<char, 32> text{};
  const auto us = static_cast<double>(value.count()) / 1e3;
  if (us < 1) return std::to_string(value.count()) + " ns";
  std::snprintf(text.data(), text.size(),
                us < 1000     ? "%.0f us"
                : us < 10'000 ? "%.1f ms"
                              : "%.0f ms",
                us < 1000 ? us : us / 1000);
  return text.data();
}

std::string day(WallTime wall) {
  const std::time_t when = std::chrono::duration_cast<seconds>(wall.time_since_epoch()).count();
  std::tm utc{};
  gmtime_r(&when, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M UTC", &utc);
  return text.data();
}

std::uint64_t in_us(Duration value) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<microseconds>(value).count());
}

Duration median(const std::vector<Duration>& sorted) { return sorted[sorted.size() / 2]; }

void add(Check& check, Verdict verdict, std::string_view text) {
  check.verdict = std::max(check.verdict, verdict);
  check.text += "; " + std::string{text};
}

/// Whether a sync of this file system asks the device for anything.
void judge_options(Check& check, const FileSystemFacts& facts) {
  for (const std::string_view off : {"nobarrier", "barrier=0", "fsync_mode=nobarrier", "volatile"}) {
    if (has_option(facts, off)) {
      add(check, Verdict::suspicious,
          "mounted with " + std::string{off} + ", so that a sync does not reach the device: take the option away");
    }
  }
}

/// Why the syncs cannot be what they say; empty where nothing speaks against them.
std::string distrust(const posix::SyncFacts& syncs, const FileSystemFacts& where, Verdict& verdict) {
  const bool card = where.disk.starts_with("mmcblk");
  const Duration synced = median(syncs.synced);
  verdict = Verdict::suspicious;
  if (synced < (card ? kFastestCardSync : kFastestSync)) {
    return "faster than " + std::string{card ? "the flash of a card" : "any storage"} +
           " can be: something on the way answers for it";
  }
  if (!where.volatile_cache || syncs.unsynced.empty()) return {};
  const Duration unsynced = median(syncs.unsynced);
  if (synced - unsynced >= unsynced / kFlushPart) return {};
  // A server's disk may have capacitors to empty its cache by; a card has none.
  if (!card) verdict = Verdict::warning;
  return where.disk + " has a write cache, and flushing it takes no time: " +
         (card ? "it does not do it" : "right only if it is protected against power loss");
}

}  // namespace

std::string_view to_string(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::ok: return "ok";
    case Verdict::skipped: return "skipped";
    case Verdict::warning: return "warning";
    case Verdict::suspicious: return "suspicious";
    case Verdict::failed: return "failed";
  }
  return "?";
}

Check judge_file_system(const FileSystemFacts& facts, std::uint64_t wanted_bytes) {
  Check check{"file system", Verdict::ok, {}, {{"free_bytes", facts.free_bytes}}};
  check.text = facts.folder + ": " + (facts.type.empty() ? "of an unknown type" : facts.type) +
               (facts.disk.empty() ? "" : " on " + facts.disk) + ", " + bytes(facts.free_bytes) + " free";
  if (is_any_of(facts.type, {"tmpfs", "ramfs", "devtmpfs"})) {
    add(check, Verdict::failed, "it is in memory, and what is stored there is lost at a power cut");
  } else if (is_any_of(facts.type, {"nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "ceph"}) ||
             facts.type.starts_with("fuse")) {
    add(check, Verdict::warning, "syncs and locks are another machine's or program's word: use a local disk");
  } else if (facts.type == "overlay") {
    add(check, Verdict::warning, "it is as durable as the file system beneath: give the store one of its own");
  } else if (is_any_of(facts.type, {"vfat", "msdos", "exfat", "ext2"})) {
    add(check, Verdict::warning, "it has no journal, and a power cut may damage it: use ext4 or F2FS");
  } else if (facts.type.empty()) {
    add(check, Verdict::warning, "look up what it promises about fsync");
  }
  judge_options(check, facts);
  if (has_option(facts, "ro")) add(check, Verdict::failed, "it is mounted read-only");
  if (facts.free_bytes < kLeastRoom) {
    add(check, Verdict::failed, "a store needs " + bytes(kLeastRoom) + " at least");
  } else if (wanted_bytes > facts.free_bytes) {
    add(check, Verdict::warning, "less than the " + bytes(wanted_bytes) + " of store_max_bytes");
  } else if (facts.free_bytes < kGoodRoom) {
    add(check, Verdict::warning, "little for a long outage of the link");
  }
  return check;
}

Check judge_syncs(const posix::SyncFacts& syncs, const FileSystemFacts& where) {
  const Duration typical = median(syncs.synced);
  Duration total{};
  for (const Duration each : syncs.synced) total += each;
  const auto rate = static_cast<std::uint64_t>(static_cast<double>(syncs.synced.size()) * 1e9 /
                                               static_cast<double>(std::max<Duration::rep>(total.count(), 1)));
  Check check{"sync", Verdict::ok, {}, {}};
  check.figures = {{"syncs_per_s", rate}, {"median_us", in_us(typical)}, {"worst_us", in_us(syncs.synced.back())}};
  check.text = std::to_string(rate) + " fdatasync/s, median " + time(typical) + ", worst " + time(syncs.synced.back());
  if (!syncs.unsynced.empty()) {
    check.figures.emplace_back("unsynced_median_us", in_us(median(syncs.unsynced)));
    check.text += ", without a flush " + time(median(syncs.unsynced));
  }
  Verdict verdict = Verdict::ok;
  if (const std::string why = distrust(syncs, where, verdict); !why.empty()) {
    add(check, verdict, why);
  } else if (typical > kSlowSync) {
    add(check, Verdict::warning, "slow: each receipt waits for one");
  }
  return check;
}

Check judge_clock(const posix::ClockFacts& facts) {
  Check check{"clock", Verdict::ok, {}, {}};
  check.figures = {{"resolution_ns", static_cast<std::uint64_t>(facts.resolution.count())},
                   {"wall_s", in_us(facts.wall.time_since_epoch()) / 1'000'000}};
  check.text = "monotonic in steps of " + time(facts.resolution) + ", wall clock " + day(facts.wall) +
               (facts.synchronised ? ", kept right" : ", kept by nobody that the kernel knows of");
  if (facts.steps_back > Duration::zero()) {
    add(check, Verdict::failed, "the monotonic clock went back by " + time(facts.steps_back) + " between two looks");
  }
  if (facts.resolution > kCoarse) add(check, Verdict::warning, "too coarse for deadlines of milliseconds");
  if (!facts.sees_suspend) add(check, Verdict::warning, "it stands still while the device is suspended");
  if (facts.wall < kWritten) {
    add(check, Verdict::warning, "that time is past: logs and ages will be wrong until something sets the clock");
  }
  if (facts.wall_step > kWallStep) {
    add(check, Verdict::warning, "the wall clock was set by " + time(facts.wall_step) + " during the test");
  }
  return check;
}

Check judge_descriptors(const posix::DescriptorFacts& facts, std::uint64_t links) {
  const std::uint64_t needed = kOwnDescriptors + kDescriptorsALink * links;
  Check check{"descriptors", Verdict::ok, {}, {{"limit", facts.limit}, {"needed", needed}}};
  check.text = "this process may have " + std::to_string(facts.limit) + " open, a node of this configuration needs " +
               std::to_string(needed);
  if (facts.limit < needed) {
    add(check, Verdict::failed, "raise the limit (ulimit -n, LimitNOFILE=)");
  } else if (facts.limit < 2 * needed) {
    add(check, Verdict::warning, "strangers that connect at once may use up the rest");
  }
  return check;
}

Check judge_memory(const posix::MemoryFacts& facts) {
  Check check{"memory", Verdict::ok, {}, {}};
  if (facts.total_bytes == 0) return {"memory", Verdict::skipped, "the system does not tell", {}};
  check.figures = {{"total_bytes", facts.total_bytes}, {"available_bytes", facts.available_bytes}};
  check.text = bytes(facts.available_bytes) + " of " + bytes(facts.total_bytes) + " available";
  if (facts.available_bytes < kLeastMemory) {
    add(check, Verdict::failed, "a node needs " + bytes(kLeastMemory) + " under load");
  } else if (facts.available_bytes < kGoodMemory) {
    add(check, Verdict::warning, "the system may end processes for want of it");
  }
  return check;
}

}  // namespace pannier::tools
