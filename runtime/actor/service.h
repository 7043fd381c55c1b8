#pragma once

#include <pannier/actor_base.h>
#include "runtime/actor/worker.h"

namespace pannier {

class ServicePort;

/// A part of the runtime that lives on one worker and is reached by messages, like an actor, and that handles the
/// outside (sockets, disk) around each step. Owned by the node. The port below is its mailbox.
class Service : public StepHook {
 public:
  /// The port has started, on the service's worker.
  virtual void started(ServicePort& port) = 0;
  /// Handles one message. An error is the sender's fault (`rejected`): a service does not fail.
  virtual Result<void> handle(Message& message) = 0;
  virtual void stopping() {}
};

class ServicePort final : public ActorBase {
 public:
  explicit ServicePort(Service* service) : service_(service) {}
  static const ActorType& actor_type() noexcept;

  using ActorBase::after;
  using ActorBase::ask_message;
  using ActorBase::cancel;
  using ActorBase::every;
  using ActorBase::log;
  using ActorBase::now;
  using ActorBase::random;
  [[nodiscard]] Result<void> tell_native(MessagePtr message) { return send(std::move(message)); }

 private:
  Service* service_;
};

}  // namespace pannier
