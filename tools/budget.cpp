#include "tools/budget.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "run/config_reader.h"
#include "tools/commands.h"
#include "tools/output.h"

namespace pannier::tools {

namespace {

constexpr int kDraws = 200'000;
constexpr std::uint32_t kMostAttempts = 20;

double seconds(ConfigReader& reader, std::string_view key, double otherwise) {
  const auto span = reader.seconds(key, Duration{static_cast<Duration::rep>(otherwise * 1e9)});
  return std::chrono::duration<double>(span).count();
}

void read_service(ConfigReader& reader, Flow& flow) {
  Flow::Service service;
  service.name = reader.text("name", true);
  service.availability = reader.share("availability", 1);
  service.p50 = seconds(reader, "p50", 0);
  service.p95 = seconds(reader, "p95", service.p50);
  service.p99 = seconds(reader, "p99", service.p95);
  if (service.p95 < service.p50) reader.wrong("p95", "is less than p50");
  if (service.p99 < service.p95) reader.wrong("p99", "is less than p95");
  for (const Flow::Service& other : flow.services) {
    if (other.name == service.name) reader.wrong("name", "there are two services '" + service.name + "'");
  }
  reader.nothing_else();
  flow.services.push_back(std::move(service));
}

std::optional<std::size_t> find_service(ConfigReader& reader, std::string_view key, const std::string& name,
                                        const Flow& flow) {
  for (std::size_t i = 0; i < flow.services.size(); ++i) {
    if (flow.services[i].name == name) return i;
  }
  reader.wrong(key, "there is no [[service]] of the name '" + name + "'");
  return std::nullopt;
}

void read_step(ConfigReader& reader, Flow& flow) {
  Flow::Step step;
  for (const std::string& name : reader.texts("call")) {
    if (const auto found = find_service(reader, "call", name, flow)) step.services.push_back(*found);
  }
  if (step.services.empty()) reader.wrong("call", "name the services of the step: call = [\"orders\"]");
  const std::uint64_t all = step.services.size();
  step.need = static_cast<std::size_t>(reader.number("need", all, all));
  if (reader.flag("optional")) step.need = 0;
  step.attempts = static_cast<std::uint32_t>(std::max<std::uint64_t>(1, reader.number("attempts", 1, kMostAttempts)));
  step.timeout = seconds(reader, "timeout", 0);
  step.backoff = seconds(reader, "backoff", 0);
  if (const std::string fallback = reader.text("fallback", false); !fallback.empty()) {
    step.fallback = find_service(reader, "fallback", fallback, flow);
  }
  reader.nothing_else();
  flow.steps.push_back(std::move(step));
}

/// splitmix64 (Steele, Lea, Flood, 2014): the same draws for each run.
class Draws {
 public:
  double next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1.0p-53;
  }

 private:
  std::uint64_t state_ = 42;
};

/// How long an answer takes that a share of `rank` of the answers are faster than: through the three percentiles in
/// straight lines, from half the median, and on in the last direction.
double latency(const Flow::Service& service, double rank) {
  const auto between = [rank](double low_rank, double low, double high_rank, double high) {
    return low + (high - low) * (rank - low_rank) / (high_rank - low_rank);
  };
  if (rank < 0.5) return between(0, service.p50 / 2, 0.5, service.p50);
  if (rank < 0.95) return between(0.5, service.p50, 0.95, service.p95);
  return between(0.95, service.p95, 0.99, service.p99);
}

/// The share of answers that take less than `limit`.
double share_within(const Flow::Service& service, double limit) {
  if (limit <= 0) return 1;
  double low = 0;
  double high = 1;
  if (latency(service, high) <= limit) return 1;
  if (latency(service, low) > limit) return 0;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (latency(service, middle) <= limit ? low : high) = middle;
  }
  return low;
}

