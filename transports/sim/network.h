#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "platform/loop.h"
#include "platform/sim/simulator.h"
#include "runtime/limits.h"
#include "runtime/link/transport.h"

namespace pannier::sim {

/// How frames fare on the way from one host to another (after TigerBeetle's packet simulator).
struct PathOptions {
  Duration delay_min = std::chrono::milliseconds{5};
  Duration delay_mean = std::chrono::milliseconds{10};  ///< Of an exponential share on top of delay_min.
  /// A frame vanishes and its channel lives on: harsher than TCP, where a gap ends the connection.
  double loss = 0;
  double duplication = 0;              ///< A frame arrives twice: harsher than TCP.
  bool reorder = false;                ///< Frames of a channel overtake each other: harsher than TCP.
  double connect_failure = 0;          ///< A dial is refused.
  std::uint64_t bytes_per_second = 0;  ///< 0: without a limit. Shared by all channels of the path.
};

/// What the two ends learn of a cut.
enum class Cut : std::uint8_t {
  silent,    ///< Nothing: frames vanish, channels stay half-open, dials end in timeout. As a dead radio.
  reported,  ///< Channels end at once with unreachable, dials are refused. As a reset.
};

class SimTransport;

/// The wires between simulated nodes: delivers frames on virtual time, and breaks as it is told, all from the
/// simulator's seed. A node is a host name; conditions are kept for each direction between two hosts.
///
/// A silent cut swallows frames, and a direction of a channel that lost one to a cut carries nothing any more, after
/// the cut is healed too: what arrives on a channel is always a prefix of what was sent, as with TCP (unless `loss`,
/// `duplication` or `reorder` ask for worse). What was swallowed keeps its place in the channel's bound.
///
/// One thread, the simulator's. Must outlive its transports; must not outlive the simulator.
class Network {
 public:
  /// Bytes that one direction of a channel holds before send() says full, besides the frames.
  struct Options {
    PathOptions path{};
    std::size_t channel_frames = 1024;
    std::size_t channel_bytes = limits::kLinkQueueBytes;
    Duration connect_timeout = limits::kHandshakeTimeout;
  };
  explicit Network(Simulator& simulator) : Network(simulator, Options{}) {}
  Network(Simulator& simulator, Options options);
  ~Network();
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  /// A transport of the node `host`. Several may share a host; destroying one is the death of its process: what it sent
  /// is under way, its channels end at the far side after the delay (unless a cut swallows that too).
  /// `key` is what its peers are told as its proven key.
  [[nodiscard]] std::unique_ptr<SimTransport> make_transport(std::string host, std::optional<PublicKey> key = {});

  /// Conditions for both directions, or for one. They hold for frames sent from now on.
  void set_path(std::string_view a, std::string_view b, const PathOptions& options);
  void set_direction(std::string_view from, std::string_view to, const PathOptions& options);

  /// Cuts both directions, or one; or all that lead to and from a host.
  void cut(std::string_view a, std::string_view b, Cut mode);
  void cut_direction(std::string_view from, std::string_view to, Cut mode);
  void isolate(std::string_view host, Cut mode);
  /// Ends cuts of a pair, of a host, of all.
  void heal(std::string_view a, std::string_view b);
  void rejoin(std::string_view host);
  void heal_all();

  /// Nothing arrives from `from` at `to` during `span`; then all of it does. Nothing is lost.
  void clog(std::string_view from, std::string_view to, Duration span);

  struct Counters {
    std::uint64_t frames_sent = 0;
    std::uint64_t frames_delivered = 0;
    std::uint64_t frames_lost = 0;         ///< By `loss`.
    std::uint64_t frames_cut = 0;          ///< Swallowed by a cut, or sent into a direction that a cut has broken.
    std::uint64_t frames_undelivered = 0;  ///< Their channel ended, or their receiver died, before they arrived.
    std::uint64_t frames_duplicated = 0;
    std::uint64_t dials = 0;
    std::uint64_t dials_failed = 0;
    std::uint64_t channels_cut = 0;  ///< Ended by a reported cut.
    std::uint64_t bytes_delivered = 0;
  };
  [[nodiscard]] const Counters& counters() const noexcept { return counters_; }
  /// Frames that are under way.
  [[nodiscard]] std::size_t in_flight() const noexcept { return in_flight_; }

