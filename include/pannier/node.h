#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <pannier/actor.h>
#include <pannier/lane.h>
#include <pannier/link.h>
#include <pannier/observer.h>
#include <pannier/platform.h>
#include <pannier/result.h>
#include <pannier/store.h>
#include <pannier/transport.h>

namespace pannier {

class QueueService;
class Router;

struct NodeOptions {
  std::string name;                      ///< Used by other nodes to address it. a-z 0-9 . _ - only.
  std::vector<LinkOptions> links = {};   ///< Nodes to dial. Empty for a node that only listens.
  std::vector<std::string> listen = {};  ///< Addresses to accept links at, in the transport's form.
  std::vector<PeerOptions> peers = {};   ///< Which key may use which name. Empty: any peer the transport admits.
  std::vector<LaneOptions> lanes = {};   ///< Lanes that differ from the default or forward to another node.
  QueueOptions queue = {};               ///< Options of all lanes together.
  /// Supervision of the actors started by Node::spawn. More failures than it allows end the node; see failed(). The
  /// runtime's own services are not restarted with them.
  Supervision supervision = {};
};

/// What a node is built from, chosen by main. All of it outlives the node.
struct NodeParts {
  Platform platform;
  /// One wake-up per worker. With one or two workers, the first also drives sockets and store. With three or more,
  /// worker 0 owns the sockets, worker 1 the store, and the others the program's actors.
  std::vector<Wakeup*> wakeups;
  Transport* transport = nullptr;  ///< Null: no links.
  Store* store = nullptr;          ///< Null: no queue; enqueue is refused.
  Observer* observer = nullptr;    ///< Null: none.
};

/// One node: its name, actors, links and queue. A step machine of several loops, driven by posix::Process with threads
/// or by sim::Simulator in virtual time. Creating it starts nothing.
class Node {
 public:
  /// Errors: invalid_argument for options that cannot work, naming the field; in_use or permission for an address; any
  /// error of the store.
  [[nodiscard]] static Result<std::unique_ptr<Node>> create(NodeOptions options, NodeParts parts);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  /// The loops to drive, each from one thread. They live as long as the node.
  [[nodiscard]] std::span<Loop* const> loops() const noexcept;

  // --- Any thread --------------------------------------------------------------------------------------------------
  /// Starts a top-level actor from copies of `args`.
  template <class A, class... Args>
  Result<ActorRef<A>> spawn(SpawnOptions options, Args... args) {
    auto id = spawn_message(detail::start_message<A>(options, std::move(args)...), options);
    if (!id) return id.error();
    return ActorRef<A>{*id};
  }
  template <class A, class... Args>
  requires(!std::same_as<std::tuple_element_t<0, std::tuple<Args..., void>>, SpawnOptions>) Result<ActorRef<A>> spawn(
      Args... args) {
    return spawn<A>(SpawnOptions{}, std::move(args)...);
  }
  /// Sends from outside any actor. See ActorBase::tell.
  Result<void> tell(Ref to, const AnyTable& message);
  template <class T>
  requires(!std::convertible_to<T, AnyTable>) Result<void> tell(LocalRef to, T&& value) {
    return send(native_message(MessageKind::tell, to.id(), std::forward<T>(value)));
  }
  /// A reference by name, "planner" or "hub/planner". The actor need not exist yet. Valid for the life of the node. An
  /// invalid name is logged and gives a null reference; sending to it is not_found.
  [[nodiscard]] Ref ref(std::string_view name);

  /// Replaces NodeOptions::peers while the node runs. Links whose peer may no longer use its name end. The transport
  /// decides who is admitted at all (zmq::ZmqTransport::allow and revoke).
  Result<void> set_peers(std::vector<PeerOptions> peers);

  /// Begins to stop: the program's actors in reverse order of start, then the queue and the links. Every phase is
  /// bounded by the actors' stop limits. See stopped().
  void stop();
  /// Calls `told` once, on a worker's thread, when the node has stopped. Set it before the node runs.
  void on_stopped(std::function<void()> told);
  [[nodiscard]] bool stopped() const noexcept;
  /// True if the top supervisor gave up. The process should then exit with kExitFailed, so that its service manager
  /// restarts it.
  [[nodiscard]] bool failed() const noexcept;
  static constexpr int kExitFailed = 70;  // EX_SOFTWARE of sysexits.h

  [[nodiscard]] const std::string& name() const noexcept;
  /// The actual listen addresses, in the order of NodeOptions::listen ("tcp://*:0" has its port).
  [[nodiscard]] const std::vector<std::string>& listening() const noexcept { return listening_; }
  /// The living actors, services included. Any thread. Costs the actors nothing.
  [[nodiscard]] std::vector<ActorStatus> actors();
  /// Starts or stops timing each turn for handler_times. Costs two clock readings per message and 160 bytes per active
  /// actor. Off by default, at no cost.
  void time_handlers(bool on) noexcept;
  /// The durations of a living actor's turns while they were timed. Any thread.
  [[nodiscard]] HandlerTimes handler_times(Ref actor);
  /// Publication and subscription counters; see NodeActor::topic_counters.
  [[nodiscard]] TopicCounters topics() const noexcept;
  [[nodiscard]] std::string describe(Ref actor);
  [[nodiscard]] std::uint64_t dead_letters() const noexcept;
  [[nodiscard]] std::uint64_t dead_letters(DeadLetterReason reason) const noexcept;
  [[nodiscard]] System& system() noexcept { return *system_; }

 private:
  Result<void> send(MessagePtr message);
  explicit Node(NodeParts parts, const std::string& name);
  Result<void> start(NodeOptions options);
  Result<ActorId> spawn_message(MessagePtr start, const SpawnOptions& options, bool service = false);
  template <class A, class... Args>
  Result<ActorId> spawn_service(const SpawnOptions& options, Args... args);

  NodeParts parts_;
  // Deliveries end with the actors that hold them, so this is destroyed after the system.
  std::unique_ptr<SettleSink> delivery_desk_;
  // Declared first and destroyed last: by then the workers' hooks are gone and nobody steps them.
  std::unique_ptr<System> system_;
  std::unique_ptr<Router> router_;
  std::unique_ptr<QueueService> queue_;
  std::vector<Loop*> loops_;
  std::vector<std::string> listening_;
};

}  // namespace pannier
