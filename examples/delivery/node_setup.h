#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <pannier/pannier.h>
#include "examples/delivery/day/day.h"
#include "examples/delivery/day/ledger.h"
#include "examples/delivery/day_clock.h"

namespace pannier::delivery {

/// The hub's lane for reports of tablets and handhelds.
inline constexpr const char* kHubOrders = "hub/orders";

/// What the three programs share: the parsed configuration file and what it names, opened. Outlives the node.
struct Setup {
  std::string name;  ///< Of this node.
  DayClock clock;
  Day day;
  std::uint64_t seed = 1;
  std::vector<std::string> serves;               ///< The restaurants or drivers of this process.
  std::map<std::string, std::string> served_by;  ///< Of the hub: the node of each restaurant and driver.
  std::unique_ptr<LedgerWriter> ledger;

  [[nodiscard]] bool serves_here(const std::string& id) const {
    return std::find(serves.begin(), serves.end(), id) != serves.end();
  }
};

/// main() of each program: reads `--config FILE`, opens keys, store and transport, creates the node, lets `spawn` start
/// its actors, and runs until SIGTERM. Then writes what took effect to the ledger. Returns the exit status: 2, with one
/// line on stderr, for an error at the start.
int run_program(const char* program, int argc, const char* const* argv,
                const std::function<Result<void>(Setup& setup, Node& node)>& spawn);

}  // namespace pannier::delivery
