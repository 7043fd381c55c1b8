#pragma once

namespace pannier::tools {

/// The whole command: reads the arguments, runs what they ask for, returns the exit status.
[[nodiscard]] int run_cli(int argc, char** argv);

}  // namespace pannier::tools
