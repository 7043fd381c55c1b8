#include "gateways/http/server.h"

#include <microhttpd.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <chrono>
#include <cstring>
#include <new>

namespace pannier::http {

namespace {

/// Of a body that is too large, this much more is read, so that its sender hears why.
constexpr std::size_t kDiscardedBytes = 1024 * 1024;
/// Connections are cut to make room when fewer than this many are left.
constexpr std::size_t kSpareConnections = 8;
/// Room for the head of an answer behind that of a request.
constexpr std::size_t kAnswerHead = 4096;
/// Of an event stream; libmicrohttpd holds one for each reader.
constexpr std::size_t kFeedBlock = 1024;
constexpr MHD_Result kGoOn = MHD_YES;
constexpr MHD_Result kBreakOff = MHD_NO;

std::string lower(std::string_view text) {
  std::string out{text};
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

}  // namespace

/// What actors' threads and the server's share.
struct Server::Shared {
  std::mutex mutex;
  std::vector<std::pair<std::uint64_t, Response>> answers;
  std::vector<std::uint64_t> feeds;  // that have something to read
  posix::PollWakeup wakeup;

  void answer(std::uint64_t connection, Response response) {
    {
      const std::lock_guard lock{mutex};
      answers.emplace_back(connection, std::move(response));
    }
    wakeup.notify();
  }
  void ready(std::uint64_t connection) {
    {
      const std::lock_guard lock{mutex};
      feeds.push_back(connection);
    }
    wakeup.notify();
  }
};

class Server::Pending final : public Exchange {
 public:
  Pending(std::shared_ptr<Shared> shared, std::uint64_t exchange, Request request)
      : Exchange(exchange, std::move(request)), shared_(std::move(shared)) {}
  ~Pending() override {
    if (!answered_)
      shared_->answer(id(), problem(500, "failed", "nobody answered: a handler failed, or the node is stopping"));
  }
  void answer(Response response) override {
    if (!answered_.exchange(true)) shared_->answer(id(), std::move(response));
  }