 private:
  friend class SimTransport;
  struct Half;
  struct Endpoint;
  struct Event;

  struct Path {
    PathOptions options;
    std::optional<Cut> cut;
    MonoTime clogged_until{};
    MonoTime busy_until{};
  };
  /// One thing on its way.
  struct Parcel {
    enum class Kind : std::uint8_t { dial, welcome, refusal, give_up, frame, end } kind;
    std::shared_ptr<Half> from;  ///< Empty: comes from nowhere, and no cut swallows it.
    std::shared_ptr<Half> to;
    MonoTime at{};
    std::uint64_t sequence = 0;
    std::vector<std::byte> frame{};
    Error cause{ErrorCode::closed};
    std::string address{};  ///< Of a dial.
  };
  struct Later {
    bool operator()(const std::shared_ptr<Parcel>& a, const std::shared_ptr<Parcel>& b) const noexcept {
      return a->at != b->at ? a->at > b->at : a->sequence > b->sequence;
    }
  };
  class Pump;

  Path& path(std::string_view from, std::string_view to);
  [[nodiscard]] bool is_cut(std::string_view from, std::string_view to);
  [[nodiscard]] bool is_cut(std::string_view from, std::string_view to, Cut mode);
  void set_cut(std::string_view from, std::string_view to, std::optional<Cut> mode);
  void report_cut(std::string_view a, std::string_view b);
  /// Puts a parcel on the way, behind what its sender has sent before on that channel.
  void ship(Parcel parcel, std::size_t bytes);
  void enqueue(Parcel parcel);
  void arrive(Parcel& parcel);
  void arrive_dial(Parcel& parcel);
  void arrive_frame(Parcel& parcel);
  void end(const std::shared_ptr<Half>& half);
  MonoTime deliver_due(MonoTime now);

  Simulator& simulator_;
  Options options_;
  SeededEntropy entropy_;
  std::map<std::pair<std::string, std::string>, Path> paths_;
  std::map<std::string, std::shared_ptr<Endpoint>, std::less<>> listeners_;
  std::vector<std::weak_ptr<Half>> halves_;  ///< In the order of their dials.
  std::priority_queue<std::shared_ptr<Parcel>, std::vector<std::shared_ptr<Parcel>>, Later> under_way_;
  std::uint64_t next_sequence_ = 1;
  std::uint64_t next_channel_ = 1;
  std::uint64_t next_name_ = 1;
  std::size_t in_flight_ = 0;
  Counters counters_;
  std::unique_ptr<Pump> pump_;
};

/// One node's end of a Network. Addresses are "sim://name"; "sim://*" picks a name. A dial with `peer_key` ends in
/// permission where the listener's key is another.
class SimTransport final : public Transport {
 public:
  ~SimTransport() override;
  SimTransport(const SimTransport&) = delete;
  SimTransport& operator=(const SimTransport&) = delete;

  Result<std::string> listen(std::string_view address) override;
  Result<ChannelId> connect(std::string_view address, const std::optional<PublicKey>& peer_key) override;
  Result<void> send(ChannelId channel, std::span<const std::byte> frame) override;
  void close(ChannelId channel) override;
  bool poll(TransportEvents& events) override;
  Wakeup& wakeup() noexcept override { return wakeup_; }
  [[nodiscard]] Counters counters() const noexcept override;

 private:
  friend class Network;
  SimTransport(Network& network, std::string host, std::optional<PublicKey> key);

  Network& network_;
  FlagWakeup wakeup_;
  std::shared_ptr<Network::Endpoint> endpoint_;
};

}  // namespace pannier::sim
