#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "platform/result.h"
#include "runtime/limits.h"
#include "runtime/message/names.h"
#include "runtime/message/ref.h"

namespace pannier {

/// An actor's name: "planner" on this node, "hub/planner" on another one.
struct ActorName {
  std::string node;  ///< Empty: this node.
  std::string actor;
};

/// Every name that was ever given to an actor or asked for, as a small number. A named reference is resolved at each
/// send, so it outlives restarts of what it names. Entries are never removed: names are part of a program's design.
/// Reading an entry is lock-free; adding and finding take a short spin.
class Directory {
 public:
  explicit Directory(std::string own_node) : own_node_(std::move(own_node)) {}
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  /// "name" or "node/name"; the own node's name may be given or left out. Any thread.
  /// invalid_argument with the rule that was broken, full past limits::kNames.
  [[nodiscard]] Result<Ref> name(std::string_view text);

  /// The reference of an actor of this node that was named before; nobody otherwise. For names that a peer gives.
  [[nodiscard]] Ref find(std::string_view actor);

  /// What is known of the way to a name elsewhere. Anything but `open` refuses a message before it is queued.
  enum class Path : std::uint8_t {
    unknown,      ///< Nothing was sent there yet.
    open,         ///< The router takes messages for it.
    unreachable,  ///< No link leads there.
    full,         ///< The link takes no more for now.
  };
  struct Entry {
    ActorName name;
    std::atomic<std::uint64_t> local{0};  ///< ActorId bits of who has the name now; 0: nobody here.
    std::atomic<Path> path{Path::unknown};
  };
  /// `id` must be named. Lives as long as the directory.
  [[nodiscard]] Entry& entry(ActorId id) noexcept;
  [[nodiscard]] const std::string& own_node() const noexcept { return own_node_; }

 private:
  static constexpr std::size_t kChunk = 256;
  static constexpr std::size_t kChunks = limits::kNames / kChunk;

  std::string own_node_;
  std::atomic_flag adding_ = ATOMIC_FLAG_INIT;
  std::array<std::unique_ptr<std::array<Entry, kChunk>>, kChunks> chunks_;
  std::unordered_map<std::string, std::uint32_t> index_;  // "node/actor"
};

}  // namespace pannier
