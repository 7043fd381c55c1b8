#include <pannier/lane.h>

#include "platform/concat.h"
#include "runtime/message/names.h"
#include "runtime/message/topic_text.h"
#include "runtime/queue/lanes.h"

namespace pannier {

Result<void> check(const LaneOptions& lane) {
  const auto wrong = [&](const std::string& what) {
    return Error{ErrorCode::invalid_argument, concat({"lane '", lane.name, "': ", what})};
  };
  if (!valid_name(lane.name, limits::kLaneNameBytes) ||
      (!lane.forward_to.empty() && !valid_name(lane.forward_to, limits::kNodeNameBytes))) {
    return wrong("names are of a-z 0-9 . _ - only, 1 to 64 characters.");
  }
  if (lane.topics.size() > limits::kLaneTopics) return wrong(concat({limits::kLaneTopics, " topics at most."}));
  for (const std::string& filter : lane.topics) {
    if (auto good = check_filter(filter); !good) return wrong(good.error().detail);
  }
  if (lane.share_percent > 50) return wrong("share_percent is 0 to 50: higher lanes keep at least half of the link.");
  if (lane.max_attempts == 0) return wrong("max_attempts is at least 1.");
  if (lane.backoff.base < Duration::zero() || lane.backoff.cap < lane.backoff.base) {
    return wrong("a backoff's base is at least 0 and at most its cap.");
  }
  if (lane.expiry < Duration::zero() || lane.retention.age < Duration::zero()) return wrong("a time is at least 0.");
  if (lane.eviction == Eviction::latest_per_key && lane.max_messages > limits::kLatestKeys) {
    return wrong(concat({"latest_per_key keeps a table of its keys in memory: set max_messages to at most ",
                         limits::kLatestKeys, "."}));
  }
  return {};
}

Lanes::Lanes(std::vector<LaneOptions> lanes) {
  for (LaneOptions& lane : lanes) set(std::move(lane));
}

LaneStatus* Lanes::find(std::string_view name) noexcept {
  const auto found = lanes_.find(name);
  return found == lanes_.end() ? nullptr : &found->second.status;
}

LaneStatus* Lanes::use(std::string_view name) {
  const auto found = lanes_.find(name);
  if (found == lanes_.end()) {
    if (lanes_.size() >= limits::kLanes) return nullptr;
    LaneStatus& made = lanes_[std::string{name}].status;
    made.options.name = name;
    return &made;
  }
  Lane& lane = found->second;
  if (std::exchange(lane.foreign, false)) {
    --foreign_;
    lane.charge.release();
    lane.status.options.max_bytes = limits::kLaneBytes;
  }
  return &lane.status;
}

LaneStatus* Lanes::add_foreign(std::string_view name, Charge charge) {
  Lane& lane = lanes_[std::string{name}];
  lane.status.options.name = name;
  lane.status.options.max_bytes = limits::kForeignLaneBytes;
  lane.foreign = true;
  lane.charge = std::move(charge);
  ++foreign_;
  return &lane.status;
}

LaneStatus* Lanes::use_for(std::string_view name, const AccountRef& account) {
  if (LaneStatus* known = find(name)) return known;
  if (foreign_ >= limits::kForeignLanes || lanes_.size() >= limits::kLanes) return nullptr;
  Charge charge{account, Resource::lanes};
  return charge.ok() ? add_foreign(name, std::move(charge)) : nullptr;
}

LaneStatus* Lanes::of_stream(std::string_view name) {
  if (LaneStatus* known = find(name)) return known;
  return lanes_.size() >= limits::kLanes ? nullptr : add_foreign(name, {});
}

void Lanes::set(LaneOptions options) {
  LaneStatus* const lane = use(options.name);  // the node's own from now on
  (lane == nullptr ? lanes_[options.name].status : *lane).options = std::move(options);
}

}  // namespace pannier
