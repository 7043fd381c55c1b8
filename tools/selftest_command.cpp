#include <sys/stat.h>

#include <algorithm>

#include <pannier/run.h>
#include <pannier/zmq.h>

#include "tools/client.h"
#include "tools/commands.h"
#include "tools/output.h"
#include "tools/selftest_checks.h"
#include "tools/selftest_link.h"

namespace pannier::tools {
namespace {

constexpr Duration kSyncBudget = std::chrono::milliseconds{1500};

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

/// Prints checks as they are done, and remembers the worst.
class Report {
 public:
  explicit Report(bool json) : json_(json) {}

  void add(const Check& check) {
    if (check.verdict > Verdict::warning) ++bad_;
    if (check.verdict == Verdict::warning) ++warnings_;
    if (!json_) {
      print(format("%-10s  %-11s  %s", to_string(check.verdict), check.name, check.text.c_str()));
      return;
    }
    JsonObject object;
    object.text("check", check.name).text("verdict", to_string(check.verdict)).text("text", check.text);
    for (const auto& [name, value] : check.figures) object.number(name, value);
    print(object.str());
  }
  /// The last line. The exit status.
  [[nodiscard]] int end() const {
    const bool ready = bad_ == 0;
    if (json_) {
      JsonObject object;
      object.flag("ready", ready).number("bad", static_cast<std::uint64_t>(bad_));
      object.number("warnings", static_cast<std::uint64_t>(warnings_));
      print(object.str());
    } else if (!ready) {
      print(format("not ready: %d of the checks above, see docs/operations.md", bad_));
    } else if (warnings_ != 0) {
      print(format("ready, with %d warning%s above", warnings_, warnings_ == 1 ? "" : "s"));
    } else {
      print("ready");
    }
    return ready ? 0 : kExitRefused;
  }

 private:
  bool json_;
  int bad_ = 0;
  int warnings_ = 0;
};

/// What the store may still grow by; 0: nothing bounds it.
std::uint64_t still_wanted(const RunOptions& config) {
  struct stat status {};
  const bool exists = ::stat(config.store.c_str(), &status) == 0;
  const std::uint64_t used = exists ? static_cast<std::uint64_t>(status.st_size) : 0;
  return config.store_max_bytes - std::min(used, config.store_max_bytes);
}

void check_storage(Report& report, const std::string& folder, std::uint64_t wanted_bytes) {
  const auto facts = posix::look_at_file_system(folder);
  if (!facts) {
    report.add({"file system", Verdict::failed, sentence(facts.error())});
    return;
  }
  report.add(judge_file_system(*facts, wanted_bytes));
  const auto syncs = posix::measure_syncs(folder, kSyncBudget);
  report.add(syncs ? judge_syncs(*syncs, *facts) : Check{"sync", Verdict::failed, sentence(syncs.error())});
}

/// Whether the node runs, and answers the command.
Check check_tools(const SelftestOptions& options) {
  Target target;
  target.config = options.config;
  target.timeout = options.timeout;
  const auto client = Client::connect(target);
  if (client) return {"tools", Verdict::ok, client->node() + " runs, and answers the command"};
  return {"tools", Verdict::skipped, sentence(client.error())};
}

}  // namespace

int run_selftest(const SelftestOptions& options) {
  if (options.config.empty() == options.store.empty()) {
    return fail(kExitUsage, "what is to be tested? Give --config FILE of a node, or --store FOLDER; not both");
  }
  RunOptions config;
  zmq::KeyPair keys;
  if (!options.config.empty()) {
    auto loaded = load_options(options.config);
    if (!loaded) return fail(kExitUsage, loaded.error());
    config = std::move(*loaded);
    if (!config.insecure_plaintext && !config.key_file.empty()) {
      const auto pair = zmq::load_key_pair(config.key_file);
      if (!pair) return fail(kExitUsage, pair.error());
      keys = *pair;
    }
  }
  const posix::ClockWatch clock;
  Report report{options.json};
  const std::string folder = options.store.empty() ? folder_of(config.store) : options.store;
  check_storage(report, folder, still_wanted(config));
  report.add(judge_descriptors(posix::look_at_descriptors(), config.links.size() + config.peers.size()));
  report.add(judge_memory(posix::look_at_memory()));
  for (const LinkOptions& link : config.links) report.add(check_link(link, keys, options.timeout));
  if (config.links.empty()) report.add({"link", Verdict::skipped, "no [[link]] is configured"});
  if (!options.config.empty()) report.add(check_tools(options));
  report.add(judge_clock(clock.look()));
  return report.end();
}

}  // namespace pannier::tools
