#pragma once

#include <flatbuffers/flatbuffers.h>

#include <concepts>
#include <string_view>
#include <type_traits>
#include <utility>

#include "runtime/limits.h"
#include "runtime/message/block.h"
#include "runtime/message/type_id.h"

namespace pannier {

/// A table that flatc generated with --cpp-static-reflection: such a type can leave the process and go to disk.
template <class T>
concept FlatTable = requires {
  typename T::Traits;
  { T::Traits::fully_qualified_name } -> std::convertible_to<std::string_view>;
};

/// A table's object-API struct (`OrderCreatedT` of `OrderCreated`): filled field by field, then packed once.
template <class T>
concept FlatObject = requires {
  typename T::TableType;
}
&&FlatTable<typename T::TableType>;

/// An immutable FlatBuffers table and a share of the bytes it stands in. Cheap to copy, safe to keep and to send on:
/// sending it again shares the bytes. Any thread.
template <FlatTable T>
class Table {
 public:
  using table_type = T;

  /// `block` holds a buffer of root T that was verified, or built here.
  explicit Table(BlockRef block) noexcept : block_(std::move(block)) {}

  [[nodiscard]] const T& operator*() const noexcept { return *root(); }
  [[nodiscard]] const T* operator->() const noexcept { return root(); }
  [[nodiscard]] const BlockRef& block() const noexcept { return block_; }
  /// The buffer as it goes on a wire. Lives as long as a share of the table does.
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return block_.bytes(); }

 private:
  [[nodiscard]] const T* root() const noexcept { return flatbuffers::GetRoot<T>(block_.bytes().data()); }
  BlockRef block_;
};

/// Checks structure, once, with bounds on depth and number of tables. It says nothing about meaning.
template <FlatTable T>
[[nodiscard]] bool verify_table(std::span<const std::byte> bytes) noexcept {
  if (bytes.size() < sizeof(flatbuffers::uoffset_t) || bytes.size() > limits::kPayloadBytes) return false;
  flatbuffers::Verifier verifier(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(),
                                 limits::kVerifyDepth, limits::kVerifyTables);
  return verifier.VerifyBuffer<T>(nullptr);
}

/// Builds a buffer straight into pool memory, which becomes the message's block without a copy.
class BlockBuilder {
 public:
  explicit BlockBuilder(std::size_t expected_bytes = 480);
  [[nodiscard]] flatbuffers::FlatBufferBuilder& builder() noexcept { return builder_; }
  /// Ends the buffer at `root` and hands its memory over. The builder is empty after.
  [[nodiscard]] BlockRef finish(flatbuffers::Offset<void> root);

 private:
  struct PoolAllocator final : flatbuffers::Allocator {
    std::uint8_t* allocate(std::size_t size) override;
    void deallocate(std::uint8_t* memory, std::size_t size) override;
  };
  PoolAllocator allocator_;
  flatbuffers::FlatBufferBuilder builder_;
};

namespace detail {

template <class Field>
auto to_field(flatbuffers::FlatBufferBuilder& builder, Field&& field) {
  if constexpr (std::convertible_to<Field, std::string_view>) {
    const std::string_view text = field;
    return builder.CreateString(text.data(), text.size());
  } else {
    return std::forward<Field>(field);
  }
}

/// A table's root, of fields that are written already.
template <class T>
struct Created {
  template <class... Values>
  explicit Created(flatbuffers::FlatBufferBuilder& builder, Values... values)
      : root(T::Traits::Create(builder, values...)) {}
  flatbuffers::Offset<T> root;
};

}  // namespace detail

/// A table from its fields, all of them, in the schema's order; text is given as text:
/// `make<Status>(done, eta_s, "on the way")`.
template <FlatTable T, class... Fields>
[[nodiscard]] Table<T> make(Fields&&... fields) {
  static_assert(
      sizeof...(Fields) == T::Traits::fields_number,
      "give every field of the table, in the schema's order; for a few of many fill its object and pack() it");
  BlockBuilder block;
  auto& builder = block.builder();
  // Braced initialisation fixes the order: nested objects first, as FlatBuffers wants it.
  const detail::Created<T> created{builder, detail::to_field(builder, std::forward<Fields>(fields))...};
  return Table<T>{block.finish(created.root.Union())};
}

/// A table from its object struct: `pack(order)` with an `OrderCreatedT order`. Reads `object`, keeps nothing of it.
template <FlatObject Object>
[[nodiscard]] auto pack(const Object& object) {
  using T = typename Object::TableType;
  BlockBuilder block;
  const auto root = T::Pack(block.builder(), &object);
  return Table<T>{block.finish(root.Union())};
}

/// A table built by hand: `build<Route>([&](flatbuffers::FlatBufferBuilder& b) { ...; return CreateRoute(b, ...); })`.
template <FlatTable T, class Build>
requires std::invocable<Build&, flatbuffers::FlatBufferBuilder&>
[[nodiscard]] Table<T> build(Build&& build) {
  BlockBuilder block;
  const flatbuffers::Offset<T> root = build(block.builder());
  return Table<T>{block.finish(root.Union())};
}

}  // namespace pannier
