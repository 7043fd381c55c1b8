// What one message costs the flash, from its enqueue to its end, under load: bytes that are written and fsyncs.

#include <algorithm>
#include <csignal>

#include "bench/queue_link.h"
#include "runtime/store/store.h"

namespace pannier::bench {
namespace {

struct Wear {
  double bytes = 0;
  double fsyncs = 0;
};

Wear wear(const Store::Counters& before, const Store::Counters& after, std::uint64_t messages) {
  const auto each = [messages](std::uint64_t from, std::uint64_t to) {
    return static_cast<double>(to - from) / static_cast<double>(messages);
  };
  return {each(before.bytes_written, after.bytes_written), each(before.fsyncs, after.fsyncs)};
}

/// A work queue on one node: enqueued, handed to a consumer, done.
Wear of_work_queue(const Call& call, const Work& work) {
  posix::Process process{LogLevel::error};
  const auto store = open_store(process, call.folder, fresh("flash"));
  const auto before = store->counters();
  Tally tally;
  {
    const auto node = must(Node::create({.name = "bench", .lanes = {roomy_lane("jobs")}},
                                        {process.platform(), process.wakeups(), nullptr, store.get()}));
    must(node->spawn<Consumer>({}, std::string{"jobs"}, Consumer::Take{}));
    must(node->spawn<Watcher>({}, [&](const QueueStatus& status) {
      if (status.handled < work.count) return false;
      node->stop();
      return true;
    }));
    spawn_producers(*node, work, tally, AtEnd::go_on);
    if (process.run(*node) != 0) give_up("the node failed");
  }
  return wear(before, store->counters(), work.count);
}

/// Both ends of a link: the sender enqueues and erases, the receiver stores, hands to a consumer, and erases.
std::pair<Wear, Wear> of_link(const Call& call, const Work& work) {
  const Keys keys;
  Child far{[&](Child& self) {
    End end{{.folder = call.folder, .store = fresh("far"), .lanes = {roomy_lane("jobs")}}, keys};
    const auto before = end.store().counters();
    must(end.node().spawn<Consumer>({}, std::string{"jobs"}, Consumer::Take{}));
    must(end.node().spawn<Watcher>({}, [&](const QueueStatus& status) {
      if (status.handled < work.count) return false;
      end.node().stop();
      return true;
    }));
    self.say(end.address());
    end.run();
    const Wear measured = wear(before, end.store().counters(), work.count);
    self.say(std::to_string(measured.bytes));
    self.say(std::to_string(measured.fsyncs));
  }};
  End near{{.folder = call.folder, .store = fresh("near"), .lanes = {roomy_lane("jobs")}, .dial = far.hear()}, keys};
  const auto before = near.store().counters();
  Tally tally;
  spawn_producers(near.node(), work, tally, AtEnd::go_on);
  must(near.node().spawn<Watcher>({}, [&](const QueueStatus& status) {
    if (status.delivered < work.count) return false;
    near.node().stop();
    return true;
  }));
  near.run();
  const double far_bytes = std::stod(far.hear());
  const double far_fsyncs = std::stod(far.hear());
  far.wait();
  return {wear(before, near.store().counters(), work.count), Wear{far_bytes, far_fsyncs}};
}

}  // namespace

Answer flash(const Call& call) {
  // The processes of a link come first: one must not fork after it had threads.
  const auto [sender, receiver] = of_link(call, {.address = "far/jobs", .count = call.times(2e5)});
  const Wear local = of_work_queue(call, {.address = "jobs", .count = call.times(2e5)});
  const auto of = [&](const Wear& each) { return call.row == "flash/fsyncs" ? each.fsyncs : each.bytes; };
  char note[96];
  std::snprintf(note, sizeof note, "sender %.3g, receiver %.3g, work queue on one node %.3g", of(sender), of(receiver),
                of(local));
  return {std::max({of(sender), of(receiver), of(local)}), 0, note};
}

}  // namespace pannier::bench
