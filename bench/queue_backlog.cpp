// A node on whose disk millions of rows wait: what it costs in memory, at the start, and in speed. The rows share one
// file in the run's folder, which the first of them fills.

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "bench/queue_link.h"
#include "runtime/store/store.h"

namespace pannier::bench {
namespace {

constexpr const char* kLane = "jobs";

std::string name_of(std::uint64_t rows) { return "backlog-" + std::to_string(rows); }

/// Makes the file of `rows` waiting rows where it is not there yet, in a process of its own.
void filled(const Call& call, std::uint64_t rows) {
  if (std::filesystem::exists(call.folder + "/" + name_of(rows) + ".db")) return;
  Child filling{[&](Child&) {
    posix::Process process{LogLevel::error};
    fill(*open_store(process, call.folder, name_of(rows)), Box::inbox, "", kLane, rows);
  }};
  filling.wait();
}

std::string text(const char* format, auto... values) {
  char line[256];
  std::snprintf(line, sizeof line, format, values...);
  return line;
}

// --- Speed -----------------------------------------------------------------------------------------------------------

struct Speed {
  double enqueue = 0;  ///< Messages a second.
  double drain = 0;
};

/// Enqueues and drains a few thousand in turn, so that as many wait at the end as at the start. Between two drains it
/// keeps what it was handed in its hands, and so gets no more.
struct Tide : Actor<Tide, Parcel> {
  static constexpr std::uint64_t kLot = 5000;
  static constexpr std::uint32_t kOutstanding = 2048;

  Tide(std::uint64_t lots, Speed* speed) : lots_(lots), speed_(*speed) {}
  void on_start() {
    must(consume<Parcel>(kLane, {.window = 256}));
    after(std::chrono::milliseconds{200}, [this] { flood(); });
  }
  void on(const Parcel&, Delivery delivery) {
    if (left_ == 0) {
      held_.push_back(std::move(delivery));
      return;
    }
    delivery.ack();
    if (--left_ == 0) turned();
  }

 private:
  void flood() {
    started_ = now_ns();
    to_send_ = kLot;
    to_hear_ = kLot;
    for (std::uint32_t i = 0; i < kOutstanding; ++i) next();
  }
  void next() {
    if (to_send_ == 0) return;
    --to_send_;
    enqueue(kLane, key_of(++number_), parcel()).then([this](Result<Receipt> receipt) {
      must(std::move(receipt));
      if (--to_hear_ > 0) return next();
      enqueue_ns_ += now_ns() - started_;
      ebb();
    });
  }
  void ebb() {
    started_ = now_ns();
    left_ = kLot;
    for (const Delivery& each : std::exchange(held_, {})) {
      each.ack();
      --left_;
    }
  }
  void turned() {
    drain_ns_ += now_ns() - started_;
    if (++lot_ < lots_) return flood();
    const double sum = static_cast<double>(lots_ * kLot) * 1e9;
    speed_ = {sum / static_cast<double>(enqueue_ns_), sum / static_cast<double>(drain_ns_)};
    stop_node();
  }

  std::uint64_t lots_;
  Speed& speed_;
  std::uint64_t lot_ = 0;
  std::uint64_t number_ = 0;
  std::uint64_t to_send_ = 0;
  std::uint64_t to_hear_ = 0;
  std::uint64_t left_ = 0;
  std::uint64_t started_ = 0;
  std::uint64_t enqueue_ns_ = 0;
  std::uint64_t drain_ns_ = 0;
  std::vector<Delivery> held_;
};

Speed speed_at(const Call& call, std::uint64_t rows, std::uint64_t lots) {
  Child child{[&](Child& self) {
    Speed speed;
    posix::Process process{LogLevel::error};
    const auto store = open_store(process, call.folder, name_of(rows));
    while (must(store->count_some())) {  // what a kill -9 of an earlier row left to be counted
    }
    {
      const auto node = must(Node::create({.name = "bench", .lanes = {roomy_lane(kLane)}},
                                          {process.platform(), process.wakeups(), nullptr, store.get()}));
      must(node->spawn<Tide>({}, lots, &speed));
      if (process.run(*node) != 0) give_up("the node failed");
    }
    self.say(std::to_string(speed.enqueue));
    self.say(std::to_string(speed.drain));
  }};
  const double enqueue = std::stod(child.hear());
  const double drain = std::stod(child.hear());
  child.wait();
  return {enqueue, drain};
}

double median_of_three(double a, double b, double c) { return std::max(std::min(a, b), std::min(std::max(a, b), c)); }

// --- Memory ----------------------------------------------------------------------------------------------------------

/// A line of /proc/self/status, which has them in kB, as MB.
double status_mb(const std::string& name) {
  std::ifstream status{"/proc/self/status"};
  for (std::string word; status >> word;) {
    double kilobytes = 0;
    if (word == name && status >> kilobytes) return kilobytes * 1024 / 1e6;
  }
  give_up("/proc/self/status has no " + name);
}

// --- Start-up --------------------------------------------------------------------------------------------------------

/// Says when the first message that it enqueued has its receipt, and so when the node is ready; goes on enqueuing.
struct Newcomer : Actor<Newcomer> {
  explicit Newcomer(std::function<void(std::uint64_t)> accepted) : accepted_(std::move(accepted)) {}
  void on_start() { next(); }

