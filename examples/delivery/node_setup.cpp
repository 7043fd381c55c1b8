#include "examples/delivery/node_setup.h"

#include <cstdio>
#include <string_view>
#include <utility>

#include <pannier/run.h>

#include "examples/delivery/config.h"
#include "examples/delivery/schema/witness.fbs.h"

namespace pannier::delivery {
namespace {

using namespace std::chrono_literals;

/// Reports this node's gauges to the ledger, for the progress line only.
class Reporter : public Actor<Reporter> {
 public:
  explicit Reporter(LedgerWriter* ledger) : ledger_(*ledger) {}
  void on_start() { every(250ms, &Reporter::look); }

 private:
  void look() {
    queue().inspect().then([this](Result<QueueStatus> status) {
      if (!status) return;
      std::int64_t waiting = 0;
      std::map<std::string, std::int64_t> waiting_for;
      for (const StreamStatus& stream : status->streams) {
        waiting += static_cast<std::int64_t>(stream[RowState::ready].messages);
        if (stream.box == Box::outbox)
          waiting_for[stream.node] += static_cast<std::int64_t>(stream[RowState::ready].messages);
      }
      for (const auto& [node, messages] : waiting_for) note("waiting_for_" + node, messages);
      note("waiting", waiting);
      note("links_up", static_cast<std::int64_t>(status->links.size()));
      note("disk_bytes", static_cast<std::int64_t>(status->store.bytes_written));
    });
  }
  void note(const std::string& name, std::int64_t value) {
    ledger_.append(Status{name, value, ledger_now_ms()}).ignore();
  }

  LedgerWriter& ledger_;
};

/// Exports the rows that the witnesses (witness.h) kept in the application's state, then stops its node.
class Exporter : public Actor<Exporter> {
 public:
  Exporter(LedgerWriter* ledger, Result<void>* written) : ledger_(*ledger), written_(*written) {}
  void on_start() {
    read_state("").then([this](Result<std::vector<StateRow>> rows) {
      written_ = rows ? tell_ledger(*rows) : rows.error();
      stop_node();
    });
  }

 private:
  Result<void> tell_ledger(const std::vector<StateRow>& rows) {
    std::uint64_t told = 0;
    for (const StateRow& state : rows) {
      if (state.key.find("/applied/") == std::string::npos) continue;
      const auto& info = type_info<::delivery::AppliedEvent>();
      const auto row = AnyTable{info.id, &info, state.value}.as<::delivery::AppliedEvent>();
      if (!row) return row.error();
      const auto& applied = **row;
      if (auto written = ledger_.append(Applied{applied.event()->str(), applied.order()->str(), applied.type()->str(),
                                                applied.times(), applied.position()});
          !written) {
        return written;
      }
      ++told;
    }
    return ledger_.append(End{told});
  }

  LedgerWriter& ledger_;
  Result<void>& written_;
};

/// Reads what is on disk at the end, with a node of its own without links.
Result<int> export_applied(const Config& config, LedgerWriter& ledger) {
  Result<void> written;
  const int status = pannier::run({.name = "audit", .store = config.store_file, .tools = "off"},
                                  [&](Node& node) { return node.spawn<Exporter>(&ledger, &written); });
  if (!written) return written.error();
  return status;
}

Result<int> run(int argc, const char* const* argv, const std::function<Result<void>(Setup& setup, Node& node)>& spawn) {
  auto config = Config::read(argc, argv);
  if (!config) return config.error();
  auto setup = config->setup();
  if (!setup) return setup.error();
  const int status = pannier::run(config->options(), [&](Node& node) -> Result<void> {
    if (auto spawned = spawn(*setup, node); !spawned) return spawned;
    const auto reporter = node.spawn<Reporter>(setup->ledger.get());
    return reporter ? Result<void>{} : reporter.error();
  });
  if (status != 0) return status;
  return export_applied(*config, *setup->ledger);
}

}  // namespace

int run_program(const char* program, int argc, const char* const* argv,
                const std::function<Result<void>(Setup& setup, Node& node)>& spawn) {
  const auto status = run(argc, argv, spawn);
  if (status) return *status;
  const Error& error = status.error();
  std::fprintf(stderr, "%s: %s\n", program, (error.detail.empty() ? error.text() : error.detail).c_str());
  return 2;
}

}  // namespace pannier::delivery
