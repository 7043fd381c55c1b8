#pragma once

#include <optional>
#include <string>
#include <vector>

#include <pannier/result.h>

namespace pannier::delivery {

[[nodiscard]] std::vector<std::string> scenario_names();

/// What a scenario was run with.
struct ScenarioOptions {
  std::string name;
  std::string folder;    ///< For keys, databases and logs. Exists and is empty.
  std::string programs;  ///< The folder of order_service.
};

/// Plays one evening on which something fails: starts the services as processes, places orders as a customer, kills a
/// process, and prints what the customer is told. Then audits what is on disk: notices, histories and money. The exit
/// status: 0 if everything is as it must be, else 1. Errors: a service cannot be started. On the main thread, before
/// any other.
[[nodiscard]] Result<int> run_scenario(const ScenarioOptions& options);

}  // namespace pannier::delivery
