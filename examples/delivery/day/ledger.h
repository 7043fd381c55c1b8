#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <pannier/result.h>

namespace pannier::delivery {

// The ledger is the witness of a run: text files outside the runtime, one per process, compared by the auditor
// (audit.h) at the end. Each line is one write(2) to a file opened for appending, so it survives kill -9 of its writer.
// (It is not synced: the demo has no power cuts.)
//
// A line cannot share a transaction with the store, so promises and effects are written differently:
// - `accepted` is written after the receipt, so only for what the runtime has promised. If the process is killed in
//   between, the audit misses a promise; it never invents one.
// - An effect is not written when it happens: a kill between commit and line would lose the line, or make it lie the
//   other way round. Instead the application counts in its own tables, in the transaction of the effect, how often each
//   event was applied and at which place within its order. At the end of the run it exports those rows as `applied`,
//   followed by `end` with their number, so that an incomplete export is noticed.

/// The runtime gave a receipt for this event.
struct Accepted {
  std::string event;  ///< Unique among all events of all processes. Like all names here: not empty, no white space.
  std::string order;
  std::string type;        ///< The schema's short name: "OrderReady".
  std::uint64_t sequence;  ///< Increases with each event of this sender to one receiver for the order.
  std::int64_t t_ms;       ///< On the machine's monotonic clock.
  friend bool operator==(const Accepted&, const Accepted&) = default;
};

/// A row of the receiver's own tables at the end of the run.
struct Applied {
  std::string event;
  std::string order;
  std::string type;
  std::uint64_t times;     ///< How often its effect was applied; 1 is correct.
  std::uint64_t position;  ///< Place of its first application among those of the same order in this process, from 1.
  friend bool operator==(const Applied&, const Applied&) = default;
};

/// The export of `applied` is complete.
struct End {
  std::uint64_t rows;
  friend bool operator==(const End&, const End&) = default;
};

/// A gauge for the progress line ("placed", "delivered", "waiting", "links_up"). No part of the verdict.
struct Status {
  std::string name;
  std::int64_t value;
  std::int64_t t_ms;  ///< On the machine's monotonic clock.
  friend bool operator==(const Status&, const Status&) = default;
};

using LedgerLine = std::variant<Accepted, Applied, End, Status>;

/// The line as written, with its line end.
[[nodiscard]] std::string format(const LedgerLine& line);
/// Parses one line without its line end. invalid_argument says what is wrong.
[[nodiscard]] Result<LedgerLine> parse_line(std::string_view text);

/// Appends to `<directory>/<process>.ledger`. Any thread.
class LedgerWriter {
 public:
  /// Creates the file, or continues after a killed predecessor, whose last line is marked if it is incomplete.
  [[nodiscard]] static Result<LedgerWriter> open(const std::string& directory, const std::string& process);

  LedgerWriter(LedgerWriter&& other) noexcept;
  LedgerWriter& operator=(LedgerWriter&& other) noexcept;
  LedgerWriter(const LedgerWriter&) = delete;
  LedgerWriter& operator=(const LedgerWriter&) = delete;
  ~LedgerWriter();

  /// After success the line outlives this process. Errors: invalid_argument for a name with white space; storage_full;
  /// storage_io.
  Result<void> append(const LedgerLine& line);

 private:
  LedgerWriter(int file, std::string path) : file_(file), path_(std::move(path)) {}
  int file_ = -1;
  std::string path_;
};

/// Reads a ledger file while it grows, or once at the end.
class LedgerReader {
 public:
  explicit LedgerReader(std::string path) : path_(std::move(path)) {}

  /// The complete lines since the last call; none if the file does not exist. An incomplete line is left for later; a
  /// torn line is counted. invalid_argument, "FILE:LINE: ...", for any other line.
  [[nodiscard]] Result<std::vector<LedgerLine>> read_more();

  [[nodiscard]] std::uint64_t torn() const noexcept { return torn_; }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
  std::uint64_t offset_ = 0;
  std::uint64_t line_ = 0;
  std::uint64_t torn_ = 0;
};

/// Milliseconds of the machine's monotonic clock, the same for all its processes.
[[nodiscard]] std::int64_t ledger_now_ms() noexcept;

}  // namespace pannier::delivery
