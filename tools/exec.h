#pragma once

#include <chrono>
#include <string>

#include <pannier/result.h>

namespace pannier::tools {

/// One run of a user's command for one message.
struct Script {
  std::string command;  ///< For /bin/sh -c.
  std::string input;    ///< On its stdin.
  std::string lane;     ///< In PANNIER_LANE, as key in PANNIER_KEY and type in PANNIER_TYPE.
  std::string key;
  std::string type;
  std::chrono::milliseconds limit;  ///< Killed after it, with what it started.
};

/// Runs it and waits. Empty: it ended with status 0; else a text that says how it failed. An error: it could not be
/// started at all. Main thread.
[[nodiscard]] Result<std::string> run_script(const Script& script);

}  // namespace pannier::tools
