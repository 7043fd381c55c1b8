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

/// What a transport is to the ZAP handler.
struct ZapMember {
  std::string domain;
  const AccessList* access = nullptr;
  Wakeup* wakeup = nullptr;
};

/// The inside of a Context; not part of the API.
struct ContextState {
  ContextState(int io_threads, int max_sockets);

  /// Lets ZAP requests of this domain be answered from `member`, which must live until leave(). The first member opens
  /// the handler and owns it.
  Result<void> join(ZapMember& member);
  /// On the member's thread. An owner hands the handler to the oldest other member.
  void leave(ZapMember& member) noexcept;
  /// The handler's socket when `member` owns it, to be polled by its thread; else null.
  [[nodiscard]] void* zap_socket_of(const ZapMember& member) noexcept;
  /// Answers what waits, in bounded work, when `member` owns the handler. True when there is more.
  bool serve_zap(const ZapMember& member) noexcept;

  ::zmq::context_t context;
  std::atomic<std::uint64_t> next_channel{1};
  std::atomic<std::uint64_t> next_name{1};

 private:
  bool answer_one() noexcept;

  /// Guards what follows, and is the full fence that a socket needs when it moves from one thread to another.
  std::mutex mutex_;
  std::vector<ZapMember*> members_;  ///< The first one owns the handler.
  std::optional<::zmq::socket_t> handler_;
};

}  // namespace pannier::zmq
