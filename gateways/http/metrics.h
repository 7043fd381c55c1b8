#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pannier/node.h>
#include <pannier/platform.h>
#include <pannier/queue.h>

namespace pannier::http {

struct ServerCounters;

/// Requests by route and status, and how long they took. Labels come from the gateway's routes, never from a request.
class Requests {
 public:
  /// `route` is the pattern, of static storage, or that of Resources; empty: none.
  void count(std::string_view route, std::uint16_t status, Duration took);

  /// Upper bounds of the histogram, in seconds.
  static constexpr std::array<double, 11> kBounds = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5};
  struct Times {
    std::array<std::uint64_t, kBounds.size() + 1> counts{};
    double sum = 0;
  };
  [[nodiscard]] const std::map<std::pair<std::string_view, std::uint16_t>, std::uint64_t>& counts() const noexcept {
    return counts_;
  }
  [[nodiscard]] const std::map<std::string_view, Times>& times() const noexcept { return times_; }

 private:
  std::map<std::pair<std::string_view, std::uint16_t>, std::uint64_t> counts_;
  std::map<std::string_view, Times> times_;
};

/// What there is to show.
struct Measured {
  std::vector<ActorStatus> actors;
  TopicCounters topics;
  std::array<std::uint64_t, kDeadLetterReasons> dead_letters{};
  const QueueStatus* queue = nullptr;               ///< Null: the node has no store, or it failed.
  const std::vector<std::string>* lanes = nullptr;  ///< Shown one by one.
  const ServerCounters* server = nullptr;
  const Requests* requests = nullptr;
  std::size_t feeds = 0;
};

/// Prometheus's text format 0.0.4. Names and labels: docs/http.md, Metrics.
[[nodiscard]] std::string metrics_text(const Measured& measured);

}  // namespace pannier::http
