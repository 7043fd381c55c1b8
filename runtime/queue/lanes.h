#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <pannier/lane.h>

#include "platform/function_ref.h"
#include "runtime/message/account.h"

namespace pannier {

/// The lanes of a node by name, at most limits::kLanes. A lane is foreign while it exists only because another node has
/// named it: it holds limits::kForeignLaneBytes at most, and is charged to that peer. It becomes the node's own once it
/// is declared, or somebody here enqueues to it or consumes it. One thread, the queue's.
class Lanes {
 public:
  explicit Lanes(std::vector<LaneOptions> lanes);

  /// Null where the name was never used.
  [[nodiscard]] LaneStatus* find(std::string_view name) noexcept;
  /// The node's own lane, with default options where it is new; null past limits::kLanes. The pointer holds as long as
  /// this.
  [[nodiscard]] LaneStatus* use(std::string_view name);
  /// The lane that another node has named. Null: past limits::kForeignLanes, or the limit of `account`, which may be
  /// null.
  [[nodiscard]] LaneStatus* use_for(std::string_view name, const AccountRef& account);
  /// The lane of a stored stream. Null past limits::kLanes.
  [[nodiscard]] LaneStatus* of_stream(std::string_view name);
  /// Replaces a lane's options. Messages in it stay, with the expiry that they have. `options` passed check().
  void set(LaneOptions options);
  /// Visits each lane, ordered by name.
  void each(FunctionRef<void(const LaneStatus&)> visit) const {
    for (const auto& [name, lane] : lanes_) visit(lane.status);
  }

 private:
  struct Lane {
    LaneStatus status;
    bool foreign = false;
    Charge charge;
  };
  [[nodiscard]] LaneStatus* add_foreign(std::string_view name, Charge charge);

  std::map<std::string, Lane, std::less<>> lanes_;
  std::size_t foreign_ = 0;
};

}  // namespace pannier
