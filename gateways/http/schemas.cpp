#include "gateways/http/schemas.h"

#include <set>

namespace pannier::http {

Result<Schemas> Schemas::load(const Options& options) {
  Schemas all;
  std::set<std::string_view> seen;
  for (const Mount& mount : options.mounts) {
    if (!seen.insert(mount.service->schema).second) continue;
    auto schema = json::SchemaFile::from_binary(mount.service->schema);
    if (!schema) return Error{schema.error().code, std::string{mount.service->name} + ": " + schema.error().detail};
    all.schemas_.push_back(std::move(*schema));
  }
  for (const std::string& path : options.schema_files) {
    auto schema = json::SchemaFile::load(path);
    if (!schema) return Error{schema.error().code, path + ": " + schema.error().text()};
    all.schemas_.push_back(std::move(*schema));
  }
  return all;
}

Result<AnyTable> Schemas::from_json(std::string_view type, const std::string& json) const {
  for (const json::SchemaFile& schema : schemas_) {
    if (!schema.name_of(type_id_of(type)).empty()) {
      return schema.from_json(type, json, json::SchemaFile::Form::strict);
    }
  }
  return Error{ErrorCode::not_found, "no schema of this gateway has a table '" + std::string{type} + "'"};
}

Result<std::string> Schemas::to_json(const AnyTable& table) const {
  for (const json::SchemaFile& schema : schemas_) {
    if (!schema.name_of(table.type()).empty()) return schema.to_json(table);
  }
  return ErrorCode::not_found;
}

std::string_view Schemas::name_of(TypeId type) const noexcept {
  for (const json::SchemaFile& schema : schemas_) {
    if (const auto name = schema.name_of(type); !name.empty()) return name;
  }
  return {};
}

}  // namespace pannier::http
