#include <pannier/simulation.h>

#include <cstdio>
#include <cstdlib>

#include <pannier/sqlite_store.h>

#include "runtime/actor/worker.h"
#include "testkit/faulty_store.h"
#include "testkit/memory_store.h"

namespace pannier::testkit {

/// What survives a crash.
struct SimNode::Disk {
  StorePtr own;
  std::optional<FaultyStore> faulty;
};

/// One life: from the start of the process to its end.
struct SimNode::Life {
  std::unique_ptr<sim::SimTransport> transport;
  std::vector<std::unique_ptr<sim::FlagWakeup>> wakeups;
  std::unique_ptr<Node> node;
};

class SimNode::Eye final : public Observer {
 public:
  explicit Eye(SimNode& owner) : owner_(owner) {}
  void on_handled(const Handled& handled) noexcept override {
    if (owner_.machine_.observer != nullptr) owner_.machine_.observer->on_handled(handled);
    if (owner_.see_ && is_program(handled)) owner_.see_(handled);
  }
  void on_dead_letter(const DeadLetter& letter) noexcept override {
    if (owner_.machine_.observer != nullptr) owner_.machine_.observer->on_dead_letter(letter);
  }

 private:
  [[nodiscard]] bool is_program(const Handled& handled) const noexcept {
    const System& system = owner_.life_->node->system();
    return handled.receiver != system.root && handled.receiver != system.router && handled.receiver != system.queue &&
           handled.type != type_info<ProbeActor::Order>().name;
  }
  SimNode& owner_;
};

/// Takes apart a node that died within a step, once that step is over.
class SimNode::Undertaker final : public Loop {
 public:
  explicit Undertaker(SimNode& owner) : owner_(owner), wakeup_(owner.simulator_) {}
  ~Undertaker() override { owner_.simulator_.remove(*this); }
  MonoTime step(MonoTime) override {
    owner_.simulator_.remove(*this);
    owner_.crash();
    return kNever;
  }
  Wakeup& wakeup() noexcept override { return wakeup_; }

