#pragma once

#include <string>
#include <vector>

#include <pannier/result.h>

namespace pannier::tools {

/// Why a changed schema cannot take the old one's place.
struct SchemaFinding {
  std::string element;  ///< Full name of a table, field, enumerator, method: "shop.Order.total".
  std::string what;     ///< What is wrong, and what to do instead.
};

/// Whether programs built from the schema at `after` read what those of `before` wrote, and the other way round: on
/// links, on disks that messages wait on, and in calls. Paths of .fbs files. Finds what `flatc --conform` finds, all of
/// it, and what that lets pass. not_found; malformed, with file and line: one is no schema.
[[nodiscard]] Result<std::vector<SchemaFinding>> check_schemas(const std::string& before, const std::string& after);

}  // namespace pannier::tools
