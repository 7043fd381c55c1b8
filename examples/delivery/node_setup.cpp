#include "examples/delivery/node_setup.h"

#include <cstdio>
#include <string_view>
#include <utility>

#include <pannier/platform.h>
#include <pannier/process.h>
#include <pannier/sqlite_store.h>
#include <pannier/zmq.h>
#include "examples/delivery/config.h"
#include "examples/delivery/schema/witness.fbs.h"

namespace pannier::delivery {
namespace {

using namespace std::chrono_literals;

/// Tells the ledger now and then how this node does: for the progress line only.
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

/// Tells the ledger the rows that the witnesses (witness.h) kept in the application's state, and ends its node.
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

/// What is on disk when all is over, read by a node of its own that has no links.
Result<void> export_applied(posix::Process& process, Store& store, LedgerWriter& ledger) {
  auto node = Node::create({.name = "audit"}, {process.platform(), process.wakeups(), nullptr, &store});
  if (!node) return node.error();
  Result<void> written;
  if (auto exporter = (*node)->spawn<Exporter>({}, &ledger, &written); !exporter) return exporter.error();
  process.run(**node);
  return written;
}

Result<int> run(int argc, const char* const* argv, const std::function<Result<void>(Setup& setup, Node& node)>& spawn) {
  posix::Process process(LogLevel::info);
  auto config = Config::read(argc, argv);
  if (!config) return config.error();
  auto setup = config->setup();
  if (!setup) return setup.error();
  auto keys = zmq::load_key_pair(config->key_file);
  if (!keys) return keys.error();
  SqliteOptions file{.path = config->store_file, .entropy = process.platform().entropy};
  if (lies_in_memory(file.path)) file.strongest = Durability::committed;  // a receipt promises no more than is kept
  auto store = open_sqlite_store(file);
  if (!store) return store.error();

  zmq::Context context;
  auto transport = zmq::ZmqTransport::make(context, {.own_key = *keys, .allowed_keys = config->allowed_keys()});
  if (!transport) return transport.error();
  auto node = Node::create(config->node_options(), {process.platform(), process.wakeups(&(*transport)->wakeup()),
                                                    transport->get(), store->get()});
  if (!node) return node.error();
  if (auto spawned = spawn(*setup, **node); !spawned) return spawned.error();
  if (auto reporter = (*node)->spawn<Reporter>({}, setup->ledger.get()); !reporter) return reporter.error();

  const int status = process.run(**node);
  node->reset();
  if (auto told = export_applied(process, **store, *setup->ledger); !told) return told.error();
  return status;
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
