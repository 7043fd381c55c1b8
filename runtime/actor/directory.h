#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <pannier/limits.h>
#include <pannier/message.h>
#include <pannier/result.h>
#include "runtime/message/names.h"

namespace pannier {

/// An actor's name: "planner" on this node, "hub/planner" on another.
class ActorName {
 public:
  ActorName(std::string_view node, std::string_view actor);
  [[nodiscard]] std::string_view node() const noexcept;  ///< Empty: this node.
  [[nodiscard]] std::string_view actor() const noexcept;
  [[nodiscard]] std::string_view full() const noexcept;  ///< As people write it.

 private:
  friend class Directory;
  std::string text_;  // "node/actor", "/actor"
  std::size_t node_bytes_;
};

/// Actor names as small numbers, which references by name carry. They are resolved at each send and so outlive
/// restarts.
///
/// A name is held while an actor has it and while an actor that asked for it lives. main holds its names for the life
/// of the node. Names that nobody holds are kept as space permits: the limits::kIdleNames most recently used of each
/// node. That leaves time to answer a sender, bounds memory over years, and keeps one peer's names from displacing
/// another's. A reference to a forgotten name leads nowhere (not_found), never to another actor.
///
/// Any thread. Resolving a name of this node takes two loads; everything else takes a short spin.
class Directory {
 public:
  explicit Directory(std::string own_node) : own_node_(std::move(own_node)) {}
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  [[nodiscard]] const std::string& own_node() const noexcept { return own_node_; }

  // --- References. "name" or "node/name"; the own node's name may be given or left out. -----------------------------
  // Errors: invalid_argument, with the rule broken; full: limits::kNames names are held.
  /// Remembers the name without holding it.
  [[nodiscard]] Result<Ref> name(std::string_view text);
  /// Holds it until release(holder). A holder keeps its limits::kNamesHeld latest names.
  [[nodiscard]] Result<Ref> name_for(ActorId holder, std::string_view text);
  void release(ActorId holder) noexcept;
  /// Holds it for good, but only up to a quarter of all names.
  [[nodiscard]] Result<Ref> name_for_good(std::string_view text);

  // --- Actors of this node ------------------------------------------------------------------------------------------
  /// Reserves the name for a new actor. Pass the number to bear and leave.
  [[nodiscard]] Result<std::uint32_t> reserve(std::string_view text);
  /// False: another living actor has the name.
  [[nodiscard]] bool bear(std::uint32_t index, ActorId actor) noexcept;
  /// Frees the name for another actor. Also if bear was never called or failed.
  void leave(std::uint32_t index, ActorId actor) noexcept;
  /// The living actor of that name, or null. Remembers nothing: for names given by peers.
  [[nodiscard]] ActorId find(std::string_view actor) const noexcept;

  // --- Resolving. `id` is named. ------------------------------------------------------------------------------------
  /// The living actor of this node with that name, or null.
  [[nodiscard]] ActorId living(ActorId id) const noexcept;
  /// False if the name was forgotten.
  [[nodiscard]] bool knows(ActorId id) const noexcept;
  /// Null if the name was forgotten. Counts as a use.
  [[nodiscard]] std::shared_ptr<const ActorName> text(ActorId id) noexcept;
  /// The same for a name that a living actor has.
  [[nodiscard]] std::shared_ptr<const ActorName> text(std::uint32_t index) const noexcept;

  // --- Names on other nodes -----------------------------------------------------------------------------------------
  /// The route to the name's node. Anything but `open` refuses a message before it is queued.
  enum class Path : std::uint8_t {
    unreachable,  ///< No link leads there.
    full,         ///< The link on the way there takes no more for now.
    open,
    forgotten,  ///< The name was forgotten.
  };
  [[nodiscard]] Path path(ActorId id) noexcept;
  /// Sets the state of the way to `node`: unreachable, full or open. Called by the router. A way that was unreachable
  /// starts with full credit.
  void set_way(std::string_view node, Path path);
  /// The state of the way to `node`.
  [[nodiscard]] Path way(std::string_view node);
  /// Sets the state of the ways to all nodes and forgets those set by set_way.
  void set_all_ways(Path path);

