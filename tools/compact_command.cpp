#include <pannier/run.h>
#include <pannier/sqlite_store.h>

#include "platform/posix/system_entropy.h"
#include "tools/commands.h"

namespace pannier::tools {

int run_compact(const CompactOptions& options) {
  if (options.config.empty() == options.store.empty()) {
    return fail(kExitUsage, "which store? Give --config FILE of a node, or --store FILE; not both");
  }
  std::string path = options.store;
  if (path.empty()) {
    const auto config = load_options(options.config);
    if (!config) return fail(kExitUsage, config.error());
    if (config->store.empty()) return fail(kExitUsage, options.config + ": this node has no store");
    path = config->store;
  }
  posix::SystemEntropy entropy;
  const auto done = compact_sqlite_store({.path = path, .entropy = entropy});
  if (!done && done.error().code == ErrorCode::in_use) {
    return fail(kExitRefused, path + " is in use: stop the node first");
  }
  if (!done) return fail_with(done.error());
  for (const std::string& each : done->findings) static_cast<void>(fail(0, each));
  if (options.json) {
    JsonObject object;
    object.text("store", path).number("bytes_before", done->bytes_before).number("bytes_after", done->bytes_after);
    print(object.str());
  } else {
    print(format("%s: %llu bytes, %llu before", path.c_str(), static_cast<unsigned long long>(done->bytes_after),
                 static_cast<unsigned long long>(done->bytes_before)));
  }
  return 0;
}

}  // namespace pannier::tools
