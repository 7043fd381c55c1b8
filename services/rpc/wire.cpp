#include "services/rpc/wire.h"

#include <algorithm>
#include <cstring>

namespace pannier::rpc::detail {

namespace {

using Builder = flatbuffers::FlatBufferBuilder;

flatbuffers::Offset<wire::Item> put_item(Builder& builder, const BlockRef& block) {
  const auto bytes = block.bytes();
  const auto data = builder.CreateVector(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  return wire::CreateItem(builder, data);
}

auto put_items(Builder& builder, std::span<const BlockRef> items) {
  std::vector<flatbuffers::Offset<wire::Item>> put;
  put.reserve(items.size());
  for (const BlockRef& item : items) put.push_back(put_item(builder, item));
  return builder.CreateVector(put);
}

flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<wire::Entry>>> put_metadata(Builder& builder,
                                                                                        const Metadata& metadata) {
  if (metadata.empty()) return {};
  std::vector<flatbuffers::Offset<wire::Entry>> put;
  for (const auto& [key, value] : metadata) {
    const auto key_text = builder.CreateString(key);
    const auto value_text = builder.CreateString(value);
    put.push_back(wire::CreateEntry(builder, key_text, value_text));
  }
  return builder.CreateVector(put);
}

std::string_view view(const flatbuffers::String* text) {
  return text == nullptr ? std::string_view{} : std::string_view{text->c_str(), text->size()};
}

}  // namespace

BlockRef block_of(const wire::Item* item, const TypeInfo& type) {
  if (item == nullptr || item->bytes() == nullptr) return {};
  BlockRef block = BlockRef::copy_of(std::as_bytes(std::span{item->bytes()->data(), item->bytes()->size()}));
  if (!type.verify(block.bytes())) return {};
  block->set_verified();
  return block;
}

AnyTable turn_of(const TurnParts& parts) {
  std::size_t bytes = 256;
  for (const BlockRef& item : parts.items) bytes += item.bytes().size() + 32;
  BlockBuilder block{bytes};
  Builder& builder = block.builder();
  const auto items = parts.items.empty() ? 0 : put_items(builder, parts.items);
  flatbuffers::Offset<flatbuffers::String> message = 0;
  flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<wire::Entry>>> metadata = 0;
  std::uint8_t status = 0;
  std::uint32_t retry_after = 0;
  bool not_started = false;
  if (parts.outcome != nullptr) {
    const Failure& failure = parts.outcome->failure;
    status = static_cast<std::uint8_t>(failure.status);
    if (!failure.message.empty()) {
      message = builder.CreateString(failure.message.data(), std::min(failure.message.size(), limits::kCauseBytes));
    }
    const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(failure.retry_after).count();
    retry_after = static_cast<std::uint32_t>(std::clamp<std::int64_t>(wait, 0, 0xffffffff));
    metadata = put_metadata(builder, parts.outcome->metadata);
    not_started = failure.not_started;
  }
  const auto root = wire::CreateTurn(builder, items, parts.ended, status, message, retry_after, metadata, not_started);
  return Table<wire::Turn>{block.finish(root.Union())};
}

AnyTable call_of(const Spec& spec, std::uint64_t id) {
  BlockBuilder block{spec.request.bytes().size() + 256};
  Builder& builder = block.builder();
  const auto metadata = put_metadata(builder, spec.options.metadata);
  const auto request = spec.request ? put_item(builder, spec.request) : 0;
  std::vector<flatbuffers::Offset<wire::Argument>> put;
  for (const Argument& each : spec.arguments) {
    put.push_back(wire::CreateArgument(builder, each.call, each.from, each.to, each.size));
  }
  const auto arguments = put.empty() ? 0 : builder.CreateVector(put);
  const auto root = wire::CreateCall(builder, static_cast<std::uint64_t>(spec.method->info.id), id,
                                     static_cast<std::uint8_t>(spec.method->kind), metadata, request,
                                     spec.options.keep_result, arguments);
  return Table<wire::Call>{block.finish(root.Union())};
}

AnyTable push_of(std::uint64_t id, std::span<const BlockRef> items, bool last) {
  std::size_t bytes = 128;
  for (const BlockRef& item : items) bytes += item.bytes().size() + 32;
  BlockBuilder block{bytes};
  const auto put = put_items(block.builder(), items);
  return Table<wire::Push>{block.finish(wire::CreatePush(block.builder(), id, put, last).Union())};
}

Outcome outcome_of(const wire::Turn& turn) {
  Outcome outcome;
  Failure& failure = outcome.failure;
  failure.status = turn.status() < kStatuses ? static_cast<Status>(turn.status()) : Status::unknown;
  failure.message = view(turn.message()).substr(0, limits::kCauseBytes);
  failure.retry_after = std::chrono::milliseconds{turn.retry_after_ms()};
  failure.not_started = turn.not_started();
  outcome.metadata = metadata_of(turn.metadata());
  return outcome;
}

Failure failure_of(const Message* reply) {
  if (reply == nullptr) return {Status::deadline_exceeded, {}, {}, false};
  Error error = pannier::detail::refusal_of(*reply);
  switch (error.code) {
    case ErrorCode::timeout: return {Status::deadline_exceeded, std::move(error.detail), {}, false};
    case ErrorCode::full: return {Status::resource_exhausted, "the server, or the way to it, has no room", {}, true};
    case ErrorCode::not_found: return {Status::unavailable, "there is no such actor", {}, true};
    case ErrorCode::unreachable: return {Status::unavailable, "there is no link, or it was lost", {}, false};
    case ErrorCode::closed: return {Status::unavailable, "the server has ended", {}, false};
    case ErrorCode::cancelled: return {Status::cancelled, {}, {}, false};
    case ErrorCode::failed: return {Status::internal, "the handler failed", {}, false};
    case ErrorCode::rejected:
      if (!error.detail.empty()) return {Status::failed_precondition, std::move(error.detail), {}, true};
      return {Status::unimplemented, "the actor does not serve this method", {}, true};
    default: return {status_of(error.code), std::move(error.detail), {}, false};
  }
}

Metadata metadata_of(const flatbuffers::Vector<flatbuffers::Offset<wire::Entry>>* entries) {
  Metadata metadata;
  if (entries == nullptr) return metadata;
  std::size_t bytes = 0;
  for (const wire::Entry* entry : *entries) {
    const auto key = view(entry->key());
    const auto value = view(entry->value());
    bytes += key.size() + value.size();
    if (metadata.size() >= kMetadataEntries || bytes > kMetadataBytes) break;
    metadata.emplace_back(key, value);
  }
  return metadata;
}

bool fits(const Metadata& metadata) noexcept {
  std::size_t bytes = 0;
  for (const auto& [key, value] : metadata) bytes += key.size() + value.size();
  return metadata.size() <= kMetadataEntries && bytes <= kMetadataBytes;
}

// --- Results as arguments --------------------------------------------------------------------------------------------

namespace {

/// Where a field stands in a verified table's bytes; 0: it is not there.
std::size_t place_of(std::span<const std::byte> bytes, std::uint16_t field, std::size_t size) {
  const auto* root = flatbuffers::GetRoot<flatbuffers::Table>(bytes.data());
  const std::uint16_t offset = root->GetOptionalFieldOffset(field);
  if (offset == 0) return 0;
  const auto at = static_cast<std::size_t>(reinterpret_cast<const std::byte*>(root) - bytes.data()) + offset;
  return at + size <= bytes.size() ? at : 0;
}

}  // namespace

Result<BlockRef> with_argument(const BlockRef& request, const BlockRef& result, const Argument& argument) {
  if (argument.from == 0) return result;
  const auto given = result.bytes();
  const auto wanted = request.bytes();
  const std::size_t size = argument.size == 0 ? sizeof(flatbuffers::uoffset_t) : argument.size;
  const std::size_t to = wanted.empty() || size > 8 ? 0 : place_of(wanted, argument.to, size);
  if (to == 0) return Error{ErrorCode::invalid_argument, "the field to be filled in holds nothing to be replaced"};
  const std::size_t from = place_of(given, argument.from, size);
  if (from == 0) return Error{ErrorCode::rejected, "the result referred to does not hold that field"};
  if (argument.size != 0) {
    BlockRef filled = BlockRef::copy_of(wanted);
    std::memcpy(const_cast<std::byte*>(filled.bytes().data()) + to, given.data() + from, size);
    return filled;
  }
  // A text: it goes to the end, and the field's offset points there. The caller says that the field is one, so nothing
  // is believed: what is read lies within the result, and the request is verified afterwards.
  flatbuffers::uoffset_t distance = 0;
  flatbuffers::uoffset_t length = 0;
  distance = flatbuffers::ReadScalar<flatbuffers::uoffset_t>(given.data() + from);
  if (distance > given.size() - from - sizeof(length)) return ErrorCode::malformed;
  const std::size_t text = from + distance;
  std::memcpy(&length, given.data() + text, sizeof(length));
  length = flatbuffers::EndianScalar(length);
  if (length > given.size() - text - sizeof(length)) return ErrorCode::malformed;
  const std::size_t end = (wanted.size() + 3) / 4 * 4;
  std::vector<std::byte> bytes(end + sizeof(length) + length + 1);
  std::memcpy(bytes.data(), wanted.data(), wanted.size());
  std::memcpy(bytes.data() + end, given.data() + text, sizeof(length) + length);
  flatbuffers::WriteScalar(bytes.data() + to, static_cast<flatbuffers::uoffset_t>(end - to));
  return BlockRef::copy_of(bytes);
}

}  // namespace pannier::rpc::detail