 private:
  void next() {
    enqueue(kLane, key_of(count_), parcel()).then([this](Result<Receipt> receipt) {
      must(std::move(receipt));
      accepted_(++count_);
      next();
    });
  }
  std::function<void(std::uint64_t)> accepted_;
  std::uint64_t count_ = 0;
};

/// Runs a node on the file and says the milliseconds from nothing to the first receipt; then does as it is told.
void start_node(Child& self, const Call& call, std::uint64_t rows, bool stops) {
  const std::uint64_t begun = now_ns();
  posix::Process process{LogLevel::error};
  const auto store = open_store(process, call.folder, name_of(rows));
  const std::uint64_t opened = now_ns();
  const auto node = must(Node::create({.name = "bench", .lanes = {roomy_lane(kLane)}},
                                      {process.platform(), process.wakeups(), nullptr, store.get()}));
  Node& running = *node;
  must(running.spawn<Newcomer>({}, [&, begun, opened, stops](std::uint64_t count) {
    if (count == 1) {
      self.say(std::to_string(static_cast<double>(now_ns() - begun) / 1e6));
      self.say(std::to_string(static_cast<double>(opened - begun) / 1e6));
      if (stops) running.stop();
    }
    if (count == 1000) self.say("busy");
  }));
  if (process.run(running) != 0) give_up("the node failed");
}

/// What the system has in memory of the file goes, as after a boot.
void forget_pages(const Call& call, std::uint64_t rows) {
  for (const char* suffix : {"", "-wal"}) {
    const std::string path = call.folder + "/" + name_of(rows) + ".db" + suffix;
    const int file = ::open(path.c_str(), O_RDONLY);
    if (file < 0) continue;
    ::fsync(file);
    ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    ::close(file);
  }
}

struct StartUp {
  double ready_ms = 0;
  double open_ms = 0;
};

StartUp measured_start(const Call& call, std::uint64_t rows) {
  Child child{[&](Child& self) { start_node(self, call, rows, true); }};
  const double ready_ms = std::stod(child.hear());
  const double open_ms = std::stod(child.hear());
  child.wait();
  return {ready_ms, open_ms};
}

/// A node that is killed while it enqueues: its log stays behind.
void kill_a_node(const Call& call, std::uint64_t rows) {
  Child child{[&](Child& self) { start_node(self, call, rows, false); }};
  while (child.hear() != "busy") {
  }
  child.signal(SIGKILL);
  child.wait();
}

}  // namespace

Answer backlog_growth(const Call& call) {
  const std::uint64_t rows = call.rows;
  const std::uint64_t few = std::min<std::uint64_t>(10'000, rows / 2);
  const std::uint64_t lots = call.times(20);
  filled(call, rows);
  filled(call, few);
  Speed small[3];
  Speed large[3];
  for (int i = 0; i < 3; ++i) {
    small[i] = speed_at(call, few, lots);
    large[i] = speed_at(call, rows, lots);
  }
  const auto middle = [](const Speed(&of)[3]) {
    return Speed{median_of_three(of[0].enqueue, of[1].enqueue, of[2].enqueue),
                 median_of_three(of[0].drain, of[1].drain, of[2].drain)};
  };
  const Speed at_few = middle(small);
  const Speed at_rows = middle(large);
  return {std::max(at_few.enqueue / at_rows.enqueue, at_few.drain / at_rows.drain), 0,
          text("slower of both; enqueue %.3g k/s at %llu rows, %.3g at %llu; drain %.3g, %.3g; medians of 3",
               at_few.enqueue / 1e3, static_cast<unsigned long long>(few), at_rows.enqueue / 1e3,
               static_cast<unsigned long long>(rows), at_few.drain / 1e3, at_rows.drain / 1e3)};
}

Answer backlog_memory(const Call& call) {
  const std::uint64_t rows = call.rows;
  filled(call, rows);
  const Keys keys;
  Child child{[&](Child& self) {
    End end{{.folder = call.folder, .store = name_of(rows), .lanes = {roomy_lane(kLane)}}, keys};
    Speed speed;
    must(end.node().spawn<Tide>({}, std::uint64_t{1}, &speed));
    end.run([&] {
      self.say(std::to_string(status_mb("VmRSS:")));
      self.say(std::to_string(status_mb("RssAnon:")));
    });
    self.say(std::to_string(status_mb("VmHWM:")));
  }};
  const double resident = std::stod(child.hear());
  const double own = std::stod(child.hear());
  const double peak = std::stod(child.hear());
  child.wait();
  return {
      resident, 0,
      text("VmRSS of a node with %llu rows waiting and a listening socket, after 5,000 more came and went; of it %.3g "
           "MB its own, the rest mapped files; at its peak (VmHWM) %.3g MB",
           static_cast<unsigned long long>(rows), own, peak)};
}

Answer backlog_start_up(const Call& call) {
  const std::uint64_t rows = call.rows;
  filled(call, rows);
  const StartUp warm = measured_start(call, rows);  // the one before had a clean stop
  forget_pages(call, rows);
  const StartUp clean = measured_start(call, rows);
  kill_a_node(call, rows);
  forget_pages(call, rows);
  const StartUp killed = measured_start(call, rows);
  return {
      std::max(clean.ready_ms, killed.ready_ms), 0,
      text("to the first receipt, %llu rows, nothing of the file in memory: %.4g ms after a clean stop (open %.4g), "
           "%.4g after kill -9 (open %.4g); %.4g with the file in memory",
           static_cast<unsigned long long>(rows), clean.ready_ms, clean.open_ms, killed.ready_ms, killed.open_ms,
           warm.ready_ms)};
}

}  // namespace pannier::bench
