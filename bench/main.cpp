// The harness: runs each side of each row in turn, round after round, and prints medians, spread and ratio.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "bench/measure.h"
#include "bench/rows.h"

namespace pannier::bench {
namespace {

struct Options {
  std::vector<std::string> only;  ///< Starts of row names; none: all rows.
  int rounds = 5;
  double scale = 1;
  std::string json;
  std::string against;              ///< The programs of another build to compare with, in place of the peers.
  std::uint64_t rows = 10'000'000;  ///< Of a backlog.
  std::string programs;             ///< The folder that they are in.
};

constexpr const char* kUsage =
    "usage: ./dev bench [--only NAME] [--rounds N] [--scale F] [--json FILE] [--against BUILD_FOLDER]\n"
    "\n"
    "  --only NAME   the row of this name, or all whose names start with it; may be given again\n"
    "  --rounds N    measurements of each side, after one to warm up (default 5)\n"
    "  --scale F     that share of the work of each measurement (default 1)\n"
    "  --rows N      that wait in the rows backlog/... (default 10,000,000: some minutes and 4 GB of disk)\n"
    "  --json FILE   write the rows to FILE as well\n"
    "  --list        the names of the rows\n"
    "  --against BUILD_FOLDER\n"
    "                compare with the same rows of another build of Pannier instead of with the peers\n";

[[noreturn]] void misuse(const std::string& why) {
  std::fprintf(stderr, "bench: %s\n%s", why.c_str(), kUsage);
  std::exit(2);
}

Options read_options(int argc, char** argv) {
  Options options;
  const std::string self = argv[0];
  const auto slash = self.rfind('/');
  options.programs = slash == std::string::npos ? "." : self.substr(0, slash);
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (option == "--help") {
      std::fputs(kUsage, stdout);
      std::exit(0);
    }
    if (option == "--list") {
      for (const Row& row : rows()) std::puts(row.name.c_str());
      std::exit(0);
    }
    if (i + 1 == argc) misuse("'" + std::string{option} + "' is no option, or lacks its value");
    const char* value = argv[++i];
    if (option == "--only") {
      options.only.emplace_back(value);
    } else if (option == "--json") {
      options.json = value;
    } else if (option == "--against") {
      options.against = std::string{value} + "/bench";
    } else if (option == "--rounds") {
      options.rounds = std::atoi(value);
    } else if (option == "--rows") {
      options.rows = std::strtoull(value, nullptr, 10);
    } else if (option == "--scale") {
      options.scale = std::atof(value);
    } else {
      misuse("'" + std::string{option} + "' is no option");
    }
  }
  if (!options.against.empty() && !std::filesystem::exists(options.against + "/bench")) {
    misuse("no benchmarks in " + options.against +
           ": build them there with ./dev build bench pannier_bench, and name the"
           " build folder, as in --against ../other/build/bench");
  }
  if (options.rounds < 1 || options.scale <= 0 || options.rows == 0) misuse("rounds, scale and rows are above zero");
  return options;
}

/// A side with what was measured of it.
struct Measured {
  const Side* side;
  std::vector<double> figures;
  std::string note;  ///< Of the last measurement.

  [[nodiscard]] double median() const {
    std::vector<double> sorted = figures;
    std::sort(sorted.begin(), sorted.end());
    const std::size_t middle = sorted.size() / 2;
    return sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }
  [[nodiscard]] double least() const { return *std::min_element(figures.begin(), figures.end()); }
  [[nodiscard]] double most() const { return *std::max_element(figures.begin(), figures.end()); }
};

/// A folder for the files of this run, beside the programs: in a build folder, so on a disk and not in memory. Deleted
/// when the harness ends, however it ends.
class RunFolder {
 public:
  explicit RunFolder(const std::string& programs) : path_(programs + "/run-XXXXXX") {
    if (::mkdtemp(path_.data()) == nullptr) {
      std::fprintf(stderr, "bench: cannot make the folder %s\n", path_.c_str());
      std::exit(1);
    }
  }
  ~RunFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// After a measurement: what is in the folder goes, but for the backlogs, which take long to fill and are shared.
  void clear() const {
    for (const auto& entry : std::filesystem::directory_iterator{path_}) {
      if (!entry.path().filename().string().starts_with("backlog-")) std::filesystem::remove_all(entry.path());
    }
  }

