// A child process for poison_test.cpp: a node on a file that handles lane "jobs", and aborts in the handler of one
// message.
//
//   poison_node FILE fill COUNT      enqueues 1 to COUNT in one transaction, and ends
//   poison_node FILE handle POISON   prints each number that it is given and aborts at POISON; ends by itself once
//                                    nothing has come for a while
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <pannier/actor.h>
#include <pannier/node.h>
#include <pannier/process.h>
#include <pannier/sqlite_store.h>
#include "runtime/store/store.h"
#include "tests/runtime/schema/messages.fbs.h"

namespace {

using namespace pannier;
using namespace pannier::testing;
using namespace std::chrono_literals;

struct Filler : Actor<Filler> {
  explicit Filler(std::int64_t count) : count_(count) {}
  void on_start() {
    Batch batch;
    for (std::int64_t i = 1; i <= count_; ++i) batch.enqueue("jobs", "", make<Number>(i));
    commit(std::move(batch)).then([this](Result<Receipt> receipt) {
      std::printf(receipt ? "stored\n" : "refused\n");
      stop_node();
    });
  }

 private:
  std::int64_t count_;
};

struct Victim : Actor<Victim, Number> {
  explicit Victim(std::int64_t poison) : poison_(poison) {}
  void on_start() {
    if (!consume<Number>("jobs", {.window = 4})) std::abort();
    rest();
  }
  void on(const Number& number) {
    std::printf("%lld\n", static_cast<long long>(number.value()));
    std::fflush(stdout);
    if (number.value() == poison_) std::abort();
    rest();
  }

 private:
  void rest() {
    cancel(idle_);
    idle_ = after(500ms, [this] { stop_node(); });
  }
  std::int64_t poison_;
  TimerId idle_{};
};

}  // namespace

int main(int argc, char** argv) {
  const std::span<char*> arguments(argv, static_cast<std::size_t>(argc));
  if (argc != 4) return 2;
  posix::Process process{LogLevel::error, 1};
  auto store = open_sqlite_store({.path = arguments[1], .entropy = process.platform().entropy});
  if (!store) {
    std::fprintf(stderr, "%s\n", store.error().text().c_str());
    return 3;
  }
  NodeOptions options{.name = "poisoned", .lanes = {{.name = "jobs", .max_attempts = 3}}};
  auto node = Node::create(std::move(options), {process.platform(), process.wakeups(), nullptr, store->get()});
  if (!node) return 4;
  const std::int64_t number = std::strtoll(arguments[3], nullptr, 10);
  const bool started = std::string_view{arguments[2]} == "fill" ? (*node)->spawn<Filler>(SpawnOptions{}, number).ok()
                                                                : (*node)->spawn<Victim>(SpawnOptions{}, number).ok();
  return started ? process.run(**node) : 5;
}