double answers(const Flow& flow, const Flow::Step& step, std::size_t index) {
  const Flow::Service& service = flow.services[index];
  const double once = service.availability * share_within(service, step.timeout);
  const double failed = std::pow(1 - once, step.attempts);
  return step.fallback ? 1 - failed * (1 - flow.services[*step.fallback].availability) : 1 - failed;
}

/// That at least `need` of independent events happen, each with its own probability.
double at_least(const std::vector<double>& each, std::size_t need) {
  std::vector<double> exactly(each.size() + 1);
  exactly[0] = 1;
  for (const double p : each) {
    for (std::size_t k = exactly.size() - 1; k > 0; --k) exactly[k] = exactly[k] * (1 - p) + exactly[k - 1] * p;
    exactly[0] *= 1 - p;
  }
  double sum = 0;
  for (std::size_t k = need; k < exactly.size(); ++k) sum += exactly[k];
  return std::min(1.0, sum);
}

/// One service of a step: whether it answers, and after how long that is known.
bool draw(const Flow& flow, const Flow::Step& step, std::size_t index, Draws& draws, double& took) {
  const Flow::Service& service = flow.services[index];
  for (std::uint32_t attempt = 0; attempt < step.attempts; ++attempt) {
    if (attempt > 0) took += step.backoff;
    const bool there = draws.next() < service.availability;
    const double span = latency(service, draws.next());
    const bool in_time = step.timeout <= 0 || span <= step.timeout;
    took += in_time ? span : step.timeout;
    if (there && in_time) return true;
  }
  if (!step.fallback) return false;
  const Flow::Service& fallback = flow.services[*step.fallback];
  took += latency(fallback, draws.next());
  return draws.next() < fallback.availability;
}

/// A step is over once enough have answered; an optional one waits for all, at most its timeouts.
bool draw(const Flow& flow, const Flow::Step& step, Draws& draws, double& took) {
  std::vector<double> spans;
  double longest = 0;
  for (const std::size_t index : step.services) {
    double span = 0;
    if (draw(flow, step, index, draws, span)) spans.push_back(span);
    longest = std::max(longest, span);
  }
  if (spans.size() < step.need) return false;
  std::sort(spans.begin(), spans.end());
  took += step.need == 0 ? longest : spans[step.need - 1];
  return true;
}

std::string percent(double share) { return format("%.4f%%", share * 100); }
std::string milliseconds_of(double span) { return format("%.0f ms", span * 1000); }
std::string a_month(double share) {
  const double minutes = (1 - share) * 30 * 24 * 60;
  return minutes >= 120 ? format("%.1f h", minutes / 60) : format("%.1f min", minutes);
}

}  // namespace

Result<Flow> parse_flow(const std::string& text, const std::string& path) {
  toml::table parsed;
  try {
    parsed = toml::parse(text, path);
  } catch (const toml::parse_error& error) {
    return Error{ErrorCode::invalid_argument,
                 format("%s:%u: %s", path.c_str(), static_cast<unsigned>(error.source().begin.line),
                        std::string{error.description()}.c_str())};
  }
  Problem problem{path, {}};
  ConfigReader root{parsed, "the file", problem};
  Flow flow;
  flow.name = root.text("name", false);
  flow.deadline = seconds(root, "deadline", 0);
  root.tables("service", [&](ConfigReader& reader) { read_service(reader, flow); });
  root.tables("step", [&](ConfigReader& reader) { read_step(reader, flow); });
  root.nothing_else();
  if (flow.steps.empty()) problem.report(1, "there is no [[step]]");
  if (problem.first) return *problem.first;
  return flow;
}

Result<Flow> read_flow(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return Error{ErrorCode::not_found, path + ": cannot be read"};
  std::string text;
  char part[4096];
  for (std::size_t got = 0; (got = std::fread(part, 1, sizeof(part), file)) > 0 && text.size() < 1024 * 1024;) {
    text.append(part, got);
  }
  std::fclose(file);
  return parse_flow(text, path);
}

