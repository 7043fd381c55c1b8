#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include <pannier/limits.h>
#include "runtime/link/wire.h"
#include "tests/runtime/link/fleet.h"

namespace pannier::testing {
namespace {

TEST_CASE("two nodes that have said hello ask each other, whoever dialled") {
  Fleet fleet;
  auto hub = fleet.hub();
  auto device = fleet.device("device");
  device->ask("hub/echo", 1);
  CHECK(fleet.script.take() == "unreachable");  // not yet
  fleet.run(1s);
  device->ask("hub/echo", 1);
  fleet.run(1s);
  hub->ask("device/echo", 10);
  fleet.run(1s);
  CHECK(fleet.script.take() == "2; 11");
}

TEST_CASE("a node that calls itself otherwise than it was dialled is turned away") {
  Fleet fleet;
  auto impostor = fleet.hub("impostor");
  auto device = fleet.device("device", "hub", "sim://impostor");
  fleet.run(5s);
  device->ask("hub/echo", 1);
  device->ask("impostor/echo", 1);
  fleet.run(1s);
  CHECK(fleet.script.take() == "unreachable; unreachable");
}

TEST_CASE("a node that bears this node's own name is turned away") {
  Fleet fleet;
  auto hub = fleet.hub();
  auto twin = fleet.device("hub", "depot", "sim://hub");
  fleet.run(5s);
  hub->ask("hub/echo", 1);  // itself
  fleet.run(1s);
  CHECK(fleet.script.take() == "2");
}

/// The far end of a link, byte by byte.
struct Stranger final : TransportEvents {
  void on_open(ChannelId, const PeerIdentity&) override {}
  void on_accept(ChannelId channel, const PeerIdentity&) override {
    ++accepted;
    if (!greeting.empty()) CHECK(transport->send(channel, greeting));
  }
  void on_frame(ChannelId, std::span<const std::byte>) override {}
  void on_closed(ChannelId, const Error&) override { ++closed; }
  void run(Fleet& fleet, Duration span) {
    for (const MonoTime end = fleet.simulator.now() + span; fleet.simulator.now() < end; fleet.run(10ms)) {
      while (transport->poll(*this)) {
      }
    }
  }
  std::unique_ptr<sim::SimTransport> transport;
  std::vector<std::byte> greeting;
  int accepted = 0;
  int closed = 0;
};

std::vector<std::byte> hello_of(std::string_view name) {
  wire::FrameWriter writer;
  CHECK(writer.add({.kind = wire::Kind::hello, .number = 2000, .first = name}));
  const auto frame = writer.frame();
  return {frame.begin(), frame.end()};
}

TEST_CASE("a peer of another version is left, and tried again at the longest interval only") {
  Fleet fleet;
  Stranger hub;
  hub.transport = fleet.network.make_transport("hub");
  REQUIRE(hub.transport->listen("sim://hub"));
  hub.greeting = hello_of("hub");
  hub.greeting[2] = std::byte{2};
  auto device = fleet.device("device");
  hub.run(fleet, 300s);
  CHECK(hub.accepted == hub.closed);
  CHECK(hub.accepted >= 5);
  CHECK(hub.accepted <= 50);  // 15 s in the mean; with a short interval it would be thousands
}

TEST_CASE("a peer that says nothing after the channel is open, or nothing that parses, is left") {
  Fleet fleet;
  Stranger hub;
  hub.transport = fleet.network.make_transport("hub");
  REQUIRE(hub.transport->listen("sim://hub"));
  auto device = fleet.device("device");
  hub.run(fleet, 4s);
  CHECK(hub.accepted == 1);
  CHECK(hub.closed == 0);
  hub.run(fleet, 3s);
  CHECK(hub.closed >= 1);
  hub.greeting = std::vector<std::byte>(100, std::byte{0x41});
  hub.run(fleet, 60s);
  CHECK(hub.closed >= 3);
}

TEST_CASE("silence is noticed within three heartbeats, and answers what was in flight") {
  Fleet fleet;
  auto hub = fleet.hub();
  auto device = fleet.device("device");
  fleet.run(60s);  // an idle link lives
  fleet.network.cut("hub", "device", sim::Cut::silent);
  device->ask("hub/echo", 1, 60s);
  fleet.run(2900ms);
  CHECK(fleet.script.take() == "");
  fleet.run(3100ms);
  CHECK(fleet.script.take() == "unreachable");
  fleet.network.heal_all();
  fleet.run(31s);
  device->ask("hub/echo", 1);
  fleet.run(1s);
  CHECK(fleet.script.take() == "2");
}

TEST_CASE("the longer heartbeat of both ends counts for both") {
  Fleet fleet;
  auto hub = fleet.hub();
  Device device{fleet.simulator,
                fleet.network,
                fleet.script,
                {.name = "device", .links = {{.node = "hub", .address = "sim://hub", .heartbeat = 20s}}}};
  fleet.run(60s);
  const std::uint64_t before = fleet.network.counters().frames_sent;
  fleet.run(200s);
  CHECK(fleet.network.counters().frames_sent - before <= 22);
  fleet.network.cut("hub", "device", sim::Cut::silent);
  hub->ask("device/echo", 1, 10min);
  fleet.run(29s);
  CHECK(fleet.script.take() == "");
  fleet.run(31s);
  CHECK(fleet.script.take() == "unreachable");
}

TEST_CASE("a device that has announced its sleep is not taken for gone before its time") {
  Fleet fleet;
  auto hub = fleet.hub();
  auto device = fleet.device("device");
  fleet.run(5s);
  let(fleet.simulator, *device->node, device->hand, [](Hand& hand) { hand.announce_sleep(60s); });
  fleet.run(100ms);
  fleet.network.cut_direction("device", "hub", sim::Cut::silent);
  fleet.run(50s);
  CHECK_FALSE(hub->node.log().has("nothing heard"));
  fleet.run(15s);
  CHECK(hub->node.log().has("nothing heard"));
}

TEST_CASE("a link that is cut off answers what was in flight at once") {
  Fleet fleet;
  auto hub = fleet.hub();
  std::vector<Responder> questions;
  REQUIRE(hub->node->spawn<Sphinx>(SpawnOptions{.name = "sphinx"}, &questions));
  auto device = fleet.device("device");
  fleet.run(1s);
  device->ask("hub/sphinx", 1, 60s);
  fleet.run(1s);
  CHECK(questions.size() == 1);
  fleet.network.cut("hub", "device", sim::Cut::reported);
  fleet.run(100ms);
  CHECK(fleet.script.take() == "unreachable");
  questions.clear();
}

TEST_CASE("a question abroad has one outcome: not found, a timeout, or the reply; a late one is counted") {
  Fleet fleet;
  auto hub = fleet.hub();
  std::vector<Responder> questions;
  REQUIRE(hub->node->spawn<Sphinx>(SpawnOptions{.name = "sphinx"}, &questions));
  auto device = fleet.device("device");
  fleet.run(1s);
  device->ask("hub/nobody", 1);
  fleet.run(1s);
  CHECK(fleet.script.take() == "not_found");
  // The asker's node and the asked one both keep the deadline; that there is one outcome is what counts.
  device->ask("hub/sphinx", 1, 500ms);
  fleet.run(1s);
  CHECK(fleet.script.take() == "timeout");
  REQUIRE(questions.size() == 1);
  questions[0].reply(make<Number>(5));
  fleet.run(1s);
  CHECK(fleet.script.take() == "");
  CHECK(hub->node->dead_letters(DeadLetterReason::late_reply) +
            device->node->dead_letters(DeadLetterReason::late_reply) >=
        1);
  questions.clear();
}

TEST_CASE("a message from abroad names its sender, who can be told in turn") {
  Fleet fleet;
  auto hub = fleet.hub();
  auto device = fleet.device("device");
  struct Caller : Actor<Caller, Hand::Order, Number> {
    explicit Caller(Script* script) : script_(script) {}
    void on(const Hand::Order&) { CHECK(tell(ref("hub/echo"), note("call me"))); }
    void on(const Number& number) { script_->note("told " + std::to_string(number.value())); }
    Script* script_;
  };
  const auto caller = *device->node->spawn<Caller>(SpawnOptions{.name = "caller"}, &fleet.script);
  fleet.run(1s);
  REQUIRE(device->node->tell(caller, Hand::Order{}));
  fleet.run(1s);
  CHECK(fleet.script.take() == "call me from device/caller; told 7");
}

TEST_CASE("a restarted device is linked again at once, though the hub still holds its old link") {
  Fleet fleet;
  auto hub = fleet.hub();
  auto device = fleet.device("device");
  fleet.run(2s);
  fleet.network.isolate("device", sim::Cut::silent);
  device.reset();  // the hub hears nothing of it
  fleet.network.rejoin("device");
  device = fleet.device("device");
  fleet.run(1s);
  device->ask("hub/echo", 1);
  fleet.run(1s);
  hub->ask("device/echo", 10);
  fleet.run(1s);
  CHECK(fleet.script.take() == "2; 11");
  fleet.run(30s);
  hub->ask("device/echo", 20);  // the end of the old link does not end the new one
  fleet.run(1s);
  CHECK(fleet.script.take() == "21");
}

TEST_CASE("two nodes that dial each other settle on one link") {
  Fleet fleet;
  Device left{fleet.simulator,
              fleet.network,
              fleet.script,
              {.name = "left", .links = {{"right", "sim://right"}}, .listen = {"sim://left"}}};
  Device right{fleet.simulator,
               fleet.network,
               fleet.script,
               {.name = "right", .links = {{"left", "sim://left"}}, .listen = {"sim://right"}}};
  fleet.run(10s);
  const std::uint64_t dials = fleet.network.counters().dials;
  fleet.run(60s);
  CHECK(fleet.network.counters().dials <= dials + 5);
  left.ask("right/echo", 1);
  fleet.run(1s);
  right.ask("left/echo", 10);
  fleet.run(1s);
  CHECK(fleet.script.take() == "2; 11");
}

TEST_CASE("a node that stops says goodbye: its peers know at once") {
  Fleet fleet;
  auto hub = fleet.hub();
  auto device = fleet.device("device");
  fleet.run(2s);
  hub->node->stop();
  fleet.run(500ms);
  CHECK(hub->node->stopped());
  device->ask("hub/echo", 1, 60s);
  fleet.run(1ms);
  CHECK(fleet.script.take() == "unreachable");
}

TEST_CASE("a fleet that lost its hub dials spread out, is back within seconds, and dials less often in the long run") {
  Fleet fleet;
  auto hub = fleet.hub();
  std::vector<std::unique_ptr<Device>> devices;
  for (int i = 0; i < 60; ++i) devices.push_back(fleet.device("device-" + std::to_string(i)));
  const auto most_dials = [&](int tenths) {
    std::uint64_t most = 0;
    for (int i = 0; i < tenths; ++i) {
      const std::uint64_t before = fleet.network.counters().dials;
      fleet.run(100ms);
      most = std::max(most, fleet.network.counters().dials - before);
    }
    return most;
  };
  const auto all_are_back = [&] {
    for (auto& device : devices) device->ask("hub/echo", 1);
    fleet.run(1s);
    CHECK(std::count(fleet.script.lines.begin(), fleet.script.lines.end(), "2") == 60);
    fleet.script.take();
  };
  fleet.run(10s);
  fleet.network.isolate("hub", sim::Cut::reported);
  fleet.run(10s);
  CHECK(most_dials(300) <= 20);  // a third of the fleet
  fleet.network.heal_all();
  fleet.run(3s);
  all_are_back();
  fleet.network.isolate("hub", sim::Cut::reported);
  fleet.run(4min);
  CHECK(most_dials(300) <= 6);  // a tenth
  fleet.network.heal_all();
  fleet.run(31s);
  all_are_back();
}

TEST_CASE("of a crowd that comes at once a hub takes some, and the others come when it has asked them to") {
  Fleet fleet;
  auto hub = fleet.hub();
  std::vector<std::unique_ptr<Device>> devices;
  for (int i = 0; i < 500; ++i) devices.push_back(fleet.device("device-" + std::to_string(i)));
  fleet.run(60s);
  fleet.network.isolate("hub", sim::Cut::reported);
  fleet.run(10s);
  fleet.network.heal_all();
  std::size_t linked = 0;
  std::size_t most = 0;
  const auto count = [&] {
    std::size_t ups = 0;
    for (auto& device : devices) {
      if (device->node->tell(device->node->ref("hub/echo"), note("here"))) ++ups;
    }
    return ups;
  };
  for (int second = 0; second < 10; ++second) {
    fleet.run(1s);
    const std::size_t now = count();
    most = std::max(most, now - std::min(now, linked));
    linked = now;
  }
  CHECK(linked == 500);
  CHECK(most <= 2 * limits::kAcceptsPerSecond);
}

/// Answers by asking an actor of another node.
struct RelayAbroad : Actor<RelayAbroad, Number> {
  void on(const Number& number, const Responder& responder) {
    ask<Number>(ref("far/echo"), make<Number>(number.value()), 1s).then([responder](Result<Table<Number>> answer) {
      if (answer) {
        responder.reply(*answer);
      } else {
        responder.refuse(answer.error().code);
      }
    });
  }
};

TEST_CASE("a question that came over a link may be passed on over another one") {
  Fleet fleet;
  auto hub = fleet.hub();
  auto near = fleet.device("near");
  auto far = fleet.device("far");
  REQUIRE(hub->node->spawn<RelayAbroad>(SpawnOptions{.name = "relay"}));
  fleet.run(1s);
  near->ask("hub/relay", 41);
  fleet.run(1s);
  CHECK(fleet.script.take() == "42");
}

}  // namespace
}  // namespace pannier::testing
