#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <pannier/result.h>

namespace pannier::delivery {

// The ledger is the witness of a run: text files outside of the runtime, one a process, which the auditor
// (audit.h) compares when all is over. A line is written with one write(2) to a file opened for appending, so
// it survives kill -9 of its writer. (It is not synced: no power cut is part of the demo.)
//
// What was promised and what took effect are written differently, since a line cannot be in the same
// transaction as the store:
//  - `accepted` is written after the receipt came, thus only for what the runtime has promised. Killed in
//  between, the
//    promise goes unclaimed: the audit may miss a promise, it never invents one.
//  - what took effect is not written as it happens: killed between commit and line, a line would be missing,
//  and killed
//    the other way round it would lie. The application instead counts in its own tables, in the transaction
//    of the effect itself, how often each event was applied and at which place within its order. At the end
//    of the run it writes those rows out as `applied`, and `end` with their number, so that a cut-off export
//    is seen.

/// The runtime gave a receipt for this event.
struct Accepted {
  std::string event;  ///< Unique among all events of all processes. As all names here: not empty, no white space.
  std::string order;
  std::string type;        ///< The schema's short name: "OrderReady".
  std::uint64_t sequence;  ///< Rises with each event that this sender sends to one receiver for the order.
  std::int64_t t_ms;       ///< On the machine's monotonic clock.
  friend bool operator==(const Accepted&, const Accepted&) = default;
};

/// A row of the receiver's own tables at the end of the run.
struct Applied {
  std::string event;
  std::string order;
  std::string type;
  std::uint64_t times;     ///< How often its effect was applied. 1 is right.
  std::uint64_t position;  ///< Of its first application among those of the same order in this process, from 1.
  friend bool operator==(const Applied&, const Applied&) = default;
};

/// The export of `applied` is complete.
struct End {
  std::uint64_t rows;
  friend bool operator==(const End&, const End&) = default;
};

/// A gauge for the progress line ("placed", "delivered", "waiting", "links_up"); no verdict rests on it.
struct Status {
  std::string name;
  std::int64_t value;
  std::int64_t t_ms;  ///< On the machine's monotonic clock.
  friend bool operator==(const Status&, const Status&) = default;
};

using LedgerLine = std::variant<Accepted, Applied, End, Status>;

/// The line as it stands in the file, with its line end.
[[nodiscard]] std::string format(const LedgerLine& line);
/// Reads one line without its line end; invalid_argument says what is wrong with it.
[[nodiscard]] Result<LedgerLine> parse_line(std::string_view text);

/// Appends to one process's ledger file `<directory>/<process>.ledger`. Callable from any thread.
class LedgerWriter {
 public:
  /// Creates the file, or goes on after what a killed predecessor left; a line it was cut off in is marked as
  /// torn.
  [[nodiscard]] static Result<LedgerWriter> open(const std::string& directory, const std::string& process);

  LedgerWriter(LedgerWriter&& other) noexcept;
  LedgerWriter& operator=(LedgerWriter&& other) noexcept;
  LedgerWriter(const LedgerWriter&) = delete;
  LedgerWriter& operator=(const LedgerWriter&) = delete;
  ~LedgerWriter();

  /// When this returns without error, the line outlives this process. invalid_argument for a name with white
  /// space; storage_full or storage_io when the file does not take it.
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

  /// The whole lines since the last call; none while the file does not exist. A line without its end waits
  /// for it; a torn line is counted. invalid_argument, "FILE:LINE: ...", for a line that is neither.
  [[nodiscard]] Result<std::vector<LedgerLine>> read_more();

  [[nodiscard]] std::uint64_t torn() const noexcept { return torn_; }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
  std::uint64_t offset_ = 0;
  std::uint64_t line_ = 0;
  std::uint64_t torn_ = 0;
};

/// Milliseconds of the machine's monotonic clock: one scale for all processes of one machine.
[[nodiscard]] std::int64_t ledger_now_ms() noexcept;

}  // namespace pannier::delivery
