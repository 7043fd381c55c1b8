// In place of events_command.cpp and saga_command.cpp where PANNIER_TOOL_SCHEMAS is off.
#include "tools/commands.h"
#include "tools/output.h"

namespace pannier::tools {

namespace {
constexpr const char* kElsewhere =
    "this pannier was built for a device, and shows no histories and no sagas: run a full one at the hub, with --actor "
    "NODE/ACTOR";
}  // namespace

int run_events(const EventsCommand&) { return fail(kExitUsage, kElsewhere); }
int run_saga(const SagaCommand&) { return fail(kExitUsage, kElsewhere); }

}  // namespace pannier::tools
