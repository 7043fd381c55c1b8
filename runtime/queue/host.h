#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <pannier/message.h>
#include <pannier/platform.h>
#include <pannier/result.h>
#include "runtime/message/row_records.h"

namespace pannier {

/// What the queue needs of the node that runs it: time, timers, and ways out. The queue calls it on its own thread.
class QueueHost {
 public:
  /// Stands still within a step.
  [[nodiscard]] virtual MonoTime now() const noexcept = 0;
  [[nodiscard]] virtual std::uint64_t random() noexcept = 0;
  /// Calls `function` once, between two steps, after `delay`.
  virtual TimerId after(Duration delay, Callback<void()> function) = 0;
  virtual void cancel(TimerId timer) noexcept = 0;
  virtual void log(LogLevel level, std::string_view line) = 0;
  /// The name of an actor, for people.
  [[nodiscard]] virtual std::string describe(ActorId actor) const = 0;

  /// Sends a reply; it is never refused.
  virtual void reply(MessagePtr message) = 0;
  /// Puts a delivery in a consumer's mailbox. full: try again later. Any other error: the consumer is gone.
  [[nodiscard]] virtual Result<void> deliver(MessagePtr delivery) = 0;
  /// A row for another node. If it is lost on the way, nothing comes back, or a refusing acknowledgement does.
  virtual void send_row(OutgoingRow row) = 0;
  virtual void send_ack(StreamAck ack) = 0;
  /// Rows are stored for `node`, but no way there is known.
  virtual void want_way(std::string_view /*node*/) {}
  /// Tells a linked node which incarnations of this store its rows may still bear.
  virtual void send_incarnations(std::string_view node, std::vector<std::uint64_t> incarnations) = 0;

 protected:
  ~QueueHost() = default;
};

}  // namespace pannier
