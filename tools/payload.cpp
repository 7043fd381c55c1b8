#include "tools/payload.h"

#include <array>
#include <cstdio>

#include <pannier/limits.h>

#include "run/schema/inspect.fbs.h"

namespace pannier::tools {

namespace {

Result<std::string> all_of_stdin() {
  std::string content;
  std::array<char, 16384> block{};
  while (const std::size_t got = std::fread(block.data(), 1, block.size(), stdin)) {
    content.append(block.data(), got);
    if (content.size() > 4 * limits::kPayloadBytes) {
      return Error{ErrorCode::invalid_argument, "stdin holds more than a message may"};
    }
  }
  return content;
}

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

Result<Payloads> Payloads::open(const PayloadOptions& options) {
  Payloads payloads{options};
  if (!options.schema.empty()) {
    auto schema = SchemaFile::load(options.schema);
    if (!schema) return schema.error();
    payloads.schema_ = std::move(*schema);
  }
  return payloads;
}

Result<AnyTable> Payloads::read() const {
  if (options_.raw && (!options_.type.empty() || !options_.json.empty())) {
    return Error{ErrorCode::invalid_argument, "give --raw, or --schema, --type and JSON, not both"};
  }
  if (!options_.raw && (!schema_ || options_.type.empty() || options_.json.empty())) {
    return Error{ErrorCode::invalid_argument,
                 "what is to be sent? Give --schema FILE.fbs --type Full.Name JSON, or --raw BYTES"};
  }
  const std::string& given = options_.raw ? *options_.raw : options_.json;
  const auto text = given == "-" ? all_of_stdin() : Result<std::string>{given};
  if (!text) return text.error();
  return read(*text);
}

Result<AnyTable> Payloads::read(const std::string& text) const {
  if (!schema_ || options_.type.empty()) {
    // Room for the tables around it: of the raw bytes, and of the request.
    if (text.size() > limits::kPayloadBytes - 2048) {
      return Error{ErrorCode::invalid_argument, "the payload has " + std::to_string(text.size()) +
                                                    " bytes, and may have " +
                                                    std::to_string(limits::kPayloadBytes - 2048)};
    }
    return AnyTable{build<Bytes>([&](flatbuffers::FlatBufferBuilder& builder) {
      const auto data = builder.CreateVector(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
      return CreateBytes(builder, data);
    })};
  }
  auto table = schema_->from_json(options_.type, text);
  if (table && table->bytes().size() > limits::kPayloadBytes - 1024) {
    return Error{ErrorCode::invalid_argument, "the payload is larger than the command can carry"};
  }
  return table;
}

Payloads::Shown Payloads::show(const AnyTable& table) const {
  if (const auto bytes = table.as<Bytes>()) {
    const auto* data = (*bytes)->data();
    return {Bytes::Traits::fully_qualified_name,
            data == nullptr ? "" : std::string{text_of(std::as_bytes(std::span{data->data(), data->size()}))}, false};
  }
  if (schema_) {
    if (auto json = schema_->to_json(table)) return {std::string{schema_->name_of(table.type())}, *json, true};
  }
  std::array<char, 24> id{};
  std::snprintf(id.data(), id.size(), "0x%016llx", static_cast<unsigned long long>(table.type()));
  return {id.data(), "", false, false};
}

std::string Payloads::line(const AnyTable& table) const {
  const Shown shown = show(table);
  if (!shown.known) {
    return "(" + std::to_string(table.bytes().size()) + " bytes of type " + shown.type + ": name its --schema)";
  }
  if (shown.is_json) return shown.text;
  return is_text(shown.text) ? shown.text : "(" + std::to_string(shown.text.size()) + " bytes: --json shows them)";
}

void Payloads::add_to(JsonObject& object, const AnyTable& table) const {
  const Shown shown = show(table);
  object.text("type", shown.type);
  if (!shown.known) {
    object.text("table_base64", base64(text_of(table.bytes())));
  } else if (shown.is_json) {
    object.raw("data", shown.text);
  } else if (is_text(shown.text)) {
    object.text("text", shown.text);
  } else {
    object.text("base64", base64(shown.text));
  }
}

}  // namespace pannier::tools
