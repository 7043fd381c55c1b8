#include "tools/times.h"

#include <chrono>
#include <cstdio>

#include "tools/output.h"

namespace pannier::tools {

namespace {
using namespace std::chrono;
constexpr std::int64_t kSecondNs = 1'000'000'000;
}  // namespace

std::string time_text(std::int64_t unix_ns) {
  const sys_time<nanoseconds> time{nanoseconds{unix_ns}};
  const auto day = floor<days>(time);
  const year_month_day date{day};
  const hh_mm_ss clock{floor<milliseconds>(time - day)};
  return format("%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
}

Result<std::int64_t> parse_time(const std::string& text) {
  int y = 0;
  unsigned m = 0;
  unsigned d = 0;
  int hour = 0;
  int minute = 0;
  int second = 0;
  int end = 0;
  auto day = floor<days>(system_clock::now());
  const char* rest = text.c_str();
  const Error wrong{ErrorCode::invalid_argument,
                    "'" + text + "' is no time: say 12:31, 12:31:07, 2026-12-01 or 2026-12-01T12:31:07, in UTC"};
  if (std::sscanf(rest, "%4d-%2u-%2u%n", &y, &m, &d, &end) == 3) {
    const year_month_day date{year{y}, month{m}, std::chrono::day{d}};
    if (!date.ok()) return wrong;
    day = sys_days{date};
    rest += end;
    if (*rest == '\0') return (day + days{1}).time_since_epoch() / nanoseconds{1} - 1;
    if (*rest++ != 'T') return wrong;
  }
  end = 0;
  const int read = std::sscanf(rest, "%2d:%2d%n:%2d%n", &hour, &minute, &end, &second, &end);
  if (read < 2 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) return wrong;
  rest += end;
  if (*rest == 'Z') ++rest;
  if (*rest != '\0') return wrong;
  const auto time = day.time_since_epoch() + hours{hour} + minutes{minute} + seconds{second};
  return time / nanoseconds{1} + (read == 2 ? 60 : 1) * kSecondNs - 1;
}

}  // namespace pannier::tools