 private:
  std::string path_;
};

/// Stops the harness, with a line on standard error; main returns its status.
struct Failure {
  std::string what;
};

Answer measure(const Options& options, const std::string& programs, const RunFolder& folder, const Row& row,
               const Side& side, double match) {
  char call[4096];
  std::snprintf(call, sizeof call, "'%s/%s' %s %d %g '%s' %llu %g", programs.c_str(), side.program.c_str(),
                row.name.c_str(), side.variant, options.scale, folder.path().c_str(),
                static_cast<unsigned long long>(options.rows), match);
  std::FILE* output = ::popen(call, "r");
  Answer answer;
  char line[1024];
  bool read = false;
  while (output != nullptr && std::fgets(line, sizeof line, output) != nullptr) {
    std::string text{line};
    if (text.ends_with('\n')) text.pop_back();
    if (text.starts_with("match ")) {
      answer.match = std::strtod(text.c_str() + 6, nullptr);
    } else if (text.starts_with("note ")) {
      answer.note = text.substr(5);
    } else {
      read = std::sscanf(line, "%lf", &answer.figure) == 1;
    }
  }
  if (output == nullptr || ::pclose(output) != 0 || !read) throw Failure{std::string{"this failed: "} + call};
  folder.clear();
  return answer;
}

/// "39.2 M", "2.05", "0".
std::string human(double figure) {
  char text[64];
  if (figure >= 1e6) {
    std::snprintf(text, sizeof text, "%.2f M", figure / 1e6);
  } else if (figure >= 1e4) {
    std::snprintf(text, sizeof text, "%.1f k", figure / 1e3);
  } else {
    std::snprintf(text, sizeof text, "%.4g", figure);
  }
  return text;
}

void print(const Row& row, const Measured& measured, double ratio) {
  std::printf("%-24s %-26s %12s %-9s %s .. %s", row.name.c_str(), measured.side->name.c_str(),
              human(measured.median()).c_str(), row.unit.c_str(), human(measured.least()).c_str(),
              human(measured.most()).c_str());
  if (ratio > 0) std::printf("   %.2f x", ratio);
  std::printf("\n");
  if (!measured.note.empty()) std::printf("    %s\n", measured.note.c_str());
}

struct Outcome {
  const Row* row;
  std::vector<Measured> sides;  ///< Ours first.
  double ratio = 0;             ///< Ours to the best peer, above 1 is better for us; 0: no peer.
};

Outcome run(const Options& options, const RunFolder& folder, const Row& row) {
  Outcome outcome{&row, {{&row.ours, {}, {}}}, 0};
  for (const Side& peer : row.peers) outcome.sides.push_back({&peer, {}, {}});
  const bool warms_up = row.most_rounds == 0;  // the first one warms caches, clock and pages
  const int rounds = warms_up ? options.rounds + 1 : std::min(options.rounds, row.most_rounds);
  for (int round = 0; round < rounds; ++round) {
    double match = 0;
    for (Measured& each : outcome.sides) {
      const Answer answer = measure(options, options.programs, folder, row, *each.side, match);
      if (answer.match > 0) match = answer.match;  // ours comes first
      if (!answer.note.empty()) each.note = answer.note;
      if (round > 0 || !warms_up) each.figures.push_back(answer.figure);
    }
  }
  const double ours = outcome.sides.front().median();
  for (std::size_t i = 1; i < outcome.sides.size(); ++i) {
    const double peer = outcome.sides[i].median();
    const double ratio = row.higher_is_better ? ours / peer : peer / ours;
    if (i == 1 || ratio < outcome.ratio) outcome.ratio = ratio;
  }
  for (const Measured& each : outcome.sides) print(row, each, &each == &outcome.sides.front() ? outcome.ratio : 0);
  std::fflush(stdout);
  return outcome;
}

/// How much better `ours` is than `other`, above 1 is better; none where only the other is zero.
std::optional<double> ratio_of(const Row& row, double ours, double other) {
  if (ours == other) return 1;
  const double over = row.higher_is_better ? ours : other;
  const double under = row.higher_is_better ? other : ours;
  return under > 0 ? std::optional{over / under} : std::nullopt;
}

/// The names of the rows that the programs in a folder know.
std::set<std::string> rows_of(const std::string& programs) {
  std::FILE* output = ::popen(("'" + programs + "/bench' --list").c_str(), "r");
  std::set<std::string> names;
  char line[1024];
  while (output != nullptr && std::fgets(line, sizeof line, output) != nullptr) {
    names.emplace(line, std::strcspn(line, "\n"));
  }
  if (output == nullptr || ::pclose(output) != 0) throw Failure{"this failed: " + programs + "/bench --list"};
  return names;
}

/// Runs this build and the other one in turn, which goes first changing from round to round.
Outcome compare(const Options& options, const RunFolder& ours, const RunFolder& others, const Row& row) {
  static const Side kOther{"other build", ""};
  Outcome outcome{&row, {{&row.ours, {}, {}}, {&kOther, {}, {}}}, 0};
  const bool warms_up = row.most_rounds == 0;
  const int rounds = warms_up ? options.rounds + 1 : std::min(options.rounds, row.most_rounds);
  for (int round = 0; round < rounds; ++round) {
    for (int turn = 0; turn < 2; ++turn) {
      const bool other = turn != round % 2;
      const Answer answer =
          measure(options, other ? options.against : options.programs, other ? others : ours, row, row.ours, 0);
      Measured& measured = outcome.sides[other ? 1 : 0];
      measured.note = answer.note;
      if (round > 0 || !warms_up) measured.figures.push_back(answer.figure);
    }
  }
  outcome.ratio = ratio_of(row, outcome.sides[0].median(), outcome.sides[1].median()).value_or(0);
  for (const Measured& each : outcome.sides) print(row, each, &each == &outcome.sides.front() ? outcome.ratio : 0);
  std::fflush(stdout);
  return outcome;
}

void write_json(const Options& options, const std::vector<Outcome>& outcomes) {
  std::ofstream file{options.json};
  file << "[";
  const char* before_row = "\n";
  for (const Outcome& outcome : outcomes) {
    const Row& row = *outcome.row;
    file << before_row << R"(  {"name": ")" << row.name << R"(", "unit": ")" << row.unit << R"(", "higher_is_better": )"
         << (row.higher_is_better ? "true" : "false") << R"(, "ours": )" << outcome.sides.front().median();
    if (!options.against.empty()) {
      file << R"(, "against": )" << outcome.sides[1].median();
      if (outcome.ratio > 0) file << R"(, "ratio": )" << outcome.ratio;
    } else if (!row.peers.empty()) {
      file << R"(, "peers": {)";
      const char* before_peer = "";
      for (std::size_t i = 1; i < outcome.sides.size(); ++i) {
        file << before_peer << '"' << outcome.sides[i].side->name << R"(": )" << outcome.sides[i].median();
        before_peer = ", ";
      }
      file << R"(}, "ratio": )" << outcome.ratio;
    }
    file << R"(, "rounds": )" << outcome.sides.front().figures.size() << "}";
    before_row = ",\n";
  }
  file << "\n]\n";
  file.close();
  if (!file) {
    throw Failure{"cannot write " + options.json};
  }
}

