#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <pannier/result.h>
#include "examples/delivery/day/ledger.h"

namespace pannier::delivery {

/// The verdict on the ledgers of one run.
struct AuditResult {
  std::uint64_t events_accepted = 0;   ///< Distinct events with a receipt.
  std::uint64_t events_applied = 0;    ///< Distinct events that took effect at least once.
  std::uint64_t lost = 0;              ///< Accepted and never applied.
  std::uint64_t twice = 0;             ///< Applied more than once, at one receiver or over all.
  std::uint64_t out_of_order = 0;      ///< Applied before an earlier event of the same sender, receiver and order.
  std::uint64_t unclaimed = 0;         ///< Applied without a receipt in the ledger: its sender was killed in between.
  std::uint64_t orders_delivered = 0;  ///< Applied without a receipt in the ledger: the sender was killed in between.
  std::uint64_t torn_lines = 0;
  std::vector<std::string> examples;    ///< Some violations in words, at most kMaxExamples.
  std::vector<std::string> incomplete;  ///< Processes whose export of `applied` is missing or cut off.

  static constexpr std::size_t kMaxExamples = 10;

  /// No promise was broken, and every process's export is complete.
  [[nodiscard]] bool good() const noexcept {
    return lost == 0 && twice == 0 && out_of_order == 0 && incomplete.empty();
  }
};

/// Compares what was promised with what took effect.
class Auditor {
 public:
  /// `delivering_type`: an order counts as delivered once an event of this type was applied.
  explicit Auditor(std::string_view delivering_type = "OrderDelivered") : delivering_type_(delivering_type) {}

  /// Adds one process's lines, in file order. Of several exports of one row the last counts.
  void add(const std::string& process, const std::vector<LedgerLine>& lines);
  /// Reads and adds `<directory>/<process>.ledger`. Errors: not_found; invalid_argument for a broken line.
  Result<void> add_file(const std::string& directory, const std::string& process);

  [[nodiscard]] AuditResult result() const;

 private:
  struct Promise {
    std::string sender;
    std::string order;
    std::string type;
    std::uint64_t sequence = 0;
  };
  struct Effect {
    std::string order;
    std::string type;
    std::uint64_t times = 0;
    std::uint64_t position = 0;
  };
  struct Receiver {
    std::map<std::string, Effect> effects;  // by event
    bool complete = false;
  };
  std::string delivering_type_;
  std::map<std::string, Promise> promises_;    // by event
  std::map<std::string, Receiver> receivers_;  // by process
  std::uint64_t torn_ = 0;
};

}  // namespace pannier::delivery
