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
  Config day;            ///< The day, its speed and its seed. The rest is filled in for each process.
  std::string folder;    ///< For keys, configuration, databases, ledgers and logs. Exists and is empty.
  std::string programs;  ///< The folder of hub, tablet and handheld.
  TracePair mobile;      ///< The handhelds' network.
  std::uint32_t tablets = 4;
  std::uint32_t handhelds = 4;
};

/// The processes of one run and the network between them: one hub, and devices that reach it through the proxy. Main
/// thread only, since the processes die with the thread that started them.
class Fleet {
 public:
  /// Makes keys and configuration and starts everything. Errors name the file or the program.
  [[nodiscard]] static Result<std::unique_ptr<Fleet>> start(const FleetOptions& options);

  /// Reads what is new in the ledgers. failed, with the last line of its log, if a process ended unexpectedly.
  Result<void> look();

  // --- Gauges, as of the last look ---------------------------------------------------------------------------------
  [[nodiscard]] std::uint64_t placed() const { return gauge("hub", "placed"); }
  [[nodiscard]] std::uint64_t delivered() const { return gauge("hub", "delivered"); }
  [[nodiscard]] std::uint64_t waiting() const;
  /// Events waiting at this device and for it; for the hub, all.
  [[nodiscard]] std::uint64_t waiting_around(const std::string& name) const;
  /// Devices that see their link to the hub.
  [[nodiscard]] std::uint64_t links_up() const;
  [[nodiscard]] std::uint64_t links() const noexcept { return members_.size() - 1; }
  /// True if this process has reported since `since_ms` (ledger_now_ms) and sees all its links.
  [[nodiscard]] bool well(const std::string& name, std::int64_t since_ms) const;
  [[nodiscard]] std::uint64_t wire_bytes() const;
  [[nodiscard]] std::uint64_t disk_bytes() const;
  [[nodiscard]] std::uint64_t processes() const noexcept { return members_.size(); }

  // --- Faults ------------------------------------------------------------------------------------------------------
  void break_it(const Fault& fault);
  /// Restarts the process, or restores the link.
  Result<void> mend(const Fault& fault);

  /// Asks every process to stop, devices first, and kills those that do not within `limit`. Returns one line for each
  /// that did not end well.
  std::vector<std::string> end(std::chrono::milliseconds limit);
  /// Compares the ledgers. Call it after end().
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
  std::vector<Member> members_;  // the hub first, then the devices in the order of the proxy's links
  std::unique_ptr<Proxy> proxy_;
};

}  // namespace pannier::delivery
