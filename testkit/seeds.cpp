#include <pannier/simulation.h>

#include <cstdlib>
#include <numeric>
#include <optional>

namespace pannier::testkit {
namespace {

std::optional<std::uint64_t> number_from(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr) return {};
  return std::strtoull(text, nullptr, 10);
}

}  // namespace

std::vector<std::uint64_t> seeds(std::uint64_t count) {
  const auto first = number_from("PANNIER_SIM_SEED");
  const std::uint64_t wanted = number_from("PANNIER_SIM_SEEDS").value_or(first ? 1 : count);
  std::vector<std::uint64_t> all(static_cast<std::size_t>(wanted));
  std::iota(all.begin(), all.end(), first.value_or(1));
  return all;
}

}  // namespace pannier::testkit
