#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <pannier/http.h>

#include "gateways/http/message.h"
#include "platform/posix/connection.h"
#include "platform/posix/poll_wakeup.h"

struct MHD_Daemon;

namespace pannier::http {

/// What a server counts. Any thread.
struct ServerCounters {
  std::atomic<std::uint64_t> accepted{0};
  std::atomic<std::uint64_t> open{0};
  std::atomic<std::uint64_t> cut{0};      ///< For being slow, or to make room.
  std::atomic<std::uint64_t> refused{0};  ///< Requests that no actor has seen: malformed, too large.
};

/// HTTP/1.1 on sockets by libmicrohttpd, as a loop (docs/decisions/0020-libmicrohttpd.md). It knows requests, answers
/// and their limits, and nothing of what they mean.
class Server final : public Loop {
 public:
  /// Where requests and hang-ups go. An error answers the request. Called within step().
  struct Sink {
    std::function<Result<void>(Arrived)> arrived;
    std::function<void(HungUp)> hung_up;
  };
  /// Takes the socket over. `counters` outlives the server.
  [[nodiscard]] static Result<std::unique_ptr<Server>> start(const posix::ListeningSocket& socket,
                                                             const Options& options, Sink sink,
                                                             ServerCounters& counters);
  ~Server() override;

  MonoTime step(MonoTime now) override;
  Wakeup& wakeup() noexcept override;

 private:
  struct Shared;
  class Pending;
  struct Connection;
  struct Callbacks;
  friend struct Callbacks;

  Server(const Options& options, Sink sink, ServerCounters& counters);
  /// The part of a request that is there now: its head, some of its body, or all of it.
  bool take(Connection& connection, const char* method, const char* version, const char* data, std::size_t* size);
  [[nodiscard]] std::optional<Response> read_head(Connection& connection, const char* method, const char* version);
  void dispatch(Connection& connection);
  bool respond(Connection& connection, Response response, bool close);
  long read_feed(Connection& connection, char* out, std::size_t most);
  void suspend(Connection& connection);
  void resume(Connection& connection);
  void waits(Connection& connection);  ///< For a request to arrive.
  void make_room();

  const Options options_;
  const Sink sink_;
  ServerCounters& counters_;
  std::shared_ptr<Shared> shared_;
  MHD_Daemon* daemon_ = nullptr;
  MonoTime now_{};
  std::uint64_t next_ = 1;
  std::unordered_map<std::uint64_t, Connection*> connections_;  // by number, each owned by libmicrohttpd's connection
  std::set<std::pair<MonoTime, Connection*>> waiting_;          // by when they are cut
};

}  // namespace pannier::http
