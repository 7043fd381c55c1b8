// A child process for kill_loop_test.cpp: one end of a durable lane, on a real file and a real socket, until it is
// killed.
//
//   delivery_process send FOLDER LIFE      enqueues numbers for ever; prints "+ NUMBER" once a receipt is there
//   delivery_process receive FOLDER LIFE   each number's effect is a line of state; prints "= NUMBER" for each handled
//   delivery_process drain-send, drain-receive: the same without new numbers; prints "idle" once nothing waits
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <pannier/pannier.h>
#include <pannier/process.h>
#include <pannier/sqlite_store.h>
#include <pannier/zmq.h>
#include "runtime/actor/system.h"
#include "runtime/store/store.h"
#include "tests/runtime/schema/messages.fbs.h"

namespace {

using namespace std::chrono_literals;
using pannier::make;
using pannier::testing::Number;

void say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

/// Numbers of one life never come again in another. Four keys, in turns.
struct Sender : pannier::Actor<Sender> {
  explicit Sender(std::int64_t life) : next_(life * 1'000'000) {}
  void on_start() {
    for (int i = 0; i < 8; ++i) send();
  }

 private:
  void send() {
    const std::int64_t number = ++next_;
    enqueue("receiver/orders", "key-" + std::to_string(number % 4), make<Number>(number))
        .then([this, number](pannier::Result<pannier::Receipt> receipt) {
          if (receipt) say("+ " + std::to_string(number));
          after(2ms, [this] { send(); });
        });
  }
  std::int64_t next_;
};

struct Receiver : pannier::Actor<Receiver, Number> {
  explicit Receiver(std::int64_t life) : life_(life) {}
  void on_start() { consume<Number>("orders", {.window = 8, .max_attempts = 1'000'000}).ignore(); }
  void on(const Number& number, pannier::Delivery delivery) {
    // A line for each effect: two lines of one number are an effect twice.
    pannier::Batch effects;
    const std::int64_t order = life_ * 1'000'000 + ++count_;
    effects.put_state("e/" + std::to_string(number.value()) + "/" + std::to_string(order), make<Number>(order));
    commit(delivery, std::move(effects)).then([value = number.value()](pannier::Result<pannier::Receipt> stored) {
      if (stored) say("= " + std::to_string(value));
    });
  }

 private:
  std::int64_t life_;
  std::int64_t count_ = 0;
};

struct Idle : pannier::Actor<Idle> {
  void on_start() { every(20ms, &Idle::look); }
  void look() {
    ask<pannier::QueueStatus>(pannier::LocalRef{system().queue}, pannier::Inspect{}, 1s)
        .then([](pannier::Result<pannier::QueueStatus> status) {
          if (!status) return;
          std::uint64_t waiting = 0;
          for (const pannier::StreamStatus& stream : status->streams) {
            waiting += stream[pannier::RowState::ready].messages;
          }
          if (waiting == 0) say("idle");
        });
  }
};

int run(const std::string& mode, const std::string& folder, std::int64_t life) {
  pannier::posix::Process process(pannier::LogLevel::error);
  const bool sends = mode.ends_with("send");
  const std::string name = sends ? "sender" : "receiver";
  auto store = pannier::open_sqlite_store({.path = folder + "/" + name + ".db",
                                           .entropy = process.platform().entropy,
                                           .checkpoint_pages = 8,
                                           .reserve_bytes = 65536});
  if (!store) {
    say("! " + store.error().text());
    return 3;
  }
  for (const std::string& finding : (*store)->findings()) say("! " + finding);
  pannier::zmq::Context context;
  auto transport = pannier::zmq::ZmqTransport::make(context, {.insecure_plaintext = true});
  if (!transport) return 4;
  const std::string address = "ipc://" + folder + "/socket";
  pannier::NodeOptions options{.name = name};
  if (sends) {
    options.links = {{.node = "receiver", .address = address}};
  } else {
    options.listen = {address};
  }
  auto node = pannier::Node::create(std::move(options), {process.platform(), process.wakeups(&(*transport)->wakeup()),
                                                         transport->get(), store->get()});
  if (!node) {
    say("! " + node.error().text());
    return 5;
  }
  if (mode == "send" && !(*node)->spawn<Sender>({}, life)) return 6;
  if (!sends && !(*node)->spawn<Receiver>({}, life)) return 6;
  if (mode.starts_with("drain") && !(*node)->spawn<Idle>()) return 6;
  return process.run(**node);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  return run(argv[1], argv[2], std::strtoll(argv[3], nullptr, 10));
}
