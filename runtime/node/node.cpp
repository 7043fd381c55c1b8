#include <pannier/node.h>

#include "platform/concat.h"
#include "runtime/actor/worker.h"
#include "runtime/link/router.h"
#include "runtime/link/router_messages.h"
#include "runtime/node/queue_service.h"
#include "runtime/node/spill.h"

namespace pannier {

namespace {

/// Supervises the program's top-level actors. Handles nothing; its failure ends the node.
struct Guardian : Actor<Guardian> {};

void delivery_failed(Worker& worker, const Message& delivery, const Error& error) {
  Settle settle{delivery.correlation, Outcome::retry, {}, error.text(), {}, {}};
  worker.send_reserved(native_message(MessageKind::tell, delivery.sender, std::move(settle)));
}

SpawnOptions service_options(std::uint32_t worker) {
  SpawnOptions options;
  options.worker = worker;
  options.mailbox = {.messages = 65536, .bytes = 64 * 1024 * 1024};
  return options;
}

Error bad_option(std::string_view list, std::size_t index, std::string_view field, std::string_view what) {
  return {ErrorCode::invalid_argument, concat({list, "[", index, "].", field, ": ", what})};
}

/// Refuses options that no node can have.
Result<void> check(const NodeOptions& options) {
  constexpr std::string_view kName = "expected 1 to 64 characters of a-z 0-9 . _ -";
  if (!valid_name(options.name, limits::kNodeNameBytes)) {
    return Error{ErrorCode::invalid_argument, concat({"name: '", printable(options.name), "': ", kName})};
  }
  for (std::size_t i = 0; i < options.links.size(); ++i) {
    const LinkOptions& link = options.links[i];
    if (!valid_name(link.node, limits::kNodeNameBytes)) return bad_option("links", i, "node", kName);
    if (link.node == options.name) return bad_option("links", i, "node", "a node cannot link to itself");
    if (link.address.empty()) return bad_option("links", i, "address", "missing address");
    for (std::size_t other = 0; other < i; ++other) {
      if (options.links[other].node == link.node) return bad_option("links", i, "node", "duplicate link to this node");
    }
  }
  for (std::size_t i = 0; i < options.listen.size(); ++i) {
    if (options.listen[i].empty()) {
      return Error{ErrorCode::invalid_argument, concat({"listen[", i, "]: missing address"})};
    }
  }
  for (std::size_t i = 0; i < options.peers.size(); ++i) {
    if (!valid_name(options.peers[i].node, limits::kNodeNameBytes)) return bad_option("peers", i, "node", kName);
  }
  for (const LaneOptions& lane : options.lanes) {
    if (auto sane = check(lane); !sane) return sane;
  }
  if (options.queue.commit_delay < Duration::zero() || options.queue.commit_delay > limits::kCommitDelay) {
    return Error{ErrorCode::invalid_argument, "queue.commit_delay: expected 0 to 100 ms"};
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Node>> Node::create(NodeOptions options, NodeParts parts) {
  if (auto sane = check(options); !sane) return sane.error();
  if (parts.wakeups.empty() || parts.wakeups.size() > limits::kWorkers) {
    return Error{ErrorCode::invalid_argument, "wakeups: expected 1 to 64, one per worker."};
  }
  std::unique_ptr<Node> node{new Node{std::move(parts), options.name}};
  if (auto started = node->start(std::move(options)); !started) return started.error();
  return node;
}

Node::Node(NodeParts parts, const std::string& name)
    : parts_(std::move(parts)), system_(std::make_unique<System>(parts_.platform, name)) {
  system_->observer = parts_.observer;
  system_->watched = parts_.observer != nullptr;
}

Node::~Node() { system_->closed.store(true, std::memory_order_release); }

template <class A, class... Args>
Result<ActorId> Node::spawn_service(const SpawnOptions& options, Args... args) {
  return spawn_message(detail::start_message<A>(options, std::move(args)...), options, true);
}

Result<void> Node::start(NodeOptions options) {
  const auto count = static_cast<std::uint32_t>(parts_.wakeups.size());
  for (std::uint32_t i = 0; i < count; ++i) {
    system_->workers.push_back(std::make_unique<Worker>(*system_, i, *parts_.wakeups[i]));
    loops_.push_back(system_->workers.back().get());
  }
  const std::uint32_t store_worker = count >= 3 ? 1 : 0;
  system_->first_actor_worker = count >= 3 ? 2 : count == 2 ? 1 : 0;

  SpawnOptions top = service_options(0);
  top.children = options.supervision;
  auto root = spawn_service<Guardian>(top);
  if (!root) return root.error();
  system_->root = *root;

  Ways ways{{}, options.peers, !options.listen.empty() && options.peers.empty()};
  for (const LinkOptions& link : options.links) ways.links.push_back(link.node);

  // Services start first, so that they stop last.
  auto router = std::make_unique<Router>(*system_, parts_.transport, !options.listen.empty(),
                                         parts_.store == nullptr ? 0 : parts_.store->incarnation(),
                                         std::move(options.links), std::move(options.peers));
  if (parts_.transport != nullptr) {
    for (const std::string& address : options.listen) {
      auto listening = parts_.transport->listen(address);
      if (!listening) return listening.error();
      listening_.push_back(std::move(*listening));
    }
    system_->workers[0]->add_hook(*router);
  }
  auto router_port = spawn_service<ServicePort>(service_options(0), static_cast<Service*>(router.get()));
  if (!router_port) return router_port.error();
  system_->router = *router_port;
  router_ = std::move(router);

  if (parts_.store != nullptr) {
    system_->extensions = {&delivery_failed, &may_spill, &start_spiller};
    delivery_desk_ = std::make_unique<DeliveryDesk>(*system_);
    system_->settle_sink = delivery_desk_.get();
    auto queue = std::make_unique<QueueService>(*system_, *parts_.store, std::move(options.lanes), options.queue,
                                                std::move(ways));
    if (auto loaded = queue->load(); !loaded) return loaded;
    system_->workers[store_worker]->add_hook(*queue);
    auto queue_port = spawn_service<ServicePort>(service_options(store_worker), static_cast<Service*>(queue.get()));
    if (!queue_port) return queue_port.error();
    system_->queue = *queue_port;
    queue_ = std::move(queue);
  }
  return {};
}

Result<ActorId> Node::spawn_message(MessagePtr start, const SpawnOptions& options, bool service) {
  auto id = system_->reserve(options);
  if (!id) return id;
  const ActorId parent = system_->root;
  recipe_of(*start)->parent = parent;
  start->receiver = *id;
  if (parent) {
    Child child{*id, options.restart, options.stop_limit};
    child.apart = service;
    MessagePtr adopt = native_message(MessageKind::adopt, parent, std::move(child));
    if (auto adopted = system_->send_from_outside(std::move(adopt)); !adopted) return adopted.error();
  }
  if (auto sent = system_->send_from_outside(std::move(start)); !sent) return sent.error();
  return id;
}

Result<void> Node::tell(Ref to, const AnyTable& message) {
  return system_->send_from_outside(any_message(MessageKind::tell, to.id(), message));
}

Result<void> Node::set_peers(std::vector<PeerOptions> peers) {
  if (system_->queue) {
    auto told = system_->send_from_outside(native_message(MessageKind::tell, system_->queue, SetPeers{peers}));
    if (!told) return told;
  }
  return system_->send_from_outside(native_message(MessageKind::tell, system_->router, SetPeers{std::move(peers)}));
}

std::span<Loop* const> Node::loops() const noexcept { return loops_; }

void Node::stop() { system_->stop(); }

void Node::on_stopped(std::function<void()> told) { system_->on_stopped = std::move(told); }

bool Node::stopped() const noexcept { return system_->stopped.load(std::memory_order_acquire); }
bool Node::failed() const noexcept { return system_->failed.load(std::memory_order_acquire); }
const std::string& Node::name() const noexcept { return system_->directory.own_node(); }

std::uint64_t Node::dead_letters(DeadLetterReason reason) const noexcept {
  return system_->dead_letters[static_cast<std::size_t>(reason)].load(std::memory_order_relaxed);
}

std::vector<ActorStatus> Node::actors() {
  std::vector<ActorStatus> all;
  for (const auto& worker : system_->workers) worker->describe(all);
  return all;
}

void Node::time_handlers(bool on) noexcept {
  system_->times_handlers.store(on, std::memory_order_relaxed);
  system_->watched.store(on || system_->observer != nullptr, std::memory_order_relaxed);
}

HandlerTimes Node::handler_times(Ref actor) {
  const auto target = system_->resolve(actor.id());
  if (!target || target->cell.worker() >= system_->workers.size()) return {};
  return system_->workers[target->cell.worker()]->handler_times(target->cell);
}

TopicCounters Node::topics() const noexcept { return router_->topics(); }

std::uint64_t Node::dead_letters() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& each : system_->dead_letters) sum += each.load(std::memory_order_relaxed);
  return sum;
}

Result<void> Node::send(MessagePtr message) { return system_->send_from_outside(std::move(message)); }
std::string Node::describe(Ref actor) { return system_->describe(actor.id()); }

Ref Node::ref(std::string_view name) {
  const Result<Ref> found = system_->directory.name_for_good(name);
  if (!found) system_->platform.log.write(LogLevel::error, found.error().text());
  return found ? *found : Ref{};
}

}  // namespace pannier
