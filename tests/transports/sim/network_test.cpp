#include <algorithm>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include "tests/support/transport_fixtures.h"

namespace pannier::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::bytes_of;
using testing::Peer;

/// A hub and a device with a channel between them.
struct Town {
  explicit Town(std::uint64_t seed = 1) : simulator(seed), network(simulator) {
    REQUIRE(hub.transport->listen("sim://hub").ok());
    std::tie(at_device, at_hub) = dial();
  }
  std::pair<ChannelId, ChannelId> dial() {
    const ChannelId id = device.transport->connect("sim://hub", std::nullopt).value();
    run(seconds{2});
    REQUIRE(device.seen.is_open(id));
    return {id, hub.seen.channels.back().id};
  }
  void run(Duration span) {
    const MonoTime end = simulator.now() + span;
    while (simulator.now() < end) {
      simulator.run_for(milliseconds{1});
      hub.poll();
      device.poll();
    }
  }
  void send(int from, int to) {
    for (int i = from; i < to; ++i) REQUIRE(device.transport->send(at_device, bytes_of(std::to_string(i))).ok());
  }
  [[nodiscard]] const std::vector<std::string>& arrived() { return hub.seen.find(at_hub)->frames; }
  void check_books() const {
    const Network::Counters& books = network.counters();
    CHECK(books.frames_sent + books.frames_duplicated == books.frames_delivered + books.frames_lost + books.frames_cut +
                                                             books.frames_undelivered + network.in_flight());
  }

  Simulator simulator;
  Network network;
  Peer hub{network.make_transport("hub")};
  Peer device{network.make_transport("device")};
  ChannelId at_device{};
  ChannelId at_hub{};
};

std::vector<std::string> numbers(int to) {
  std::vector<std::string> all;
  for (int i = 0; i < to; ++i) all.push_back(std::to_string(i));
  return all;
}

TEST_CASE("frames take their delay, and keep their order however it varies") {
  Town town;
  town.network.set_path("hub", "device", {.delay_min = milliseconds{50}, .delay_mean = milliseconds{100}});
  town.send(0, 200);
  town.run(milliseconds{49});
  CHECK(town.arrived().empty());
  town.run(seconds{5});
  CHECK(town.arrived() == numbers(200));
  town.check_books();
}

TEST_CASE("lost and doubled frames are counted, and the others arrive in order") {
  Town town;
  town.network.set_path("hub", "device", {.loss = 0.2, .duplication = 0.1});
  town.send(0, 500);
  town.run(seconds{5});
  const Network::Counters& books = town.network.counters();
  CHECK(books.frames_lost > 50);
  CHECK(books.frames_duplicated > 20);
  CHECK(town.arrived().size() == 500 - books.frames_lost + books.frames_duplicated);
  const auto& arrived = town.arrived();
  CHECK(std::is_sorted(arrived.begin(), arrived.end(),
                       [](const auto& a, const auto& b) { return std::stoi(a) < std::stoi(b); }));
  town.check_books();
}

TEST_CASE("reordered frames arrive all, in another order") {
  Town town;
  town.network.set_path("hub", "device", {.delay_mean = milliseconds{100}, .reorder = true});
  town.send(0, 100);
  town.run(seconds{5});
  std::vector<std::string> arrived = town.arrived();
  CHECK(arrived != numbers(100));
  std::vector<std::string> expected = numbers(100);
  std::sort(arrived.begin(), arrived.end());
  std::sort(expected.begin(), expected.end());
  CHECK(arrived == expected);
}

TEST_CASE("a silent cut tells nobody: frames vanish, the channel stays half-open for good, a new one works") {
  Town town;
  town.send(0, 10);
  town.run(seconds{1});
  town.network.cut("device", "hub", Cut::silent);
  town.send(10, 20);
  town.run(seconds{100});
  CHECK(town.arrived() == numbers(10));
  CHECK(!town.hub.seen.is_closed(town.at_hub));
  CHECK(!town.device.seen.is_closed(town.at_device));

  const ChannelId in_vain = town.device.transport->connect("sim://hub", std::nullopt).value();
  town.run(seconds{10});
  REQUIRE(town.device.seen.is_closed(in_vain));
  CHECK(town.device.seen.find(in_vain)->closed->code == ErrorCode::timeout);

  town.network.heal("device", "hub");
  town.send(20, 30);
  town.run(seconds{1});
  CHECK(town.arrived() == numbers(10));  // A prefix, never a gap.
  town.dial();
  CHECK(town.network.counters().frames_cut == 20);
  town.check_books();
}

