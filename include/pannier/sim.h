#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pannier/limits.h>
#include <pannier/platform.h>
#include <pannier/transport.h>

namespace pannier::sim {

/// Time that only the simulator moves. Starts at a round second, so that zero is never a valid time by accident. One
/// thread.
class VirtualClock final : public Clock {
 public:
  [[nodiscard]] MonoTime now() const noexcept override { return now_; }
  [[nodiscard]] WallTime wall_now() const noexcept override { return wall_; }

  [[nodiscard]] std::uint64_t boot() const noexcept override { return boot_; }

  /// Advances both clocks. A `time` before now() is ignored.
  void advance_to(MonoTime time) noexcept {
    if (time <= now_) return;
    wall_ += time - now_;
    now_ = time;
  }

  /// Steps the wall clock alone, either way, as an operator or NTP would.
  void step_wall(Duration by) noexcept { wall_ += by; }

  /// The machine reboots: earlier monotonic times are no longer comparable.
  void reboot() noexcept { ++boot_; }

  static constexpr MonoTime kStart{std::chrono::seconds{1000}};

 private:
  std::uint64_t boot_ = 1;
  MonoTime now_ = kStart;
  WallTime wall_{std::chrono::seconds{1'700'000'000}};
};

/// Reproducible randomness: xoshiro256** seeded by splitmix64 (Blackman and Vigna, "Scrambled linear pseudorandom
/// number generators", 2021; public-domain reference at prng.di.unimi.it). The same seed gives the same numbers on
/// every machine and compiler, unlike the standard library's distributions. Not for keys. One thread.
class SeededEntropy final : public Entropy {
 public:
  explicit SeededEntropy(std::uint64_t seed) noexcept;

  void fill(std::span<std::byte> out) noexcept override;

  /// The next 64 bits.
  std::uint64_t next() noexcept;
  /// Uniform in [0, bound); 0 if `bound` is 0. The bias of at most bound / 2^64 does not matter here.
  std::uint64_t below(std::uint64_t bound) noexcept;
  /// True with this probability. Always draws a number, so that changing one probability keeps the sequence in step.
  bool chance(double probability) noexcept;
  /// Uniform in [0, 1).
  double uniform() noexcept;
  /// Exponentially distributed with this mean.
  Duration exponential(Duration mean) noexcept;

 private:
  std::array<std::uint64_t, 4> state_;
};

class Simulator;

/// The wake-up of a simulated loop: a flag that the simulator reads. Must not outlive its simulator.
class FlagWakeup final : public Wakeup {
 public:
  explicit FlagWakeup(Simulator& simulator);
  ~FlagWakeup() override;
  FlagWakeup(const FlagWakeup&) = delete;
  FlagWakeup& operator=(const FlagWakeup&) = delete;

  void notify() noexcept override { notified_ = true; }
  /// Takes the notification and returns at once: the simulator owns the time.
  void wait_until(MonoTime /*deadline*/) noexcept override { notified_ = false; }

  [[nodiscard]] bool notified() const noexcept { return notified_; }

 private:
  Simulator& simulator_;
  bool notified_ = false;
};

/// Drives any number of loops in one thread on virtual time. Steps the loops that are notified or due, one at a time in
/// an order drawn from the seed, until all are quiet. Then the clock jumps to the earliest due time. The same seed and
/// program give the same run, step by step (FoundationDB's simulation, TigerBeetle's VOPR).
///
/// One thread. Loops may be added and removed at any time, even within a step: that is how a node crashes and restarts.
class Simulator {
 public:
  explicit Simulator(std::uint64_t seed) noexcept : seed_(seed), entropy_(seed) {}
  Simulator(const Simulator&) = delete;
  Simulator& operator=(const Simulator&) = delete;

  /// Adds a loop, which is stepped at once and then when due. It must live until remove(). Its wakeup() must be a
  /// FlagWakeup of this simulator; anything else aborts.
  void add(Loop& loop);
  /// Stops stepping the loop. Unknown loops are ignored. Call it before the loop's wake-up is destroyed.
  void remove(Loop& loop) noexcept;

  /// Steps one loop that is notified or due now, drawn from the seed. False if there is none. Time does not pass.
  bool step();
  /// Runs for `span` of virtual time.
  void run_for(Duration span);
  /// Runs until `predicate` holds or `limit` of virtual time has passed. The predicate is evaluated before the first
  /// step and after each. Returns whether it holds.
  [[nodiscard]] bool run_until(const std::function<bool()>& predicate, Duration limit);

  [[nodiscard]] MonoTime now() const noexcept { return clock_.now(); }
  [[nodiscard]] VirtualClock& clock() noexcept { return clock_; }
  /// One stream of numbers for all. A node should have its own: `SeededEntropy{simulator.entropy().next()}`.
  [[nodiscard]] SeededEntropy& entropy() noexcept { return entropy_; }
  [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }

  /// Steps so far.
  [[nodiscard]] std::uint64_t steps() const noexcept { return steps_; }
  /// How often loops kept busy past kStepsPerInstant, so that time was advanced anyway.
  [[nodiscard]] std::uint64_t busy_instants() const noexcept { return busy_instants_; }
  /// A hash over (time, loop) of every step. Equal for equal runs.
  [[nodiscard]] std::uint64_t digest() const noexcept { return digest_; }

  /// Busy loops do not stop time: after this many steps at one instant it advances by kBusyAdvance.
  static constexpr std::uint64_t kStepsPerInstant = 100'000;
  static constexpr Duration kBusyAdvance = std::chrono::microseconds{100};

 private:
  friend class FlagWakeup;
  struct Entry {
    Loop* loop;
    FlagWakeup* wakeup;
    MonoTime due;
    std::uint64_t id;
  };

  bool run(const std::function<bool()>* predicate, MonoTime end);
  [[nodiscard]] MonoTime earliest_due() const noexcept;

  std::uint64_t seed_;
  VirtualClock clock_;
  SeededEntropy entropy_;
  std::vector<FlagWakeup*> wakeups_;
  std::vector<Entry> entries_;
  std::vector<std::size_t> ready_;  ///< Scratch of step().
  std::uint64_t next_id_ = 1;
  std::uint64_t steps_ = 0;
  std::uint64_t busy_instants_ = 0;
  std::uint64_t digest_ = 0xcbf29ce484222325ULL;
};

/// How frames travel from one host to another (after TigerBeetle's packet simulator).
struct PathOptions {
  Duration delay_min = std::chrono::milliseconds{5};
  Duration delay_mean = std::chrono::milliseconds{10};  ///< Mean of an exponential delay on top of delay_min.
  /// A frame vanishes and its channel survives. Harsher than TCP, where a gap ends the connection.
  double loss = 0;
  double duplication = 0;              ///< A frame arrives twice. Harsher than TCP.
  bool reorder = false;                ///< Frames of a channel overtake each other. Harsher than TCP.
  double connect_failure = 0;          ///< A dial is refused.
  std::uint64_t bytes_per_second = 0;  ///< Shared by all channels of the path. 0: unlimited.
};

/// What the two ends learn of a cut.
enum class Cut : std::uint8_t {
  silent,    ///< Nothing: frames vanish, channels stay half-open, dials time out. Like a dead radio.
  reported,  ///< Channels end at once with unreachable and dials are refused. Like a reset.
};

class SimTransport;

/// The network between simulated nodes. Delivers frames on virtual time and fails as told, all from the simulator's
/// seed. A node is a host name; conditions hold per direction between two hosts.
///
/// A silent cut swallows frames. A channel direction that lost a frame to a cut carries nothing afterwards, even once
/// healed: what arrives is always a prefix of what was sent, as with TCP (unless `loss`, `duplication` or `reorder` say
/// otherwise). Swallowed frames keep counting against the channel's bound.
///
/// Simulator's thread only. Must outlive its transports; must not outlive the simulator.
class Network {
 public:
  /// Bounds of one direction of a channel; beyond them send() is full.
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

  /// A transport of the node `host`; several may share a host. Destroying one is the death of its process: frames
  /// already sent still travel, and its channels end at the far side after the delay, unless a cut swallows that too.
  /// `key` is given to peers as its proven key.
  [[nodiscard]] std::unique_ptr<SimTransport> make_transport(std::string host, std::optional<PublicKey> key = {});

  /// Sets conditions of both directions or one, for frames sent from now on.
  void set_path(std::string_view a, std::string_view b, const PathOptions& options);
  void set_direction(std::string_view from, std::string_view to, const PathOptions& options);

  /// Cuts both directions, one, or all to and from a host.
  void cut(std::string_view a, std::string_view b, Cut mode);
  void cut_direction(std::string_view from, std::string_view to, Cut mode);
  void isolate(std::string_view host, Cut mode);
  /// Ends the cuts of a pair, a host, or all.
  void heal(std::string_view a, std::string_view b);
  void rejoin(std::string_view host);
  void heal_all();

  /// Holds back everything from `from` to `to` for `span`, then delivers it. Nothing is lost.
  void clog(std::string_view from, std::string_view to, Duration span);

  struct Counters {
    std::uint64_t frames_sent = 0;
    std::uint64_t frames_delivered = 0;
    std::uint64_t frames_lost = 0;         ///< By `loss`.
    std::uint64_t frames_cut = 0;          ///< Swallowed by a cut, or sent in a direction broken by one.
    std::uint64_t frames_undelivered = 0;  ///< The channel ended or the receiver died before they arrived.
    std::uint64_t frames_duplicated = 0;
    std::uint64_t dials = 0;
    std::uint64_t dials_failed = 0;
    std::uint64_t channels_cut = 0;  ///< Ended by a reported cut.
    std::uint64_t bytes_delivered = 0;
  };
  [[nodiscard]] const Counters& counters() const noexcept { return counters_; }
  /// Frames under way.
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
  /// One item under way.
  struct Parcel {
    enum class Kind : std::uint8_t { dial, welcome, refusal, give_up, frame, end } kind;
    std::shared_ptr<Half> from;  ///< Null: no sender, and no cut swallows it.
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
  /// Sends a parcel, behind earlier ones of its channel.
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

/// One node's end of a Network. Addresses are "sim://name"; "sim://*" picks a name. A dial with a `peer_key` other than
/// the listener's ends in permission.
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
