// A work queue: jobs wait on disk; whoever takes one acknowledges it, gives it back, or gives up on it. A worker that
// dies gives back what it had.

#include <cstdio>

#include <pannier/pannier.h>
#include <pannier/run.h>

#include "examples/patterns/patterns.fbs.h"

using namespace std::chrono_literals;
using patterns::Job;

struct Worker : pannier::Actor<Worker, Job> {
  void on_start() { require(consume_lane("jobs", {.window = 2})); }

  void on(const Job& job, pannier::Delivery delivery) {
    const int number = job.number();
    if (number == 3 && !tried_) {
      tried_ = true;
      std::printf("job 3: the printer is out of paper, again later\n");
      return delivery.retry(100ms, "out of paper");
    }
    if (number == 4) {
      std::printf("job 4: makes no sense\n");
      delivery.dead_letter("no such printer");
    } else {
      std::printf("job %d: done\n", number);
      delivery.ack();
    }
    if (++settled_ == 5) after(100ms, [this] { report(); });
  }

  void report() {
    queue().inspect().then([this](const pannier::Result<pannier::QueueStatus>& status) {
      if (status)
        std::printf("handled %llu, kept for somebody to look at: 1\n",
                    static_cast<unsigned long long>(status->handled));
      stop_node();
    });
  }

  bool tried_ = false;
  int settled_ = 0;
};

struct Office : pannier::Actor<Office> {
  void on_start() {
    for (int number = 1; number <= 5; ++number) {
      enqueue("jobs", "", pannier::make<Job>(number)).forget();
    }
  }
};

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: pattern_work_queue STORE\n"), 2;
  return pannier::run({.name = "office", .store = argv[1]}, [](pannier::Node& node) -> pannier::Result<void> {
    if (auto worker = node.spawn<Worker>(); !worker) return worker.error();
    auto office = node.spawn<Office>();
    return office ? pannier::Result<void>{} : office.error();
  });
}
