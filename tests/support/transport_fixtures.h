#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <pannier/inproc.h>
#include <pannier/sim.h>
#include <pannier/transport.h>
#include <pannier/zmq.h>
#include "platform/posix/event_wakeup.h"
#include "platform/posix/system_clock.h"

/// How each transport is built for tests. A fixture has make() for a new transport, address() to listen at, peer_key()
/// to dial with, and rest() to let a little time pass, real or virtual, while the given transports have nothing to do.
namespace pannier::testing {

/// Sleeps where the transports sleep, one millisecond at most each: what arrives ends the sleep.
inline void rest_in_real_time(const std::vector<Transport*>& transports) {
  for (Transport* transport : transports) {
    transport->wakeup().wait_until(posix::mono_now() + std::chrono::milliseconds{1});
  }
}

class InprocFixture {
 public:
  [[nodiscard]] std::unique_ptr<Transport> make() {
    wakeups_.push_back(std::make_unique<posix::EventWakeup>());
    return std::make_unique<inproc::InprocTransport>(exchange_, *wakeups_.back());
  }
  [[nodiscard]] std::string address() { return "inproc://hub-" + std::to_string(++number_); }
  [[nodiscard]] std::optional<PublicKey> peer_key() const { return std::nullopt; }
  void rest(const std::vector<Transport*>& transports) { rest_in_real_time(transports); }

 private:
  inproc::Exchange exchange_;
  std::vector<std::unique_ptr<posix::EventWakeup>> wakeups_;
  int number_ = 0;
};

class SimFixture {
 public:
  [[nodiscard]] std::unique_ptr<Transport> make() {
    return network_.make_transport("host-" + std::to_string(++number_));
  }
  [[nodiscard]] std::string address() { return "sim://hub-" + std::to_string(++number_); }
  [[nodiscard]] std::optional<PublicKey> peer_key() const { return std::nullopt; }
  void rest(const std::vector<Transport*>& /*transports*/) { simulator_.run_for(std::chrono::milliseconds{1}); }

 private:
  sim::Simulator simulator_{7};
  sim::Network network_{simulator_, {.connect_timeout = std::chrono::milliseconds{300}}};
  int number_ = 0;
};

/// All transports of the fixture share one context and one key pair, which is allowed.
template <bool encrypted, bool over_tcp>
class ZmqFixture {
 public:
  [[nodiscard]] std::unique_ptr<Transport> make() {
    zmq::ZmqOptions options;
    options.own_key = keys_;
    options.allowed_keys = {keys_.public_key};
    options.insecure_plaintext = !encrypted;
    options.handshake_timeout = std::chrono::milliseconds{1500};
    options.queue_frames = 16;
    Result<std::unique_ptr<zmq::ZmqTransport>> transport = zmq::ZmqTransport::make(context_, options);
    REQUIRE(transport.ok());
    return std::move(*transport);
  }
  [[nodiscard]] std::string address() {
    if (over_tcp) return "tcp://127.0.0.1:*";
    return "ipc:///tmp/pannier-test-" + std::to_string(salt_) + "-" + std::to_string(++number_) + ".sock";
  }
  [[nodiscard]] std::optional<PublicKey> peer_key() const { return keys_.public_key; }
  void rest(const std::vector<Transport*>& transports) { rest_in_real_time(transports); }

 private:
  zmq::Context context_;
  zmq::KeyPair keys_ = zmq::generate_key_pair().value();
  std::uint32_t salt_ = std::random_device{}();
  int number_ = 0;
};
using ZmqCurveTcpFixture = ZmqFixture<true, true>;
using ZmqPlainTcpFixture = ZmqFixture<false, true>;
using ZmqCurveIpcFixture = ZmqFixture<true, false>;
using ZmqPlainIpcFixture = ZmqFixture<false, false>;

/// Writes down what a transport reports. `answer`, when set, is called for each frame, from within the report.
class Recorder final : public TransportEvents {
 public:
  struct Channel {
    ChannelId id{};
    PeerIdentity peer;
    bool accepted = false;
    std::vector<std::string> frames{};
    std::optional<Error> closed{};
  };

  void on_open(ChannelId channel, const PeerIdentity& peer) override {
    REQUIRE(find(channel) == nullptr);
    channels.push_back({channel, peer, false});
  }
  void on_accept(ChannelId channel, const PeerIdentity& peer) override {
    REQUIRE(find(channel) == nullptr);
    channels.push_back({channel, peer, true});
  }
  void on_frame(ChannelId channel, std::span<const std::byte> frame) override {
    Channel* found = find(channel);
    REQUIRE(found != nullptr);
    REQUIRE(!found->closed);
    ++frame_count;
    if (keep_frames) found->frames.emplace_back(reinterpret_cast<const char*>(frame.data()), frame.size());
  }
  void on_closed(ChannelId channel, const Error& cause) override {
    if (find(channel) == nullptr) channels.push_back({channel, {}});  // A dial that failed.
    REQUIRE(!find(channel)->closed);
    find(channel)->closed = cause;
  }

  [[nodiscard]] Channel* find(ChannelId channel) {
    for (Channel& each : channels) {
      if (each.id == channel) return &each;
    }
    return nullptr;
  }
  [[nodiscard]] bool is_open(ChannelId channel) {
    const Channel* found = find(channel);
    return found != nullptr && !found->closed;
  }
  [[nodiscard]] bool is_closed(ChannelId channel) {
    const Channel* found = find(channel);
    return found != nullptr && found->closed;
  }
  [[nodiscard]] std::size_t accepted() const {
    std::size_t count = 0;
    for (const Channel& each : channels) count += each.accepted ? 1 : 0;
    return count;
  }

  std::vector<Channel> channels;
  std::size_t frame_count = 0;
  bool keep_frames = true;
};

/// A transport and what it has reported.
struct Peer {
  std::unique_ptr<Transport> transport;
  Recorder seen{};

  void poll() {
    for (int batch = 0; batch < 64 && transport->poll(seen); ++batch) {
    }
  }
};

/// Polls the peers until `done` holds, resting in between; false after far more rests than any machine needs.
template <class Fixture, class Predicate>
[[nodiscard]] bool drive(Fixture& fixture, const std::vector<Peer*>& peers, Predicate done) {
  std::vector<Transport*> transports;
  for (Peer* peer : peers) transports.push_back(peer->transport.get());
  for (int round = 0; round < 10'000; ++round) {
    for (Peer* peer : peers) peer->poll();
    if (done()) return true;
    fixture.rest(transports);
  }
  return false;
}

inline std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span{text}); }

}  // namespace pannier::testing
