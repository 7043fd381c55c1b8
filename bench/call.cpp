// A typed call beside a bare `ask`, with a table of 64 bytes each way: on one worker, and between two processes over
// TCP, in plain text or with CURVE; and calls beside a stream that nobody reads. `call ROW VARIANT ...`; variant 1
// calls, variant 2 asks.

#include <algorithm>
#include <optional>
#include <vector>

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

/// What one process does, and what came of it.
struct Load {
  bool typed = true;
  bool curve = false;
  std::uint64_t warm_up = 0;
  std::uint64_t count = 0;
  std::uint64_t in_flight = 1;

  double calls_per_second = 0;
  std::vector<double> took_us = {};  ///< Of each call, if they are made one after the other.
};

Table<Sample> turn_of(std::uint64_t number) { return make<Sample>(number, number + 1, 48.137, 11.575, 7.5F, 90.0F); }

struct EchoCalls : EchoServiceServer<EchoCalls> {
  rpc::Response<Sample> turn(const Sample& sample) { return turn_of(sample.turn()); }
  void watch(const Sample&, rpc::Writer<Sample> out) {
    out_ = out;
    out_.on_ready([this] { fill(); });
    fill();
  }

 private:
  void fill() {
    while (out_.write(turn_of(0))) {
    }
  }
  rpc::Writer<Sample> out_;
};
struct EchoQuestions : Actor<EchoQuestions, Sample> {
  auto on(const Sample& sample) { return turn_of(sample.turn()); }
};

struct Caller : Actor<Caller> {
  Caller(const std::string& server, Load* load) : load_(*load), echo_{*this, server} {}
  void on_start() { next(); }

 private:
  void next() {
    const double began = load_.in_flight == 1 && began_ > 0 ? watch_.seconds() : 0;
    const std::uint64_t turn = begun_++;
    if (load_.typed) {
      echo_.turn(turn_of(turn), {.deadline = std::chrono::seconds{5}})
          .then([this, turn, began](const rpc::Response<Sample>& said) {
            heard(said.ok() && said->turn() == turn, began);
          });
    } else {
      ask<Sample>(echo_.server(), turn_of(turn), std::chrono::seconds{5})
          .then([this, turn, began](Result<Table<Sample>> said) { heard(said && (*said)->turn() == turn, began); });
    }
  }
  void heard(bool good, double began) {
    if (!good && done_ != 0) give_up("a call failed");
    if (!good) return static_cast<void>(after(std::chrono::milliseconds{5}, [this] { next(); }));  // no link yet
    if (done_ == 0) {
      for (std::uint64_t i = 1; i < load_.in_flight; ++i) next();
    }
    if (began > 0) load_.took_us.push_back((watch_.seconds() - began) * 1e6);
    if (++done_ == load_.warm_up) {
      watch_.start();
      began_ = done_;
    }
    if (done_ == load_.warm_up + load_.count) {
      load_.calls_per_second = static_cast<double>(load_.count) / watch_.seconds();
      return stop_node();
    }
    next();
  }

  Load& load_;
  EchoServiceClient echo_;
  std::uint64_t begun_ = 0;
  std::uint64_t done_ = 0;
  std::uint64_t began_ = 0;
  Stopwatch watch_;
};

/// Calls one after the other, in turns alone and beside a stream that it does not read.
struct Neighbour : Actor<Neighbour> {
  static constexpr std::uint64_t kTurn = 2'000;
  Neighbour(std::uint64_t turns, std::vector<double> (*took)[2]) : left_(turns * kTurn), took_(*took) {}
  void on_start() {
    watch_.start();
    next();
  }

 private:
  void next() {
    const double began = watch_.seconds();
    echo_.turn(turn_of(left_)).then([this, began](const rpc::Response<Sample>& said) {
      if (!said) return static_cast<void>(after(std::chrono::milliseconds{5}, [this] { next(); }));  // no link yet
      took_[stream_ ? 1 : 0].push_back((watch_.seconds() - began) * 1e6);
      if (--left_ == 0) return stop_node();
      if (left_ % kTurn != 0) return next();
      if (stream_) {
        stream_->cancel();
        stream_.reset();
      } else {
        stream_.emplace(echo_.watch(turn_of(0)));
      }
      after(std::chrono::milliseconds{100}, [this] { next(); });  // until it stands still
    });
  }

