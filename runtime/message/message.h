#pragma once

#include <cstdint>
#include <memory>
#include <new>
#include <string_view>
#include <type_traits>
#include <utility>

#include "platform/clock.h"
#include "platform/result.h"
#include "runtime/message/block.h"
#include "runtime/message/pool.h"
#include "runtime/message/ref.h"
#include "runtime/message/table.h"
#include "runtime/message/type_id.h"

namespace pannier {

enum class MessageKind : std::uint8_t {
  tell,
  ask,       ///< `correlation` names the question at the asker.
  reply,     ///< `correlation` as in the question; an error code stands for a payload.
  publish,   ///< One subscriber's share of a publication.
  delivery,  ///< A row of the queue; `correlation` is the consumer's handle on it.
  start,     ///< System: build the actor from its recipe, which is the payload.
  adopt,     ///< System: the receiver supervises one more child. Payload: Child.
  watch,     ///< System: tell `sender` when the receiver has ended.
  stop,      ///< System: end the actor, children first.
  halt,      ///< System, supervisor to child: drop the state, children first, and wait for `begin`.
  begin,     ///< System, supervisor to child: build the state anew from the recipe.
  halted,    ///< System, child to supervisor: the state has gone.
  begun,     ///< System, child to supervisor: the state is there.
  delayed,   ///< System, child to supervisor: its end waits for a child of its own. Payload: Duration, at most.
  failed,    ///< System, child to supervisor: decide. Payload: ChildFailure.
  down,      ///< System: a child or a watched actor has ended. Payload: Down.
};

enum class Urgency : std::uint8_t { normal, urgent };

/// What the runtime knows of a type: its name for reports, how to destroy and how to verify it. One static object a
/// type.
struct TypeInfo {
  TypeId id;
  std::string_view name;
  void (*destroy)(void* value) noexcept;                      ///< Native values; null where nothing is to do.
  bool (*verify)(std::span<const std::byte> bytes) noexcept;  ///< Tables; null for native types.
};

namespace detail {

/// The compiler's own spelling of T: a name without RTTI. Good for native types, which never leave the process.
template <class T>
constexpr std::string_view native_name() noexcept {
  std::string_view text = __PRETTY_FUNCTION__;
  const auto start = text.find("T = ") + 4;
  const auto end = text.find_first_of(";]", start);
  return text.substr(start, end - start);
}

template <class T>
constexpr std::string_view type_name() noexcept {
  if constexpr (FlatTable<T>) {
    return T::Traits::fully_qualified_name;
  } else {
    return native_name<T>();
  }
}

template <class T>
inline constexpr TypeInfo kTypeInfo{type_id_of(type_name<T>()), type_name<T>(),
                                    [] {
                                      void (*destroy)(void*) noexcept = nullptr;
                                      if constexpr (!FlatTable<T> && !std::is_trivially_destructible_v<T>) {
                                        destroy = [](void* value) noexcept { static_cast<T*>(value)->~T(); };
                                      }
                                      return destroy;
                                    }(),
                                    [] {
                                      bool (*verify)(std::span<const std::byte>) noexcept = nullptr;
                                      if constexpr (FlatTable<T>) verify = &verify_table<T>;
                                      return verify;
                                    }()};

}  // namespace detail

template <class T>
[[nodiscard]] constexpr const TypeInfo& type_info() noexcept {
  return detail::kTypeInfo<T>;
}

/// One message on its way inside a process: envelope and payload in one piece of pool memory. A native value stands
/// inline; a table (or a native value shared by a fan-out) is a share of a block. Owned through MessagePtr.
struct Message {
  Message* next = nullptr;  ///< For the queue that holds it.
  TypeId type{};
  const TypeInfo* info = nullptr;  ///< Null for a table that came from afar, until a handler knows its type.
  ActorId receiver;
  ActorId sender;
  std::uint64_t correlation = 0;
  std::uint64_t trace = 0;     ///< Carried from the message being handled to those it causes.
  MonoTime deadline = kNever;  ///< Of an ask.
  BlockRef block;
  /// Text of a publication (its topic), a delivery (its key), a refusal (why), a question from afar (the asking node).
  /// Of a question of this process: who waits behind its sender, as ActorId bits.
  BlockRef label;
  std::uint32_t inline_bytes = 0;
  MessageKind kind = MessageKind::tell;
  Urgency urgency = Urgency::normal;
  bool reserved = false;   ///< Takes the room that no mailbox bound touches.
  bool from_afar = false;  ///< Came over a link.
  bool has_error = false;
  ErrorCode error{};

