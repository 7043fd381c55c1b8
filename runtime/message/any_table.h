#pragma once

#include <string_view>

#include "runtime/message/message.h"
#include "runtime/message/table.h"

namespace pannier {

/// A table whose type is known by its id only: what gateways, tools and bridges carry without a schema. Every Table<T>
/// is one. A share of the bytes, like Table. What came from afar is verified only once somebody asks for its type.
class AnyTable {
 public:
  template <FlatTable T>
  AnyTable(const Table<T>& table) : AnyTable(type_info<T>().id, &type_info<T>(), table.block()) {}  // NOLINT: implicit
  /// `info` may be null: the type's code is not in this program.
  AnyTable(TypeId type, const TypeInfo* info, BlockRef block) : type_(type), info_(info), block_(std::move(block)) {}

  /// False for a native value that a fan-out shares: it stays in the process.
  [[nodiscard]] bool can_leave() const noexcept { return info_ == nullptr || info_->verify != nullptr; }
  [[nodiscard]] TypeId type() const noexcept { return type_; }
  [[nodiscard]] const TypeInfo* info() const noexcept { return info_; }
  [[nodiscard]] const BlockRef& block() const noexcept { return block_; }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return block_.bytes(); }

  /// As a table of T. rejected when the type is another one, malformed when the bytes do not verify.
  template <FlatTable T>
  [[nodiscard]] Result<Table<T>> as() const {
    if (type_ != type_info<T>().id) return ErrorCode::rejected;
    if (!block_) return ErrorCode::malformed;
    if (!block_->verified()) {
      if (!verify_table<T>(block_.bytes())) return ErrorCode::malformed;
      block_->set_verified();
    }
    return Table<T>{block_};
  }

 private:
  TypeId type_;
  const TypeInfo* info_;
  BlockRef block_;
};

[[nodiscard]] inline MessagePtr any_message(MessageKind kind, ActorId receiver, const AnyTable& table) {
  MessagePtr message = make_message(kind, receiver);
  message->type = table.type();
  message->info = table.info();
  message->block = table.block();
  return message;
}

}  // namespace pannier
