#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "examples/delivery/config.h"
#include "examples/delivery/day/audit.h"
#include "examples/delivery/day/ledger.h"
#include "examples/delivery/day/processes.h"
#include "examples/delivery/day/proxy.h"
#include "examples/delivery/day/report.h"
#include "examples/delivery/day/trace.h"

namespace pannier::delivery {

/// What the demo runs.
struct FleetOptions {
  Config day;            ///< Which day, how fast and with which seed; the rest of it is filled in for each process.
  std::string folder;    ///< For keys, configuration, databases, ledgers and logs. Exists and is empty.
  std::string programs;  ///< The folder in which hub, tablet and handheld stand.
  TracePair mobile;      ///< What the handhelds' links let through.
  std::uint32_t tablets = 4;
  std::uint32_t handhelds = 4;
};

/// The processes of one run, with the network between them: one hub, and devices that reach it through the proxy.
/// Used from the main thread alone, since the processes die with the thread that started them.
class Fleet {
 public:
  /// Makes keys and configuration and starts all. Errors name the file or the program.
  [[nodiscard]] static Result<std::unique_ptr<Fleet>> start(const FleetOptions& options);

  /// Reads on in the ledgers. failed, with the last line of its log, where a process ended that nobody had ended.
  Result<void> look();

  // --- Gauges, as of the last look ---------------------------------------------------------------------------------
  [[nodiscard]] std::uint64_t placed() const { return gauge("hub", "placed"); }
  [[nodiscard]] std::uint64_t delivered() const { return gauge("hub", "delivered"); }
  [[nodiscard]] std::uint64_t waiting() const;
  /// What waits at this device and for it; everything, where it is the hub.
  [[nodiscard]] std::uint64_t waiting_around(const std::string& name) const;
  /// Devices that see their link to the hub.
  [[nodiscard]] std::uint64_t links_up() const;
  [[nodiscard]] std::uint64_t links() const noexcept { return members_.size() - 1; }
  /// Whether this process has told how it does since `since_ms` (ledger_now_ms), and sees all its links.
  [[nodiscard]] bool well(const std::string& name, std::int64_t since_ms) const;
  [[nodiscard]] std::uint64_t wire_bytes() const;
  [[nodiscard]] std::uint64_t disk_bytes() const;
  [[nodiscard]] std::uint64_t processes() const noexcept { return members_.size(); }

  // --- Breaking things ---------------------------------------------------------------------------------------------
  void break_it(const Fault& fault);
  /// Starts the process again, or lets the link through.
  Result<void> mend(const Fault& fault);

  /// Asks every process to end, devices first, and kills what does not within `limit`; then one line for each that
  /// did not end well.
  std::vector<std::string> end(std::chrono::milliseconds limit);
  /// Compares the ledgers. After end().
  [[nodiscard]] Result<AuditResult> audit() const;

 private:
  struct Gauge {
    std::int64_t value = 0;
    std::int64_t t_ms = 0;
  };
  struct Member {
    std::string name;
    std::optional<Process> process;
    LedgerReader ledger;
    std::map<std::string, Gauge> gauges;
    std::uint64_t disk_bytes = 0;  // of earlier lives
    bool down_on_purpose = false;
  };

  Fleet() = default;
  [[nodiscard]] const Member& member(const std::string& name) const;
  [[nodiscard]] Member& member(const std::string& name) {
    return const_cast<Member&>(static_cast<const Fleet*>(this)->member(name));
  }
  [[nodiscard]] std::uint64_t gauge(const std::string& name, const std::string& what) const;
  [[nodiscard]] std::size_t link_of(const std::string& name) const;

  std::string ledgers_;
  std::vector<Member> members_;  // the hub first; then the devices, in the order of the proxy's links
  std::unique_ptr<Proxy> proxy_;
};

}  // namespace pannier::delivery
