#include "gateways/http/origin.h"

#include <algorithm>
#include <cctype>

namespace pannier::http {

namespace {

bool consists_of(std::string_view text, std::string_view what) {
  return !text.empty() && text.find_first_not_of(what) == std::string_view::npos;
}

/// Four numbers with dots. What is no address after all leads nowhere.
bool is_ipv4(std::string_view text) {
  return consists_of(text, "0123456789.") && std::count(text.begin(), text.end(), '.') == 3;
}

bool same_name(std::string_view left, std::string_view right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(), [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
  });
}

}  // namespace

bool is_own_host(std::string_view host, const std::vector<std::string>& listed) {
  if (std::find(listed.begin(), listed.end(), "*") != listed.end()) return true;
  std::string_view port;
  if (host.starts_with('[')) {
    const std::size_t end = host.find(']');
    if (end == std::string_view::npos) return false;
    const std::string_view address = host.substr(1, end - 1);
    port = host.substr(end + 1);
    if (!port.empty() && !(port.starts_with(':') && consists_of(port.substr(1), "0123456789"))) return false;
    return consists_of(address, "0123456789abcdefABCDEF:.") && address.find(':') != std::string_view::npos;
  }
  const std::size_t colon = host.find(':');
  if (colon != std::string_view::npos) {
    port = host.substr(colon + 1);
    host = host.substr(0, colon);
    if (!consists_of(port, "0123456789")) return false;
  }
  if (is_ipv4(host) || same_name(host, "localhost")) return true;
  return std::any_of(listed.begin(), listed.end(), [&](const std::string& name) { return same_name(host, name); });
}

}  // namespace pannier::http
