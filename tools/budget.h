#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <pannier/result.h>

namespace pannier::tools {

/// A flow of calls to services, as somebody who has not built it yet describes it. Seconds, and shares from 0 to 1.
struct Flow {
  struct Service {
    std::string name;
    double availability = 1;  ///< Share of calls that it answers.
    double p50 = 0;           ///< How long answers take.
    double p95 = 0;
    double p99 = 0;
  };
  /// One after the other; the services of one step at the same time.
  struct Step {
    std::vector<std::size_t> services;
    std::size_t need = 0;                 ///< Of its services, so many must answer. 0: the step is optional.
    std::uint32_t attempts = 1;           ///< At each service.
    double timeout = 0;                   ///< Of an attempt; 0: none.
    double backoff = 0;                   ///< Between attempts.
    std::optional<std::size_t> fallback;  ///< Asked where a service gave no answer, once.
  };
  std::string name;
  double deadline = 0;  ///< 0: none.
  std::vector<Service> services;
  std::vector<Step> steps;
};

/// invalid_argument, as "FILE:LINE: what".
[[nodiscard]] Result<Flow> read_flow(const std::string& path);
/// `path` is for messages.
[[nodiscard]] Result<Flow> parse_flow(const std::string& text, const std::string& path);

/// What a flow can be expected to do if its services fail independently of each other. That is the best case: what they
/// share (a host, a link, a database) makes it worse.
struct Budget {
  double plain = 0;         ///< Availability without retries and fallbacks: the product over all that must answer.
  double availability = 0;  ///< With them, the deadline aside.
  double in_time = 0;       ///< With them and within the deadline.
  double sum_p50 = 0;       ///< Of the steps, each as long as its slowest service: what people add up.
  double sum_p99 = 0;       ///< An upper bound that is hardly ever met.
  double p50 = 0;           ///< Of flows that succeed, by 200,000 draws.
  double p95 = 0;
  double p99 = 0;
  std::vector<double> steps;  ///< Availability of each.
};
/// Pure; the same flow gives the same figures.
[[nodiscard]] Budget budget_of(const Flow& flow);

}  // namespace pannier::tools
