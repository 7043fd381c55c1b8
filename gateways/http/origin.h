#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pannier::http {

/// Whether a request with this Host is meant for us. A page whose name was made to lead to this machine (DNS rebinding)
/// says its own name, so names must be listed, while an address or "localhost" is good. `listed` may have "*".
[[nodiscard]] bool is_own_host(std::string_view host, const std::vector<std::string>& listed);

}  // namespace pannier::http
