#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <pannier/result.h>
#include <pannier/run.h>

namespace pannier::delivery {

/// The nodes of a scenario: the hub, and those that dial it. The customer is the scenario's own node.
[[nodiscard]] inline std::vector<std::string> service_names() {
  return {"hub", "payment", "tablet", "courier-1", "courier-2"};
}
inline constexpr const char* kCustomer = "customer";

/// Draws a key pair for each node into `folder`.
[[nodiscard]] Result<void> make_keys(const std::string& folder);
/// What a node is made of, with its key and database in `folder`. `port`: of the hub.
[[nodiscard]] Result<RunOptions> service_options(const std::string& name, const std::string& folder,
                                                 std::uint16_t port);

}  // namespace pannier::delivery
