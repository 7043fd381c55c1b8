#include "platform/posix/system_clock.h"

#include <time.h>

#include <chrono>

namespace pannier::posix {
namespace {

#ifdef CLOCK_BOOTTIME
constexpr clockid_t kMonotonicSource = CLOCK_BOOTTIME;
#else
constexpr clockid_t kMonotonicSource = CLOCK_MONOTONIC;
#endif

Duration read_clock(clockid_t source) noexcept {
  timespec now{};
  // Fails only for an id that the kernel does not know; both are older than any kernel that runs C++20 programs.
  clock_gettime(source, &now);
  return std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec};
}

}  // namespace

MonoTime mono_now() noexcept { return MonoTime{read_clock(kMonotonicSource)}; }

WallTime SystemClock::wall_now() const noexcept { return WallTime{read_clock(CLOCK_REALTIME)}; }

}  // namespace pannier::posix
