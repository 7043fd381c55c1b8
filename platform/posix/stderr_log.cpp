#include "platform/posix/stderr_log.h"

#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

namespace pannier::posix {
namespace {

constexpr std::size_t kTextBytes = 1000;

const char* name_of(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::debug: return "debug";
    case LogLevel::info: return "info";
    case LogLevel::warning: return "warning";
    case LogLevel::error: return "error";
  }
  return "?";
}

}  // namespace

void StderrLog::write(LogLevel level, std::string_view line) noexcept {
  if (level < least_) return;
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  tm utc{};
  gmtime_r(&now.tv_sec, &utc);

  std::array<char, kTextBytes + 128> out{};
  const bool cut = line.size() > kTextBytes;
  const int length =
      std::snprintf(out.data(), out.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %s %.*s%s\n", utc.tm_year + 1900,
                    utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, now.tv_nsec / 1'000'000,
                    name_of(level), static_cast<int>(cut ? kTextBytes : line.size()), line.data(), cut ? "..." : "");
  if (length <= 0) return;
  const std::size_t size = static_cast<std::size_t>(length);
  for (std::size_t i = 0; i + 1 < size; ++i) {
    const auto c = static_cast<unsigned char>(out[i]);
    if (c < 0x20 || c == 0x7f) out[i] = ' ';
  }
  // A log that cannot be written has nowhere to report it.
  while (::write(STDERR_FILENO, out.data(), size) < 0 && errno == EINTR) {
  }
}

}  // namespace pannier::posix