  // --- Credit: how much may be told to a name on another node before its mailbox has taken some. --------------------
  /// Takes credit for one message. False: nothing more may be told now. `urgent` may use the credit reserved for urgent
  /// messages.
  [[nodiscard]] bool take_credit(ActorId id, std::size_t bytes, bool urgent) noexcept;
  /// Returns credit for a message that was not sent.
  void give_back(ActorId id, std::size_t bytes) noexcept;
  /// Adds credit for messages that the mailbox of `actor` took or that were lost. Returns the name's id; null if the
  /// name is not known.
  ActorId give_credit(std::string_view node, std::string_view actor, std::uint32_t messages,
                      std::uint32_t bytes) noexcept;
  [[nodiscard]] bool has_credit(ActorId id) const noexcept;

  /// Names held or remembered.
  [[nodiscard]] std::size_t size() const noexcept;

 private:
  static constexpr std::size_t kChunk = 256;
  static constexpr std::size_t kChunks = limits::kNames / kChunk;
  static constexpr std::uint32_t kNone = 0xffffffff;

  struct Entry {
    std::atomic<std::uint64_t> local{0};       // ActorId bits of the actor with the name
    std::atomic<std::uint32_t> generation{0};  // of valid references
    std::atomic<Path> path{Path::unreachable};
    std::atomic<std::uint32_t> asked_at{0};  // value of changes_ at which `path` was looked up
    std::atomic<std::int32_t> messages{0};   // credit left
    std::atomic<std::int32_t> bytes{0};      // may fall below zero
    // Under the lock:
    bool referred = false;  // a reference by name was given out
    bool for_good = false;
    std::uint32_t way_opened = 0;  // Way::opened when the credit began
    std::uint32_t holders = 0;
    std::uint32_t previous = kNone;  // among the idle names of its node, least recently used first
    std::uint32_t next = kNone;
    std::shared_ptr<const ActorName> name;  // null: vacant
  };
  struct Way {
    Path path = Path::unreachable;
    std::uint32_t opened = 0;  // increases each time the way opens
  };
  void change(Way& way, Path path) noexcept;
  /// Updates the entry's `path` and credit from its way.
  void refresh(Entry& entry) noexcept;
  struct Idle {
    std::uint32_t first = kNone;
    std::uint32_t last = kNone;
    std::size_t count = 0;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
  };
  class Lock;

  struct Parsed {
    std::string_view node;  // empty: this one
    std::string_view actor;
  };
  [[nodiscard]] Result<Parsed> parse(std::string_view text) const;
  [[nodiscard]] Entry& at(std::uint32_t index) const noexcept { return (*chunks_[index / kChunk])[index % kChunk]; }
  // under the lock
  [[nodiscard]] std::uint32_t look_up(const Parsed& name) const noexcept;
  /// kNone: no place left.
  [[nodiscard]] std::uint32_t find_or_add(const Parsed& name);
  [[nodiscard]] std::uint32_t vacant_place(std::string_view node);
  [[nodiscard]] Ref refer_to(std::uint32_t index);
  void hold(std::uint32_t index) noexcept;
  void let_go(std::uint32_t index) noexcept;
  /// Marks an idle name as most recently used.
  void touch(std::uint32_t index) noexcept;
  void to_idle(std::uint32_t index) noexcept;
  void from_idle(std::uint32_t index) noexcept;
  void forget(std::uint32_t index) noexcept;

  const std::string own_node_;
  mutable std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
  std::array<std::unique_ptr<std::array<Entry, kChunk>>, kChunks> chunks_;
  std::uint32_t used_ = 0;           // places ever used
  std::vector<std::uint32_t> free_;  // the vacant ones among them
  std::size_t for_good_ = 0;
  std::unordered_map<std::string_view, std::uint32_t> index_;           // by ActorName::text_
  std::unordered_map<std::string, Idle, Hash, std::equal_to<>> idle_;   // by node
  std::unordered_map<std::uint64_t, std::vector<std::uint32_t>> held_;  // by holder, the latest last
  std::unordered_map<std::string, Way, Hash, std::equal_to<>> ways_;    // by node
  Way others_;
  std::uint32_t openings_ = 0;
  std::atomic<std::uint32_t> changes_{1};
};

}  // namespace pannier
