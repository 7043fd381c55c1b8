// From the sender's disk over TCP to the receiver's disk, and the acknowledgement back; both synced.

#include <csignal>

#include "bench/queue_link.h"
#include "runtime/store/store.h"

namespace pannier::bench {

Answer end_to_end(const Call& call) {
  const Wire wire = call.row == "end-to-end/plaintext" ? Wire::plaintext : Wire::curve;
  const bool handled = call.row == "end-to-end/handled";
  const Work warm_up{.address = "far/jobs", .count = call.times(2e4)};
  const Work work{.address = "far/jobs", .count = call.times(3e5)};
  const Keys keys;

  Child far{[&](Child& self) {
    End end{{.folder = call.folder, .store = fresh("far"), .wire = wire, .lanes = {roomy_lane("jobs")}}, keys};
    std::uint64_t taken = 0;
    if (handled) {
      must(end.node().spawn<Consumer>({}, std::string{"jobs"}, [&](const Parcel&) {
        if (++taken == warm_up.count + work.count) self.say(std::to_string(now_ns()));
      }));
    }
    self.say(end.address());
    end.run();
    const auto counters = end.store().counters();
    self.say(std::to_string(static_cast<double>(counters.rows_put) / static_cast<double>(counters.commits)));
  }};

  End near{
      {.folder = call.folder, .store = fresh("near"), .wire = wire, .lanes = {roomy_lane("jobs")}, .dial = far.hear()},
      keys};
  Tally warming;
  Tally tally;
  std::uint64_t ended_ns = 0;
  spawn_producers(near.node(), warm_up, warming, AtEnd::go_on);
  must(near.node().spawn<Watcher>({}, [&](const QueueStatus& status) {
    if (status.delivered == warm_up.count && tally.begun_ns == 0)
      spawn_producers(near.node(), work, tally, AtEnd::go_on);
    if (status.delivered < warm_up.count + work.count) return false;
    ended_ns = now_ns();
    near.node().stop();
    return true;
  }));
  near.run();
  if (handled) ended_ns = std::stoull(far.hear());
  far.signal(SIGTERM);
  const double receiver_group = std::stod(far.hear());
  far.wait();

  const auto counters = near.store().counters();
  char note[128];
  std::snprintf(note, sizeof note, "%.4g rows a commit at the sender, %.4g at the receiver; enqueued in %.3g s of %.3g",
                static_cast<double>(counters.rows_put) / static_cast<double>(counters.commits), receiver_group,
                tally.seconds(), static_cast<double>(ended_ns - tally.begun_ns) / 1e9);
  return {static_cast<double>(work.count) / (static_cast<double>(ended_ns - tally.begun_ns) / 1e9), 0, note};
}

}  // namespace pannier::bench
