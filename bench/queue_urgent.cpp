// How long an urgent message takes to an actor of the other node, behind a backlog and without one.

#include <algorithm>
#include <chrono>
#include <csignal>
#include <thread>

#include "bench/queue_link.h"
#include "runtime/store/store.h"

namespace pannier::bench {
namespace {

constexpr Duration kInterval = std::chrono::milliseconds{1};

/// Enqueues an urgent message each interval, once the link is up.
struct Caller : Actor<Caller> {
  explicit Caller(std::uint64_t count) : count_(count) {}
  void on_start() {
    every(kInterval, [this] {
      if (sent_ == count_) return;
      ++sent_;
      enqueue("far/urgent", key_of(sent_), parcel(now_ns())).then([](Result<Receipt> receipt) {
        must(std::move(receipt));
      });
    });
  }
  std::uint64_t count_;
  std::uint64_t sent_ = 0;
};

struct Times {
  double median_ms = 0;
  double p99_ms = 0;
  std::uint64_t left = 0;  ///< Rows of the backlog that still waited at the end.
};

Times times(const Call& call, const Keys& keys, std::uint64_t backlog, std::uint64_t samples) {
  const std::vector<LaneOptions> lanes = {roomy_lane("bulk"), roomy_lane("urgent", 10)};
  Child far{[&](Child& self) {
    End end{{.folder = call.folder, .store = fresh("far"), .lanes = lanes}, keys};
    std::vector<double> taken_ms;
    must(end.node().spawn<Consumer>({}, std::string{"bulk"}, Consumer::Take{}));
    must(end.node().spawn<Consumer>({}, std::string{"urgent"}, [&](const Parcel& parcel) {
      taken_ms.push_back(static_cast<double>(now_ns() - parcel.sent_ns()) / 1e6);
      if (taken_ms.size() != samples) return;
      std::sort(taken_ms.begin(), taken_ms.end());
      self.say(std::to_string(taken_ms[samples / 2]));
      self.say(std::to_string(taken_ms[samples * 99 / 100]));
    }));
    self.say(end.address());
    end.run();
  }};

  End near{{.folder = call.folder,
            .store = fresh("near"),
            .lanes = lanes,
            .dial = far.hear(),
            .prepare = [&](Store& store) { fill(store, Box::outbox, "far", "bulk", backlog); }},
           keys};
  // Half a second after the link is up the backlog flows, and what a start brings is done.
  must(near.node().spawn<Watcher>({}, [&](const QueueStatus& status) {
    if (status.links.empty()) return false;
    must(near.node().spawn<Caller>({}, samples));
    return true;
  }));
  Times measured;
  std::thread listener{[&] {
    measured.median_ms = std::stod(far.hear());
    measured.p99_ms = std::stod(far.hear());
    near.node().stop();
  }};
  near.run();
  listener.join();
  far.signal(SIGTERM);
  far.wait();
  if (backlog > 0) measured.left = waiting(near.store(), Box::outbox, "far", "bulk");
  return measured;
}

}  // namespace

Answer urgent_behind_backlog(const Call& call) {
  const Keys keys;
  const std::uint64_t samples = call.times(2e3);
  const std::uint64_t rows = call.times(1e6);
  const Times empty = times(call, keys, 0, samples);
  const Times behind = times(call, keys, rows, samples);
  if (call.scale >= 1 && behind.left == 0) give_up("the backlog was gone before the measurement ended");
  char note[160];
  std::snprintf(note, sizeof note,
                "p99 %.3g ms behind %llu rows, of which %llu were left at the end, %.3g ms on an empty queue; "
                "medians %.3g, %.3g ms",
                behind.p99_ms, static_cast<unsigned long long>(rows), static_cast<unsigned long long>(behind.left),
                empty.p99_ms, behind.median_ms, empty.median_ms);
  return {behind.p99_ms / empty.p99_ms, 0, note};
}

}  // namespace pannier::bench
