#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pannier {

/// What a salvage found: for the log, and for counters.
struct SalvageReport {
  std::uint64_t rows = 0;              ///< As they were.
  std::uint64_t damaged_rows = 0;      ///< Put aside; each with a stand-in where its number was sound.
  std::uint64_t parked_rows = 0;       ///< Sound ones that must not go on by themselves.
  std::uint64_t missing_rows = 0;      ///< Known to have been there, and not found.
  std::uint64_t pages = 0;             ///< Unreadable: what was on them is lost.
  std::uint64_t entries = 0;           ///< Unreadable, on pages that were read.
  std::uint64_t lost_lanes = 0;        ///< Of rows that are there.
  std::uint64_t lost_watermarks = 0;   ///< Known of; more may have been on unreadable pages.
  std::uint64_t watermark_holes = 0;   ///< Pages and entries that could not be read.
  std::vector<std::string> producers;  ///< Of lost watermarks, where it reads.
  std::uint64_t lost_state = 0;
  std::uint64_t state_holes = 0;
  std::vector<std::string> keys;   ///< Of lost state, where it reads.
  std::uint64_t lost_records = 0;  ///< Cursors and idempotency tokens.
  bool new_incarnation = false;
  bool clock_lost = false;
  std::uint64_t application_rows = 0;
  std::vector<std::string> application_losses;

  /// What is to be known of it, as clauses of one line.
  [[nodiscard]] std::string text() const;
};

}  // namespace pannier
