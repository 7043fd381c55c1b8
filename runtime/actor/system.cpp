#include "runtime/actor/system.h"

#include "platform/concat.h"
#include "runtime/node/spill.h"
#include "runtime/actor/worker.h"

namespace pannier {

std::string_view to_string(DeadLetterReason reason) noexcept {
  static constexpr std::array<std::string_view, kDeadLetterReasons> kNames = {
      "no such actor", "mailbox full", "unhandled", "stopped", "late reply", "handler failed", "replaced"};
  return kNames[static_cast<std::size_t>(reason)];
}

System::System(Platform services, std::string node_name) : platform(services), directory(std::move(node_name)) {}

System::~System() = default;

Result<System::Target> System::resolve(ActorId receiver) noexcept {
  if (!receiver.is_named()) return Target{receiver, receiver};
  Directory::Entry& entry = directory.entry(receiver);
  if (const ActorId local = ActorId::from_bits(entry.local.load(std::memory_order_acquire)))
    return Target{local, local};
  if (entry.name.node.empty()) return ErrorCode::not_found;
  Directory::Path path = entry.path.load(std::memory_order_relaxed);
  if (path == Directory::Path::unknown) {
    path = may_reach && !may_reach(entry.name.node) ? Directory::Path::unreachable : Directory::Path::open;
    entry.path.store(path, std::memory_order_relaxed);
  }
  if (path == Directory::Path::unreachable) return ErrorCode::unreachable;
  if (path == Directory::Path::full) return ErrorCode::full;
  return Target{router, receiver};
}

Result<void> System::send_from_outside(MessagePtr message) {
  if (closed.load(std::memory_order_acquire)) return ErrorCode::closed;
  const auto target = resolve(message->receiver);
  if (!target) return target.error();
  if (target->cell.worker() >= workers.size()) return ErrorCode::not_found;
  message->receiver = target->receiver;
  Worker& worker = *workers[target->cell.worker()];
  if (auto room = worker.reserve_room(target->cell, *message); !room) return room;
  Message* raw = message.release();
  worker.push_inbound(raw, raw);
  return {};
}

Result<ActorId> System::reserve(const SpawnOptions& options, std::uint32_t any) {
  std::uint32_t index = options.worker == SpawnOptions::kAnyWorker ? any : options.worker;
  if (index == SpawnOptions::kAnyWorker) {
    const auto share = static_cast<std::uint32_t>(workers.size()) - first_actor_worker;
    index = first_actor_worker + next_worker.fetch_add(1, std::memory_order_relaxed) % share;
  }
  if (index >= workers.size()) {
    return Error{ErrorCode::invalid_argument, concat({"There is no worker ", index, "."})};
  }
  std::uint32_t name = 0;
  if (options.mailbox.when_full == WhenFull::spill &&
      (options.name.empty() || options.name.size() + spill_lane("").size() > limits::kLaneNameBytes || !queue)) {
    return Error{ErrorCode::invalid_argument,
                 "A mailbox that spills needs an actor with a name of at most 56 characters, and a node with a store."};
  }
  if (!options.name.empty()) {
    const auto ref = directory.name(options.name);
    if (!ref) return ref.error();
    name = ref->id().name_index() + 1;
    if (!directory.entry(ref->id()).name.node.empty()) {
      return Error{ErrorCode::invalid_argument,
                   concat({"'", options.name, "' names another node: actors are spawned here."})};
    }
  }
  auto id = workers[index]->reserve_slot(options.mailbox, name);
  if (!id || name == 0) return id;
  std::uint64_t nobody = 0;
  if (!directory.entry(ActorId::named(name - 1)).local.compare_exchange_strong(nobody, id->bits())) {
    workers[index]->release_slot(id->slot());
    return Error{ErrorCode::in_use, concat({"An actor named '", options.name, "' is there already."})};
  }
  return id;
}

void System::stop() {
  if (stopping.exchange(true)) return;
  // Refused only where the top has gone already.
  static_cast<void>(send_from_outside(make_message(MessageKind::stop, root)).ok());
}

void System::report(const DeadLetter& letter) noexcept {
  dead_letters[static_cast<std::size_t>(letter.reason)].fetch_add(1, std::memory_order_relaxed);
  if (observer != nullptr) observer->on_dead_letter(letter);
}

std::string System::describe(ActorId id) {
  if (!id) return "nobody";
  if (id.is_named()) {
    const ActorName& name = directory.entry(id).name;
    return name.node.empty() ? name.actor : concat({name.node, "/", name.actor});
  }
  Cell* cell = id.worker() < workers.size() ? workers[id.worker()]->cell(id.slot()) : nullptr;
  if (cell != nullptr && cell->generation.load(std::memory_order_acquire) == id.generation()) {
    const std::uint32_t name = cell->name.load(std::memory_order_relaxed);
    if (name != 0) return directory.entry(ActorId::named(name - 1)).name.actor;
  }
  return concat({"#", id.worker(), ".", id.slot(), ".", id.generation()});
}

std::string System::path(ActorId id) {
  std::string path;
  for (std::size_t depth = 0; id && id != root && depth < limits::kPathDepth; ++depth) {
    path = concat({"/", describe(id), path});
    Cell* cell = id.is_named() || id.worker() >= workers.size() ? nullptr : workers[id.worker()]->cell(id.slot());
    if (cell == nullptr || cell->generation.load(std::memory_order_acquire) != id.generation()) break;
    id = ActorId::from_bits(cell->parent.load(std::memory_order_relaxed));
  }
  return path.empty() ? describe(id) : path;
}

}  // namespace pannier
