// A typed call beside a bare `ask`, one after the other, with a table of 64 bytes each way: on one worker, and between
// two processes over TCP. `call ROW VARIANT ...`; variant 1 calls, variant 2 asks.

#include <optional>

#include <pannier/pannier.h>
#include <pannier/process.h>
#include <pannier/zmq.h>
#include "bench/child.h"
#include "bench/measure.h"
#include "bench/schema/echo.fbs.rpc.h"

namespace pannier::bench {
namespace {

template <class T>
T need(Result<T> result) {
  if (!result) give_up(result.error().text());
  return std::move(*result);
}

double calls_per_second = 0;

Table<Sample> turn_of(std::uint64_t number) { return make<Sample>(number, number + 1, 48.137, 11.575, 7.5F, 90.0F); }

struct EchoCalls : EchoServiceServer<EchoCalls> {
  rpc::Response<Sample> turn(const Sample& sample) { return turn_of(sample.turn()); }
};
struct EchoQuestions : Actor<EchoQuestions, Sample> {
  auto on(const Sample& sample) { return turn_of(sample.turn()); }
};

struct Caller : Actor<Caller> {
  Caller(const std::string& server, bool typed, std::uint64_t warm_up, std::uint64_t count)
      : echo_{*this, server}, typed_(typed), warm_up_(warm_up), count_(count) {}
  void on_start() { next(); }

 private:
  void next() {
    if (typed_) {
      echo_.turn(turn_of(done_), {.deadline = std::chrono::seconds{5}}).then([this](const rpc::Response<Sample>& said) {
        heard(said.ok() && said->turn() == done_);
      });
    } else {
      ask<Sample>(echo_.server(), turn_of(done_), std::chrono::seconds{5}).then([this](Result<Table<Sample>> said) {
        heard(said && (*said)->turn() == done_);
      });
    }
  }
  void heard(bool good) {
    if (!good && done_ != 0) give_up("a call failed");
    if (!good) return static_cast<void>(after(std::chrono::milliseconds{5}, [this] { next(); }));  // no link yet
    if (++done_ == warm_up_) watch_.start();
    if (done_ < warm_up_ + count_) return next();
    calls_per_second = static_cast<double>(count_) / watch_.seconds();
    stop_node();
  }

  EchoServiceClient echo_;
  const bool typed_;
  const std::uint64_t warm_up_;
  const std::uint64_t count_;
  std::uint64_t done_ = 0;
  Stopwatch watch_;
};

void serve(Node& node, bool typed) {
  if (typed) {
    need(node.spawn<EchoCalls>({.name = "echo"}));
  } else {
    need(node.spawn<EchoQuestions>({.name = "echo"}));
  }
}

double same_worker(bool typed, std::uint64_t count) {
  posix::Process process{LogLevel::error, 1};
  const auto node = need(Node::create({.name = "bench"}, {process.platform(), process.wakeups()}));
  serve(*node, typed);
  need(node->spawn<Caller>({}, std::string{"echo"}, typed, count / 10 + 1, count));
  if (process.run(*node) != 0) give_up("the node failed");
  return calls_per_second;
}

/// One of two nodes over TCP, in plain text: what encryption costs is no matter of calls.
double run_end(const std::string& dial, bool typed, std::uint64_t count, Child* self) {
  posix::Process process{LogLevel::error, 1};
  zmq::Context context;
  const auto transport = need(zmq::ZmqTransport::make(context, {.insecure_plaintext = true}));
  NodeOptions options{.name = dial.empty() ? "far" : "near"};
  if (dial.empty()) {
    options.listen = {"tcp://127.0.0.1:*"};
  } else {
    options.links = {{.node = "far", .address = dial}};
  }
  const auto node = need(
      Node::create(std::move(options), {process.platform(), process.wakeups(&transport->wakeup()), transport.get()}));
  if (dial.empty()) {
    serve(*node, typed);
    self->say(node->listening().front());
  } else {
    need(node->spawn<Caller>({}, std::string{"far/echo"}, typed, count / 10 + 1, count));
  }
  if (process.run(*node) != 0) give_up("the node failed");
  return calls_per_second;
}

double over_tcp(bool typed, std::uint64_t count) {
  Child far{[typed](Child& self) { run_end("", typed, 0, &self); }};
  return run_end(far.hear(), typed, count, nullptr);
}

double measure(const Call& call) {
  const bool typed = call.variant == 1;
  if (call.row == "call/same-worker") return same_worker(typed, call.times(3e6));
  if (call.row == "call/tcp") return over_tcp(typed, call.times(5e4));
  give_up("there is no row " + call.row);
}

}  // namespace
}  // namespace pannier::bench

int main(int argc, char** argv) {
  return pannier::bench::answer(pannier::bench::measure(pannier::bench::read_call(argc, argv)));
}
