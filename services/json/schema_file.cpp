#include "services/json/schema_file.h"

#include <flatbuffers/idl.h>
#include <flatbuffers/reflection.h>

#include <algorithm>
#include <map>
#include <span>
#include <vector>

#include <pannier/limits.h>
#include <pannier/platform.h>

namespace pannier::json {

namespace {

constexpr std::uint64_t kSchemaBytes = 4 * 1024 * 1024;

/// The parser's messages may have several lines; ours have one.
std::string one_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

/// JSON has no number for what is none: `null` stands for nan and inf, which the parser prints as words.
std::string without_nan(const std::string& text) {
  std::string clean;
  clean.reserve(text.size());
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string_view rest = std::string_view{text}.substr(i);
    if (text[i] == '"') quoted = !quoted;
    if (quoted && text[i] == '\\') {
      clean += rest.substr(0, 2);
      ++i;
      continue;
    }
    const std::size_t sign = rest.starts_with('-') ? 1 : 0;
    if (!quoted && (rest.substr(sign).starts_with("nan") || rest.substr(sign).starts_with("inf"))) {
      clean += "null";
      i += sign + 2;
    } else {
      clean += text[i];
    }
  }
  return clean;
}

flatbuffers::IDLOptions options() {
  flatbuffers::IDLOptions options;
  options.indent_step = -1;  // one line
  options.output_default_scalars_in_json = true;
  return options;
}

}  // namespace

struct SchemaFile::State {
  State() : parser(options()) {}
  // The parser keeps the last thing parsed; converting is const for the caller.
  mutable flatbuffers::Parser parser;
  std::string reflection;  // the schema in its binary form, for the verifier
  std::map<TypeId, std::string> names;

  [[nodiscard]] bool verifies(const std::string& name, std::span<const std::uint8_t> bytes) const;
  void name_tables() {
    for (const flatbuffers::StructDef* definition : parser.structs_.vec) {
      if (definition->fixed) continue;
      const std::string name = definition->defined_namespace->GetFullyQualifiedName(definition->name);
      names.emplace(type_id_of(name), name);
    }
  }
};

/// True if the bytes are a table of this type as any receiver will take it.
bool SchemaFile::State::verifies(const std::string& name, std::span<const std::uint8_t> bytes) const {
  const reflection::Schema* schema = reflection::GetSchema(reflection.data());
  const reflection::Object* root = schema->objects()->LookupByKey(name.c_str());
  return root != nullptr && bytes.size() >= sizeof(flatbuffers::uoffset_t) && bytes.size() <= limits::kPayloadBytes &&
         flatbuffers::Verify(*schema, *root, bytes.data(), bytes.size(), limits::kVerifyDepth, limits::kVerifyTables);
}

SchemaFile::SchemaFile(std::unique_ptr<State> state) : state_(std::move(state)) {}
SchemaFile::SchemaFile(SchemaFile&&) noexcept = default;
SchemaFile& SchemaFile::operator=(SchemaFile&&) noexcept = default;
SchemaFile::~SchemaFile() = default;

Result<SchemaFile> SchemaFile::load(const std::string& path) {
  const auto text = read_file(path, kSchemaBytes);
  if (!text) return text.error();
  auto state = std::make_unique<State>();
  // Includes are relative to the file, or to a folder above it that its path names: a project's root.
  std::vector<std::string> folders;
  for (std::string up = path; up.find('/') != std::string::npos;) {
    up.resize(up.rfind('/'));
    folders.push_back(up.empty() ? "/" : up);
  }
  if (!path.starts_with('/')) folders.emplace_back();  // where we are
  std::vector<const char*> includes;
  for (const std::string& each : folders) includes.push_back(each.c_str());
  includes.push_back(nullptr);
  if (!state->parser.Parse(text->c_str(), includes.data(), path.c_str())) {
    return Error{ErrorCode::malformed, one_line(state->parser.error_)};
  }
  state->name_tables();
  state->parser.Serialize();
  state->reflection.assign(reinterpret_cast<const char*>(state->parser.builder_.GetBufferPointer()),
                           state->parser.builder_.GetSize());
  return SchemaFile{std::move(state)};
}

Result<SchemaFile> SchemaFile::from_binary(std::string_view bytes) {
  auto state = std::make_unique<State>();
  // The parser believes what it is given.
  flatbuffers::Verifier verifier{reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
  if (!reflection::VerifySchemaBuffer(verifier) ||
      !state->parser.Deserialize(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size())) {
    return Error{ErrorCode::malformed, "what the reflection service gives is no schema"};
  }
  state->reflection = bytes;
  state->name_tables();
  return SchemaFile{std::move(state)};
}

std::string_view SchemaFile::name_of(TypeId type) const noexcept {
  const auto found = state_->names.find(type);
  return found == state_->names.end() ? std::string_view{} : std::string_view{found->second};
}

Result<AnyTable> SchemaFile::from_json(std::string_view type, const std::string& json, Form form) const {
  const std::string name{type};
  if (!state_->names.contains(type_id_of(type))) {
    std::string known;
    for (const auto& [id, each] : state_->names) known += (known.empty() ? "" : ", ") + each;
    return Error{ErrorCode::not_found, "the schema has no table '" + name + "'; it has " + known};
  }
  flatbuffers::Parser& parser = state_->parser;
  parser.SetRootType(name.c_str());
  parser.builder_.Clear();
  parser.opts.strict_json = form == Form::strict;  // relaxed: names without quotes, comments
  if (!parser.ParseJson(json.c_str(), "JSON")) return Error{ErrorCode::malformed, one_line(parser.error_)};
  const std::span bytes{parser.builder_.GetBufferPointer(), parser.builder_.GetSize()};
  if (bytes.size() > limits::kPayloadBytes) {
    return Error{ErrorCode::invalid_argument, "the payload has " + std::to_string(bytes.size()) +
                                                  " bytes, and may have " + std::to_string(limits::kPayloadBytes)};
  }
  if (!state_->verifies(name, bytes)) {
    return Error{ErrorCode::invalid_argument, "no receiver would take it: a message has at most " +
                                                  std::to_string(limits::kVerifyDepth) + " tables in each other and " +
                                                  std::to_string(limits::kVerifyTables) + " in all"};
  }
  return AnyTable{type_id_of(type), nullptr, BlockRef::copy_of(std::as_bytes(bytes))};
}

Result<std::string> SchemaFile::to_json(const AnyTable& table) const {
  const std::string name{name_of(table.type())};
  if (name.empty()) return ErrorCode::not_found;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(table.bytes().data());
  if (!state_->verifies(name, {bytes, table.bytes().size()})) {
    return Error{ErrorCode::malformed, "the bytes are no " + name};
  }
  flatbuffers::Parser& parser = state_->parser;
  parser.SetRootType(name.c_str());
  parser.opts.strict_json = true;
  std::string text;
  if (!flatbuffers::GenerateText(parser, bytes, &text)) {
    return Error{ErrorCode::malformed, "a text in this " + name + " is no UTF-8"};
  }
  return without_nan(one_line(std::move(text)));
}

}  // namespace pannier::json
