#include "tools/commands.h"
#include "tools/output.h"
#include "tools/schema_check.h"

namespace pannier::tools {

int run_schema(const SchemaCommand& command) {
  const auto findings = check_schemas(command.before, command.after);
  if (!findings) return fail(kExitUsage, findings.error());
  for (const SchemaFinding& finding : *findings) {
    const bool printed =
        print(command.json ? JsonObject{}.text("element", finding.element).text("finding", finding.what).str()
                           : finding.element + " " + finding.what);
    if (!printed) return kExitRefused;
  }
  return findings->empty() ? 0 : kExitRefused;
}

}  // namespace pannier::tools