 private:
  std::shared_ptr<Shared> shared_;
  std::atomic<bool> answered_{false};
};

struct Server::Connection {
  Server* server;
  MHD_Connection* handle;
  int fd;
  std::uint64_t number = 0;  // of its request; 0: none is with an actor
  MonoTime due = kNever;     // when it is cut
  std::string target = {};
  Request request = {};
  std::optional<Response> refusal = {};  // found in the head, or while the body came
  std::size_t discarded = 0;
  bool begun = false;
  bool suspended = false;
  bool gone = false;
  std::optional<Response> answer = {};
  std::shared_ptr<Feed> feed = {};
};

/// libmicrohttpd's callbacks. None throws, or it would unwind through C.
struct Server::Callbacks {
  static Connection* of(MHD_Connection* handle) {
    const auto* info = MHD_get_connection_info(handle, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info == nullptr ? nullptr : static_cast<Connection*>(info->socket_context);
  }
  static void connection(void* self, MHD_Connection* handle, void** context,
                         MHD_ConnectionNotificationCode what) noexcept {
    Server& server = *static_cast<Server*>(self);
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
      const auto* info = MHD_get_connection_info(handle, MHD_CONNECTION_INFO_CONNECTION_FD);
      auto* made = new Connection{&server, handle, info == nullptr ? -1 : static_cast<int>(info->connect_fd)};
      *context = made;
      ++server.counters_.accepted;
      ++server.counters_.open;
      server.waits(*made);
    } else {
      auto* ended = static_cast<Connection*>(*context);
      *context = nullptr;
      if (ended == nullptr) return;
      server.waiting_.erase({ended->due, ended});
      server.shared_->wakeup.forget(ended->fd);
      if (ended->number != 0) server.connections_.erase(ended->number);
      if (ended->feed) ended->feed->reader_gone();
      --server.counters_.open;
      delete ended;
    }
  }
  static void* target(void*, const char* uri, MHD_Connection* handle) noexcept {
    if (Connection* connection = of(handle)) connection->target = uri;
    return nullptr;
  }
  static std::size_t keep(void*, MHD_Connection*, char* text) noexcept { return std::strlen(text); }
  static MHD_Result access(void* self, MHD_Connection* handle, const char*, const char* method, const char* version,
                           const char* data, std::size_t* size, void**) noexcept {
    Connection* connection = of(handle);
    if (connection == nullptr) return kBreakOff;
    return static_cast<Server*>(self)->take(*connection, method, version, data, size) ? kGoOn : kBreakOff;
  }
  static void completed(void* self, MHD_Connection* handle, void**, MHD_RequestTerminationCode) noexcept {
    Connection* connection = of(handle);
    if (connection == nullptr) return;
    Server& server = *static_cast<Server*>(self);
    if (connection->feed) {
      connection->feed->reader_gone();
      server.sink_.hung_up({connection->number});
    }
    server.shared_->wakeup.forget(connection->fd);
    if (connection->number != 0) server.connections_.erase(connection->number);
    *connection = Connection{&server, handle, connection->fd, 0, connection->due};
    server.waits(*connection);
  }
  static ssize_t read(void* context, std::uint64_t, char* out, std::size_t most) noexcept {
    auto& connection = *static_cast<Connection*>(context);
    return connection.server->read_feed(connection, out, most);
  }
  static MHD_Result header(void* headers, MHD_ValueKind, const char* name, const char* value) noexcept {
    static_cast<Pairs*>(headers)->emplace_back(lower(name), value == nullptr ? "" : value);
    return kGoOn;
  }
};

Server::Server(const Options& options, Sink sink, ServerCounters& counters)
    : options_(options), sink_(std::move(sink)), counters_(counters), shared_(std::make_shared<Shared>()) {}

Result<std::unique_ptr<Server>> Server::start(const posix::ListeningSocket& socket, const Options& options, Sink sink,
                                              ServerCounters& counters) {
  std::unique_ptr<Server> server{new Server{options, std::move(sink), counters}};
  posix::accept_with_data(socket.fd);
  const auto idle = std::chrono::ceil<std::chrono::seconds>(options.idle).count();
  server->daemon_ = MHD_start_daemon(
      MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, nullptr, nullptr, &Callbacks::access, server.get(),
      MHD_OPTION_LISTEN_SOCKET, socket.fd, MHD_OPTION_CONNECTION_LIMIT, static_cast<unsigned>(options.connections),
      MHD_OPTION_CONNECTION_TIMEOUT, static_cast<unsigned>(std::max<long long>(idle, 1)),
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, options.header_bytes + kAnswerHead, MHD_OPTION_NOTIFY_CONNECTION,
      &Callbacks::connection, server.get(), MHD_OPTION_NOTIFY_COMPLETED, &Callbacks::completed, server.get(),
      MHD_OPTION_URI_LOG_CALLBACK, &Callbacks::target, server.get(), MHD_OPTION_UNESCAPE_CALLBACK, &Callbacks::keep,
      nullptr, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
  if (server->daemon_ == nullptr) return Error{ErrorCode::failed, "libmicrohttpd cannot serve " + socket.address};
  const auto* info = MHD_get_daemon_info(server->daemon_, MHD_DAEMON_INFO_EPOLL_FD);
  if (info == nullptr) return Error{ErrorCode::unsupported, "this libmicrohttpd was built without epoll"};
  server->shared_->wakeup.watch(info->epoll_fd);
  return server;
}

Server::~Server() {
  if (daemon_ == nullptr) return;
  for (const auto& [number, connection] : std::unordered_map{connections_}) {
    if (connection->suspended) resume(*connection);  // libmicrohttpd does not stop with one suspended
  }
  MHD_stop_daemon(daemon_);
}

Wakeup& Server::wakeup() noexcept { return shared_->wakeup; }

MonoTime Server::step(MonoTime now) {
  now_ = now;
  for (const std::uint64_t number : shared_->wakeup.hung_up()) {
    const auto found = connections_.find(number);
    if (found == connections_.end() || !found->second->suspended) continue;
    Connection& connection = *found->second;
    connection.gone = true;
    sink_.hung_up({number});
    if (!connection.feed) connection.answer = problem(499, "cancelled", "the client has gone");
    resume(connection);
  }
  std::vector<std::pair<std::uint64_t, Response>> answers;
  std::vector<std::uint64_t> feeds;
  {
    const std::lock_guard lock{shared_->mutex};
    answers.swap(shared_->answers);
    feeds.swap(shared_->feeds);
  }
  for (auto& [number, response] : answers) {
    const auto found = connections_.find(number);
    if (found == connections_.end() || found->second->answer) {
      if (response.feed) response.feed->reader_gone();
      continue;
    }
    found->second->answer = std::move(response);
    if (found->second->suspended) resume(*found->second);
  }
  for (const std::uint64_t number : feeds) {
    const auto found = connections_.find(number);
    if (found != connections_.end() && found->second->suspended) resume(*found->second);
  }
  while (!waiting_.empty() && waiting_.begin()->first <= now) {
    Connection& late = *waiting_.begin()->second;
    waiting_.erase(waiting_.begin());
    late.due = kNever;
    ++counters_.cut;
    posix::cut(late.fd);
  }
  make_room();
  MHD_run(daemon_);
  MHD_UNSIGNED_LONG_LONG milliseconds = 0;
  MonoTime next = kNever;
  if (MHD_get_timeout(daemon_, &milliseconds) == MHD_YES) {
    next = later(now, std::chrono::milliseconds{std::min<MHD_UNSIGNED_LONG_LONG>(milliseconds, 3'600'000)});
  }
  return waiting_.empty() ? next : std::min(next, waiting_.begin()->first);
}

void Server::waits(Connection& connection) {
  waiting_.erase({connection.due, &connection});
  connection.due = later(now_, options_.arrival);
  waiting_.emplace(connection.due, &connection);
}

void Server::make_room() {
  const auto most = std::max<std::size_t>(options_.connections, 2 * kSpareConnections) - kSpareConnections;
  for (std::size_t open = counters_.open; open > most && !waiting_.empty(); --open) {
    Connection& oldest = *waiting_.begin()->second;
    waiting_.erase(waiting_.begin());
    oldest.due = kNever;
    ++counters_.cut;
    posix::cut(oldest.fd);
  }
}

std::optional<Response> Server::read_head(Connection& connection, const char* method, const char* version) {
  Request& request = connection.request;
  request.method = method;
  MHD_get_connection_values(connection.handle, MHD_HEADER_KIND, &Callbacks::header, &request.headers);
  const auto count = [&](std::string_view name) {
    return std::count_if(request.headers.begin(), request.headers.end(),
                         [&](const auto& header) { return header.first == name; });
  };
  // A proxy in front of us and we must see the same requests (RFC 9112, 6.3 and 11.2).
  const auto lengths = count("content-length");
  const auto encodings = count("transfer-encoding");
  if (lengths + encodings > 1) return problem(400, "malformed", "the length of the body is given twice");
  if (encodings == 1 && lower(request.header("transfer-encoding")) != "chunked") {
    return problem(501, "unsupported", "the only transfer encoding is chunked");
  }
  const std::string_view length = request.header("content-length");
  if (!std::all_of(length.begin(), length.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    return problem(400, "malformed", "Content-Length is no number");
  }
  if (count("host") > 1 || (std::string_view{version} == "HTTP/1.1" && count("host") == 0)) {
    return problem(400, "malformed", "one Host is needed");
  }
  for (const char* once : {"authorization", "content-type", "idempotency-key", "last-event-id", "origin"}) {
    if (count(once) > 1) return problem(400, "malformed", std::string{"more than one header "} + once);
  }
  if (auto read = read_target(connection.target, request); !read) return problem(read.error());
  std::uint64_t bytes = 0;
  const auto [end, bad] = std::from_chars(length.data(), length.data() + length.size(), bytes);
  if (bad == std::errc::result_out_of_range || bytes > options_.body_bytes) {
    return problem(413, "full", "a body has at most " + std::to_string(options_.body_bytes) + " bytes here");
  }
  return std::nullopt;
}

bool Server::take(Connection& connection, const char* method, const char* version, const char* data,
                  std::size_t* size) {
  if (!connection.begun) {
    connection.begun = true;
    connection.refusal = read_head(connection, method, version);
    // Answered before the body, the connection ends with it; a client that waits for 100 sends none.
    if (!connection.refusal) return true;
    ++counters_.refused;
    return respond(connection, *std::move(connection.refusal), true);
  }
  if (*size > 0) {
    const std::size_t bytes = std::exchange(*size, 0);
    if (!connection.refusal && connection.request.body.size() + bytes > options_.body_bytes) {
      connection.refusal =
          problem(413, "full", "a body has at most " + std::to_string(options_.body_bytes) + " bytes here");
      connection.request.body = {};
    }
    if (!connection.refusal) {
      connection.request.body.append(data, bytes);
      return true;
    }
    connection.discarded += bytes;
    return connection.discarded <= kDiscardedBytes;
  }
  if (connection.answer) return respond(connection, *std::exchange(connection.answer, std::nullopt), connection.gone);
  if (connection.refusal) {
    ++counters_.refused;
    return respond(connection, *std::move(connection.refusal), true);
  }
  if (connection.number != 0) return true;  // with an actor
  dispatch(connection);
  if (connection.answer) return respond(connection, *std::exchange(connection.answer, std::nullopt), false);
  return true;
}

void Server::dispatch(Connection& connection) {
  waiting_.erase({connection.due, &connection});
  connection.due = kNever;
  connection.number = next_++;
  connections_.emplace(connection.number, &connection);
  const auto exchange = std::make_shared<Pending>(shared_, connection.number, std::move(connection.request));
  if (auto sent = sink_.arrived({exchange}); !sent) {
    ++counters_.refused;
    connection.answer = problem(503, to_string(sent.error().code), "this node takes no requests now");
    exchange->answer({});  // nobody waits for it
    return;
  }
  suspend(connection);
}

void Server::suspend(Connection& connection) {
  connection.suspended = true;
  MHD_suspend_connection(connection.handle);
  shared_->wakeup.watch_hangup(connection.fd, connection.number);
}

void Server::resume(Connection& connection) {
  connection.suspended = false;
  shared_->wakeup.forget(connection.fd);
  MHD_resume_connection(connection.handle);
}

bool Server::respond(Connection& connection, Response response, bool close) {
  MHD_Response* made = nullptr;
  if (response.feed) {
    connection.feed = response.feed;
    connection.feed->on_data([shared = shared_, number = connection.number] { shared->ready(number); });
    made = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, kFeedBlock, &Callbacks::read, &connection, nullptr);
  } else {
    made = MHD_create_response_from_buffer(response.body.size(), response.body.data(), MHD_RESPMEM_MUST_COPY);
  }
  if (made == nullptr) return false;
  // What every answer has, unless it says otherwise.
  static constexpr std::pair<const char*, const char*> kAlways[] = {
      {"Cache-Control", "no-store"},
      {"X-Content-Type-Options", "nosniff"},
      {"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
      {"Referrer-Policy", "no-referrer"},
      {"Cross-Origin-Resource-Policy", "same-origin"},
  };
  for (const auto& [name, value] : kAlways) {
    const bool there = std::any_of(response.headers.begin(), response.headers.end(),
                                   [&, known = name](const auto& header) { return header.first == known; });
    if (!there) MHD_add_response_header(made, name, value);
  }
  for (const auto& [name, value] : response.headers) MHD_add_response_header(made, name.c_str(), value.c_str());
  if (close) MHD_add_response_header(made, MHD_HTTP_HEADER_CONNECTION, "close");
  const bool queued = MHD_queue_response(connection.handle, response.status, made) == MHD_YES;
  MHD_destroy_response(made);
  return queued;
}

long Server::read_feed(Connection& connection, char* out, std::size_t most) {
  if (connection.gone) return MHD_CONTENT_READER_END_WITH_ERROR;
  const Feed::Taken taken = connection.feed->take(out, most);
  if (taken.bytes > 0) return static_cast<long>(taken.bytes);
  if (taken.ended) return MHD_CONTENT_READER_END_OF_STREAM;
  suspend(connection);
  return 0;
}

}  // namespace pannier::http
