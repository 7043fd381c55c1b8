#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <pannier/result.h>

namespace pannier::delivery {

/// What a person may say to the demo.
struct DemoOptions {
  std::optional<std::string> instance;  ///< A recorded day's folder; without it a day is made up.
  std::optional<double> speed;          ///< Minutes of the day in one of wall time; without it the day fits its time.
  std::uint64_t seed = 1;
  std::optional<std::uint32_t> orders;  ///< Of a made-up day.
  bool quick = false;                   ///< A shorter day that ends within a minute.
  std::optional<std::string> json;      ///< File for the report.
  std::optional<std::string> keep;      ///< Folder in which configuration, databases, ledgers and logs stay.
  std::optional<std::string> trace;     ///< Recorded network for the handhelds; without it one is made up.
};

/// The options, or what to print instead of running: the help (with status 0), or the one line on what is
/// wrong.
struct DemoCommand {
  DemoOptions options;
  std::optional<std::string> help;  ///< Asked for: print it and end with status 0.
};

/// Reads the command line. invalid_argument, one line that says what to do, for what the demo does not know.
[[nodiscard]] Result<DemoCommand> parse_command_line(int argc, const char* const* argv);

}  // namespace pannier::delivery
