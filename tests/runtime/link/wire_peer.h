#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <pannier/simulation.h>
#include "runtime/link/wire.h"

namespace pannier::testing {

/// A peer that the test writes byte by byte, and that need not read.
struct WirePeer final : TransportEvents {
  WirePeer(testkit::Simulation& simulation, std::string_view name, std::optional<PublicKey> key = {})
      : sim(simulation) {
    transport = sim.network().make_transport(std::string{name}, key);
    channel = *transport->connect("sim://hub", {});
    send({{.kind = wire::Kind::hello, .number = 2000, .first = name}});
  }
  void on_open(ChannelId, const PeerIdentity&) override {}
  void on_accept(ChannelId, const PeerIdentity&) override {}
  void on_frame(ChannelId, std::span<const std::byte> frame) override {
    auto reader = wire::FrameReader::open(frame);
    while (reader && !reader->at_end()) {
      const auto record = reader->next();
      REQUIRE(record);
      if (record->kind == wire::Kind::credit && record->code != 0) told_dropped += record->id;
      if (record->kind == wire::Kind::echo) echoes.emplace_back(record->id, record->number);
      if (record->kind != wire::Kind::goodbye) continue;
      goodbye = record->first;
      code = record->code;
    }
  }
  void on_closed(ChannelId, const Error&) override { closed = true; }
  void send(const std::vector<wire::Record>& records) { REQUIRE(try_send(records)); }
  /// False: the node has hung up, or does not read.
  bool try_send(const std::vector<wire::Record>& records) {
    wire::FrameWriter writer;
    for (const wire::Record& record : records) REQUIRE(writer.add(record));
    return transport->send(channel, writer.frame()).ok();
  }
  void read() {
    while (transport->poll(*this)) {
    }
  }

  testkit::Simulation& sim;
  std::unique_ptr<sim::SimTransport> transport;
  ChannelId channel{};
  std::vector<std::pair<std::uint64_t, std::uint64_t>> echoes;  ///< Position and transit, as they came.
  std::uint64_t told_dropped = 0;                               ///< Tells that the node says it has dropped.
  std::string goodbye;                                          ///< Why the node hung up.
  std::uint16_t code = 0;
  bool closed = false;
};

}  // namespace pannier::testing
