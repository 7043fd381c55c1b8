#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "runtime/actor/service.h"
#include "runtime/link/router_messages.h"
#include "runtime/queue/flow_window.h"
#include "runtime/queue/group.h"
#include "runtime/queue/lane.h"
#include "runtime/queue/new_row.h"
#include "runtime/queue/queue_messages.h"
#include "runtime/queue/store_clock.h"

namespace pannier {

/// The sending end of lanes: rows for other nodes, in streams by (node, lane). Sends what is committed, in order,
/// within a window; erases what the far end has committed; goes back to the oldest row after each loss. Memory is
/// bounded by the windows, whatever waits on disk.
class Outbox {
 public:
  /// How a row leaves: to the router in a node.
  using Send = std::function<void(OutgoingRow row)>;

  /// All outlive the outbox.
  Outbox(Store& store, Group& group, Lanes& lanes, const StoreClock& clock, Send send)
      : store_(store), group_(group), options_(lanes), clock_(clock), send_(std::move(send)) {}
  void start(ServicePort& port) { port_ = &port; }
  /// Takes up what an earlier life left.
  void load(const std::vector<Stream>& streams);
  /// A group has failed: a stream that was made in it is not there any more.
  void forget_streams();

  /// Stages one row in `stream`, which is that of `lane` to `node`.
  [[nodiscard]] Result<void> put(StreamId stream, std::string_view node, const LaneOptions& lane, const NewRow& row);
  /// As Boxes::withdraw.
  [[nodiscard]] bool withdraw(std::string_view node, std::string_view lane, Sequence sequence);
  /// The row was sent before and not acknowledged: by this life, or perhaps by an earlier one.
  [[nodiscard]] bool may_have_left(std::string_view node, std::string_view lane, Sequence sequence) const;
  /// Rows have come to the end of a stream by another way than put, and are committed.
  void grew(std::string_view node, std::string_view lane);
  void link_up(std::string_view node);
  void link_down(std::string_view node);
  /// Bytes of rows have arrived there: what is in flight is not lost.
  void link_moved(std::string_view node);
  void acknowledged(const StreamAck& ack);

  /// Stages the erasures that acknowledgements allow; they ride in a group that is committed anyway, or in one of
  /// their own soon after.
  [[nodiscard]] Result<void> stage_erasures();
  [[nodiscard]] bool has_erasures() const noexcept { return !erasures_.empty(); }
  /// Sends what the windows allow. Outside of a transaction. True when there is more to send at once.
  bool pump();
  [[nodiscard]] Load load_of(std::string_view node, std::string_view lane) const noexcept;

  void describe(QueueStatus& status) const;
  /// Why a row that is ready in stream `of` has not gone: one sentence.
  [[nodiscard]] std::string why_waiting(const Stream& of, const Row& row) const;

  struct Counters {
    std::uint64_t sent = 0;
    std::uint64_t delivered = 0;
    std::uint64_t refused = 0;   ///< By the far end.
    std::uint64_t timeouts = 0;  ///< Times that rows were sent again since nothing was acknowledged.
  };
  [[nodiscard]] const Counters& counters() const noexcept { return counters_; }

 private:
  struct InFlight {
    Sequence sequence;
    std::size_t bytes;
    MonoTime sent_at;
    std::uint32_t priority;  // of its lane when it was sent
  };
  struct OutStream {
    StreamId id{};
    std::string node;
    const LaneOptions* lane = nullptr;
    LaneCounters* counters = nullptr;
    Sequence sent = 0;                       // everything up to here is with the link or gone
    Sequence ever_sent = 0;                  // the newest row that was sent once; a rewind does not take that back
    Sequence committed = 0;                  // the newest row on disk
    std::unordered_set<Sequence> withdrawn;  // rows of the open group, perhaps, that shall not leave after it
    std::deque<InFlight> in_flight;
    std::size_t in_flight_bytes = 0;
    std::int64_t owed_bytes = 0;  // of its share of the link
    Sequence erase_through = 0;
    Sequence refused_row = 0;  // the row that the far end last refused, and how often
    std::uint32_t refusals = 0;
    Duration delay{};
    TimerId pause{};
    std::uint64_t turn = 0;  // when it last sent, in turns: the one that waited longest goes first
  };
  struct Route {
    bool up = false;
    bool dirty = false;
    FlowWindow window;
    std::map<std::uint32_t, std::size_t> in_flight_bytes;  // by priority
    std::size_t in_flight_rows = 0;
    MonoTime progress{};  // when a row was last acknowledged, or the first of those in flight was sent
    TimerId watch{};      // armed while rows are in flight
    std::vector<OutStream*> streams;
  };

  OutStream& stream(StreamId id, std::string_view node, std::string_view lane);
  void rewind(Route& route, OutStream& stream, Sequence to);
  void refused(Route& route, OutStream& stream, const StreamAck& ack);
  void pump(Route& route);
  void share(Route& route, OutStream& sent, std::size_t bytes) noexcept;
  void watch(Route& route);
  /// A lane that waits behind higher ones has its share of the link coming to it.
  static bool is_owed(const OutStream& stream) noexcept {
    return stream.owed_bytes >= static_cast<std::int64_t>(limits::kShareBytes);
  }
  /// A row in flight is acknowledged, or to be sent again.
  static void landed(Route& route, OutStream& stream, const InFlight& row) noexcept;
  [[nodiscard]] bool has_room(const Route& route, const OutStream& stream) const noexcept;
  bool send_some(Route& route, OutStream& stream);
  void send_row(Route& route, OutStream& stream, OutgoingRow row);
  void erase_expired(OutStream& stream, const std::vector<Sequence>& expired);
  /// In ms, for the wire; 0: does not expire.
  [[nodiscard]] std::uint64_t remaining(StoreTime expires_at) const noexcept;

  Store& store_;
  Group& group_;
  Lanes& options_;
  const StoreClock& clock_;
  Sequence first_of_this_life_ = 0;
  Send send_;
  ServicePort* port_ = nullptr;
  std::map<std::string, Route, std::less<>> routes_;
  std::map<std::pair<std::string, std::string>, std::unique_ptr<OutStream>> streams_;
  std::uint64_t turns_ = 0;
  std::vector<OutStream*> erasures_;
  Counters counters_;
};

}  // namespace pannier
