#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <pannier/lane.h>

#include "platform/function_ref.h"

namespace pannier {

/// The lanes of a node by name, at most limits::kLanes. One thread, the queue's.
class Lanes {
 public:
  explicit Lanes(std::vector<LaneOptions> lanes);

  /// Null where the name was never used.
  [[nodiscard]] LaneStatus* find(std::string_view name) noexcept;
  /// Made with default options where it is new; null past limits::kLanes. The pointer holds as long as this.
  [[nodiscard]] LaneStatus* use(std::string_view name);
  /// Replaces a lane's options. Messages in it stay, with the expiry that they have. `options` passed check().
  void set(LaneOptions options);
  /// Visits each lane, ordered by name.
  void each(FunctionRef<void(const LaneStatus&)> visit) const {
    for (const auto& [name, lane] : lanes_) visit(lane);
  }

 private:
  std::map<std::string, LaneStatus, std::less<>> lanes_;
};

}  // namespace pannier
