#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include <pannier/limits.h>
#include <pannier/platform.h>
#include <pannier/transport.h>

namespace pannier::inproc {

struct Endpoint;
struct ExchangeState;
struct Half;

/// Where the transports of one process meet. Created in main and passed to each. Separate exchanges are not connected.
/// Must outlive its transports. Any thread.
class Exchange {
 public:
  Exchange();
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

 private:
  friend class InprocTransport;
  std::unique_ptr<ExchangeState> state_;
};

/// Bounds of one direction of a channel; beyond them send() is full.
struct InprocOptions {
  std::size_t channel_frames = 1024;
  std::size_t channel_bytes = limits::kLinkQueueBytes;
};

/// Carries frames between nodes of one process through an Exchange. Addresses are "inproc://name"; "inproc://*" picks a
/// name. Keys are not proven and `peer_key` is ignored.
///
/// Each transport belongs to one thread; different transports may use different threads.
class InprocTransport final : public Transport {
 public:
  /// `exchange` and `wakeup` must outlive the transport. Other threads notify `wakeup`.
  InprocTransport(Exchange& exchange, Wakeup& wakeup, InprocOptions options = {});
  /// Ends all channels and tells their far ends.
  ~InprocTransport() override;

  Result<std::string> listen(std::string_view address) override;
  Result<ChannelId> connect(std::string_view address, const std::optional<PublicKey>& peer_key) override;
  Result<void> send(ChannelId channel, std::span<const std::byte> frame) override;
  void close(ChannelId channel) override;
  bool poll(TransportEvents& events) override;
  Wakeup& wakeup() noexcept override { return wakeup_; }
  [[nodiscard]] Counters counters() const noexcept override;

 private:
  ExchangeState& exchange_;
  Wakeup& wakeup_;
  InprocOptions options_;
  std::shared_ptr<Endpoint> endpoint_;  ///< What other transports reach of this one; guarded by the exchange's mutex.
  std::unordered_map<ChannelId, std::shared_ptr<Half>> channels_;  ///< Owner's thread only.
  Counters counters_;
};

}  // namespace pannier::inproc
