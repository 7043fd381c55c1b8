#pragma once

#include "platform/result.h"
#include "runtime/message/any_table.h"
#include "runtime/message/ref.h"

namespace pannier {

struct System;

/// The right to answer one question, later or elsewhere. The first answer counts; a responder whose last copy goes
/// without an answer answers `failed`, so that nobody waits for nothing. Of a plain tell it is inert. Any thread; it
/// must not outlive its node.
class Responder {
 public:
  /// Internal: made by the dispatcher.
  Responder(System& system, const Message& question);

  void reply(const AnyTable& answer) const;
  template <class T>
  requires(!FlatTable<T> && !std::convertible_to<T, AnyTable> &&
           !std::same_as<T, ErrorCode>) void reply(T answer) const {
    send(native_message(MessageKind::reply, {}, std::move(answer)));
  }
  /// The asker gets `error` in place of an answer, text included.
  void refuse(const Error& error) const;
  /// Internal: the question will be handled again, with another responder. This one and its copies are inert.
  void withdraw() const noexcept;

 private:
  struct State;
  void send(MessagePtr answer) const;
  BlockRef state_;
};

}  // namespace pannier
