// Our side of the rows about the queue: `queue ROW VARIANT SCALE FOLDER ROWS MATCH` prints one figure. All bounds,
// checksums and synced commits are those of any program; nothing is switched off.

#include "bench/queue_bench.h"

namespace pannier::bench {
namespace {

Answer measure(const Call& call) {
  if (call.row == "enqueue/fsynced") return enqueue_fsynced(call);
  if (call.row == "enqueue/one-at-a-time") return enqueue_one_at_a_time(call, 0);
  if (call.row == "enqueue/one-thread") return enqueue_one_at_a_time(call, 1);
  if (call.row.starts_with("end-to-end/")) return end_to_end(call);
  if (call.row.starts_with("flash/")) return flash(call);
  if (call.row == "backlog/growth") return backlog_growth(call);
  if (call.row == "backlog/memory") return backlog_memory(call);
  if (call.row == "backlog/start-up") return backlog_start_up(call);
  if (call.row == "urgent/behind-backlog") return urgent_behind_backlog(call);
  give_up("there is no row " + call.row);
}

}  // namespace
}  // namespace pannier::bench

int main(int argc, char** argv) {
  return pannier::bench::answer(pannier::bench::measure(pannier::bench::read_call(argc, argv)));
}
