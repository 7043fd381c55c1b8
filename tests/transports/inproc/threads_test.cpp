#include <atomic>
#include <string>

#include <doctest/doctest.h>
#include <pannier/inproc.h>
#include "platform/posix/event_wakeup.h"
#include "platform/posix/loop_threads.h"
#include "platform/posix/system_clock.h"

// Two nodes of one process on two threads: what a sanitizer should see.
namespace pannier::inproc {
namespace {

constexpr int kRounds = 5000;

/// Answers every frame with one that counts one further.
class PingPong final : public Loop, public TransportEvents {
 public:
  explicit PingPong(Exchange& exchange) : transport_(exchange, flag_) {}

  Result<std::string> listen() { return transport_.listen("inproc://hub"); }
  void dial() { REQUIRE(transport_.connect("inproc://hub", std::nullopt).ok()); }

  MonoTime step(MonoTime now) override { return transport_.poll(*this) ? now : kNever; }
  Wakeup& wakeup() noexcept override { return flag_; }

  void on_open(ChannelId channel, const PeerIdentity&) override { send(channel, 0); }
  void on_accept(ChannelId, const PeerIdentity&) override {}
  void on_frame(ChannelId channel, std::span<const std::byte> frame) override {
    std::string text;
    for (const std::byte byte : frame) text.push_back(static_cast<char>(byte));
    last = std::stoi(text);
    if (last < kRounds) send(channel, last + 1);
    if (last >= kRounds - 1) done.notify();
  }
  void on_closed(ChannelId, const Error&) override {}

  posix::EventWakeup done;
  int last = 0;

 private:
  void send(ChannelId channel, int number) {
    const std::string text = std::to_string(number);
    (void)transport_.send(channel, std::as_bytes(std::span{text}));
  }
  posix::EventWakeup flag_;
  InprocTransport transport_;
};

TEST_CASE("two threads answer each other until they have counted to the end") {
  Exchange exchange;
  const posix::SystemClock clock;
  PingPong hub{exchange};
  PingPong device{exchange};
  REQUIRE(hub.listen().ok());
  device.dial();
  Loop* const loops[] = {&hub, &device};
  posix::LoopThreads threads{loops, clock};
  hub.done.wait_until(kNever);
  device.done.wait_until(kNever);
  REQUIRE(threads.join(std::chrono::seconds{60}));
  CHECK(hub.last + device.last == 2 * kRounds - 1);
}

}  // namespace
}  // namespace pannier::inproc
