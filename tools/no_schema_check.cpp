// In place of schema_check.cpp where PANNIER_TOOL_SCHEMAS is off.
#include "tools/schema_check.h"

namespace pannier::tools {

Result<std::vector<SchemaFinding>> check_schemas(const std::string&, const std::string&) {
  return Error{ErrorCode::unsupported,
               "this pannier was built for a device, without schemas: run a full one elsewhere"};
}

}  // namespace pannier::tools
