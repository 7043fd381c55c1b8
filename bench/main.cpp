// The harness: runs each side of each row in turn, round after round, and prints medians, spread and ratio.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "bench/rows.h"

namespace pannier::bench {
namespace {

struct Options {
  std::vector<std::string> only;  ///< Starts of row names; none: all rows.
  int rounds = 5;
  double scale = 1;
  std::string json;
  std::string folder;  ///< Of the programs.
};

constexpr const char* kUsage =
    "usage: ./dev bench [--only NAME] [--rounds N] [--scale F] [--json FILE]\n"
    "\n"
    "  --only NAME   the row of this name, or all whose names start with it; may be given again\n"
    "  --rounds N    measurements of each side, after one to warm up (default 5)\n"
    "  --scale F     that share of the work of each measurement (default 1)\n"
    "  --json FILE   write the rows to FILE as well\n"
    "  --list        the names of the rows\n";

[[noreturn]] void misuse(const std::string& why) {
  std::fprintf(stderr, "bench: %s\n%s", why.c_str(), kUsage);
  std::exit(2);
}

Options read_options(int argc, char** argv) {
  Options options;
  const std::string self = argv[0];
  const auto slash = self.rfind('/');
  options.folder = slash == std::string::npos ? "." : self.substr(0, slash);
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
    } else if (option == "--rounds") {
      options.rounds = std::atoi(value);
    } else if (option == "--scale") {
      options.scale = std::atof(value);
    } else {
      misuse("'" + std::string{option} + "' is no option");
    }
  }
  if (options.rounds < 1 || options.scale <= 0) misuse("rounds and scale are above zero");
  return options;
}

/// A side with what was measured of it.
struct Measured {
  const Side* side;
  std::vector<double> figures;

  [[nodiscard]] double median() const {
    std::vector<double> sorted = figures;
    std::sort(sorted.begin(), sorted.end());
    const std::size_t middle = sorted.size() / 2;
    return sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }
  [[nodiscard]] double least() const { return *std::min_element(figures.begin(), figures.end()); }
  [[nodiscard]] double most() const { return *std::max_element(figures.begin(), figures.end()); }
};

double measure(const Options& options, const Row& row, const Side& side) {
  char call[1024];
  std::snprintf(call, sizeof call, "'%s/%s' %s %d %g", options.folder.c_str(), side.program.c_str(), row.name.c_str(),
                side.variant, options.scale);
  std::FILE* output = ::popen(call, "r");
  double figure = 0;
  const bool read = output != nullptr && std::fscanf(output, "%lf", &figure) == 1;
  if (output == nullptr || ::pclose(output) != 0 || !read) {
    std::fprintf(stderr, "bench: this failed: %s\n", call);
    std::exit(1);
  }
  return figure;
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
}

struct Outcome {
  const Row* row;
  std::vector<Measured> sides;  ///< Ours first.
  double ratio = 0;             ///< Ours to the best peer, above 1 is better for us; 0: no peer.
};

Outcome run(const Options& options, const Row& row) {
  Outcome outcome{&row, {{&row.ours, {}}}, 0};
  for (const Side& peer : row.peers) outcome.sides.push_back({&peer, {}});
  for (int round = 0; round <= options.rounds; ++round) {
    for (Measured& each : outcome.sides) {
      const double figure = measure(options, row, *each.side);
      if (round > 0) each.figures.push_back(figure);  // the first one warms caches, clock and pages
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

void write_json(const Options& options, const std::vector<Outcome>& outcomes) {
  std::ofstream file{options.json};
  file << "[";
  const char* before_row = "\n";
  for (const Outcome& outcome : outcomes) {
    const Row& row = *outcome.row;
    file << before_row << R"(  {"name": ")" << row.name << R"(", "unit": ")" << row.unit << R"(", "higher_is_better": )"
         << (row.higher_is_better ? "true" : "false") << R"(, "ours": )" << outcome.sides.front().median();
    if (!row.peers.empty()) {
      file << R"(, "peers": {)";
      const char* before_peer = "";
      for (std::size_t i = 1; i < outcome.sides.size(); ++i) {
        file << before_peer << '"' << outcome.sides[i].side->name << R"(": )" << outcome.sides[i].median();
        before_peer = ", ";
      }
      file << R"(}, "ratio": )" << outcome.ratio;
    }
    file << R"(, "rounds": )" << options.rounds << "}";
    before_row = ",\n";
  }
  file << "\n]\n";
  file.close();
  if (!file) {
    std::fprintf(stderr, "bench: cannot write %s\n", options.json.c_str());
    std::exit(1);
  }
}

int main_of(const Options& options) {
  std::vector<Outcome> outcomes;
  std::printf("%-24s %-26s %12s %-9s %s\n", "row", "side", "median", "", "least .. most   ratio to the best peer");
  for (const Row& row : rows()) {
    const bool wanted =
        options.only.empty() || std::any_of(options.only.begin(), options.only.end(), [&](const std::string& start) {
          return row.name.compare(0, start.size(), start) == 0;
        });
    if (wanted) outcomes.push_back(run(options, row));
  }
  if (outcomes.empty()) misuse("no row has such a name; --list lists them");
  if (!options.json.empty()) write_json(options, outcomes);
  return 0;
}

}  // namespace
}  // namespace pannier::bench

int main(int argc, char** argv) { return pannier::bench::main_of(pannier::bench::read_options(argc, argv)); }
