#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

#include "platform/function_ref.h"
#include "runtime/queue/boxes.h"
#include "runtime/queue/expiry.h"
#include "runtime/queue/group.h"

namespace pannier {

/// Says whether a lane has room for one more message, and makes it where the lane's eviction allows that. What it gives
/// up has not left: nothing in flight, nothing in anybody's hands. On the store's worker.
class Room {
 public:
  /// All outlive this. `max_bytes`: of payload, all lanes together; 0 for no limit.
  Room(Store& store, Group& group, Lanes& lanes, Outbox& outbox, Boxes boxes, Expiry& expiry, std::uint64_t max_bytes)
      : store_(store),
        group_(group),
        lanes_(lanes),
        outbox_(outbox),
        boxes_(boxes),
        expiry_(expiry),
        max_bytes_(max_bytes) {}

  /// Within the group: full where there is none. What was given up is erased in the group.
  [[nodiscard]] Result<void> make(StreamId stream, const LaneOptions& lane, std::string_view key, std::size_t bytes);
  /// The message that was put last in `stream` is the latest of its key.
  void note_latest(StreamId stream, std::string_view key, Sequence sequence);
  /// A group or part has failed: what was noted in it is wrong.
  void forget_latest() { latest_.clear(); }

 private:
  using Latest = std::unordered_map<std::string, Sequence>;

  [[nodiscard]] bool fits(StreamId stream, const LaneOptions& lane, std::size_t bytes) const;
  [[nodiscard]] Result<void> replace(StreamId stream, std::string_view key);
  [[nodiscard]] Result<Latest*> latest_of(StreamId stream);
  /// Erases the oldest of a stream until `enough()`. False where the rest cannot be given up.
  [[nodiscard]] Result<bool> evict(StreamId stream, FunctionRef<bool()> enough);
  [[nodiscard]] Result<bool> erase(const Stream& stream, Sequence sequence);
  [[nodiscard]] std::uint64_t all_bytes() const;
  [[nodiscard]] bool node_fits(std::size_t bytes) const;
  [[nodiscard]] Result<bool> make_in_node(const LaneOptions& lane, std::size_t bytes);

  Store& store_;
  Group& group_;
  Lanes& lanes_;
  Outbox& outbox_;
  Boxes boxes_;
  Expiry& expiry_;
  std::uint64_t max_bytes_;
  std::unordered_map<StreamId, Latest> latest_;
};

}  // namespace pannier