Budget budget_of(const Flow& flow) {
  Budget budget;
  budget.plain = budget.availability = 1;
  for (const Flow::Step& step : flow.steps) {
    std::vector<double> each;
    double slowest_p50 = 0;
    double slowest_p99 = 0;
    double plain = 1;
    for (const std::size_t index : step.services) {
      const Flow::Service& service = flow.services[index];
      each.push_back(answers(flow, step, index));
      plain *= service.availability;
      slowest_p50 = std::max(slowest_p50, service.p50);
      slowest_p99 = std::max(slowest_p99, service.p99);
    }
    budget.steps.push_back(at_least(each, step.need));
    budget.availability *= budget.steps.back();
    if (step.need > 0) budget.plain *= plain;
    budget.sum_p50 += slowest_p50;
    budget.sum_p99 += slowest_p99;
  }
  Draws draws;
  std::vector<double> spans;
  spans.reserve(kDraws);
  int in_time = 0;
  for (int i = 0; i < kDraws; ++i) {
    double took = 0;
    const bool done = std::all_of(flow.steps.begin(), flow.steps.end(),
                                  [&](const Flow::Step& step) { return draw(flow, step, draws, took); });
    if (!done) continue;
    spans.push_back(took);
    if (flow.deadline <= 0 || took <= flow.deadline) ++in_time;
  }
  // The share that is late comes from the draws, the rest is exact.
  if (!spans.empty()) budget.in_time = budget.availability * in_time / static_cast<double>(spans.size());
  std::sort(spans.begin(), spans.end());
  const auto at = [&](double share) {
    if (spans.empty()) return 0.0;
    return spans[std::min(spans.size() - 1, static_cast<std::size_t>(share * static_cast<double>(spans.size())))];
  };
  budget.p50 = at(0.5);
  budget.p95 = at(0.95);
  budget.p99 = at(0.99);
  return budget;
}

int run_budget(const BudgetCommand& command) {
  const auto flow = read_flow(command.file);
  if (!flow) return fail(kExitUsage, flow.error());
  const Budget budget = budget_of(*flow);
  if (command.json) {
    return print(format("{\"availability_plain\":%.9f,\"availability\":%.9f,\"in_time\":%.9f,\"sum_p50_s\":%.6f,"
                        "\"sum_p99_s\":%.6f,\"p50_s\":%.6f,\"p95_s\":%.6f,\"p99_s\":%.6f}",
                        budget.plain, budget.availability, budget.in_time, budget.sum_p50, budget.sum_p99, budget.p50,
                        budget.p95, budget.p99))
               ? 0
               : kExitRefused;
  }
  std::string text = flow->name.empty() ? std::string{} : flow->name + "\n";
  for (std::size_t i = 0; i < flow->steps.size(); ++i) {
    std::string names;
    for (const std::size_t index : flow->steps[i].services) {
      names += (names.empty() ? "" : " + ") + flow->services[index].name;
    }
    text += format("  step %zu  %-32s %s\n", i + 1, names.c_str(), percent(budget.steps[i]).c_str());
  }
  text += "availability  " + percent(budget.plain) + " as a product, " + percent(budget.availability) +
          " with retries and fallbacks: " + a_month(budget.availability) + " a month without an answer\n";
  if (flow->deadline > 0) {
    text += "in time       " + percent(budget.in_time) + " within " + milliseconds_of(flow->deadline) + "\n";
  }
  text += "latency       p50 " + milliseconds_of(budget.p50) + ", p95 " + milliseconds_of(budget.p95) + ", p99 " +
          milliseconds_of(budget.p99) + " (the sum of medians is " + milliseconds_of(budget.sum_p50) + ", of p99 " +
          milliseconds_of(budget.sum_p99) + ")\n" + "if services fail independently: what they share makes it worse";
  return print(text) ? 0 : kExitRefused;
}

}  // namespace pannier::tools
