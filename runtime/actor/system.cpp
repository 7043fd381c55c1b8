#include "runtime/actor/system.h"

#include <algorithm>
#include <charconv>

#include "platform/concat.h"
#include "runtime/actor/worker.h"

namespace pannier {

std::string_view to_string(DeadLetterReason reason) noexcept {
  static constexpr std::array<std::string_view, kDeadLetterReasons> kNames = {
      "no such actor",  "mailbox full", "unhandled", "stopped",     "late reply",
      "handler failed", "replaced",     "link full", "not retained"};
  return kNames[static_cast<std::size_t>(reason)];
}

System::System(Platform services, std::string node_name) : platform(services), directory(std::move(node_name)) {}

System::~System() = default;

Result<System::Target> System::resolve(ActorId receiver) noexcept {
  if (!receiver.is_named()) return Target{receiver, receiver};
  if (receiver.is_elsewhere()) {
    switch (directory.path(receiver)) {
      case Directory::Path::open: return Target{router, receiver};
      case Directory::Path::full: return ErrorCode::full;
      case Directory::Path::unreachable: return ErrorCode::unreachable;
      case Directory::Path::forgotten: break;
    }
    return ErrorCode::not_found;
  }
  if (const ActorId local = directory.living(receiver)) return Target{local, local};
  return ErrorCode::not_found;
}

Result<System::Target> System::resolve(const Message& message) noexcept {
  if (message.kind == MessageKind::room && message.receiver.is_named() && message.receiver.is_elsewhere()) {
    return Target{router, message.receiver};  // who knows when the way opens
  }
  auto target = resolve(message.receiver);
  if (target && target->receiver.is_named() && message.kind == MessageKind::tell &&
      !directory.take_credit(target->receiver, message.payload_bytes(), message.urgency == Urgency::urgent)) {
    return ErrorCode::full;
  }
  return target;
}

Result<void> System::send_from_outside(MessagePtr message) {
  if (closed.load(std::memory_order_acquire)) return ErrorCode::closed;
  const auto target = resolve(*message);
  if (!target) return target.error();
  if (target->cell.worker() >= workers.size()) return ErrorCode::not_found;
  message->receiver = target->receiver;
  Worker& worker = *workers[target->cell.worker()];
  if (auto room = worker.reserve_room(target->cell, *message); !room) {
    if (message->receiver.is_named()) directory.give_back(message->receiver, message->payload_bytes());
    return room;
  }
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
    return Error{ErrorCode::invalid_argument, concat({"No such worker: ", index, "."})};
  }
  if (options.mailbox.when_full == WhenFull::spill) {
    if (extensions.may_spill == nullptr) {
      return Error{ErrorCode::invalid_argument, "A mailbox that spills needs a node with a store."};
    }
    if (auto may = extensions.may_spill(options); !may) return may.error();
  }
  if (options.name.empty()) return workers[index]->reserve_slot(options.mailbox, 0);
  const auto name = directory.reserve(options.name);
  if (!name) return name.error();
  auto id = workers[index]->reserve_slot(options.mailbox, *name + 1);
  if (id && directory.bear(*name, *id)) return id;
  directory.leave(*name, ActorId{});
  if (!id) return id;
  workers[index]->release_slot(id->slot());
  return Error{ErrorCode::in_use, concat({"An actor named '", options.name, "' already exists."})};
}

System::Room System::room_for(ActorId actor, std::size_t bytes) noexcept {
  Cell* cell = actor.worker() < workers.size() ? workers[actor.worker()]->cell(actor.slot()) : nullptr;
  if (cell == nullptr || cell->generation.load(std::memory_order_acquire) != actor.generation()) return Room::now;
  const auto read = [](const std::atomic<std::uint32_t>& number) { return number.load(std::memory_order_relaxed); };
  const std::size_t most_bytes = read(cell->max_bytes);
  if (bytes > most_bytes) return Room::never;
  const std::uint32_t most = read(cell->max_count);
  const std::uint32_t count = read(cell->local_count) + read(cell->remote_count);
  if (most == 0 || count == 0) return Room::now;
  const std::size_t held = std::size_t{read(cell->local_bytes)} + read(cell->remote_bytes);
  return count <= most / 2 && held + bytes <= most_bytes / 2 ? Room::now : Room::later;
}

void System::stop() {
  if (stopping.exchange(true)) return;
  // Refused only if the top is gone already.
  send_from_outside(make_message(MessageKind::stop, root)).ignore();
}

void System::report(const DeadLetter& letter) noexcept {
  dead_letters[static_cast<std::size_t>(letter.reason)].fetch_add(letter.count, std::memory_order_relaxed);
  if (observer != nullptr) observer->on_dead_letter(letter);
}

std::string System::describe(ActorId id) {
  if (!id) return "nobody";
  if (id.is_named()) {
    const auto name = directory.text(id);
    return name == nullptr ? "a forgotten name" : std::string{name->full()};
  }
  Cell* cell = id.worker() < workers.size() ? workers[id.worker()]->cell(id.slot()) : nullptr;
  if (cell != nullptr && cell->generation.load(std::memory_order_acquire) == id.generation()) {
    const std::uint32_t name = cell->name.load(std::memory_order_relaxed);
    const auto text = name == 0 ? nullptr : directory.text(name - 1);
    if (text != nullptr) return std::string{text->actor()};
  }
  return concat({"#", id.worker(), ".", id.slot(), ".", id.generation()});
}

BlockRef System::waiting_afar(std::string_view chain) {
  std::vector<std::uint64_t> waiting;
  while (!chain.empty() && waiting.size() < limits::kAskChain) {
    const std::string_view word = chain.substr(0, chain.find(' '));
    chain.remove_prefix(std::min(word.size() + 1, chain.size()));
    const auto name = directory.name(word);
    if (!name) continue;
    ActorId id = name->id();
    if (!id.is_elsewhere()) {
      const auto text = directory.text(id);
      id = text == nullptr ? ActorId{} : by_description(text->actor());
    }
    if (id) waiting.push_back(id.bits());
  }
  return BlockRef::copy_of(std::as_bytes(std::span{waiting}));
}

ActorId System::by_description(std::string_view text) noexcept {
  if (!text.starts_with('#')) return directory.find(text);
  std::uint32_t numbers[3] = {};
  const char* at = text.data() + 1;
  const char* const end = text.data() + text.size();
  for (std::uint32_t& number : numbers) {
    const auto read = std::from_chars(at, end, number);
    if (read.ec != std::errc{}) return {};
    at = read.ptr == end ? end : read.ptr + 1;
  }
  return {numbers[0], numbers[1], numbers[2]};
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
