// Replays a day of deliveries over real processes, cuts links and kills processes meanwhile, and checks with a ledger
// outside the runtime whether anything was lost, doubled or reordered.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "examples/delivery/day/options.h"
#include "examples/delivery/day/random.h"
#include "examples/delivery/day/report.h"
#include "examples/delivery/day/trace.h"
#include "examples/delivery/fleet.h"
#include "examples/delivery/order/scenario.h"
#include "platform/posix/signals.h"

namespace pannier::delivery {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

/// How long placing all orders takes by default; deliveries take some seconds more.
constexpr double kFullSeconds = 100;
constexpr double kQuickSeconds = 28;
constexpr std::uint32_t kQuickOrders = 150;
/// Limit after the last order was placed; beyond it the run ends and fails.
constexpr double kTailSeconds = 75;
constexpr double kTailSecondsQuick = 25;
/// A fault not healed within this time no longer delays the next one.
constexpr double kHealPatience = 15;
constexpr std::uint32_t kMobileKbitPerS = 4'000;
constexpr auto kLook = 100ms;

double seconds_between(std::int64_t from_ms, std::int64_t to_ms) { return static_cast<double>(to_ms - from_ms) / 1e3; }

/// The fault plan: two devices and the hub are killed, links are cut with and without notice.
std::vector<Fault> plan_faults(std::uint64_t seed, double placing_s, const FleetOptions& fleet) {
  Random random = Random::for_part(seed, 77);
  const auto tablet = [&] { return "tablet" + std::to_string(1 + random.below(fleet.tablets)); };
  const auto handheld = [&] { return "handheld" + std::to_string(1 + random.below(fleet.handhelds)); };
  const double longer = placing_s > 60 ? 2 : 1;
  using Kind = Fault::Kind;
  std::vector<Fault> plan{
      {Kind::cut_drop, handheld(), 0.12, 1.5 * longer, {}},  {Kind::kill, tablet(), 0.24, 1.0 * longer, {}},
      {Kind::cut_freeze, handheld(), 0.36, 2 * longer, {}},  {Kind::kill, "hub", 0.50, 1.0 * longer, {}},
      {Kind::cut_drop, tablet(), 0.64, 1.5 * longer, {}},    {Kind::kill, handheld(), 0.76, 1.0 * longer, {}},
      {Kind::cut_freeze, handheld(), 0.88, 4.5 * longer, {}}};
  for (Fault& fault : plan) fault.at_s *= placing_s;
  return plan;
}

/// Injects one fault after the other and measures how long each takes to heal.
class Breaker {
 public:
  Breaker(Fleet& fleet, std::vector<Fault> plan, std::int64_t start_ms)
      : fleet_(fleet), plan_(std::move(plan)), start_ms_(start_ms) {}

  Result<void> step(std::int64_t now_ms) {
    remember(now_ms);
    if (state_ == State::whole && next_ < plan_.size() && seconds_between(start_ms_, now_ms) >= plan_[next_].at_s) {
      Fault fault = plan_[next_++];
      fault.at_s = seconds_between(start_ms_, now_ms);
      wanted_s_ = fault.lasted_s;
      usual_ = std::max_element(recent_.begin(), recent_.end())->second;
      recent_.clear();  // the next one starts anew
      fleet_.break_it(fault);
      done_.push_back(fault);
      since_ms_ = now_ms;
      state_ = State::broken;
    } else if (state_ == State::broken && seconds_between(since_ms_, now_ms) >= wanted_s_) {
      done_.back().lasted_s = seconds_between(since_ms_, now_ms);
      if (auto mended = fleet_.mend(done_.back()); !mended) return mended;
      since_ms_ = now_ms;
      state_ = State::healing;
    } else if (state_ == State::healing) {
      // Healed: the target reports again with all its links, and no more events wait than before.
      const double healing_s = seconds_between(since_ms_, now_ms);
      if (fleet_.well(done_.back().target, since_ms_) && fleet_.waiting_around(done_.back().target) <= usual_) {
        done_.back().heal_s = healing_s;
        state_ = State::whole;
      } else if (healing_s > kHealPatience && next_ < plan_.size()) {
        state_ = State::whole;
      }
    }
    return {};
  }
  [[nodiscard]] bool at_rest() const noexcept { return state_ == State::whole; }
  [[nodiscard]] const std::vector<Fault>& faults() const noexcept { return done_; }
  [[nodiscard]] std::uint64_t count(bool kills) const {
    return static_cast<std::uint64_t>(std::count_if(
        done_.begin(), done_.end(), [&](const Fault& fault) { return (fault.kind == Fault::Kind::kill) == kills; }));
  }

