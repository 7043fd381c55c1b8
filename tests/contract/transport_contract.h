#pragma once

#include <cstddef>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <pannier/limits.h>
#include <pannier/transport.h>
#include "tests/support/transport_fixtures.h"

/// What every transport promises (include/pannier/transport.h), as one suite, run on each implementation by
/// tests/contract/transport_test.cpp.
namespace pannier::contract {

using testing::bytes_of;
using testing::drive;
using testing::Peer;

/// A listener and a dialler with an open channel between them; `arrived` has proven both directions.
template <class Fixture>
struct Pair {
  Fixture fixture;
  Peer hub{fixture.make()};
  Peer device{fixture.make()};
  std::string address;
  ChannelId at_device{};
  ChannelId at_hub{};

  Pair() {
    Result<std::string> listening = hub.transport->listen(fixture.address());
    REQUIRE(listening.ok());
    address = *listening;
    std::tie(at_device, at_hub) = dial(device);
  }

  /// A stranger need not be seen before it has sent something, so the dialler says a word first.
  std::pair<ChannelId, ChannelId> dial(Peer& dialler) {
    const std::size_t before = hub.seen.channels.size();
    const Result<ChannelId> dialled = dialler.transport->connect(address, fixture.peer_key());
    REQUIRE(dialled.ok());
    const ChannelId id = *dialled;
    REQUIRE(drive(fixture, {&hub, &dialler}, [&] { return dialler.seen.find(id) != nullptr; }));
    REQUIRE(dialler.seen.is_open(id));
    REQUIRE(dialler.transport->send(id, bytes_of("hello")).ok());
    REQUIRE(drive(fixture, {&hub, &dialler},
                  [&] { return hub.seen.channels.size() > before && !hub.seen.channels[before].frames.empty(); }));
    REQUIRE(hub.seen.channels[before].accepted);
    REQUIRE(hub.seen.channels[before].frames.front() == "hello");
    hub.seen.channels[before].frames.clear();
    hub.seen.frame_count = 0;
    return {id, hub.seen.channels[before].id};
  }

