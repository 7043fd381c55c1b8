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

/// Where the transports of one process meet. Main makes one and gives it to each; two exchanges know nothing of each
/// other. Must outlive its transports. Callable from any thread.
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

/// What one direction of a channel holds before send() says full.
struct InprocOptions {
  std::size_t channel_frames = 1024;
  std::size_t channel_bytes = limits::kLinkQueueBytes;
};

/// Frames between nodes of one process, by way of an Exchange. Addresses are "inproc://name"; "inproc://*" picks a
/// name. Nobody's key is proven, so `peer_key` is not looked at: whoever shares the exchange shares the process.
///
/// Each transport belongs to one thread as the contract says; different transports may live on different threads.
class InprocTransport final : public Transport {
 public:
  /// `exchange` and `wakeup` must outlive the transport. Others notify `wakeup` from their threads.
  InprocTransport(Exchange& exchange, Wakeup& wakeup, InprocOptions options = {});
  /// Ends all channels; their far ends are told.
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
  std::shared_ptr<Endpoint> endpoint_;  ///< What others reach of us; guarded by the exchange's mutex.
  std::unordered_map<ChannelId, std::shared_ptr<Half>> channels_;  ///< Our thread's alone.
  Counters counters_;
};

}  // namespace pannier::inproc
