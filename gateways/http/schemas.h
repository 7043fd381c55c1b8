#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <pannier/http.h>

#include "services/json/schema_file.h"

namespace pannier::http {

/// The schemas that a gateway knows: of its mounted services, and of files. One thread.
class Schemas {
 public:
  /// The error names the file or the service.
  [[nodiscard]] static Result<Schemas> load(const Options& options);

  /// As SchemaFile. not_found: no schema has the type.
  [[nodiscard]] Result<AnyTable> from_json(std::string_view type, const std::string& json) const;
  [[nodiscard]] Result<std::string> to_json(const AnyTable& table) const;
  /// Empty: unknown.
  [[nodiscard]] std::string_view name_of(TypeId type) const noexcept;

 private:
  std::vector<json::SchemaFile> schemas_;
};

}  // namespace pannier::http
