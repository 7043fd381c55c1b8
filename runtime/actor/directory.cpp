#include "runtime/actor/directory.h"

#include <algorithm>
#include <cstring>

#include "platform/concat.h"
#include "runtime/mutants.h"

namespace pannier {

ActorName::ActorName(std::string_view node, std::string_view actor)
    : text_(concat({node, "/", actor})), node_bytes_(node.size()) {}

std::string_view ActorName::node() const noexcept { return std::string_view{text_}.substr(0, node_bytes_); }
std::string_view ActorName::actor() const noexcept { return std::string_view{text_}.substr(node_bytes_ + 1); }
std::string_view ActorName::full() const noexcept { return node_bytes_ == 0 ? actor() : std::string_view{text_}; }

class Directory::Lock {
 public:
  explicit Lock(std::atomic_flag& flag) noexcept : flag_(flag) {
    while (flag_.test_and_set(std::memory_order_acquire)) {
    }
  }
  ~Lock() { flag_.clear(std::memory_order_release); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  std::atomic_flag& flag_;
};

Result<Directory::Parsed> Directory::parse(std::string_view text) const {
  const auto slash = text.find('/');
  const std::string_view node = slash == std::string_view::npos ? std::string_view{} : text.substr(0, slash);
  const std::string_view actor = slash == std::string_view::npos ? text : text.substr(slash + 1);
  const bool node_fits = slash == std::string_view::npos || valid_name(node, limits::kNodeNameBytes);
  // One without a name stands where a question says who waits for it, and cannot be told anything.
  const bool nameless = slash != std::string_view::npos && actor.starts_with('#');
  if (!node_fits || !valid_name(nameless ? actor.substr(1) : actor, limits::kActorNameBytes)) {
    return Error{ErrorCode::invalid_argument, concat({"Invalid actor name '", printable(text),
                                                      "'; expected name or node/name, of a-z 0-9 . _ - only."})};
  }
  return Parsed{node == own_node_ ? std::string_view{} : node, actor};
}

// --- References -----------------------------------------------------------------------------------------------------

Result<Ref> Directory::name(std::string_view text) {
  const auto parsed = parse(text);
  if (!parsed) return parsed.error();
  const Lock lock{busy_};
  const std::uint32_t index = find_or_add(*parsed);
  if (index == kNone) return ErrorCode::full;
  if (at(index).holders == 0) touch(index);
  return refer_to(index);
}

Result<Ref> Directory::name_for(ActorId holder, std::string_view text) {
  const auto parsed = parse(text);
  if (!parsed) return parsed.error();
  const Lock lock{busy_};
  const std::uint32_t index = find_or_add(*parsed);
  if (index == kNone) return ErrorCode::full;
  auto& held = held_[holder.bits()];
  if (std::find(held.rbegin(), held.rend(), index) == held.rend()) {
    hold(index);
    held.push_back(index);
    if (held.size() > limits::kNamesHeld) {
      let_go(held.front());
      held.erase(held.begin());
    }
  }
  return refer_to(index);
}

void Directory::release(ActorId holder) noexcept {
  const Lock lock{busy_};
  const auto found = held_.find(holder.bits());
  if (found == held_.end()) return;
  for (const std::uint32_t index : found->second) let_go(index);
  held_.erase(found);
}

Result<Ref> Directory::name_for_good(std::string_view text) {
  const auto parsed = parse(text);
  if (!parsed) return parsed.error();
  const Lock lock{busy_};
  const std::uint32_t index = find_or_add(*parsed);
  if (index == kNone) return ErrorCode::full;
  Entry& entry = at(index);
  if (!entry.for_good && for_good_ < limits::kNames / 4) {
    hold(index);
    entry.for_good = true;
    ++for_good_;
  } else if (entry.holders == 0) {
    touch(index);
  }
  return refer_to(index);
}

// --- Actors of this node --------------------------------------------------------------------------------------------

Result<std::uint32_t> Directory::reserve(std::string_view text) {
  const auto parsed = parse(text);
  if (!parsed) return parsed.error();
  if (!parsed->node.empty()) {
    return Error{ErrorCode::invalid_argument,
                 concat({"'", text, "' is on another node; an actor can only be spawned on its own node."})};
  }
  const Lock lock{busy_};
  const std::uint32_t index = find_or_add(*parsed);
  if (index == kNone) return ErrorCode::full;
  hold(index);
  return index;
}

bool Directory::bear(std::uint32_t index, ActorId actor) noexcept {
  std::uint64_t nobody = 0;
  return at(index).local.compare_exchange_strong(nobody, actor.bits(), std::memory_order_acq_rel);
}

void Directory::leave(std::uint32_t index, ActorId actor) noexcept {
  const Lock lock{busy_};
  std::uint64_t bearer = actor.bits();
  if (actor) at(index).local.compare_exchange_strong(bearer, 0, std::memory_order_acq_rel);
  let_go(index);
}

ActorId Directory::find(std::string_view actor) const noexcept {
  const Lock lock{busy_};
  const std::uint32_t index = look_up({{}, actor});
  return index == kNone ? ActorId{} : ActorId::from_bits(at(index).local.load(std::memory_order_acquire));
}

// --- Resolving ------------------------------------------------------------------------------------------------------

ActorId Directory::living(ActorId id) const noexcept {
  // Whoever has the id got it after its entry was written. The generation is read last: an entry gets a new generation
  // before a new actor, so an actor of a later name is never taken for this one.
  const std::uint64_t local = at(id.name_index()).local.load(std::memory_order_acquire);
  return knows(id) ? ActorId::from_bits(local) : ActorId{};
}

bool Directory::knows(ActorId id) const noexcept {
  if constexpr (is_mutant(Mutant::stale_name_resolves)) return true;
  return at(id.name_index()).generation.load(std::memory_order_acquire) == id.name_generation();
}

std::shared_ptr<const ActorName> Directory::text(ActorId id) noexcept {
  const Lock lock{busy_};
  if (!knows(id)) return nullptr;
  const std::uint32_t index = id.name_index();
  if (at(index).holders == 0) touch(index);
  return at(index).name;
}

std::shared_ptr<const ActorName> Directory::text(std::uint32_t index) const noexcept {
  const Lock lock{busy_};
  return at(index).name;
}

// --- Ways and credit ------------------------------------------------------------------------------------------------

Directory::Path Directory::path(ActorId id) noexcept {
  Entry& entry = at(id.name_index());
  if (entry.asked_at.load(std::memory_order_acquire) != changes_.load(std::memory_order_acquire)) {
    const Lock lock{busy_};
    if (knows(id)) refresh(entry);
  }
  const Path path = entry.path.load(std::memory_order_relaxed);
  return knows(id) ? path : Path::forgotten;
}

void Directory::refresh(Entry& entry) noexcept {
  const std::uint32_t changes = changes_.load(std::memory_order_relaxed);
  const auto found = ways_.find(entry.name->node());
  const Way& way = found == ways_.end() ? others_ : found->second;
  if (std::exchange(entry.way_opened, way.opened) != way.opened) {
    entry.messages.store(limits::kFlowMessages, std::memory_order_relaxed);
    entry.bytes.store(limits::kFlowBytes, std::memory_order_relaxed);
  }
  entry.path.store(way.path, std::memory_order_relaxed);
  entry.asked_at.store(changes, std::memory_order_release);
}

void Directory::change(Way& way, Path path) noexcept {
  if (way.path == path) return;
  if (way.path == Path::unreachable) way.opened = ++openings_;
  way.path = path;
  changes_.fetch_add(1, std::memory_order_release);
}

void Directory::set_way(std::string_view node, Path path) {
  const Lock lock{busy_};
  auto found = ways_.find(node);
  if (found == ways_.end()) {
    if (ways_.size() >= limits::kNames) return;  // more than the links of a node have peers that are known
    found = ways_.emplace(std::string{node}, others_).first;
    changes_.fetch_add(1, std::memory_order_release);
  }
  change(found->second, path);
}

void Directory::set_all_ways(Path path) {
  const Lock lock{busy_};
  if (!ways_.empty()) {
    ways_.clear();
    changes_.fetch_add(1, std::memory_order_release);
  }
  change(others_, path);
}

Directory::Path Directory::way(std::string_view node) {
  const Lock lock{busy_};
  const auto found = ways_.find(node);
  return found == ways_.end() ? others_.path : found->second.path;
}

bool Directory::take_credit(ActorId id, std::size_t bytes, bool urgent) noexcept {
  if constexpr (is_mutant(Mutant::credit_not_taken)) return true;
  Entry& entry = at(id.name_index());
  const auto size = static_cast<std::int32_t>(bytes);
  const std::int32_t kept_messages = urgent ? 0 : static_cast<std::int32_t>(limits::kFlowMessages / 8);
  const std::int32_t kept_bytes = urgent ? 0 : static_cast<std::int32_t>(limits::kFlowBytes / 8);
  const bool enough = entry.messages.fetch_sub(1, std::memory_order_relaxed) > kept_messages;
  if (entry.bytes.fetch_sub(size, std::memory_order_relaxed) > kept_bytes && enough) return true;
  entry.messages.fetch_add(1, std::memory_order_relaxed);
  entry.bytes.fetch_add(size, std::memory_order_relaxed);
  return false;
}

void Directory::give_back(ActorId id, std::size_t bytes) noexcept {
  Entry& entry = at(id.name_index());
  entry.messages.fetch_add(1, std::memory_order_relaxed);
  entry.bytes.fetch_add(static_cast<std::int32_t>(bytes), std::memory_order_relaxed);
}

ActorId Directory::give_credit(std::string_view node, std::string_view actor, std::uint32_t messages,
                               std::uint32_t bytes) noexcept {
  const Lock lock{busy_};
  const std::uint32_t index = look_up({node, actor});
  if (index == kNone) return {};
  Entry& entry = at(index);
  // A peer may give more than was taken, or give it twice: there is never more than a flow has at first.
  const auto add = [](std::atomic<std::int32_t>& left, std::uint32_t more, std::uint32_t most) {
    const auto bound = static_cast<std::int32_t>(most);
    const auto amount = static_cast<std::int32_t>(std::min(more, 2 * most));
    const std::int32_t now = left.fetch_add(amount, std::memory_order_relaxed) + amount;
    if (now > bound) left.fetch_sub(now - bound, std::memory_order_relaxed);
  };
  add(entry.messages, messages, limits::kFlowMessages);
  add(entry.bytes, bytes, limits::kFlowBytes);
  return ActorId::named(index, entry.generation.load(std::memory_order_relaxed), true);
}

bool Directory::has_credit(ActorId id) const noexcept {
  const Entry& entry = at(id.name_index());
  return entry.messages.load(std::memory_order_relaxed) > static_cast<std::int32_t>(limits::kFlowMessages / 4) &&
         entry.bytes.load(std::memory_order_relaxed) > static_cast<std::int32_t>(limits::kFlowBytes / 4);
}

std::size_t Directory::size() const noexcept {
  const Lock lock{busy_};
  return index_.size();
}

// --- Under the lock -------------------------------------------------------------------------------------------------

std::uint32_t Directory::look_up(const Parsed& name) const noexcept {
  // As ActorName, without an allocation.
  std::array<char, limits::kNodeNameBytes + 1 + limits::kActorNameBytes> text;
  const std::size_t size = name.node.size() + 1 + name.actor.size();
  if (size > text.size()) return kNone;
  std::copy(name.node.begin(), name.node.end(), text.begin());
  text[name.node.size()] = '/';
  std::copy(name.actor.begin(), name.actor.end(), text.begin() + static_cast<std::ptrdiff_t>(name.node.size()) + 1);
  const auto known = index_.find(std::string_view{text.data(), size});
  return known == index_.end() ? kNone : known->second;
}

std::uint32_t Directory::find_or_add(const Parsed& name) {
  if (const std::uint32_t known = look_up(name); known != kNone) return known;
  const std::uint32_t index = vacant_place(name.node);
  if (index == kNone) return kNone;
  Entry& entry = at(index);
  entry.name = std::make_shared<const ActorName>(name.node, name.actor);
  index_.emplace(entry.name->text_, index);
  return index;
}

std::uint32_t Directory::vacant_place(std::string_view node) {
  if (free_.empty() && used_ == limits::kNames) {
    // A peer makes room among its own names first; a new peer among those of the largest.
    auto most = idle_.find(node);
    if (most == idle_.end()) {
      most = std::max_element(idle_.begin(), idle_.end(),
                              [](const auto& a, const auto& b) { return a.second.count < b.second.count; });
    }
    if (most != idle_.end()) forget(most->second.first);
  }
  if (!free_.empty()) {
    const std::uint32_t index = free_.back();
    free_.pop_back();
    return index;
  }
  if (used_ == limits::kNames) return kNone;
  auto& chunk = chunks_[used_ / kChunk];
  if (chunk == nullptr) chunk = std::make_unique<std::array<Entry, kChunk>>();
  return used_++;
}

Ref Directory::refer_to(std::uint32_t index) {
  Entry& entry = at(index);
  entry.referred = true;
  const std::uint32_t generation = entry.generation.load(std::memory_order_relaxed);
  return Ref{ActorId::named(index, generation, !entry.name->node().empty())};
}

void Directory::hold(std::uint32_t index) noexcept {
  Entry& entry = at(index);
  if (entry.holders++ == 0 && entry.referred) from_idle(index);
}

void Directory::let_go(std::uint32_t index) noexcept {
  Entry& entry = at(index);
  if (--entry.holders > 0) return;
  if (entry.referred) {
    to_idle(index);
  } else {
    forget(index);  // known only by its text
  }
}

void Directory::touch(std::uint32_t index) noexcept {
  const Entry& entry = at(index);
  if (entry.referred && entry.next == kNone) return;  // the most recently used
  if (entry.referred) from_idle(index);
  to_idle(index);
}

void Directory::to_idle(std::uint32_t index) noexcept {
  Entry& entry = at(index);
  auto found = idle_.find(entry.name->node());
  if (found == idle_.end()) found = idle_.emplace(entry.name->node(), Idle{}).first;
  Idle& idle = found->second;
  entry.previous = idle.last;
  entry.next = kNone;
  (idle.last == kNone ? idle.first : at(idle.last).next) = index;
  idle.last = index;
  entry.referred = true;
  if (++idle.count > limits::kIdleNames) forget(idle.first);
}

void Directory::from_idle(std::uint32_t index) noexcept {
  const Entry& entry = at(index);
  const auto found = idle_.find(entry.name->node());
  Idle& idle = found->second;
  (entry.previous == kNone ? idle.first : at(entry.previous).next) = entry.next;
  (entry.next == kNone ? idle.last : at(entry.next).previous) = entry.previous;
  if (--idle.count == 0) idle_.erase(found);
}

void Directory::forget(std::uint32_t index) noexcept {
  Entry& entry = at(index);
  if (entry.referred) from_idle(index);
  index_.erase(entry.name->text_);
  entry.name.reset();
  entry.referred = false;
  entry.asked_at.store(0, std::memory_order_relaxed);
  entry.way_opened = 0;
  const std::uint32_t next = entry.generation.load(std::memory_order_relaxed) + 1;
  entry.generation.store(next, std::memory_order_release);
  // A place whose generations are used up is never reused.
  if (next < ActorId::kNameGenerations) free_.push_back(index);
}

}  // namespace pannier
