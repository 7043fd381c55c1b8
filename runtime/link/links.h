#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <pannier/link.h>
#include <pannier/transport.h>
#include "platform/function_ref.h"
#include "runtime/actor/service.h"
#include "runtime/link/link_window.h"
#include "runtime/link/peers.h"
#include "runtime/link/send_queue.h"
#include "runtime/link/wire.h"

namespace pannier {

/// The state of one link. Owned by Links.
struct Link {
  std::uint64_t id = 0;               ///< Unique within a process; 0 is no link.
  std::string node;                   ///< The peer's name: known at once when dialled, after hello when accepted.
  std::uint64_t incarnation = 0;      ///< The incarnation of the peer's store.
  const LinkOptions* dial = nullptr;  ///< Null for an accepted link.
  PeerIdentity peer;
  AccountRef account;  ///< What the peer causes is charged to it. Set before hello where the peer has proven a key.
  Charge place;        ///< One of the account's links.
  ChannelId channel{};
  bool open = false;      ///< The channel carries frames.
  bool up = false;        ///< The peer's hello was received.
  bool flushing = false;  ///< Is in Links::to_flush_.
  MonoTime heard{};       ///< When a frame was last received.
  MonoTime sent{};
  MonoTime up_since{};
  std::uint32_t failures = 0;  ///< Consecutive dials that failed; see docs/protocol.md, A link.
  TimerId timer{};

  /// The frame being filled. `bytes` and `row` leave out control records.
  struct Outgoing {
    wire::FrameWriter frame;
    std::size_t bytes = 0;
    bool row = false;     ///< Some bytes are of a row.
    bool marked = false;  ///< It ends with a mark.
    bool full = false;    ///< It ends with a piece.
    void clear() {
      frame.clear();
      bytes = 0;
      row = marked = full = false;
    }
  } out;
  SendQueue waiting;
  LinkWindow window;
  std::array<Assembly, wire::kAssemblies> assemblies;
  struct Echo {
    std::uint64_t position = 0;
    std::uint64_t transit = 0;
  };
  std::optional<Echo> echo;                         ///< To be sent to the peer.
  std::uint64_t rows_until = 0;                     ///< The position after the last byte of a row that was sent.
  MonoTime rows_told{};                             ///< When on_rows_moved was last called.
  bool peer_is_leaf = false;                        ///< As its hello said.
  bool peer_unpacks = false;                        ///< The same.
  Duration heartbeat = limits::kHeartbeatInterval;  ///< Used by both ends.
  MonoTime quiet_until{};    ///< Until then the peer, which announced that it sleeps, may be silent.
  bool refused = false;      ///< The peer has refused the link since it was last up.
  Duration retry_after{};    ///< The peer asked not to be dialled before this has passed.
  MonoTime lost_at{};        ///< When a dialled link was last up; zero: never.
  bool congested = false;    ///< Senders were told that the link is full. Set by the router.
  std::size_t unheeded = 0;  ///< Bytes of rows refused since one was taken. Set by the router.
};

/// What the link layer tells the router.
class LinkEvents {
 public:
  virtual ~LinkEvents() = default;
  virtual void on_link_up(Link& link) = 0;
  /// `link` is borrowed for the call; records that waited in it are lost. Called only after on_link_up.
  virtual void on_link_down(Link& link) = 0;
  /// A record was received on a link that is up. Text and payload are borrowed for the call; the payload is 16-byte
  /// aligned.
  virtual Result<void> on_record(Link& link, const wire::Record& record) = 0;
  /// The peer has received bytes of rows since the last such call. Called at most every limits::kRowProgress.
  virtual void on_rows_moved(Link& link) = 0;
};

/// Keeps links up over any transport. Dials, and redials with full jitter (AWS Architecture Blog, 2015); exchanges
/// hellos and heartbeats; detects silence; packs records into frames and cuts large ones into pieces. Runs on the
/// worker that drives the transport.
class Links final : public TransportEvents {
 public:
  /// All references must outlive this.
  Links(Transport& transport, LinkEvents& events, std::string own_name, std::uint64_t incarnation,
        std::vector<LinkOptions> dials, std::vector<PeerOptions> peers, bool leaf);

  /// Starts dialling.
  void start(ServicePort& port);
  /// Says goodbye to every peer and closes.
  void stop();

  /// Tells every peer that this node may be silent for `span`.
  void announce_sleep(Duration span);

  /// Handles what the transport has received. True when there is more.
  bool poll();
  /// Sends the frames filled so far.
  void flush();

  /// The account of each peer that uses anything.
  void each_account(FunctionRef<void(const Account&)> visit) const { peers_.each(visit); }
  /// Logs what was refused to the peer of `link` since the last such line, at most once in limits::kComplaintInterval.
  void audit(const Link& link);