  Message() = default;
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;
  ~Message() {
    if (inline_bytes != 0 && info->destroy != nullptr) info->destroy(inline_value());
  }

  [[nodiscard]] void* inline_value() noexcept;
  /// What counts against a mailbox's bytes.
  [[nodiscard]] std::size_t payload_bytes() const noexcept { return inline_bytes + block.bytes().size(); }
  [[nodiscard]] std::string_view type_name() const noexcept { return info != nullptr ? info->name : "unknown type"; }

  struct Delete {
    void operator()(Message* message) const noexcept {
      message->~Message();
      Pool::release(message);
    }
  };
};
using MessagePtr = std::unique_ptr<Message, Message::Delete>;

namespace detail {
inline constexpr std::size_t kMessageHeaderBytes = (sizeof(Message) + 15) & ~std::size_t{15};
static_assert(kMessageHeaderBytes <= 96, "with 16 bytes of payload a message fits the pool's class of 128");
}  // namespace detail

inline void* Message::inline_value() noexcept {
  return reinterpret_cast<std::byte*>(this) + detail::kMessageHeaderBytes;
}

/// A message without payload.
[[nodiscard]] inline MessagePtr make_message(MessageKind kind, ActorId receiver) {
  MessagePtr message{new (Pool::allocate(sizeof(Message))) Message};
  message->kind = kind;
  message->receiver = receiver;
  return message;
}

/// A message that carries a native value inline.
template <class T>
[[nodiscard]] MessagePtr native_message(MessageKind kind, ActorId receiver, T&& value) {
  using Value = std::remove_cvref_t<T>;
  static_assert(alignof(Value) <= 16, "over-aligned native payloads are not supported");
  MessagePtr message{new (Pool::allocate(detail::kMessageHeaderBytes + sizeof(Value))) Message};
  new (message->inline_value()) Value(std::forward<T>(value));
  message->inline_bytes = sizeof(Value);
  message->type = type_info<Value>().id;
  message->info = &type_info<Value>();
  message->kind = kind;
  message->receiver = receiver;
  return message;
}

/// A message that shares a table.
template <FlatTable T>
[[nodiscard]] MessagePtr table_message(MessageKind kind, ActorId receiver, const Table<T>& table) {
  MessagePtr message = make_message(kind, receiver);
  message->type = type_info<T>().id;
  message->info = &type_info<T>();
  message->block = table.block();
  return message;
}

/// First in, first out, intrusive. Owns what it holds; one thread.
class MessageQueue {
 public:
  MessageQueue() = default;
  MessageQueue(const MessageQueue&) = delete;
  MessageQueue& operator=(const MessageQueue&) = delete;
  ~MessageQueue() {
    while (pop()) {
    }
  }

  [[nodiscard]] bool empty() const noexcept { return last_ == nullptr; }
  /// Puts all of `earlier` in front, in their order.
  void prepend(MessageQueue& earlier) noexcept {
    if (earlier.last_ == nullptr) return;
    if (last_ == nullptr) {
      last_ = std::exchange(earlier.last_, nullptr);
    } else {
      std::swap(last_->next, earlier.last_->next);
      earlier.last_ = nullptr;
    }
  }
  void push(MessagePtr message) noexcept {
    Message* raw = message.release();
    raw->next = last_ == nullptr ? raw : std::exchange(last_->next, raw);
    last_ = raw;
  }
  [[nodiscard]] MessagePtr pop() noexcept {
    if (last_ == nullptr) return nullptr;
    Message* first = last_->next;
    if (first == last_) {
      last_ = nullptr;
    } else {
      last_->next = first->next;
    }
    return MessagePtr{first};
  }

 private:
  Message* last_ = nullptr;  // a ring: the last one's next is the first; one pointer, since an actor has three queues
};

}  // namespace pannier
