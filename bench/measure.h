#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What the measured programs of both sides share: how they are called, and how they answer. Each is started afresh for
/// each measurement, `PROGRAM ROW VARIANT SCALE FOLDER ROWS MATCH`, and prints one number, perhaps with a line
/// `match NUMBER` and lines `note TEXT` after it. So nothing is left over from the last one, and memory can be read
/// from outside of the code that is measured.
namespace pannier::bench {

struct Call {
  std::string row;
  unsigned variant = 1;    ///< Threads of the scheduler, where the side has a choice.
  double scale = 1;        ///< Of the amount of work.
  std::string folder;      ///< On disk, for files; shared by all measurements of one run, which deletes it at its end.
  std::uint64_t rows = 0;  ///< That wait in a backlog.
  double match = 0;        ///< What our side measured that a peer shall do alike; 0: it measured nothing of the kind.

  [[nodiscard]] std::uint64_t times(double count) const {
    const double scaled = count * scale;
    return scaled < 1 ? 1 : static_cast<std::uint64_t>(scaled);
  }
};

[[nodiscard]] inline Call read_call(int argc, char** argv) {
  if (argc != 7) {
    std::fprintf(stderr, "usage: %s ROW VARIANT SCALE FOLDER ROWS MATCH; started by the harness, see ./dev help\n",
                 argv[0]);
    std::exit(2);
  }
  return {argv[1],
          static_cast<unsigned>(std::strtoul(argv[2], nullptr, 10)),
          std::strtod(argv[3], nullptr),
          argv[4],
          std::strtoull(argv[5], nullptr, 10),
          std::strtod(argv[6], nullptr)};
}

class Stopwatch {
 public:
  void start() noexcept { started_ = std::chrono::steady_clock::now(); }
  /// To tell files apart that are made one after the other.
  [[nodiscard]] static std::uint64_t ticks() noexcept {
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  }
  [[nodiscard]] double seconds() const noexcept {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
  }

 private:
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
};

/// Memory of this process that stands in RAM.
[[nodiscard]] inline double resident_bytes() {
  std::ifstream statm{"/proc/self/statm"};
  double size = 0;
  double resident = 0;
  statm >> size >> resident;
  return resident * 4096;
}

inline int answer(double figure) {
  std::printf("%.6g\n", figure);
  return 0;
}

/// A figure with what a peer shall do alike and with what a reader should know of it.
struct Answer {
  double figure = 0;
  double match = 0;
  std::string note;  ///< One line.
};

/// The median of round trips in microseconds, with the 99th percentile as its note. The first tenth warms up.
inline Answer latency(std::vector<double> took) {
  took.erase(took.begin(), took.begin() + static_cast<std::ptrdiff_t>(took.size() / 10));
  std::sort(took.begin(), took.end());
  char note[64];
  std::snprintf(note, sizeof note, "p99 %.0f us", took[took.size() * 99 / 100]);
  return {took[took.size() / 2], 0, note};
}

inline int answer(const Answer& answer) {
  std::printf("%.6g\n", answer.figure);
  if (answer.match > 0) std::printf("match %.6g\n", answer.match);
  if (!answer.note.empty()) std::printf("note %s\n", answer.note.c_str());
  return 0;
}

[[noreturn]] inline void give_up(std::string_view why) {
  std::fprintf(stderr, "bench: %.*s\n", static_cast<int>(why.size()), why.data());
  std::exit(1);
}

}  // namespace pannier::bench