  /// Queues a record. `priority`: of the row's lane. `charge` is held while it waits. unreachable: the link is not up.
  /// full: the link takes no more now; nothing was queued.
  Result<void> send(Link& link, const wire::Record& record, std::uint32_t priority = 0, Charge charge = {});
  /// Replaces the list of peers and the names they may have. Closes links whose peer may no longer have its name.
  void set_peers(std::vector<PeerOptions> peers);
  [[nodiscard]] const std::vector<LinkOptions>& dials() const noexcept { return dials_; }
  /// The link that leads to `node` and is up, or null.
  [[nodiscard]] Link* to(std::string_view node) noexcept;
  [[nodiscard]] Link* by_id(std::uint64_t id) noexcept;
  /// Closes the link at the end of this step; a dialled link is redialled.
  void cut(Link& link) { cut(link, Error{ErrorCode::full, "the peer does not keep up"}); }
  /// The same with another reason, which the peer is told.
  void cut(const Link& link, Error why) { to_cut_.emplace_back(link.id, std::move(why)); }
  void each_up(FunctionRef<void(Link&)> visit) {
    for (auto& [id, link] : links_) {
      if (link->up) visit(*link);
    }
  }

  struct Counters {
    std::uint64_t ups = 0;
    std::uint64_t downs = 0;
    std::uint64_t dials = 0;
    std::uint64_t refused = 0;    ///< Peers turned away: wrong name, wrong version, no hello.
    std::uint64_t malformed = 0;  ///< Frames that did not parse; each ends its link.
    std::uint64_t takeovers = 0;  ///< Links replaced by a newer one of the same name.
    std::uint64_t full = 0;       ///< Records that send() refused because too much waits.
    std::uint64_t lost = 0;       ///< Records still waiting when their link closed.
  };
  [[nodiscard]] const Counters& counters() const noexcept { return counters_; }

  // TransportEvents
  void on_open(ChannelId channel, const PeerIdentity& peer) override;
  void on_accept(ChannelId channel, const PeerIdentity& peer) override;
  void on_frame(ChannelId channel, std::span<const std::byte> frame) override;
  void on_closed(ChannelId channel, const Error& cause) override;

 private:
  Link& add_link();
  void dial(Link& link);
  void dial_later(Link& link);
  [[nodiscard]] bool was_up_lately(const Link& link) const noexcept;
  void opened(Link& link, const PeerIdentity& peer);
  void beat(Link& link);
  void beat_later(Link& link);
  /// Charges an accepted link to its peer. full: the peer has as many as it may.
  [[nodiscard]] Result<void> charge(Link& link);
  /// True if one more unidentified peer may connect within this second.
  [[nodiscard]] bool takes_stranger() noexcept;
  /// Tells the peer why and drops the link.
  void refuse(Link& link, const Error& why);
  void drop(Link& link, const Error& why);
  void back_off(Link& link, const Error& why, Duration lived) noexcept;
  void say_goodbye(Link& link, std::uint16_t code, std::string_view text, Duration retry_after = {});
  /// Logs the first complaint about `subject`, then at most one per interval with the number of those not logged.
  void complain(const std::string& subject, std::string_view text);
  Result<void> heard(Link& link, const wire::Record& record);
  Result<void> heard_hello(Link& link, const wire::Record& hello);
  Result<void> heard_piece(Link& link, const wire::Record& piece);
  void heard_mark(Link& link, std::uint64_t position, std::uint64_t clock);
  void heard_echo(Link& link, const wire::Record& echo);
  /// in_use: `incarnation`, of the node of `older`, is of a copy of its store.
  [[nodiscard]] Result<void> fence(const Link& link, std::uint64_t incarnation, const Link& older);
  /// When the peer is gone unless something is heard of it.
  [[nodiscard]] static MonoTime silent_at(const Link& link) noexcept;
  void make_way_for(Link& link, Link& older);
  /// Sends a record that neither waits nor counts against the window.
  Result<void> send_control(Link& link, const wire::Record& record);
  void flush_soon(Link& link);
  void flush(Link& link);
  void fill(Link& link);
  void add_mark(Link& link);
  /// False: the transport is full, and the frame is kept.
  bool send_frame(Link& link);
  [[nodiscard]] Link* by_channel(ChannelId channel) noexcept;

  Transport& transport_;
  LinkEvents& events_;
  const std::string own_name_;
  const std::uint64_t incarnation_;
  const std::vector<LinkOptions> dials_;
  Peers peers_;
  ServicePort* port_ = nullptr;
  std::uint64_t next_id_ = 1;
  std::unordered_map<std::uint64_t, std::unique_ptr<Link>> links_;
  std::unordered_map<std::uint64_t, Link*> channels_;
  std::unordered_map<std::string, Link*> nodes_;  // the links that are up
  std::vector<std::uint64_t> to_flush_;
  const bool leaf_;
  std::vector<std::pair<std::uint64_t, Error>> to_cut_;
  std::vector<std::unique_ptr<Link>> gone_;  // closed in this step; kept since references may be on the stack
  std::vector<std::byte> packed_;            // scratch: a frame on its way out
  std::vector<std::byte> unpacked_;          // scratch: a frame that came in
  TimerId retry_{};
  MonoTime accepts_since_{};
  std::size_t accepts_ = 0;
  struct Complaint {
    MonoTime logged{};
    std::uint64_t since = 0;  // complaints that were not logged
  };
  std::map<std::string, Complaint, std::less<>> complaints_;
  std::uint64_t refused_keys_ = 0;  // of the transport's counters, as of the last poll
  Counters counters_;
};

}  // namespace pannier
