#pragma once

#include <cstdint>
#include <string_view>

namespace pannier {

enum class LogLevel : std::uint8_t { debug, info, warning, error };

/// Where lines for the operator go. Callable from any thread; must not block for long.
class Log {
 public:
  virtual ~Log() = default;
  /// `line` is one line without its end, and is borrowed for the call.
  virtual void write(LogLevel level, std::string_view line) noexcept = 0;
};

}  // namespace pannier
