// CAF's side of the rows compile/20-handlers: the actor of twenty.cpp, written as CAF's manual writes one. Its messages
// are native values that cannot leave the process, which is the cheaper kind for it too. Only compiled, never run.

#include <caf/all.hpp>
#include <chrono>
#include <string>

namespace bench {

struct Message0 {
  int number;
  std::string text;
};
struct Message1 {
  int number;
  std::string text;
};
struct Message2 {
  int number;
  std::string text;
};
struct Message3 {
  int number;
  std::string text;
};
struct Message4 {
  int number;
  std::string text;
};
struct Message5 {
  int number;
  std::string text;
};
struct Message6 {
  int number;
  std::string text;
};
struct Message7 {
  int number;
  std::string text;
};
struct Message8 {
  int number;
  std::string text;
};
struct Message9 {
  int number;
  std::string text;
};
struct Message10 {
  int number;
  std::string text;
};
struct Message11 {
  int number;
  std::string text;
};
struct Message12 {
  int number;
  std::string text;
};
struct Message13 {
  int number;
  std::string text;
};
struct Message14 {
  int number;
  std::string text;
};
struct Message15 {
  int number;
  std::string text;
};
struct Message16 {
  int number;
  std::string text;
};
struct Message17 {
  int number;
  std::string text;
};
struct Message18 {
  int number;
  std::string text;
};
struct Message19 {
  int number;
  std::string text;
};

}  // namespace bench

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(bench::Message0)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(bench::Message1)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(bench::Message2)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(bench::Message3)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(bench::Message4)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(bench::Message5)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(bench::Message6)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(bench::Message7)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(bench::Message8)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(bench::Message9)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(bench::Message10)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(bench::Message11)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(bench::Message12)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(bench::Message13)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(bench::Message14)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(bench::Message15)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(bench::Message16)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(bench::Message17)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(bench::Message18)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(bench::Message19)

namespace bench {

struct State {
  int sum = 0;
};

caf::behavior twenty(caf::stateful_actor<State>* self) {
  return {
      [=](const Message0& value) { self->state.sum += value.number; },
      [=](const Message1& value) { return value.number + self->state.sum; },
      [=](const Message2& value) -> caf::result<int> {
        if (value.number < 0) return caf::sec::invalid_argument;
        return value.number;
      },
      [=](const Message3& value) {
        auto promise = self->make_response_promise<int>();
        promise.deliver(value.number);
        return promise;
      },
      [=](Message4& value) {
        self->send(caf::actor_cast<caf::actor>(self->current_sender()), Message5{value.number, std::move(value.text)});
      },
      [=](const Message5& value) { self->state.sum += value.number; },
      [=](const Message6& value) { self->state.sum += value.number; },
      [=](const Message7& value) {
        return Message8{value.number, value.text};
      },
      [=](const Message8& value) {
        auto promise = self->make_response_promise<Message9>();
        self->request(caf::actor_cast<caf::actor>(self->current_sender()), std::chrono::seconds{2},
                      Message8{value.number, "?"})
            .then([promise](const Message9& answer) mutable { promise.deliver(answer); });
        return promise;
      },
      [=](const Message9& value) { self->send(self, value); },
      [=](const Message10& value) { self->state.sum += value.number; },
      [=](const Message11& value) { return value.number + self->state.sum; },
      [=](const Message12& value) -> caf::result<int> {
        if (value.number < 0) return caf::sec::invalid_argument;
        return value.number;
      },
      [=](const Message13& value) {
        auto promise = self->make_response_promise<int>();
        promise.deliver(value.number);
        return promise;
      },
      [=](Message14& value) {
        self->send(caf::actor_cast<caf::actor>(self->current_sender()), Message15{value.number, std::move(value.text)});
      },
      [=](const Message15& value) { self->state.sum += value.number; },
      [=](const Message16& value) { self->state.sum += value.number; },
      [=](const Message17& value) {
        return Message18{value.number, value.text};
      },
      [=](const Message18& value) {
        auto promise = self->make_response_promise<Message19>();
        self->request(caf::actor_cast<caf::actor>(self->current_sender()), std::chrono::seconds{2},
                      Message18{value.number, "?"})
            .then([promise](const Message19& answer) mutable { promise.deliver(answer); });
        return promise;
      },
      [=](const Message19& value) { self->send(self, value); },
  };
}

caf::actor start(caf::actor_system& system) { return system.spawn(twenty); }

}  // namespace bench