  EchoServiceClient echo_{*this, "far/echo"};
  std::uint64_t left_;
  std::vector<double> (&took_)[2];
  std::optional<rpc::Stream<void, Sample, void>> stream_;
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
  Load load{.typed = typed, .warm_up = count / 10 + 1, .count = count, .in_flight = 1};
  need(node->spawn<Caller>({}, std::string{"echo"}, &load));
  if (process.run(*node) != 0) give_up("the node failed");
  return load.calls_per_second;
}

/// Of both ends: made before there are two processes.
struct Keys {
  zmq::KeyPair near = need(zmq::generate_key_pair());
  zmq::KeyPair far = need(zmq::generate_key_pair());
};

/// One of two nodes over TCP, until it stops. `begin` runs once it listens or dials.
template <class Begin>
void run_end(const std::string& dial, bool curve, const Keys& keys, Begin begin) {
  posix::Process process{LogLevel::error, 1};
  zmq::Context context;
  const bool far = dial.empty();
  zmq::ZmqOptions wire;
  if (curve) {
    wire.own_key = far ? keys.far : keys.near;
    wire.allowed_keys = {far ? keys.near.public_key : keys.far.public_key};
  } else {
    wire.insecure_plaintext = true;
  }
  const auto transport = need(zmq::ZmqTransport::make(context, wire));
  NodeOptions options{.name = far ? "far" : "near"};
  if (far) {
    options.listen = {"tcp://127.0.0.1:*"};
  } else {
    options.links = {{.node = "far", .address = dial}};
    if (curve) options.links.front().key = keys.far.public_key;
  }
  const auto node = need(
      Node::create(std::move(options), {process.platform(), process.wakeups(&transport->wakeup()), transport.get()}));
  begin(*node);
  if (process.run(*node) != 0) give_up("the node failed");
}

Load over_tcp(Load load) {
  const Keys keys;
  Child far{[&](Child& self) {
    run_end("", load.curve, keys, [&](Node& node) {
      serve(node, load.typed);
      self.say(node.listening().front());
    });
  }};
  load.warm_up = load.count / 10 + 1;
  run_end(far.hear(), load.curve, keys,
          [&](Node& node) { need(node.spawn<Caller>({}, std::string{"far/echo"}, &load)); });
  return load;
}

Answer beside_stalled(const Call& call) {
  const Keys keys;
  Child far{[&](Child& self) {
    run_end("", false, keys, [&](Node& node) {
      serve(node, true);
      self.say(node.listening().front());
    });
  }};
  std::vector<double> took[2];
  run_end(far.hear(), false, keys, [&](Node& node) { need(node.spawn<Neighbour>({}, 2 * call.times(5), &took)); });
  const auto p99 = [](std::vector<double>& all) {
    std::sort(all.begin(), all.end());
    return all[all.size() * 99 / 100];
  };
  const double alone = p99(took[0]);
  const double beside = p99(took[1]);
  char note[96];
  std::snprintf(note, sizeof note, "p99 %.0f us alone, %.0f us beside the stream", alone, beside);
  return {beside / alone, 0, note};
}

Answer measure(const Call& call) {
  const bool typed = call.variant == 1;
  if (call.row == "call/same-worker") return {same_worker(typed, call.times(3e6)), 0, ""};
  if (call.row == "call/tcp") return {over_tcp({.typed = typed, .count = call.times(5e4)}).calls_per_second, 0, ""};
  if (call.row == "call/latency") return latency(over_tcp({.curve = true, .count = call.times(5e4)}).took_us);
  if (call.row == "call/rate") {
    return {over_tcp({.curve = true, .count = call.times(4e5), .in_flight = 64}).calls_per_second, 0, ""};
  }
  if (call.row == "call/beside-stalled") return beside_stalled(call);
  give_up("there is no row " + call.row);
}

}  // namespace
}  // namespace pannier::bench

int main(int argc, char** argv) {
  return pannier::bench::answer(pannier::bench::measure(pannier::bench::read_call(argc, argv)));
}
