#include "platform/posix/stderr_log.h"

#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
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

namespace {

using Line = std::array<char, kTextBytes + 128>;

/// "2026-01-31T12:00:00.123Z warning text\n" in `out`.
std::string_view format(Line& out, LogLevel level, std::string_view text) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  tm utc{};
  gmtime_r(&now.tv_sec, &utc);
  const bool cut = text.size() > kTextBytes;
  const int length =
      std::snprintf(out.data(), out.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %s %.*s%s\n", utc.tm_year + 1900,
                    utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, now.tv_nsec / 1'000'000,
                    name_of(level), static_cast<int>(cut ? kTextBytes : text.size()), text.data(), cut ? "..." : "");
  if (length <= 0) return {};
  const std::size_t size = static_cast<std::size_t>(length);
  for (std::size_t i = 0; i + 1 < size; ++i) {
    const auto c = static_cast<unsigned char>(out[i]);
    if (c < 0x20 || c == 0x7f) out[i] = ' ';
  }
  return {out.data(), size};
}

}  // namespace

bool StderrLog::put(std::string_view line) noexcept {
  // Under a service manager stderr is a socket, which can be told not to block.
  if (::send(STDERR_FILENO, line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return true;
  if (errno != ENOTSOCK) return errno != EAGAIN && errno != EWOULDBLOCK;
  // A writable pipe has room for PIPE_BUF bytes, more than a line; a file always has. A log that cannot
  // be written for another reason has nowhere to report it.
  pollfd room{STDERR_FILENO, POLLOUT, 0};
  if (::poll(&room, 1, 0) == 0) return false;
  while (::write(STDERR_FILENO, line.data(), line.size()) < 0 && errno == EINTR) {
  }
  return true;
}

void StderrLog::write(LogLevel level, std::string_view line) noexcept {
  if (level < least_) return;
  Line out;
  const std::string_view text = format(out, level, line);
  while (busy_.test_and_set(std::memory_order_acquire)) ::sched_yield();
  const std::uint64_t dropped = dropped_.load(std::memory_order_relaxed);
  bool put_out = true;
  if (dropped > 0) {
    std::array<char, 80> note{};
    std::snprintf(note.data(), note.size(), "%llu lines of this log were dropped because its reader was stuck",
                  static_cast<unsigned long long>(dropped));
    Line before;
    put_out = put(format(before, LogLevel::warning, note.data()));
    if (put_out) dropped_.store(0, std::memory_order_relaxed);
  }
  if (!put_out || !put(text)) dropped_.fetch_add(1, std::memory_order_relaxed);
  busy_.clear(std::memory_order_release);
}

}  // namespace pannier::posix
