#pragma once

#include <string>
#include <vector>

#include "services/rpc/generator/schema.h"

namespace pannier::rpcgen {

/// The C++ header of the services of a file. `include` names the tables' header, as "shop/orders.fbs.h".
[[nodiscard]] std::string header_of(const std::vector<Service>& services, const Input& input,
                                    const std::string& include);

}  // namespace pannier::rpcgen
