#include "platform/posix/device.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/timex.h>
#include <time.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <string_view>

#include <pannier/platform.h>
#include "platform/posix/system_clock.h"

namespace pannier::posix {
namespace {

constexpr int kLooks = 20'000;

std::uint64_t kilobytes_of(std::string_view text, std::string_view name) noexcept {
  const std::size_t at = text.find(name);
  if (at == std::string_view::npos) return 0;
  text.remove_prefix(at + name.size());
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

/// Calls `look` on each core this thread may use, then restores its affinity.
template <class Look>
void on_each_core(Look&& look) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return look();
  for (std::size_t core = 0; core < CPU_SETSIZE; ++core) {
    if (!CPU_ISSET(core, &allowed)) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    if (sched_setaffinity(0, sizeof one, &one) == 0) look();
  }
  sched_setaffinity(0, sizeof allowed, &allowed);
}

bool kernel_keeps_wall_clock() noexcept {
  timex state{};  // asks, sets nothing
  return adjtimex(&state) >= 0 && (state.status & STA_UNSYNC) == 0;
}

}  // namespace

ClockWatch::ClockWatch() noexcept : mono_(mono_now()), wall_(SystemClock{}.wall_now()) {}

ClockFacts ClockWatch::look() const {
  ClockFacts facts;
  facts.resolution = Duration::max();
  MonoTime last = mono_now();
  const auto look = [&] {
    for (int i = 0; i < kLooks; ++i) {
      const MonoTime now = mono_now();
      if (now > last) facts.resolution = std::min(facts.resolution, now - last);
      facts.steps_back = std::max(facts.steps_back, last - now);
      last = now;
    }
  };
  // Twice round: a core whose counter is ahead of the first one's shows only on the way back.
  on_each_core(look);
  on_each_core(look);
  // A clock that stands still for all of these looks ticks no more often than this.
  if (facts.resolution == Duration::max()) facts.resolution = std::chrono::seconds{1};
  facts.wall = SystemClock{}.wall_now();
  const Duration difference = (facts.wall - wall_) - (mono_now() - mono_);
  facts.wall_step = difference < Duration::zero() ? -difference : difference;
#ifdef CLOCK_BOOTTIME
  facts.sees_suspend = true;  // what mono_now() reads there
#endif
  facts.synchronised = kernel_keeps_wall_clock();
  return facts;
}

DescriptorFacts look_at_descriptors() noexcept {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return {};
  return {limit.rlim_cur, limit.rlim_max};
}

MemoryFacts look_at_memory() {
  const auto text = read_file("/proc/meminfo", 64 * 1024);
  if (!text) return {};
  return {kilobytes_of(*text, "MemTotal:") * 1024, kilobytes_of(*text, "MemAvailable:") * 1024};
}

}  // namespace pannier::posix
