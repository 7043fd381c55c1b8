#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/actor/service.h"
#include "runtime/link/router_messages.h"
#include "runtime/queue/group.h"
#include "runtime/queue/lane.h"
#include "runtime/queue/queue_messages.h"

namespace pannier {

/// The sending end of lanes: rows for other nodes, in streams by (node, lane). Sends what is committed, in order,
/// within a window; erases what the far end has committed; goes back to the oldest row after each loss. Memory is
/// bounded by the windows, whatever waits on disk.
class Outbox {
 public:
  /// How a row leaves: to the router in a node.
  using Send = std::function<void(OutgoingRow row)>;

  Outbox(Store& store, Group& group, Send send) : store_(store), group_(group), send_(std::move(send)) {}
  void start(ServicePort& port) { port_ = &port; }
  /// Takes up what an earlier life left.
  [[nodiscard]] Result<void> load(const std::vector<Stream>& streams);
  void set_priority(std::string_view lane, std::uint32_t priority) { priorities_[std::string{lane}] = priority; }

  /// Stages one row in the group. full past `limits` of the lane.
  [[nodiscard]] Result<Sequence> put(std::string_view node, const LaneOptions& lane, std::string_view key,
                                     const AnyTable& payload, Sequence sequence);
  void link_up(std::string_view node);
  void link_down(std::string_view node);
  void acknowledged(const StreamAck& ack);

  /// Stages the erasures that acknowledgements allow; they ride in a group that is committed anyway, or in one of
  /// their own soon after.
  [[nodiscard]] Result<void> stage_erasures();
  [[nodiscard]] bool has_erasures() const noexcept { return !erasures_.empty(); }
  /// Sends what the windows allow. Outside of a transaction. True when there is more to send at once.
  bool pump();
  [[nodiscard]] Load load_of(std::string_view node, std::string_view lane) const noexcept;

  void describe(QueueStatus& status, const Inspect& inspect);
  /// Rows put to disk, at last count, for all nodes.
  [[nodiscard]] std::uint64_t waiting() const noexcept;
  /// Counts anew from the store: after a group that failed. Rows whose erasure waits are counted in: count_is_stale
  /// says so, until a recount without them.
  void recount(const std::vector<Stream>& streams);
  [[nodiscard]] bool count_is_stale() const noexcept { return count_is_stale_; }

  struct Counters {
    std::uint64_t sent = 0;
    std::uint64_t delivered = 0;
    std::uint64_t refused = 0;  ///< By the far end.
    std::uint64_t parked = 0;
    std::uint64_t timeouts = 0;  ///< Times that rows were sent again since nothing was acknowledged.
  };
  [[nodiscard]] const Counters& counters() const noexcept { return counters_; }

 private:
  struct InFlight {
    Sequence sequence;
    std::size_t bytes;
  };
  struct OutStream {
    StreamId id{};
    std::string node;
    std::string lane;
    std::uint64_t messages = 0;
    std::uint64_t bytes = 0;
    std::uint64_t parked = 0;
    Sequence sent = 0;       // everything up to here is with the link or gone
    Sequence committed = 0;  // the newest row on disk
    std::deque<InFlight> in_flight;
    Sequence erase_through = 0;
    Sequence refused_row = 0;  // the row that the far end last refused, and how often
    std::uint32_t refusals = 0;
    TimerId pause{};
    std::uint64_t turn = 0;  // when it last sent, in turns: the one that waited longest goes first
  };
  struct Route {
    bool up = false;
    bool dirty = false;
    std::size_t in_flight_bytes = 0;
    std::size_t in_flight_rows = 0;
    MonoTime progress{};  // when a row was last acknowledged, or the first of those in flight was sent
    TimerId watch{};      // armed while rows are in flight
    std::vector<OutStream*> streams;
  };

  OutStream& stream(StreamId id, std::string_view node, std::string_view lane);
  void rewind(Route& route, OutStream& stream, Sequence to);
  void refused(Route& route, OutStream& stream, const StreamAck& ack);
  void pump(Route& route);
  void watch(Route& route);
  [[nodiscard]] std::uint32_t priority(const OutStream& stream) const noexcept;
  [[nodiscard]] bool has_room(const Route& route, const OutStream& stream) const noexcept;
  bool send_some(Route& route, OutStream& stream);
  void send_row(Route& route, OutStream& stream, const OutgoingRow& row);
  [[nodiscard]] std::string why_waiting(const Route& route, const OutStream& stream, const Row& row) const;

  Store& store_;
  Group& group_;
  Send send_;
  ServicePort* port_ = nullptr;
  std::map<std::string, Route, std::less<>> routes_;
  std::map<std::pair<std::string, std::string>, std::unique_ptr<OutStream>> streams_;
  std::unordered_map<std::string, std::uint32_t> priorities_;
  std::uint64_t turns_ = 0;
  std::vector<OutStream*> erasures_;
  bool count_is_stale_ = false;
  Counters counters_;
};

}  // namespace pannier
