#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <pannier/queue.h>
#include "runtime/message/row_records.h"
#include "runtime/queue/flow_window.h"
#include "runtime/queue/group.h"
#include "runtime/queue/host.h"
#include "runtime/queue/lanes.h"
#include "runtime/queue/store_clock.h"

namespace pannier {

struct Route;

/// What the outbox remembers of one stream since its link came up.
struct OutStream {
  struct InFlight {
    Sequence sequence;
    std::size_t bytes;
    MonoTime sent_at;
    std::uint32_t priority;  // of its lane when it was sent
  };
  StreamId id{};
  Route* route = nullptr;
  LaneStatus* lane = nullptr;
  Sequence sent = 0;       // rows up to here are in flight or gone
  Sequence ever_sent = 0;  // the newest row that was sent once; a rewind does not take that back
  Sequence committed = 0;  // the newest row on disk; kUnknownSequence: read until the end
  std::deque<InFlight> in_flight;
  std::uint64_t incarnation = 0;  // of the rows in flight: those of another one wait for these
  std::int64_t owed_bytes = 0;    // of its share of the link
  Sequence erase_through = 0;
  Sequence refused_row = 0;  // the row that the far end last refused, and how often
  std::uint32_t refusals = 0;
  Duration delay{};
  TimerId pause{};
  std::uint64_t turn = 0;  // when it last sent: the one that waited longest goes first
};

/// One other node that rows go to.
struct Route {
  std::string node;
  bool up = false;
  bool dirty = false;  // it stands in Outbox::dirty_
  FlowWindow window;
  std::map<std::uint32_t, std::size_t> in_flight_bytes;  // by priority
  std::size_t in_flight_rows = 0;
  MonoTime progress{};  // when a row was last acknowledged, or the first of those in flight was sent
  TimerId watch{};      // armed while rows are in flight
  std::vector<OutStream*> streams;
};

/// The sending end of lanes. Sends committed rows in order, within a window, and erases what the far end has committed;
/// after a loss it starts again at the oldest row. Memory is bounded by the windows, whatever waits on disk. A stream
/// to a node that is not linked costs nothing here.
class Outbox {
 public:
  /// All outlive the outbox.
  Outbox(Store& store, Group& group, Lanes& lanes, const StoreClock& clock)
      : store_(store), group_(group), lanes_(lanes), clock_(clock) {}
  void start(QueueHost& host);

  void link_up(std::string_view node);
  void link_down(std::string_view node);
  /// Bytes of rows have arrived there: what is in flight is not lost.
  void link_progress(std::string_view node);

  /// The row is committed: sends it at once if the stream has caught up, or else when its turn comes.
  void added(effect::Added& row);
  /// Rows of the stream became ready by another way, and are committed.
  void grew(StreamId stream);
  /// Whether a ready row may be erased or moved: it is not in flight, and not acknowledged.
  [[nodiscard]] bool may_remove(StreamId stream, Sequence sequence) const noexcept;
  /// The row was sent before and not acknowledged, by this process or perhaps by an earlier one.
  [[nodiscard]] bool may_have_left(StreamId stream, Sequence sequence) const noexcept;

  /// Sends what the windows allow. Outside of a transaction. True when there is more to send at once.
  bool pump();

  void acknowledged(const StreamAck& ack);
  void settle(effect::Refused& refused, const Result<void>& fate);
  /// Stages the erasures that acknowledgements allow. They ride in a group that is committed anyway, or in one of their
  /// own soon after.
  [[nodiscard]] Result<void> stage_erasures();
  [[nodiscard]] bool has_erasures() const noexcept { return !erasures_.empty(); }
  void settle(effect::Acknowledged& erased, const Result<void>& fate);

  /// Forgets a stream that the store is about to erase. False while rows of it are in flight or being erased.
  bool forget(StreamId stream);

  /// Why a ready row has not gone: one sentence.
  [[nodiscard]] std::string why_waiting(const Stream& stream, const Row& row) const;
  void describe(QueueStatus& status) const;
  [[nodiscard]] std::uint64_t delivered() const noexcept { return delivered_; }

 private:
  [[nodiscard]] OutStream* find(StreamId id) const noexcept;
  /// Null where too many lanes are in use.
  OutStream* open(const Stream& stream);
  Route& route(std::string_view node);
  void touch(Route& route);
  void want_way(std::string_view node);
  void rewind(OutStream& stream, Sequence to);
  void refused(OutStream& stream, const StreamAck& ack);
  void pump(Route& route);
  void share(OutStream& sent, std::size_t bytes) noexcept;
  void watch(Route& route);
  [[nodiscard]] bool has_room(const OutStream& stream) const noexcept;
  bool send_some(OutStream& stream);
  void send_row(OutStream& stream, OutgoingRow row);
  void erase_expired(OutStream& stream, const std::vector<Sequence>& expired);

  Store& store_;
  Group& group_;
  Lanes& lanes_;
  const StoreClock& clock_;
  QueueHost* host_ = nullptr;
  std::string wanted_;  // the node that a way was last asked for
  std::map<std::string, Route, std::less<>> routes_;
  std::unordered_map<StreamId, std::unique_ptr<OutStream>> streams_;
  std::vector<Route*> dirty_;
  std::vector<OutStream*> erasures_;
  Sequence first_of_this_life_ = 0;
  std::uint64_t turns_ = 0;
  std::uint64_t delivered_ = 0;
};

}  // namespace pannier
