#include "runtime/actor/service.h"

namespace pannier {

/// Has no handlers: the service takes every message itself.
const ActorType& ServicePort::actor_type() noexcept {
  static const ActorType kType{
      .name = type_info<ServicePort>().name,
      .handlers = {},
      .on_start =
          [](ActorBase& port) { static_cast<ServicePort&>(port).service_->started(static_cast<ServicePort&>(port)); },
      .on_stop = [](ActorBase& port) { static_cast<ServicePort&>(port).service_->stopping(); },
      .destroy = [](ActorBase& port) noexcept { static_cast<ServicePort&>(port).~ServicePort(); },
      .intercept = [](ActorBase& port,
                      Message& message) { return static_cast<ServicePort&>(port).service_->handle(message); },
      .any = nullptr,
  };
  return kType;
}

}  // namespace pannier
