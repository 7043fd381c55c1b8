#pragma once

#include <string_view>

#include "runtime/message/block.h"
#include "runtime/store/row.h"

namespace pannier {

/// A message on its way into a box. Texts are borrowed for the call, the payload is shared.
struct NewRow {
  Sequence sequence = 0;
  std::string_view key;
  TypeId type{};
  BlockRef payload;
  WallTime enqueued_at{};
  std::string_view producer = {};
  StoreTime expires_at{};
  StoreTime due{};  ///< kNoMoment: at once.

  [[nodiscard]] bool delayed() const noexcept { return due != kNoMoment; }
  [[nodiscard]] Row row(StreamId stream) const noexcept {
    Row row;
    row.stream = stream;
    row.sequence = sequence;
    row.key = key;
    row.type = type;
    row.payload = payload.bytes();
    row.enqueued_at = enqueued_at;
    row.expires_at = expires_at;
    row.moment = due;
    row.state = delayed() ? RowState::delayed : RowState::ready;
    row.producer = producer;
    return row;
  }
};

}  // namespace pannier
