#pragma once

#include <string>
#include <vector>

namespace pannier::bench {

/// One way to measure: a program of this folder and the variant that it is called with.
struct Side {
  std::string name;  ///< As in the report: "caf 0.17.6, 2 threads".
  std::string program;
  int variant = 1;
};

struct Row {
  std::string name;
  std::string unit;
  bool higher_is_better = true;
  Side ours;
  std::vector<Side> peers;  ///< None: the figure is counted, and stands for itself.
  /// At most so many rounds, and no other to warm up: for what takes minutes to prepare. 0: as asked for.
  int most_rounds = 0;
};

/// All rows, in the order of the report. What each of them does is in docs/benchmarks.md.
[[nodiscard]] const std::vector<Row>& rows();

}  // namespace pannier::bench
