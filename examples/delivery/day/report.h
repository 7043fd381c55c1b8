#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "examples/delivery/day/audit.h"

namespace pannier::delivery {

/// A fault that the demo injected.
struct Fault {
  enum class Kind : std::uint8_t { kill, cut_drop, cut_freeze };
  Kind kind = Kind::kill;
  std::string target;            ///< The process or link.
  double at_s = 0;               ///< Since the start of the run.
  double lasted_s = 0;           ///< Until the process was restarted or the link restored.
  std::optional<double> heal_s;  ///< From then until everything was as before. Empty: not before the end of the run.
};

/// What the progress line shows.
struct Progress {
  std::int32_t day_minute = 0;
  std::uint64_t orders = 0;
  std::uint64_t placed = 0;
  std::uint64_t delivered = 0;
  std::uint64_t waiting = 0;  ///< Events on their way, in all stores.
  std::uint64_t links = 0;
  std::uint64_t links_up = 0;
  std::uint64_t kills = 0;
  std::uint64_t cuts = 0;
};

/// One line without a line end, at most 110 columns.
[[nodiscard]] std::string format_progress(const Progress& progress);

/// The results of a run.
struct Report {
  std::string day;  ///< A folder, or that the day was generated.
  std::uint64_t seed = 0;
  std::uint64_t processes = 0;
  std::uint64_t orders = 0;
  AuditResult audit;
  std::vector<Fault> faults;
  std::uint64_t backlog_max = 0;            ///< The most events waiting in all stores at once.
  std::optional<std::uint64_t> wire_bytes;  ///< Over all links, both directions.
  std::optional<std::uint64_t> disk_bytes;  ///< Written by all processes. Empty if unknown.
  double seconds = 0;                       ///< Wall time.

  /// Faults by kind.
  [[nodiscard]] std::uint64_t kills() const noexcept;
  [[nodiscard]] std::uint64_t cuts() const noexcept;
  /// The longest time to heal. Empty if a fault has not healed.
  [[nodiscard]] std::optional<double> heal_s_max() const noexcept;
  /// Nothing lost, doubled or reordered, and every order delivered.
  [[nodiscard]] bool good() const noexcept;
};

/// A plain-text table for people.
[[nodiscard]] std::string format_table(const Report& report);
/// For programs. Field names are stable.
[[nodiscard]] std::string format_json(const Report& report);

}  // namespace pannier::delivery
