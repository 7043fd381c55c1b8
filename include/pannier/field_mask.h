#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <pannier/message.h>

/// Answers with the fields that were asked for. A mask has one bit for each field of a table, in the schema's order: it
/// travels in the question as an `ulong`, and the source projects its answer with it, so that the other fields cost no
/// bytes. Link pannier::gather.
namespace pannier {

namespace detail {

template <FlatTable T>
consteval std::uint64_t bit_of(std::string_view name) {
  static_assert(T::Traits::fields_number <= 64, "a mask has 64 bits");
  for (std::size_t i = 0; i < T::Traits::fields_number; ++i) {
    if (name == std::string_view{T::Traits::field_names[i]}) return std::uint64_t{1} << i;
  }
  throw "the table has no field of that name";  // not a constant: does not compile
}

/// A table without any field: what reading it gives are the schema's defaults.
template <class T>
const T& empty_table() noexcept {
  alignas(8) static constexpr std::uint8_t kEmpty[8] = {4, 0, 4, 0, 4, 0, 0, 0};
  return *reinterpret_cast<const T*>(kEmpty + 4);
}

template <FlatTable T>
flatbuffers::Offset<T> copy_table(flatbuffers::FlatBufferBuilder& builder, const T& from, std::uint64_t mask);

template <class T>
inline constexpr bool kIsVector = false;
template <class T>
inline constexpr bool kIsVector<flatbuffers::Vector<T>> = true;
template <class T>
inline constexpr bool kIsOffset = false;
template <class T>
inline constexpr bool kIsOffset<flatbuffers::Offset<T>> = true;

template <class Target>
flatbuffers::Offset<Target> copy_target(flatbuffers::FlatBufferBuilder& builder, const Target* from) {
  if (from == nullptr) return 0;
  if constexpr (std::is_same_v<Target, flatbuffers::String>) {
    return builder.CreateString(from);
  } else {
    return copy_table(builder, *from, ~std::uint64_t{0});
  }
}
template <class Item>
flatbuffers::Offset<flatbuffers::Vector<Item>> copy_target(flatbuffers::FlatBufferBuilder& builder,
                                                           const flatbuffers::Vector<Item>* from) {
  if (from == nullptr) return 0;
  if constexpr (kIsOffset<Item>) {
    std::vector<Item> items;
    items.reserve(from->size());
    for (flatbuffers::uoffset_t i = 0; i < from->size(); ++i) items.push_back(copy_target(builder, from->Get(i)));
    return builder.CreateVector(items);
  } else if constexpr (std::is_pointer_v<Item>) {
    using Struct = std::remove_const_t<std::remove_pointer_t<Item>>;
    return builder.CreateVectorOfStructs(reinterpret_cast<const Struct*>(from->Data()), from->size());
  } else {
    return builder.CreateVector(from->data(), from->size());
  }
}

template <FlatTable T, std::size_t Index>
auto copy_field(flatbuffers::FlatBufferBuilder& builder, const T& from, std::uint64_t mask) {
  const T& source = (mask >> Index & 1U) != 0 ? from : empty_table<T>();
  const auto value = source.template get_field<Index>();
  using Value = std::remove_const_t<decltype(value)>;
  if constexpr (!std::is_pointer_v<Value>) {
    return value;
  } else {
    using Target = std::remove_const_t<std::remove_pointer_t<Value>>;
    if constexpr (std::is_same_v<Target, flatbuffers::String> || FlatTable<Target> || kIsVector<Target>) {
      return copy_target(builder, value);
    } else {
      static_assert(!std::is_void_v<Target>, "a table with a union cannot be projected");
      return value;  // a struct stands in the table
    }
  }
}

template <FlatTable T, std::size_t... Index>
flatbuffers::Offset<T> copy_fields(flatbuffers::FlatBufferBuilder& builder, const T& from, std::uint64_t mask,
                                   std::index_sequence<Index...>) {
  const Created<T> created{builder, copy_field<T, Index>(builder, from, mask)...};
  return created.root;
}

template <FlatTable T>
flatbuffers::Offset<T> copy_table(flatbuffers::FlatBufferBuilder& builder, const T& from, std::uint64_t mask) {
  return copy_fields(builder, from, mask, std::make_index_sequence<T::Traits::fields_number>{});
}

}  // namespace detail

/// The mask of some fields of T: `field_mask<Order>("eta_s", "status")`. A name that T does not have does not compile.
template <FlatTable T, class... Names>
[[nodiscard]] consteval std::uint64_t field_mask(const Names&... names) {
  return (std::uint64_t{0} | ... | detail::bit_of<T>(names));
}

/// A copy of `from` with the fields of `mask` only; the others have their defaults and cost no bytes. A mask of 0
/// stands for all fields: what a caller sends that knows nothing of masks. Of a field that is a table, all is copied.
/// Tables with unions do not compile.
template <FlatTable T>
[[nodiscard]] Table<T> project(const T& from, std::uint64_t mask) {
  return build<T>([&](flatbuffers::FlatBufferBuilder& builder) {
    return detail::copy_table(builder, from, mask == 0 ? ~std::uint64_t{0} : mask);
  });
}

}  // namespace pannier