int main_of(const Options& options) try {
  std::vector<Outcome> outcomes;
  const RunFolder folder{options.programs};
  const bool compares = !options.against.empty();
  const RunFolder others{options.programs};  // its files may have another format
  const std::set<std::string> known = compares ? rows_of(options.against) : std::set<std::string>{};
  std::printf("%-24s %-26s %12s %-9s least .. most   ratio to %s\n", "row", "side", "median", "",
              compares ? options.against.c_str() : "the best peer");
  for (const Row& row : rows()) {
    const bool wanted =
        options.only.empty() || std::any_of(options.only.begin(), options.only.end(), [&](const std::string& start) {
          return row.name.compare(0, start.size(), start) == 0;
        });
    if (!wanted) continue;
    if (compares && !known.contains(row.name)) {
      std::printf("%-24s the other build has no such row\n", row.name.c_str());
    } else {
      outcomes.push_back(compares ? compare(options, folder, others, row) : run(options, folder, row));
    }
  }
  if (outcomes.empty()) throw Failure{"no row has such a name; --list lists them"};
  if (!options.json.empty()) write_json(options, outcomes);
  return 0;
} catch (const Failure& failure) {
  std::fprintf(stderr, "bench: %s\n", failure.what.c_str());
  return 1;
}

}  // namespace
}  // namespace pannier::bench

int main(int argc, char** argv) { return pannier::bench::main_of(pannier::bench::read_options(argc, argv)); }