 private:
  enum class State : std::uint8_t { whole, broken, healing };

  /// The usual backlog around the next target: the maximum of the last seconds.
  void remember(std::int64_t now_ms) {
    if (next_ == plan_.size()) return;
    recent_.emplace_back(now_ms, fleet_.waiting_around(plan_[next_].target));
    while (recent_.front().first < now_ms - 3'000) recent_.pop_front();
  }

  Fleet& fleet_;
  std::vector<Fault> plan_;
  const std::int64_t start_ms_;
  std::size_t next_ = 0;
  State state_ = State::whole;
  std::int64_t since_ms_ = 0;
  double wanted_s_ = 0;
  std::uint64_t usual_ = 0;
  std::deque<std::pair<std::int64_t, std::uint64_t>> recent_;
  std::vector<Fault> done_;
};

/// On a terminal one line that is overwritten; in a log a line every few seconds.
void show(const Progress& progress, bool last, std::int64_t now_ms) {
  static std::int64_t shown_ms = 0;
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  if (!last && now_ms - shown_ms < (terminal ? 250 : 5'000)) return;
  shown_ms = now_ms;
  const std::string line = format_progress(progress);
  std::printf(terminal ? "\r\033[K%s%s" : "%s%s", line.c_str(), terminal && !last ? "" : "\n");
  std::fflush(stdout);
}

/// An empty folder: the requested one, or a temporary one.
Result<std::string> make_folder(const std::optional<std::string>& keep) {
  std::error_code failed;
  fs::path folder =
      keep ? fs::path{*keep} : fs::temp_directory_path(failed) / ("pannier-demo-" + std::to_string(::getpid()));
  if (!failed) fs::create_directories(folder, failed);
  if (failed)
    return Error{ErrorCode::storage_io, folder.string() + ": " + failed.message() + "; name a folder with --keep"};
  if (!fs::is_empty(folder, failed) || failed) {
    return Error{ErrorCode::in_use,
                 folder.string() + " is not empty; name a new folder, so that nothing is overwritten"};
  }
  return fs::absolute(folder).string();
}

Result<TracePair> mobile_trace(const DemoOptions& options) {
  if (options.trace) return read_trace_pair(*options.trace);
  return TracePair{Trace::generate(options.seed, kMobileKbitPerS), Trace::generate(options.seed + 1, kMobileKbitPerS)};
}

std::string program_folder() { return fs::read_symlink("/proc/self/exe").parent_path().string(); }

Result<int> run_evening(const DemoOptions& options) {
  const auto folder = make_folder(options.keep);
  if (!folder) return folder.error();
  const auto status = run_scenario({*options.scenario, *folder, program_folder()});
  if (!status || *status != 0) {
    std::fprintf(stderr, "databases and logs are kept in %s\n", folder->c_str());
  } else if (!options.keep) {
    std::error_code ignored;
    fs::remove_all(*folder, ignored);
  }
  return status;
}

Result<int> run(const DemoOptions& options) {
  if (options.scenario) return run_evening(options);
  posix::StopSignals signals;
  if (options.json && !std::ofstream(*options.json, std::ios::app)) {
    return Error{ErrorCode::permission, *options.json + ": cannot be written; name another file with --json"};
  }
  Config day;
  day.instance = options.instance;
  day.seed = options.seed;
  day.orders = options.orders.value_or(options.quick ? kQuickOrders : day.orders);
  if (options.quick && options.instance) day.every_nth = 3;
  const auto orders = load_day(day);
  if (!orders) return orders.error();
  auto trace = mobile_trace(options);
  if (!trace) return trace.error();
  const auto folder = make_folder(options.keep);
  if (!folder) return folder.error();

  const double day_minutes = orders->last_minute();
  day.speed = options.speed.value_or(std::max(1.0, day_minutes * 60 / (options.quick ? kQuickSeconds : kFullSeconds)));
  const double placing_s = day_minutes * 60 / day.speed;
  day.start_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                     (std::chrono::system_clock::now() + 1500ms).time_since_epoch())
                     .count();
  const FleetOptions fleet_options{day, *folder, program_folder(), std::move(*trace)};

  const std::int64_t start_ms = ledger_now_ms();
  auto started = Fleet::start(fleet_options);
  if (!started) return started.error();
  Fleet& fleet = **started;
  std::printf("%zu orders, %llu processes, %.0f minutes of the day in one; %s\n", orders->orders.size(),
              static_cast<unsigned long long>(fleet.processes()), day.speed, folder->c_str());

  Report report;
  report.day = options.instance.value_or("generated");
  report.seed = options.seed;
  report.processes = fleet.processes();
  report.orders = orders->orders.size();
  Breaker breaker(fleet, plan_faults(options.seed, placing_s, fleet_options), start_ms);
  Result<void> trouble;
  bool interrupted = false;
  for (bool over = false; !over;) {
    interrupted = signals.wait_for(kLook).has_value();
    const std::int64_t now_ms = ledger_now_ms();
    trouble = fleet.look();
    if (trouble) trouble = breaker.step(now_ms);
    report.backlog_max = std::max(report.backlog_max, fleet.waiting());
    const bool delivered = fleet.delivered() >= report.orders && fleet.waiting() == 0 && breaker.at_rest();
    const bool late =
        seconds_between(start_ms, now_ms) > placing_s + (options.quick ? kTailSecondsQuick : kTailSeconds);
    over = delivered || late || interrupted || !trouble;
    show({DayClock{day.start_ms, day.speed}.minute(std::chrono::system_clock::now()), report.orders, fleet.placed(),
          fleet.delivered(), fleet.waiting(), fleet.links(), fleet.links_up(), breaker.count(true),
          breaker.count(false)},
         over, now_ms);
  }
  report.seconds = seconds_between(start_ms, ledger_now_ms());
  report.faults = breaker.faults();

  std::vector<std::string> complaints = fleet.end(15s);
  if (!trouble) complaints.push_back(trouble.error().text());
  auto audit = fleet.audit();
  report.wire_bytes = fleet.wire_bytes();
  report.disk_bytes = fleet.disk_bytes();
  if (audit) {
    report.audit = std::move(*audit);
  } else {
    complaints.push_back(audit.error().text());
  }
  std::printf("%s", format_table(report).c_str());
  for (const std::string& complaint : complaints) std::fprintf(stderr, "FAILED: %s\n", complaint.c_str());
  if (options.json) std::ofstream(*options.json, std::ios::trunc) << format_json(report);

  const bool good = audit && report.good() && complaints.empty();
  if (good || interrupted) {
    std::error_code ignored;
    if (!options.keep) fs::remove_all(*folder, ignored);
  } else {
    std::fprintf(stderr, "databases, ledgers and logs are kept in %s\n", folder->c_str());
  }
  return good ? 0 : 1;
}

}  // namespace
}  // namespace pannier::delivery

int main(int argc, char** argv) {
  using namespace pannier::delivery;
  const auto command = parse_command_line(argc, argv, scenario_names());
  if (command && command->help) {
    std::fputs(command->help->c_str(), stdout);
    return 0;
  }
  const auto status = command ? run(command->options) : pannier::Result<int>{command.error()};
  if (status) return *status;
  const pannier::Error& error = status.error();
  std::fprintf(stderr, "pannier_delivery_demo: %s\n", (error.detail.empty() ? error.text() : error.detail).c_str());
  return 2;
}
