#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "examples/delivery/day/audit.h"

namespace pannier::delivery {

/// Something that the demo broke on purpose.
struct Fault {
  enum class Kind : std::uint8_t { kill, cut_drop, cut_freeze };
  Kind kind = Kind::kill;
  std::string target;            ///< The process or link.
  double at_s = 0;               ///< Since the run began.
  double lasted_s = 0;           ///< Until the process was started again, or the link let through.
  std::optional<double> heal_s;  ///< From then until all was as before; empty: not until the end of the run.
};

/// What the progress line shows.
struct Progress {
  std::int32_t day_minute = 0;
  std::uint64_t orders = 0;
  std::uint64_t placed = 0;
  std::uint64_t delivered = 0;
  std::uint64_t waiting = 0;  ///< Events in all stores, on their way.
  std::uint64_t links = 0;
  std::uint64_t links_up = 0;
  std::uint64_t kills = 0;
  std::uint64_t cuts = 0;
};

/// One line without its end, of at most 110 columns.
[[nodiscard]] std::string format_progress(const Progress& progress);

/// All that is known of a run when it is over.
struct Report {
  std::string day;  ///< Which day it was: a folder, or that it was made up.
  std::uint64_t seed = 0;
  std::uint64_t processes = 0;
  std::uint64_t orders = 0;
  AuditResult audit;
  std::vector<Fault> faults;
  std::uint64_t backlog_max = 0;            ///< The most events waiting in all stores at once.
  std::optional<std::uint64_t> wire_bytes;  ///< Over all links, both directions.
  std::optional<std::uint64_t> disk_bytes;  ///< Written by all processes; empty where the system does not tell.
  double seconds = 0;                       ///< Of wall time.

  /// Faults by kind.
  [[nodiscard]] std::uint64_t kills() const noexcept;
  [[nodiscard]] std::uint64_t cuts() const noexcept;
  /// The longest time a fault took to heal; empty while one has not.
  [[nodiscard]] std::optional<double> heal_s_max() const noexcept;
  /// Nothing lost, doubled or reordered, and every order delivered.
  [[nodiscard]] bool good() const noexcept;
};

/// The table for a person: plain text, several lines.
[[nodiscard]] std::string format_table(const Report& report);
/// For programs: the field names are a promise.
[[nodiscard]] std::string format_json(const Report& report);

}  // namespace pannier::delivery