 private:
  SimNode& owner_;
  sim::FlagWakeup wakeup_;
};

SimNode::SimNode(sim::Simulator& simulator, std::string name, Machine machine)
    : SimNode(simulator, nullptr, NodeOptions{.name = std::move(name)}, std::move(machine)) {}

SimNode::SimNode(sim::Simulator& simulator, sim::Network* network, NodeOptions options, Machine machine)
    : simulator_(simulator),
      network_(network),
      options_(std::move(options)),
      machine_(std::move(machine)),
      entropy_(simulator.entropy().next()),
      log_(options_.name),
      disk_(std::make_unique<Disk>()),
      eye_(std::make_unique<Eye>(*this)),
      undertaker_(std::make_unique<Undertaker>(*this)) {
  if (auto started = start(); !started) give_up("start", "", started.error());
}

SimNode::~SimNode() { crash(); }

Result<Store*> SimNode::open_store() {
  if (machine_.store != nullptr) return machine_.store;
  if (!machine_.file.empty()) {
    auto opened = open_sqlite_store({.path = machine_.file, .entropy = entropy_});
    if (!opened) return opened.error();
    disk_->own = std::move(*opened);
  } else if (disk_->own == nullptr) {
    disk_->own = StorePtr{new MemoryStore{entropy_}};
  }
  return disk_->own.get();
}

Result<void> SimNode::start() {
  if (up()) return {};
  if (network_ != nullptr && std::exchange(off_network_, false)) network_->rejoin(name());
  auto life = std::make_unique<Life>();
  NodeParts parts{.platform = {simulator_.clock(), entropy_, log_}, .wakeups = {}, .observer = eye_.get()};
  if (machine_.disk || machine_.store != nullptr) {
    auto store = open_store();
    if (!store) return store.error();
    disk_->faulty ? disk_->faulty->revive(**store) : void(disk_->faulty.emplace(**store));
    parts.store = &*disk_->faulty;
  }
  for (std::uint32_t i = 0; i < machine_.workers; ++i) {
    life->wakeups.push_back(std::make_unique<sim::FlagWakeup>(simulator_));
    parts.wakeups.push_back(life->wakeups.back().get());
  }
  if (machine_.transport != nullptr) {
    parts.transport = machine_.transport;
    parts.wakeups.front() = &machine_.transport->wakeup();
  } else if (network_ != nullptr) {
    life->transport = network_->make_transport(name());
    parts.transport = life->transport.get();
    parts.wakeups.front() = &life->transport->wakeup();
  }
  auto made = Node::create(options_, std::move(parts));
  if (!made) return made.error();
  life->node = std::move(*made);
  life_ = std::move(life);
  if (machine_.boot) machine_.boot(*life_->node);
  for (Loop* loop : life_->node->loops()) simulator_.add(*loop);
  return {};
}

void SimNode::crash() {
  if (!up()) return;
  for (Loop* loop : life_->node->loops()) simulator_.remove(*loop);
  life_.reset();
  if (disk_->faulty) disk_->faulty->lose_transaction();
  if (!machine_.file.empty()) disk_->own.reset();
}

void SimNode::crash_in_store_call(std::uint32_t calls, bool commit_is_stored) {
  disk().die_after(calls, commit_is_stored, [this] {
    for (Loop* loop : life_->node->loops()) simulator_.remove(*loop);
    off_network_ = true;
    if (network_ != nullptr) network_->isolate(name(), sim::Cut::silent);
    simulator_.add(*undertaker_);
  });
}

Result<void> SimNode::restart() {
  crash();
  return start();
}

Result<void> SimNode::stop(Duration limit) {
  if (!up()) return {};
  (**this).stop();
  if (!simulator_.run_until([this] { return !up() || life_->node->stopped(); }, limit)) {
    return Error{ErrorCode::timeout, "The node '" + name() + "' has not stopped."};
  }
  crash();
  return {};
}

Node& SimNode::operator*() noexcept {
  if (!up()) give_up("use", "", Error{ErrorCode::closed, "The node is down; call start() first."});
  return *life_->node;
}

void SimNode::fill_disk(bool full) { disk().fill_disk(full); }
void SimNode::fail_commits(std::uint32_t count, ErrorCode code) { disk().fail_commits(count, code); }

FaultyStore& SimNode::disk() noexcept {
  if (!disk_->faulty)
    give_up("break the disk of", "", Error{ErrorCode::not_found, "The node has no disk; see Machine."});
  return *disk_->faulty;
}

Store& SimNode::store() noexcept {
  Store* store = machine_.store != nullptr ? machine_.store : disk_->own.get();
  if (store == nullptr)
    give_up("read the disk of", "", Error{ErrorCode::not_found, "The node has no disk, or its file is closed."});
  return *store;
}

Probe SimNode::probe(std::string probe_name) {
  auto mail = std::make_shared<Mail>(simulator_);
  const auto actor = spawn<ProbeActor>({.name = std::move(probe_name)}, std::make_shared<MailHold>(mail));
  mail->system = &(**this).system();
  return Probe{actor, std::move(mail)};
}

void SimNode::one_by_one(bool on) {
  if (up()) life_->node->system().step_batch = on ? 1 : limits::kStepBatch;
}

Step SimNode::step_of(const Handled& handled) {
  return {name(), (**this).describe(Ref{handled.receiver}), short_name(handled.type), handled.ok};
}

void SimNode::give_up(const char* what, const std::string& which, const Error& error) const {
  std::fprintf(stderr, "pannier testkit: cannot %s%s%s%s the node '%s': %s\n", what, which.empty() ? "" : " '",
               which.c_str(), which.empty() ? "" : "' on", name().c_str(), error.text().c_str());
  std::abort();
}

}  // namespace pannier::testkit
