#include "tools/selftest_checks.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <string_view>

#include "tools/output.h"

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

unsigned long long as_printed(std::uint64_t value) { return value; }

bool is_any_of(std::string_view text, std::initializer_list<std::string_view> all) {
  return std::find(all.begin(), all.end(), text) != all.end();
}

bool has_option(const FileSystemFacts& facts, std::string_view option) {
  return facts.options.find("," + std::string{option} + ",") != std::string::npos;
}

std::string bytes(std::uint64_t value) {
  const auto megabytes = value / kMegabyte;
  return megabytes < 1024
             ? format("%llu MB", as_printed(megabytes))
             : format("%llu.%llu GB", as_printed(megabytes / 1024), as_printed(megabytes % 1024 * 10 / 1024));
}

std::string time(Duration value) {
  const auto us = value.count() / 1000;
  if (us < 1) return format("%lld ns", static_cast<long long>(value.count()));
  if (us < 1000) return format("%lld us", static_cast<long long>(us));
  if (us < 10'000)
    return format("%lld.%lld ms", static_cast<long long>(us / 1000), static_cast<long long>(us % 1000 / 100));
  return format("%lld ms", static_cast<long long>(us / 1000));
}

std::string day(WallTime wall) {
  const std::time_t when = std::chrono::duration_cast<seconds>(wall.time_since_epoch()).count();
  std::tm utc{};
  gmtime_r(&when, &utc);
  return format("%04d-%02d-%02d %02d:%02d UTC", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour,
                utc.tm_min);
}

std::uint64_t in_us(Duration value) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<microseconds>(value).count());
}

Duration median(const std::vector<Duration>& sorted) { return sorted[sorted.size() / 2]; }

void add(Check& check, Verdict verdict, const std::string& text) {
  check.verdict = std::max(check.verdict, verdict);
  check.text.append("; ").append(text);
}

/// Whether a sync of this file system asks the device for anything.
void judge_options(Check& check, const FileSystemFacts& facts) {
  for (const char* off : {"nobarrier", "barrier=0", "fsync_mode=nobarrier", "volatile"}) {
    if (!has_option(facts, off)) continue;
    add(check, Verdict::suspicious,
        format("mounted with %s, so that a sync does not reach the device: take the option away", off));
  }
}

/// Why the syncs cannot be what they say; empty where nothing speaks against them.
std::string distrust(const posix::SyncFacts& syncs, const FileSystemFacts& where, Verdict& verdict) {
  const bool card = where.disk.starts_with("mmcblk");
  const Duration synced = median(syncs.synced);
  verdict = Verdict::suspicious;
  if (synced < (card ? kFastestCardSync : kFastestSync)) {
    return format("faster than %s can be: something on the way answers for it",
                  card ? "the flash of a card" : "any storage");
  }
  if (!where.volatile_cache || syncs.unsynced.empty()) return {};
  const Duration unsynced = median(syncs.unsynced);
  if (synced - unsynced >= unsynced / kFlushPart) return {};
  // A server's disk may have capacitors to empty its cache by; a card has none.
  if (!card) verdict = Verdict::warning;
  return format("%s has a write cache, and flushing it takes no time: %s", where.disk.c_str(),
                card ? "it does not do it" : "right only if it is protected against power loss");
}

}  // namespace

const char* to_string(Verdict verdict) noexcept {
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
  check.text = format("%s: %s%s%s, %s free", facts.folder.c_str(),
                      facts.type.empty() ? "of an unknown type" : facts.type.c_str(), facts.disk.empty() ? "" : " on ",
                      facts.disk.c_str(), bytes(facts.free_bytes).c_str());
  if (facts.in_memory) {
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
    add(check, Verdict::failed, format("a store needs %s at least", bytes(kLeastRoom).c_str()));
  } else if (wanted_bytes > facts.free_bytes) {
    add(check, Verdict::warning, format("less than the %s of store_max_bytes", bytes(wanted_bytes).c_str()));
  } else if (facts.free_bytes < kGoodRoom) {
    add(check, Verdict::warning, "little for a long outage of the link");
  }
  return check;
}

Check judge_syncs(const posix::SyncFacts& syncs, const FileSystemFacts& where) {
  const Duration typical = median(syncs.synced);
  Duration total{};
  for (const Duration each : syncs.synced) total += each;
  const auto rate =
      syncs.synced.size() * 1'000'000'000ULL / static_cast<std::uint64_t>(std::max<Duration::rep>(total.count(), 1));
  Check check{"sync", Verdict::ok, {}, {}};
  check.figures = {{"syncs_per_s", rate}, {"median_us", in_us(typical)}, {"worst_us", in_us(syncs.synced.back())}};
  check.text = format("%llu fdatasync/s, median %s, worst %s", as_printed(rate), time(typical).c_str(),
                      time(syncs.synced.back()).c_str());
  if (!syncs.unsynced.empty()) {
    check.figures.push_back({"unsynced_median_us", in_us(median(syncs.unsynced))});
    check.text.append(", without a flush ").append(time(median(syncs.unsynced)));
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
  check.text = format("monotonic in steps of %s, wall clock %s, kept %s", time(facts.resolution).c_str(),
                      day(facts.wall).c_str(), facts.synchronised ? "right" : "by nobody that the kernel knows of");
  if (facts.steps_back > Duration::zero()) {
    add(check, Verdict::failed,
        format("the monotonic clock went back by %s between two looks", time(facts.steps_back).c_str()));
  }
  if (facts.resolution > kCoarse) add(check, Verdict::warning, "too coarse for deadlines of milliseconds");
  if (!facts.sees_suspend) add(check, Verdict::warning, "it stands still while the device is suspended");
  if (facts.wall < kWritten) {
    add(check, Verdict::warning, "that time is past: logs and ages will be wrong until something sets the clock");
  }
  if (facts.wall_step > kWallStep) {
    add(check, Verdict::warning, format("the wall clock was set by %s during the test", time(facts.wall_step).c_str()));
  }
  return check;
}

Check judge_descriptors(const posix::DescriptorFacts& facts, std::uint64_t links) {
  const std::uint64_t needed = kOwnDescriptors + kDescriptorsALink * links;
  Check check{"descriptors", Verdict::ok, {}, {{"limit", facts.limit}, {"needed", needed}}};
  check.text = format("this process may have %llu open, a node of this configuration needs %llu",
                      as_printed(facts.limit), as_printed(needed));
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
  check.text = format("%s of %s available", bytes(facts.available_bytes).c_str(), bytes(facts.total_bytes).c_str());
  if (facts.available_bytes < kLeastMemory) {
    add(check, Verdict::failed, format("a node needs %s under load", bytes(kLeastMemory).c_str()));
  } else if (facts.available_bytes < kGoodMemory) {
    add(check, Verdict::warning, "the system may end processes for want of it");
  }
  return check;
}

}  // namespace pannier::tools
