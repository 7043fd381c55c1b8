// Enqueue until the receipt that says fsynced: many producers, and one with one message at a time.

#include "bench/queue_bench.h"
#include "runtime/store/store.h"

namespace pannier::bench {
namespace {

/// `workers`: as Process has them; 0: the store, the sockets and the actors apart.
Answer enqueue(const Call& call, const Work& work, std::uint32_t workers = 0) {
  posix::Process process{LogLevel::error, workers};
  const auto store = open_store(process, call.folder, fresh("enqueue"));
  Tally tally;
  {
    const auto node = must(Node::create({.name = "bench", .lanes = {roomy_lane("jobs")}},
                                        {process.platform(), process.wakeups(), nullptr, store.get()}));
    spawn_producers(*node, work, tally, AtEnd::stop_node);
    if (process.run(*node) != 0) give_up("the node failed");
  }
  const Store::Counters counters = store->counters();
  if (counters.rows_put != work.warm_up + work.count) give_up("rows are missing in the store");
  const double group = static_cast<double>(counters.rows_put) / static_cast<double>(counters.commits);
  char note[64];
  std::snprintf(note, sizeof note, "%.4g rows a commit, mean", group);
  return {static_cast<double>(work.count) / tally.seconds(), group, note};
}

}  // namespace

Answer enqueue_fsynced(const Call& call) {
  return enqueue(call, {.address = "jobs", .warm_up = call.times(1e5), .count = call.times(1e6)});
}

Answer enqueue_one_at_a_time(const Call& call, std::uint32_t workers) {
  return enqueue(
      call, {.address = "jobs", .warm_up = call.times(500), .count = call.times(5e3), .producers = 1, .outstanding = 1},
      workers);
}

}  // namespace pannier::bench
