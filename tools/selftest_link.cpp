#include "tools/selftest_link.h"

#include <optional>

#include <pannier/message.h>
#include <pannier/zmq.h>
#include "platform/posix/system_clock.h"
#include "runtime/link/wire.h"
#include "tools/output.h"

namespace pannier::tools {
namespace {

/// What one dial came to.
struct Dial final : TransportEvents {
  explicit Dial(Transport& over) : transport(over) {}

  /// Whatever comes first makes an accepting node say hello. A heartbeat before our own hello claims nothing, and is
  /// passed over.
  void on_open(ChannelId channel, const PeerIdentity&) override {
    opened = posix::mono_now();
    wire::FrameWriter writer;
    Result<void> sent = writer.add({.kind = wire::Kind::heartbeat});
    if (sent) sent = transport.send(channel, writer.frame());
    if (!sent) error = sent.error();
  }
  void on_accept(ChannelId, const PeerIdentity&) override {}
  void on_frame(ChannelId, std::span<const std::byte> borrowed) override {
    const BlockRef frame = BlockRef::copy_of(borrowed);  // aligned, as the reader wants it
    auto reader = wire::FrameReader::open(frame.bytes());
    if (!reader) {
      error = reader.error();
      return;
    }
    const auto record = reader->next();
    if (!record || record->kind != wire::Kind::hello) {
      error = Error{ErrorCode::malformed, "It does not say hello: it is no Pannier node."};
      return;
    }
    name = record->first;
    answered = posix::mono_now();
  }
  void on_closed(ChannelId, const Error& cause) override { error = cause; }
  [[nodiscard]] bool is_over() const { return error || name; }

  Transport& transport;
  MonoTime dialled = posix::mono_now();
  std::optional<MonoTime> opened;
  MonoTime answered{};
  std::optional<std::string> name;
  std::optional<Error> error;
};

std::uint64_t in_us(Duration value) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(value).count());
}

void run(Dial& dial, const LinkOptions& link, Duration limit) {
  const auto channel = dial.transport.connect(link.address, link.key);
  if (!channel) {
    dial.error = channel.error();
    return;
  }
  const MonoTime deadline = dial.dialled + limit;
  while (!dial.is_over()) {
    if (dial.transport.poll(dial) || dial.is_over()) continue;
    if (posix::mono_now() >= deadline) {
      dial.error = Error{ErrorCode::timeout, dial.opened ? "It did not say hello in time: is it a Pannier node?"
                                                         : "It did not answer in time: check its address."};
      break;
    }
    dial.transport.wakeup().wait_until(deadline);
  }
  dial.transport.close(*channel);
}

}  // namespace

Check check_link(const LinkOptions& link, const zmq::KeyPair& keys, Duration limit) {
  Check check{"link", Verdict::failed, format("%s at %s: ", link.node.c_str(), link.address.c_str())};
  zmq::Context context;
  zmq::ZmqOptions options;
  options.own_key = keys;
  options.insecure_plaintext = !link.key;
  options.handshake_timeout = limit;
  const auto transport = zmq::ZmqTransport::make(context, options);
  if (!transport) {
    check.text += sentence(transport.error());
    return check;
  }
  Dial dial{**transport};
  run(dial, link, limit);
  if (dial.error) {
    check.text += sentence(*dial.error);
    return check;
  }
  const std::uint64_t round_trip_us = in_us(dial.answered - *dial.opened);
  const std::uint64_t handshake_us = in_us(*dial.opened - dial.dialled);
  check.figures = {{"round_trip_us", round_trip_us}, {"handshake_us", handshake_us}};
  check.text += format("%s link in %.1f ms, round trip %.1f ms", link.key ? "encrypted" : "unencrypted",
                       static_cast<double>(handshake_us) / 1e3, static_cast<double>(round_trip_us) / 1e3);
  if (*dial.name != link.node) {
    check.text += format("; but it calls itself '%s': correct node in [[link]]", dial.name->c_str());
    return check;
  }
  check.verdict = link.key ? Verdict::ok : Verdict::warning;
  if (!link.key) check.text += "; anybody on the way can read and change it";
  return check;
}

}  // namespace pannier::tools
