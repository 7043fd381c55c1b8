// A program with histories and sagas for `pannier events` and `pannier saga`: history_hub --config FILE.

#include <cstdio>

#include <pannier/events.h>
#include <pannier/pannier.h>
#include <pannier/run.h>
#include <pannier/saga.h>

#include "tests/services/commands/history.fbs.h"

namespace {

using namespace std::chrono_literals;
using namespace history;

void order(JobT&, pannier::Step&) {}
void wait(JobT& job, pannier::Step& step) {
  if (job.name == "job-bad") return step.fail("nobody is there");
  step.wait();
}
void undo(JobT&, pannier::Step& step) { step.fail("the other side refuses"); }
void done(JobT&, const Done&, pannier::Step& step) { step.done(); }

std::shared_ptr<const pannier::SagaTable> job() {
  return pannier::saga<Job>("job", 1)
      .step("order", &order, &undo)
      .with({.undo_attempts = 1, .backoff = 1ms})
      .step("wait", &wait)
      .on<Done>(&done);
}

struct Filler : pannier::Actor<Filler> {
  void on_start() {
    pannier::EventTypes types;
    types.add<Priced>().add<Sold>();
    pannier::Batch batch;
    prepare_events(batch);
    const auto add = [&](const char* stream, const pannier::AnyTable& table, pannier::WallTime at) {
      append(batch, stream, pannier::ExpectedVersion::any, std::vector{*types.event(table)}, {.at = at}).ignore();
    };
    const pannier::WallTime morning{std::chrono::seconds{1'796'112'000}};  // 2026-12-01T08:00:00Z
    add("order-17", pannier::make<Priced>(1250), morning);
    add("order-17", pannier::make<Priced>(990), morning + 4h + 30min);
    add("order-17", pannier::make<Sold>("Ada"), morning + 5h);
    add("cart-3", pannier::make<Priced>(1), morning);
    for (const char* name : {"job-bad", "job-good"}) {
      start_saga(batch, "sagas", "job", name, pannier::make<Job>(name));
    }
    batch.enqueue("sagas", "job-good", pannier::make<Done>(true), {.delay = 300ms});
    start_saga(batch, "sagas", "job", "job-waits", pannier::make<Job>("job-waits"));
    commit(std::move(batch)).then([](const auto& stored) {
      std::puts(stored ? "filled" : stored.error().text().c_str());
      std::fflush(stdout);
    });
  }
};

}  // namespace

int main(int argc, char** argv) {
  return pannier::run(argc, argv, [](pannier::Node& node) -> pannier::Result<void> {
    if (auto made = node.spawn<pannier::EventReader>({.name = "events"}); !made) return made.error();
    if (auto made = node.spawn<pannier::SagaHost>({.name = "sagas"}, std::vector{job()}, pannier::SagaOptions{});
        !made) {
      return made.error();
    }
    const auto filler = node.spawn<Filler>();
    return filler ? pannier::Result<void>{} : filler.error();
  });
}
