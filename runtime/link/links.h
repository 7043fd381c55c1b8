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
#include "runtime/link/send_queue.h"
#include "runtime/link/wire.h"

namespace pannier {

/// One link: a channel and what both ends know of each other. Owned by Links.
struct Link {
  std::uint64_t id = 0;               ///< Never used twice within a process; 0 is no link.
  std::string node;                   ///< The peer's name: known at once when dialled, after hello when accepted.
  std::uint64_t incarnation = 0;      ///< Of the peer's store.
  const LinkOptions* dial = nullptr;  ///< Null for an accepted link.
  PeerIdentity peer;
  ChannelId channel{};
  bool open = false;      ///< The channel carries frames.
  bool up = false;        ///< The peer's hello has come.
  bool flushing = false;  ///< Stands in the list of links with something to send.
  MonoTime heard{};       ///< When a frame last came.
  MonoTime sent{};
  MonoTime up_since{};
  std::uint32_t failures = 0;  ///< Dials in a row that came to nothing; see docs/protocol.md, A link.
  TimerId timer{};

  /// The frame that is being gathered, and what it holds beside control records.
  struct Outgoing {
    wire::FrameWriter frame;
    std::size_t bytes = 0;
    bool row = false;     ///< Some of them are a row's.
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
  std::optional<Echo> echo;                         ///< Owed to the peer.
  std::uint64_t rows_until = 0;                     ///< Position behind the last byte of a row that was sent.
  MonoTime rows_told{};                             ///< When the queue last heard that rows move.
  bool peer_is_leaf = false;                        ///< It says so.
  Duration heartbeat = limits::kHeartbeatInterval;  ///< Of both ends.
  MonoTime quiet_until{};                           ///< The peer has announced that it sleeps.
  bool refused = false;                             ///< By the peer, since it was up last.
  Duration retry_after{};                           ///< The peer has asked to be dialled no sooner.
  MonoTime lost_at{};                               ///< When a dialled link was up last; the start of time: never.
  bool congested = false;                           ///< Senders were told that it takes no more: the router's.
};

/// What the link layer tells the router.
class LinkEvents {
 public:
  virtual ~LinkEvents() = default;
  virtual void on_link_up(Link& link) = 0;
  /// `link` is borrowed for the call; what still waited there is lost. Comes only after on_link_up.
  virtual void on_link_down(Link& link) = 0;
  /// One record of a link that is up. Text and payload are borrowed for the call; the payload is 16-byte aligned.
  virtual Result<void> on_record(Link& link, const wire::Record& record) = 0;
  /// Bytes of rows have arrived at the peer since the last such call. Comes at most every limits::kRowProgress.
  virtual void on_rows_moved(Link& link) = 0;
};

/// Keeps links up over any transport: dials and dials again with full jitter (AWS Architecture Blog, 2015), says and
/// hears hello, beats, notices silence, packs records into frames, cuts large ones into pieces. On the worker that
/// drives the transport.
class Links final : public TransportEvents {
 public:
  /// Everything given outlives the links.
  Links(Transport& transport, LinkEvents& events, std::string own_name, std::uint64_t incarnation,
        std::vector<LinkOptions> dials, std::vector<PeerOptions> peers, bool leaf);

  /// The port has started: dial.
  void start(ServicePort& port);
  /// Says goodbye to every peer and closes.
  void stop();

  /// Says on every link that nothing may be heard of this node for `span`.
  void announce_sleep(Duration span);

  /// Takes what the transport has. True when there is more.
  bool poll();
  /// Sends the frames that gathered.
  void flush();

  /// Queues a record; a row with the priority of its lane. unreachable: the link is not up. full: the link takes no
  /// more now; nothing was queued.
  Result<void> send(Link& link, const wire::Record& record, std::uint32_t priority = 0);
  /// Replaces who may bear which name. Links whose peer may no longer bear its name end.
  void set_peers(std::vector<PeerOptions> peers);
  [[nodiscard]] const std::vector<LinkOptions>& dials() const noexcept { return dials_; }
  /// The link that leads to `node` and is up, or null.
  [[nodiscard]] Link* to(std::string_view node) noexcept;
  [[nodiscard]] Link* by_id(std::uint64_t id) noexcept;
  /// Ends the link at the end of this step; a dialled one is dialled again.
  void cut(Link& link) { cut(link, Error{ErrorCode::full, "the peer does not keep up"}); }
  /// The same, and tells the peer why.
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
    std::uint64_t takeovers = 0;  ///< Links that a newer one of the same name replaced.
    std::uint64_t full = 0;       ///< Records that send() refused because too much waits.
    std::uint64_t lost = 0;       ///< Records that still waited when their link ended.
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
  void opened(Link& link, const PeerIdentity& peer);
  void beat(Link& link);
  void beat_later(Link& link);
  /// Room for one more stranger in this second.
  [[nodiscard]] bool takes_stranger() noexcept;
  /// Tells the peer why, and drops the link.
  void refuse(Link& link, const Error& why);
  void drop(Link& link, const Error& why);
  void back_off(Link& link, const Error& why, Duration lived) noexcept;
  void say_goodbye(Link& link, std::uint16_t code, std::string_view text, Duration retry_after = {});
  /// Logs the first complaint about `subject`, then one for all that come within an interval.
  void complain(const std::string& subject, std::string_view text);
  Result<void> heard(Link& link, const wire::Record& record);
  Result<void> heard_hello(Link& link, const wire::Record& hello);
  Result<void> heard_piece(Link& link, const wire::Record& piece);
  void heard_mark(Link& link, std::uint64_t position, std::uint64_t clock);
  void heard_echo(Link& link, const wire::Record& echo);
  void make_way_for(Link& link, Link& older);
  [[nodiscard]] bool may_bear(const PeerIdentity& peer, std::string_view name) const noexcept;
  /// A record that is not counted and does not wait.
  Result<void> send_control(Link& link, const wire::Record& record);
  void flush_soon(Link& link);
  void flush(Link& link);
  void fill(Link& link);
  void add_mark(Link& link);
  /// False: the transport takes no more now, and the frame stays.
  bool send_frame(Link& link);
  [[nodiscard]] Link* by_channel(ChannelId channel) noexcept;

  Transport& transport_;
  LinkEvents& events_;
  const std::string own_name_;
  const std::uint64_t incarnation_;
  const std::vector<LinkOptions> dials_;
  std::vector<PeerOptions> peers_;
  ServicePort* port_ = nullptr;
  std::uint64_t next_id_ = 1;
  std::unordered_map<std::uint64_t, std::unique_ptr<Link>> links_;
  std::unordered_map<std::uint64_t, Link*> channels_;
  std::unordered_map<std::string, Link*> nodes_;  // the links that are up
  std::vector<std::uint64_t> to_flush_;
  const bool leaf_;
  std::vector<std::pair<std::uint64_t, Error>> to_cut_;
  std::vector<std::unique_ptr<Link>> gone_;  // ended in this step; references may still be on the stack
  TimerId retry_{};
  MonoTime accepts_since_{};
  std::size_t accepts_ = 0;
  struct Complaint {
    MonoTime logged{};
    std::uint64_t since = 0;  // complaints that were not logged
  };
  std::map<std::string, Complaint, std::less<>> complaints_;
  Counters counters_;
};

}  // namespace pannier
