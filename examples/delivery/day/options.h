#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <pannier/result.h>

namespace pannier::delivery {

/// The demo's options.
struct DemoOptions {
  std::optional<std::string> instance;  ///< A recorded day's folder. Without it a day is generated.
  std::optional<double> speed;          ///< Minutes of the day per minute of wall time. Without it the day is fitted to
                                        ///< the run's length.
  std::uint64_t seed = 1;
  std::optional<std::uint32_t> orders;  ///< Of a generated day.
  bool quick = false;                   ///< A shorter day that ends within a minute.
  std::optional<std::string> scenario;  ///< One evening on which something fails, in place of a day.
  std::optional<std::string> json;      ///< File for the report.
  std::optional<std::string> keep;      ///< Folder that keeps configuration, databases, ledgers and logs.
  std::optional<std::string> trace;     ///< Recorded network for the handhelds. Without it one is generated.
};

/// The options, or what to print instead: the help (status 0), or one line on what is wrong.
struct DemoCommand {
  DemoOptions options;
  std::optional<std::string> help;  ///< Requested help: print it and exit with status 0.
};

/// Reads the command line. `scenarios`: the names that --scenario takes. invalid_argument: one line that says what to
/// do.
[[nodiscard]] Result<DemoCommand> parse_command_line(int argc, const char* const* argv,
                                                     const std::vector<std::string>& scenarios = {});

}  // namespace pannier::delivery