TEST_CASE("a cut of one direction lets the other through") {
  Town town;
  town.network.cut_direction("device", "hub", Cut::silent);
  town.send(0, 5);
  REQUIRE(town.hub.transport->send(town.at_hub, bytes_of("down")).ok());
  town.run(seconds{1});
  CHECK(town.arrived().empty());
  CHECK(town.device.seen.find(town.at_device)->frames == std::vector<std::string>{"down"});
}

TEST_CASE("a reported cut ends the channels at both ends, and refuses dials until it is healed") {
  Town town;
  town.network.isolate("hub", Cut::reported);
  town.run(seconds{1});
  REQUIRE(town.hub.seen.is_closed(town.at_hub));
  REQUIRE(town.device.seen.is_closed(town.at_device));
  CHECK(town.device.seen.find(town.at_device)->closed->code == ErrorCode::unreachable);
  const ChannelId refused = town.device.transport->connect("sim://hub", std::nullopt).value();
  town.run(seconds{1});
  REQUIRE(town.device.seen.is_closed(refused));
  CHECK(town.device.seen.find(refused)->closed->code == ErrorCode::unreachable);
  town.network.rejoin("hub");
  town.dial();
}

TEST_CASE("a clogged path delivers late, and all of it") {
  Town town;
  town.network.clog("device", "hub", seconds{30});
  town.send(0, 50);
  town.run(seconds{29});
  CHECK(town.arrived().empty());
  town.run(seconds{2});
  CHECK(town.arrived() == numbers(50));
}

TEST_CASE("a narrow path takes the time that its bytes need") {
  Town town;
  town.network.set_path("device", "hub", {.delay_min = milliseconds{1}, .delay_mean = {}, .bytes_per_second = 10'000});
  const std::string frame(1000, 'x');
  for (int i = 0; i < 100; ++i) REQUIRE(town.device.transport->send(town.at_device, bytes_of(frame)).ok());
  town.run(milliseconds{5050});
  CHECK(town.arrived().size() == 50);
  town.run(seconds{6});
  CHECK(town.arrived().size() == 100);
}

TEST_CASE("a node that dies ends its channels at the far side, and its successor can listen again") {
  Town town;
  town.hub.transport.reset();
  town.hub.seen.channels.clear();
  town.simulator.run_for(seconds{1});
  town.device.poll();
  CHECK(town.device.seen.is_closed(town.at_device));
  town.hub.transport = town.network.make_transport("hub");
  REQUIRE(town.hub.transport->listen("sim://hub").ok());
  town.dial();
}

TEST_CASE("a device that dies behind a silent cut leaves a half-open channel at the hub") {
  Town town;
  town.network.isolate("device", Cut::silent);
  town.device.transport.reset();
  town.simulator.run_for(seconds{60});
  town.hub.poll();
  CHECK(!town.hub.seen.is_closed(town.at_hub));
  CHECK(town.hub.transport->send(town.at_hub, bytes_of("into the void")).ok());
}

TEST_CASE("keys are told to the far end, and a dial that expects another one fails with permission") {
  Simulator simulator{1};
  Network network{simulator};
  PublicKey hub_key{};
  hub_key.fill(std::byte{1});
  PublicKey device_key{};
  device_key.fill(std::byte{2});
  Peer hub{network.make_transport("hub", hub_key)};
  Peer device{network.make_transport("device", device_key)};
  REQUIRE(hub.transport->listen("sim://hub").ok());
  const ChannelId good = device.transport->connect("sim://hub", hub_key).value();
  const ChannelId bad = device.transport->connect("sim://hub", device_key).value();
  simulator.run_for(seconds{1});
  hub.poll();
  device.poll();
  CHECK(device.seen.find(good)->peer.key == hub_key);
  REQUIRE(device.seen.is_closed(bad));
  CHECK(device.seen.find(bad)->closed->code == ErrorCode::permission);
  REQUIRE(hub.seen.accepted() == 1);
  CHECK(hub.seen.channels.front().peer.key == device_key);
}

TEST_CASE("the same seed gives the same arrivals to the nanosecond") {
  const auto run = [](std::uint64_t seed) {
    Town town{seed};
    town.network.set_path("hub", "device", {.loss = 0.1, .duplication = 0.1, .reorder = true});
    town.send(0, 300);
    town.run(seconds{3});
    return std::pair{town.arrived(), town.simulator.digest()};
  };
  CHECK(run(5) == run(5));
  CHECK(run(5) != run(6));
}

}  // namespace
}  // namespace pannier::sim
