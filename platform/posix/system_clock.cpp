#include "platform/posix/system_clock.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>

namespace pannier::posix {
namespace {

#ifdef CLOCK_BOOTTIME
constexpr clockid_t kMonotonicSource = CLOCK_BOOTTIME;
#else
constexpr clockid_t kMonotonicSource = CLOCK_MONOTONIC;
#endif

Duration read_clock(clockid_t source) noexcept {
  timespec now{};
  // Fails only for an id unknown to the kernel; both are older than any kernel that runs C++20 programs.
  clock_gettime(source, &now);
  return std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec};
}

std::uint64_t read_boot_id() noexcept {
  const int file = ::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  std::array<char, 64> text{};
  const ssize_t size = ::read(file, text.data(), text.size());
  ::close(file);
  if (size < 32) return 0;
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (std::size_t i = 0; i < static_cast<std::size_t>(size); ++i) {
    hash = (hash ^ static_cast<unsigned char>(text[i])) * 0x100000001b3;
  }
  return hash;
}

}  // namespace

MonoTime mono_now() noexcept { return MonoTime{read_clock(kMonotonicSource)}; }

WallTime SystemClock::wall_now() const noexcept { return WallTime{read_clock(CLOCK_REALTIME)}; }

std::uint64_t SystemClock::boot() const noexcept {
  static const std::uint64_t id = read_boot_id();
  return id;
}

}  // namespace pannier::posix
