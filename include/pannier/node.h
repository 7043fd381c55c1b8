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
  std::string name;                      ///< As others address it: a-z 0-9 . _ - only.
  std::vector<LinkOptions> links = {};   ///< Nodes to dial. A node that only listens needs none.
  std::vector<std::string> listen = {};  ///< Addresses to accept links at, in the transport's form.
  std::vector<PeerOptions> peers = {};   ///< Who may bear which name. Empty: whoever the transport let in.
  std::vector<LaneOptions> lanes = {};   ///< Lanes that differ from the default, or lead on to another node.
  QueueOptions queue = {};               ///< What holds for all lanes together.
  /// How the actors that Node::spawn starts are supervised. More failures than it allows end the node, see failed().
  /// The runtime's own services never restart with them.
  Supervision supervision = {};
};

/// What a node is built of; `main` chooses. Everything outlives the node.
struct NodeParts {
  Platform platform;
  /// One place to sleep for each worker. The first worker also drives sockets and the store, unless more are given:
  /// with three or more, worker 0 owns the sockets, worker 1 the store, the others the program's actors.
  std::vector<Wakeup*> wakeups;
  Transport* transport = nullptr;  ///< Null: a node on its own.
  Store* store = nullptr;          ///< Null: no queue; enqueue is refused.
  Observer* observer = nullptr;    ///< Null: nobody looks on.
};

/// One process's share of the fleet: its name, its actors, its links, its queue. A step machine of several loops; some
/// shell drives them (posix::Process with threads, sim::Simulator in virtual time). Building a node starts nothing.
class Node {
 public:
  /// invalid_argument for options that cannot be, with the name of the field; in_use, permission for an address; what
  /// the store says.
  [[nodiscard]] static Result<std::unique_ptr<Node>> create(NodeOptions options, NodeParts parts);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  /// What a shell drives: each of them from one thread. They live as long as the node.
  [[nodiscard]] std::span<Loop* const> loops() const noexcept;

  // --- Any thread --------------------------------------------------------------------------------------------------
  /// Starts an actor at the top, built from copies of `args`.
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
  /// Sends from outside of any actor; as ActorBase::tell.
  Result<void> tell(Ref to, const AnyTable& message);
  template <class T>
  requires(!std::convertible_to<T, AnyTable>) Result<void> tell(LocalRef to, T&& value) {
    return send(native_message(MessageKind::tell, to.id(), std::forward<T>(value)));
  }
  /// The actor of that name, here or on another node ("hub/planner"); it need not exist yet. Good as long as the node.
  /// A name that breaks the rules gives nobody, with a line in the log, and sending to nobody is not_found.
  [[nodiscard]] Ref ref(std::string_view name);

  /// Starts to stop: the program's actors in reverse order, then queue and links. stopped() tells when it is through;
  /// every phase is bounded by the actors' stop limits.
  void stop();
  /// `told` is called once, on a worker's thread, when the node has stopped. Before the node runs.
  void on_stopped(std::function<void()> told);
  [[nodiscard]] bool stopped() const noexcept;
  /// The top supervisor gave up; the process should end with kExitFailed, so that its service manager starts it again.
  [[nodiscard]] bool failed() const noexcept;
  static constexpr int kExitFailed = 70;  // EX_SOFTWARE of sysexits.h

  [[nodiscard]] const std::string& name() const noexcept;
  /// What listen addresses became, in the order of NodeOptions::listen ("tcp://*:0" has a port now).
  [[nodiscard]] const std::vector<std::string>& listening() const noexcept { return listening_; }
  /// The living actors at this moment, services included. Any thread; it costs the actors nothing.
  [[nodiscard]] std::vector<ActorStatus> actors();
  /// From now on, or no longer, the time of each turn is kept for handler_times: two looks at the clock a message, and
  /// 160 bytes an actor that works. Off at first: then it costs nothing.
  void time_handlers(bool on) noexcept;
  /// How long the turns of a living actor took, since it was spawned, while they were timed. Any thread.
  [[nodiscard]] HandlerTimes handler_times(Ref actor);
  /// What became of publications and subscriptions; see ActorBase::topic_counters.
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
  // Deliveries end with the actors that hold them, so this goes after the system.
  std::unique_ptr<SettleSink> delivery_desk_;
  // Workers first, so that they go last: their hooks are gone by then, and nobody steps them any more.
  std::unique_ptr<System> system_;
  std::unique_ptr<Router> router_;
  std::unique_ptr<QueueService> queue_;
  std::vector<Loop*> loops_;
  std::vector<std::string> listening_;
};

}  // namespace pannier
