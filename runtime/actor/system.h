#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <pannier/actor_base.h>
#include <pannier/limits.h>
#include <pannier/message.h>
#include <pannier/observer.h>
#include <pannier/platform.h>
#include "runtime/actor/directory.h"

namespace pannier {

class Worker;
class SettleSink;

/// What the layers above provide to the kernel, which knows neither lanes nor links. Set before the first actor starts.
/// Empty without lanes: nothing is then delivered or spilled.
struct Extensions {
  /// A delivery was not handled because its handler failed or the mailbox was full. Tells the lane why.
  void (*delivery_failed)(Worker& worker, const Message& delivery, const Error& error) = nullptr;
  /// invalid_argument: an actor with these options cannot have a mailbox that spills.
  Result<void> (*may_spill)(const SpawnOptions& options) = nullptr;
  /// Starts the actor that stores what does not fit into the mailbox of `target` and returns it in order. It runs on
  /// the same worker and ends with `target`. Null if there is no slot; then nothing spills.
  ActorId (*start_spiller)(Worker& worker, ActorId target) = nullptr;
};

/// What the workers of a node share. Internal; programs see Node.
struct System {
  System(Platform services, std::string node_name);
  ~System();

  Platform platform;
  Directory directory;
  Extensions extensions;
  Observer* observer = nullptr;
  std::atomic<bool> times_handlers{false};
  std::atomic<bool> watched{false};  ///< There is an observer, or turns are timed.
  std::vector<std::unique_ptr<Worker>> workers;
  ActorId root;                       ///< Supervises top-level actors of the program and the runtime.
  ActorId router;                     ///< Topics and links.
  ActorId queue;                      ///< Outbox and inbox; null without a store.
  SettleSink* settle_sink = nullptr;  ///< Where deliveries are settled; null without a store.

  std::array<std::atomic<std::uint64_t>, kDeadLetterReasons> dead_letters{};
  std::atomic<std::uint32_t> next_worker{0};    ///< For round-robin placement.
  std::uint32_t first_actor_worker = 0;         ///< Workers from here on carry the program's actors.
  std::size_t step_batch = limits::kStepBatch;  ///< The most messages and timers handled in one step; tests may set 1.
  std::function<void()> on_stopped;             ///< Called by the worker whose actor was the last to stop.
  std::atomic<bool> stopping{false};
  std::atomic<bool> stopped{false};
  std::atomic<bool> closed{false};  ///< Being destroyed; nothing is sent.
  std::atomic<bool> failed{false};  ///< The top supervisor gave up.

  /// Any thread. Sends locally on a worker's thread, otherwise through the worker's inbox.
  [[nodiscard]] Result<void> send_from_outside(MessagePtr message);
  /// Reserves a slot and the name for a new actor. The caller sends the start message there. Any thread.
  [[nodiscard]] Result<ActorId> reserve(const SpawnOptions& options, std::uint32_t any = SpawnOptions::kAnyWorker);
  /// Where a message goes now. The name of a living actor resolves to it; a name on another node resolves to the
  /// router.
  struct Target {
    ActorId cell;      ///< The mailbox that takes it.
    ActorId receiver;  ///< The intended receiver.
  };
  [[nodiscard]] Result<Target> resolve(ActorId receiver) noexcept;
  /// The same for a message that is about to be sent. A tell to a name elsewhere takes its credit; give it back where
  /// the message is not sent after all (Directory::give_back).
  [[nodiscard]] Result<Target> resolve(const Message& message) noexcept;
  /// Whether a sender that can wait should send `bytes` of payload to an actor of this node now. `later`: the mailbox
  /// is half full, and the rest is for senders that cannot wait. `never`: the mailbox is too small. `now` also if the
  /// actor is gone or its bound is known only to its own worker. Any thread.
  enum class Room : std::uint8_t { now, later, never };
  [[nodiscard]] Room room_for(ActorId actor, std::size_t bytes) noexcept;
  /// Begins to stop the node by stopping the top supervisor. Later calls do nothing. Any thread.
  void stop();
  void report(const DeadLetter& letter) noexcept;
  /// "name" or "#worker.slot.generation", for people.
  [[nodiscard]] std::string describe(ActorId id);
  /// The inverse of describe(), for actors of this node; null if no living actor has the name.
  [[nodiscard]] ActorId by_description(std::string_view text) noexcept;
  /// Converts the chain of a question received over a link ("node/actor", separated by ' ') to the form of
  /// Waiting::chain.
  [[nodiscard]] BlockRef waiting_afar(std::string_view chain);
  /// "/boss/courier": the path from the top to a living actor of this node, for people.
  [[nodiscard]] std::string path(ActorId id);
};

}  // namespace pannier
