#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <type_traits>

#include "runtime/message/message.h"
#include "runtime/message/table.h"

/// What an actor class says of its messages to a mailbox that keeps the latest of each key.
namespace pannier::detail {

/// Checks a table's structure, once. malformed: it does not hold.
[[nodiscard]] Result<void> verified(Message& message);
/// Where the payload stands; null: there is none.
[[nodiscard]] const void* value_of(Message& message) noexcept;

/// The class says of what in a T the latest is kept.
template <class Self, class T>
concept Keyed = requires(const T& value) {
  Self::key(value);
};

template <class Self, class T>
std::string key_in(Message& message) {
  const void* value = value_of(message);
  if constexpr (FlatTable<T>) {
    if (value == nullptr || !verified(message)) return {};
    value = flatbuffers::GetRoot<T>(value);
  }
  if (value == nullptr) return {};
  const auto key = Self::key(*static_cast<const T*>(value));
  if constexpr (std::convertible_to<decltype(key), std::string_view>) {
    return std::string{std::string_view{key}};
  } else {
    static_assert(std::is_integral_v<decltype(key)> || std::is_enum_v<decltype(key)>,
                  "a key is text, a number or an enumerator");
    return {reinterpret_cast<const char*>(&key), sizeof(key)};
  }
}

template <class Self, class T>
constexpr auto key_reader() {
  std::string (*reader)(Message&) = nullptr;
  if constexpr (Keyed<Self, T>) reader = &key_in<Self, T>;
  return reader;
}

}  // namespace pannier::detail
