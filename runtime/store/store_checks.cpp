#include "runtime/store/store_checks.h"

#include <string>

#include <pannier/limits.h>
#include "platform/concat.h"

namespace pannier {

void StoreDeleter::operator()(Store* store) const noexcept { delete store; }

}  // namespace pannier

namespace pannier::store_checks {
namespace {

Result<void> at_most(const char* part, std::size_t size, std::size_t limit) {
  if (size <= limit) return {};
  return Error{ErrorCode::invalid_argument,
               concat({"The ", part, " has ", size, " bytes, at most ", limit, " are stored; shorten it."})};
}

}  // namespace

Result<void> row(const Row& row) {
  if (row.sequence == 0 || row.sequence > limits::kMaxSequence) {
    return Error{ErrorCode::invalid_argument, "A sequence must come from next_sequence (1 to 2^44 - 1)."};
  }
  if (Result<void> key = at_most("key", row.key.size(), limits::kKeyBytes); !key) return key;
  if (Result<void> name = at_most("producer", row.producer.size(), limits::kPathBytes); !name) return name;
  return at_most("payload", row.payload.size(), limits::kPayloadBytes);
}

Result<void> stream_name(std::string_view node, std::string_view lane) {
  if (Result<void> name = at_most("node name", node.size(), limits::kNodeNameBytes); !name) return name;
  return at_most("lane name", lane.size(), limits::kLaneNameBytes);
}

Result<void> watermark(const Watermark& watermark) {
  if (Result<void> name = at_most("producer", watermark.producer.size(), limits::kNodeNameBytes); !name) return name;
  return at_most("lane name", watermark.lane.size(), limits::kLaneNameBytes);
}

Result<void> cursor(const Cursor& cursor) {
  return at_most("reader's name", cursor.reader.size(), limits::kLaneNameBytes);
}

Result<void> token(std::string_view token) { return at_most("idempotency token", token.size(), limits::kTokenBytes); }

Error too_many_streams() {
  return {ErrorCode::full, concat({"This store holds ", limits::kStreams,
                                   " streams already; remove destinations or lanes that are no longer used."})};
}

Error too_many_tokens() {
  return {ErrorCode::full, concat({"This store remembers ", limits::kTokens,
                                   " idempotency tokens already; wait until some expire, or let them expire sooner."})};
}

Result<void> state(std::string_view key, std::span<const std::byte> value) {
  if (Result<void> size = at_most("state key", key.size(), limits::kStateKeyBytes); !size) return size;
  return at_most("state value", value.size(), limits::kPayloadBytes);
}

std::string_view cut_cause(std::string_view cause) noexcept {
  if (cause.size() <= limits::kCauseBytes) return cause;
  std::size_t end = limits::kCauseBytes;
  while (end > 0 && (static_cast<unsigned char>(cause[end]) & 0xc0U) == 0x80U) --end;
  return cause.substr(0, end);
}

}  // namespace pannier::store_checks