  bool drive_both(auto done) { return drive(fixture, {&hub, &device}, done); }
};

TEST_CASE_TEMPLATE_DEFINE("frames arrive whole and in order, both ways", Fixture, transport_order) {
  Pair<Fixture> pair;
  constexpr std::size_t kFrames = 500;
  std::size_t up = 0;
  std::size_t down = 0;
  const auto frame = [](std::size_t number) { return std::to_string(number) + std::string(number * 7 % 3000, 'x'); };
  auto& at_hub = pair.hub.seen.find(pair.at_hub)->frames;
  auto& at_device = pair.device.seen.find(pair.at_device)->frames;
  REQUIRE(pair.drive_both([&] {
    while (up < kFrames && pair.device.transport->send(pair.at_device, bytes_of(frame(up)))) ++up;
    while (down < kFrames && pair.hub.transport->send(pair.at_hub, bytes_of(frame(down)))) ++down;
    return at_hub.size() == kFrames && at_device.size() == kFrames;
  }));
  for (std::size_t i = 0; i < kFrames; ++i) {
    REQUIRE(at_hub[i] == frame(i));
    REQUIRE(at_device[i] == frame(i));
  }
  const Transport::Counters sent = pair.device.transport->counters();
  const Transport::Counters received = pair.hub.transport->counters();
  CHECK(sent.frames_sent == kFrames + 1);
  CHECK(received.frames_received == kFrames + 1);
  CHECK(sent.bytes_sent == received.bytes_received);
}

TEST_CASE_TEMPLATE_DEFINE("an empty frame and the largest one pass; a larger one is refused", Fixture,
                          transport_sizes) {
  Pair<Fixture> pair;
  const std::string largest(limits::kFrameBytes, 'L');
  REQUIRE(pair.device.transport->send(pair.at_device, {}).ok());
  REQUIRE(pair.device.transport->send(pair.at_device, bytes_of(largest)).ok());
  const Result<void> refused = pair.device.transport->send(pair.at_device, bytes_of(largest + "!"));
  REQUIRE(!refused.ok());
  CHECK(refused.error().code == ErrorCode::invalid_argument);
  auto& frames = pair.hub.seen.find(pair.at_hub)->frames;
  REQUIRE(pair.drive_both([&] { return frames.size() == 2; }));
  CHECK(frames[0].empty());
  CHECK(frames[1] == largest);
}

TEST_CASE_TEMPLATE_DEFINE("a full channel says so, takes nothing, and drains later", Fixture, transport_full) {
  Pair<Fixture> pair;
  pair.hub.seen.keep_frames = false;
  pair.device.seen.keep_frames = false;
  bool from_hub = false;
  SUBCASE("from the dialler") { from_hub = false; }
  SUBCASE("from the listener") { from_hub = true; }
  Peer& sender = from_hub ? pair.hub : pair.device;
  Peer& receiver = from_hub ? pair.device : pair.hub;
  const ChannelId channel = from_hub ? pair.at_hub : pair.at_device;
  const std::size_t before = receiver.seen.frame_count;
  const std::string frame(64 * 1024, 'f');
  std::size_t taken = 0;
  Result<void> last;
  while (taken < 4000 && (last = sender.transport->send(channel, bytes_of(frame))).ok()) ++taken;
  REQUIRE(!last.ok());
  CHECK(last.error().code == ErrorCode::full);
  CHECK(taken > 0);

  // It takes more once the far end has read, and its owner is woken for it.
  const auto room = [&] { return sender.transport->send(channel, bytes_of(frame)).ok(); };
  REQUIRE(drive(pair.fixture, {&receiver, &sender}, room));
  ++taken;
  REQUIRE(pair.drive_both([&] { return receiver.seen.frame_count - before >= taken; }));
  CHECK(receiver.seen.frame_count - before == taken);
}

TEST_CASE_TEMPLATE_DEFINE("the dialler closes: the listener learns it, the dialler hears no more", Fixture,
                          transport_close_dialled) {
  Pair<Fixture> pair;
  pair.device.transport->close(pair.at_device);
  REQUIRE(pair.drive_both([&] { return pair.hub.seen.is_closed(pair.at_hub); }));
  CHECK(!pair.device.seen.is_closed(pair.at_device));
  const Result<void> sent = pair.device.transport->send(pair.at_device, bytes_of("late"));
  REQUIRE(!sent.ok());
  CHECK(sent.error().code == ErrorCode::closed);
  const Result<void> answered = pair.hub.transport->send(pair.at_hub, bytes_of("late"));
  REQUIRE(!answered.ok());
  CHECK(answered.error().code == ErrorCode::closed);
}

TEST_CASE_TEMPLATE_DEFINE("the listener closes: the dialler learns it, and can dial again", Fixture,
                          transport_close_accepted) {
  Pair<Fixture> pair;
  pair.hub.transport->close(pair.at_hub);
  const Result<void> sent = pair.hub.transport->send(pair.at_hub, bytes_of("late"));
  REQUIRE(!sent.ok());
  CHECK(sent.error().code == ErrorCode::closed);
  REQUIRE(pair.drive_both([&] { return pair.device.seen.is_closed(pair.at_device); }));
  CHECK(!pair.hub.seen.is_closed(pair.at_hub));

  const auto [again_at_device, again_at_hub] = pair.dial(pair.device);
  CHECK(again_at_device != pair.at_device);
  CHECK(again_at_hub != pair.at_hub);
}

TEST_CASE_TEMPLATE_DEFINE("a dial that nobody answers ends", Fixture, transport_nobody) {
  Pair<Fixture> pair;
  pair.hub.transport.reset();
  const Result<ChannelId> dialled = pair.device.transport->connect(pair.address, pair.fixture.peer_key());
  REQUIRE(dialled.ok());
  REQUIRE(drive(pair.fixture, {&pair.device}, [&] { return pair.device.seen.is_closed(*dialled); }));
  const ErrorCode cause = pair.device.seen.find(*dialled)->closed->code;
  CHECK((cause == ErrorCode::unreachable || cause == ErrorCode::timeout));
}

TEST_CASE_TEMPLATE_DEFINE("a listener that vanishes ends its channels and leaves its address free", Fixture,
                          transport_listener_vanishes) {
  Pair<Fixture> pair;
  pair.hub.transport.reset();
  REQUIRE(drive(pair.fixture, {&pair.device}, [&] { return pair.device.seen.is_closed(pair.at_device); }));
  // Its address is free for the next one.
  pair.hub.transport = pair.fixture.make();
  const Result<std::string> listening = pair.hub.transport->listen(pair.address);
  REQUIRE(listening.ok());
  pair.dial(pair.device);
}

TEST_CASE_TEMPLATE_DEFINE("a dialler that vanishes ends its channel at the listener, which goes on", Fixture,
                          transport_dialler_vanishes) {
  Pair<Fixture> pair;
  pair.device.transport.reset();
  REQUIRE(drive(pair.fixture, {&pair.hub}, [&] { return pair.hub.seen.is_closed(pair.at_hub); }));
  Peer other{pair.fixture.make()};
  pair.dial(other);
}

TEST_CASE_TEMPLATE_DEFINE("two diallers of one listener are told apart", Fixture, transport_two_diallers) {
  Pair<Fixture> pair;
  Peer other{pair.fixture.make()};
  const auto [at_other, other_at_hub] = pair.dial(other);
  REQUIRE(other_at_hub != pair.at_hub);
  REQUIRE(pair.hub.transport->send(pair.at_hub, bytes_of("for the first")).ok());
  REQUIRE(pair.hub.transport->send(other_at_hub, bytes_of("for the second")).ok());
  const ChannelId second = at_other;
  REQUIRE(drive(pair.fixture, {&pair.hub, &pair.device, &other}, [&] {
    return !pair.device.seen.find(pair.at_device)->frames.empty() && !other.seen.find(second)->frames.empty();
  }));
  CHECK(pair.device.seen.find(pair.at_device)->frames == std::vector<std::string>{"for the first"});
  CHECK(other.seen.find(second)->frames == std::vector<std::string>{"for the second"});
}

TEST_CASE_TEMPLATE_DEFINE("an address that is taken is refused by name", Fixture, transport_in_use) {
  Pair<Fixture> pair;
  Peer other{pair.fixture.make()};
  const Result<std::string> second = other.transport->listen(pair.address);
  REQUIRE(!second.ok());
  CHECK(second.error().code == ErrorCode::in_use);
  CHECK(second.error().detail.find(pair.address) != std::string::npos);
  // And who had it keeps it.
  pair.dial(other);
}

TEST_CASE_TEMPLATE_DEFINE("an address that cannot be is refused", Fixture, transport_bad_address) {
  Fixture fixture;
  Peer peer{fixture.make()};
  for (const char* address : {"", "hub", "nothing://hub:1"}) {
    const Result<std::string> listening = peer.transport->listen(address);
    REQUIRE(!listening.ok());
    CHECK(listening.error().code == ErrorCode::invalid_argument);
    const Result<ChannelId> dialled = peer.transport->connect(address, fixture.peer_key());
    REQUIRE(!dialled.ok());
    CHECK(dialled.error().code == ErrorCode::invalid_argument);
  }
}

TEST_CASE_TEMPLATE_DEFINE("a channel that never was is closed", Fixture, transport_unknown_channel) {
  Fixture fixture;
  Peer peer{fixture.make()};
  const Result<void> sent = peer.transport->send(ChannelId{4711}, bytes_of("x"));
  REQUIRE(!sent.ok());
  CHECK(sent.error().code == ErrorCode::closed);
  peer.transport->close(ChannelId{4711});
}

TEST_CASE_TEMPLATE_DEFINE("a notification ends the next wait", Fixture, transport_wakeup) {
  Fixture fixture;
  Peer peer{fixture.make()};
  peer.transport->wakeup().notify();
  peer.transport->wakeup().notify();
  peer.transport->wakeup().wait_until(kNever);
  peer.poll();
}

TEST_CASE_TEMPLATE_DEFINE("a receiver may send and close from within its calls", Fixture, transport_reentrant) {
  struct Closer final : TransportEvents {
    explicit Closer(Transport& the_transport) : transport(the_transport) {}
    void on_open(ChannelId, const PeerIdentity&) override {}
    void on_accept(ChannelId, const PeerIdentity&) override {}
    void on_frame(ChannelId channel, std::span<const std::byte> frame) override {
      ++frames;
      (void)transport.send(channel, frame);
      transport.close(channel);
    }
    void on_closed(ChannelId, const Error&) override { ++closed; }
    Transport& transport;
    int frames = 0;
    int closed = 0;
  };
  Pair<Fixture> pair;
  Closer closer{*pair.device.transport};
  for (int i = 0; i < 5; ++i) REQUIRE(pair.hub.transport->send(pair.at_hub, bytes_of("x")).ok());
  REQUIRE(drive(pair.fixture, {&pair.hub}, [&] {
    while (pair.device.transport->poll(closer)) {
    }
    return pair.hub.seen.is_closed(pair.at_hub);
  }));
  CHECK(closer.frames == 1);
  CHECK(closer.closed == 0);
}

}  // namespace pannier::contract
