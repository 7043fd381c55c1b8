#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <zmq.hpp>

#include <pannier/platform.h>
#include <pannier/result.h>
#include "transports/zmq/access_list.h"

namespace pannier::zmq {

/// A transport, as the ZAP handler sees it.
struct ZapMember {
  std::string domain;
  const AccessList* access = nullptr;
  Wakeup* wakeup = nullptr;
};

/// The implementation of Context.
struct ContextState {
  ContextState(int io_threads, int max_sockets);

  /// Answers ZAP requests of this domain from `member`, which must live until leave(). The first member opens the
  /// handler and owns it.
  Result<void> join(ZapMember& member);
  /// Member's thread. An owner passes the handler to the oldest other member.
  void leave(ZapMember& member) noexcept;
  /// The handler's socket if `member` owns it, to be polled by its thread; otherwise null.
  [[nodiscard]] void* zap_socket_of(const ZapMember& member) noexcept;
  /// Answers a bounded number of requests if `member` owns the handler. True if there are more.
  bool serve_zap(const ZapMember& member) noexcept;

  ::zmq::context_t context;
  std::atomic<std::uint64_t> next_channel{1};
  std::atomic<std::uint64_t> next_name{1};

 private:
  bool answer_one() noexcept;

  /// Guards what follows, and is the full fence that a socket needs when it moves to another thread.
  std::mutex mutex_;
  std::vector<ZapMember*> members_;  ///< The first one owns the handler.
  std::optional<::zmq::socket_t> handler_;
};

}  // namespace pannier::zmq
