// In place of schema_file.cpp where PANNIER_TOOL_SCHEMAS is off: the parser of schemas and JSON is a tenth of a
// device's program, and who reads payloads mostly sits elsewhere and connects to it.
#include "services/json/schema_file.h"

namespace pannier::json {

struct SchemaFile::State {};

SchemaFile::SchemaFile(std::unique_ptr<State> state) : state_(std::move(state)) {}
SchemaFile::SchemaFile(SchemaFile&&) noexcept = default;
SchemaFile& SchemaFile::operator=(SchemaFile&&) noexcept = default;
SchemaFile::~SchemaFile() = default;

Result<SchemaFile> SchemaFile::load(const std::string& path) {
  return Error{ErrorCode::unsupported, path +
                                           ": this pannier was built for a device, without schemas: use --raw, or "
                                           "run a full one elsewhere with --connect to this node"};
}

Result<SchemaFile> SchemaFile::from_binary(std::string_view) {
  return Error{ErrorCode::unsupported,
               "this pannier was built for a device, without schemas: run a full one elsewhere"};
}
Result<AnyTable> SchemaFile::from_json(std::string_view, const std::string&, Form) const {
  return ErrorCode::unsupported;
}
Result<std::string> SchemaFile::to_json(const AnyTable&) const { return ErrorCode::unsupported; }
std::string_view SchemaFile::name_of(TypeId) const noexcept { return {}; }

}  // namespace pannier::json
