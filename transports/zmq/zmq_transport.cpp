#include <pannier/zmq.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <map>
#include <string>
#include <utility>

#include "platform/concat.h"
#include "platform/posix/event_wakeup.h"
#include "platform/posix/local_socket.h"
#include "platform/posix/system_clock.h"
#include "transports/zmq/channels.h"

namespace pannier::zmq {
namespace {

/// The most frames that one poll reports from one socket.
constexpr std::size_t kPollBatch = 256;
/// How often to retry: libzmq cannot tell which peer of a ROUTER has room again.
constexpr Duration kBlockedRetry = std::chrono::milliseconds{5};
constexpr std::string_view kIpc = "ipc://";

Result<void> check_address(std::string_view address) {
  const std::size_t scheme = address.starts_with("tcp://") || address.starts_with(kIpc) ? 6 : 0;
  if (scheme != 0 && address.size() > scheme) return {};
  return Error{ErrorCode::invalid_argument,
               "Invalid address \"" + std::string{address} + "\"; expected tcp://host:port or ipc:///path."};
}

Error bind_error(const std::string& address, int cause) {
  switch (cause) {
    case EADDRINUSE: return {ErrorCode::in_use, concat({"Address already in use: ", address, "."})};
    case EACCES:
    case EPERM: return {ErrorCode::permission, concat({"Not allowed to listen at ", address, "."})};
    case EMFILE:
    case ENFILE: return {ErrorCode::full, concat({"Out of file descriptors for ", address, "; raise `ulimit -n`."})};
    default:
      return {ErrorCode::invalid_argument, concat({"Cannot listen at ", address, ": ", zmq_strerror(cause), "."})};
  }
}

}  // namespace

struct ZmqTransport::State final : Wakeup {
  State(ContextState& the_context, ZmqOptions the_options)
      : context(the_context),
        options(std::move(the_options)),
        access(options.allowed_keys),
        shared{context, options, access},
        member{concat({"pannier.", context.next_name.fetch_add(1)}), &access, this} {}
  ~State() override {
    listeners.clear();
    channels.clear();
    retired.clear();
    if (joined) context.leave(member);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void notify() noexcept override { event.notify(); }
  void wait_until(MonoTime deadline) noexcept override;
  void collect_items();

  ContextState& context;
  ZmqOptions options;
  AccessList access;
  Shared shared;
  posix::EventWakeup event;
  ZapMember member;
  bool joined = false;
  std::vector<std::unique_ptr<Listener>> listeners;
  std::map<ChannelId, std::unique_ptr<DialledChannel>> channels;
  std::vector<std::unique_ptr<DialledChannel>> retired;  ///< Closed, perhaps from within their own poll.
  std::vector<ChannelId> turn;                           ///< Scratch of poll.
  std::vector<zmq_pollitem_t> items;                     ///< Scratch of wait_until.
};

void ZmqTransport::State::collect_items() {
  const auto add = [this](void* socket, bool out = false) {
    items.push_back({socket, 0, static_cast<short>(out ? ZMQ_POLLIN | ZMQ_POLLOUT : ZMQ_POLLIN), 0});
  };
  items.clear();
  items.push_back({nullptr, event.fd(), ZMQ_POLLIN, 0});
  if (joined) {
    if (void* handler = context.zap_socket_of(member); handler != nullptr) add(handler);
  }
  for (const auto& listener : listeners) {
    add(listener->socket().socket().handle());
    add(listener->socket().monitor().handle());
  }
  for (const auto& [id, channel] : channels) {
    add(channel->socket().socket().handle(), channel->blocked());
    add(channel->socket().monitor().handle());
    channel->clear_blocked();
  }
}

void ZmqTransport::State::wait_until(MonoTime deadline) noexcept {
  if (event.arm()) {
    collect_items();
    const MonoTime now = posix::mono_now();
    if (std::exchange(shared.listener_blocked, false)) deadline = std::min(deadline, now + kBlockedRetry);
    for (const auto& listener : listeners) deadline = std::min(deadline, listener->due());
    long timeout_ms = -1;
    if (deadline != kNever) {
      using std::chrono::milliseconds;
      const auto left = std::chrono::ceil<milliseconds>(std::max(deadline - now, Duration::zero()));
      timeout_ms = static_cast<long>(std::min(left, milliseconds{60'000}).count());  // May return early.
    }
    // Its errors (EINTR, a terminating context) are early returns.
    zmq_poll(items.data(), static_cast<int>(items.size()), timeout_ms);
  }
  event.disarm();
}

ZmqTransport::ZmqTransport(std::unique_ptr<State> state) : state_(std::move(state)) {}
ZmqTransport::~ZmqTransport() = default;

Result<std::unique_ptr<ZmqTransport>> ZmqTransport::make(Context& context, ZmqOptions options) {
  if (!options.insecure_plaintext) {
    if (zmq_has("curve") == 0) {
      return Error{ErrorCode::unsupported, "This libzmq was built without CURVE; install one with libsodium."};
    }
    if (options.own_key.secret_key == PublicKey{}) {
      return Error{ErrorCode::invalid_argument, "Missing key pair; make one with `pannier keygen`."};
    }
  }
  return std::unique_ptr<ZmqTransport>{new ZmqTransport{std::make_unique<State>(*context.state_, std::move(options))}};
}

Result<std::string> ZmqTransport::listen(std::string_view address) {
  if (Result<void> checked = check_address(address); !checked) return checked.error();
  const std::string text{address};
  // Before it binds, libzmq unlinks the file of a local address, whatever it is and whoever listens there.
  if (address.starts_with(kIpc) && posix::is_no_socket(text.substr(kIpc.size()))) {
    return Error{ErrorCode::in_use, concat({"Cannot listen at ", text, ": the file exists and is not a socket."})};
  }
  if (address.starts_with(kIpc) && posix::local_socket_is_served(text.substr(kIpc.size()))) {
    return bind_error(text, EADDRINUSE);
  }
  Result<MonitoredSocket> socket = MonitoredSocket::make(state_->context, true, state_->options);
  if (!socket) return socket.error();
  const bool own_user = text == state_->options.own_users_address;
  if (own_user) {
    const std::uint32_t users[] = {posix::own_user(), 0};
    for (const std::uint32_t& user : users) {
      if (zmq_setsockopt(socket->socket().handle(), ZMQ_IPC_FILTER_UID, &user, sizeof user) == 0) continue;
      return Error{ErrorCode::unsupported, concat({"This libzmq cannot tell users apart at ", text, "."})};
    }
  } else if (state_->shared.encrypted()) {
    if (!state_->joined) {
      if (Result<void> joined = state_->context.join(state_->member); !joined) return joined.error();
      state_->joined = true;
    }
    const PublicKey& secret = state_->options.own_key.secret_key;
    const int on = 1;
    const std::string& domain = state_->member.domain;
    void* handle = socket->socket().handle();
    if (zmq_setsockopt(handle, ZMQ_CURVE_SERVER, &on, sizeof on) != 0 ||
        zmq_setsockopt(handle, ZMQ_CURVE_SECRETKEY, secret.data(), secret.size()) != 0 ||
        zmq_setsockopt(handle, ZMQ_ZAP_DOMAIN, domain.data(), domain.size()) != 0) {
      return Error{ErrorCode::unsupported, concat({"Cannot set up CURVE: ", zmq_strerror(zmq_errno()), "."})};
    }
  }
  if (zmq_bind(socket->socket().handle(), text.c_str()) != 0) return bind_error(text, zmq_errno());
  char endpoint[512] = {};
  std::size_t size = sizeof endpoint;
  if (zmq_getsockopt(socket->socket().handle(), ZMQ_LAST_ENDPOINT, endpoint, &size) != 0) {
    return bind_error(text, zmq_errno());
  }
  state_->listeners.push_back(std::make_unique<Listener>(state_->shared, std::move(*socket), endpoint, own_user));
  return std::string{endpoint};
}

Result<ChannelId> ZmqTransport::connect(std::string_view address, const std::optional<PublicKey>& peer_key) {
  if (Result<void> checked = check_address(address); !checked) return checked.error();
  const std::string text{address};
  if (state_->shared.encrypted() && !peer_key) {
    return Error{ErrorCode::invalid_argument, concat({"Dialling ", text, " requires its public key."})};
  }
  if (state_->shared.open_channels >= limits::kLinks) return ErrorCode::full;
  Result<MonitoredSocket> socket = MonitoredSocket::make(state_->context, false, state_->options);
  if (!socket) return socket.error();
  void* handle = socket->socket().handle();
  if (state_->shared.encrypted()) {
    const KeyPair& own = state_->options.own_key;
    if (zmq_setsockopt(handle, ZMQ_CURVE_SERVERKEY, peer_key->data(), peer_key->size()) != 0 ||
        zmq_setsockopt(handle, ZMQ_CURVE_PUBLICKEY, own.public_key.data(), own.public_key.size()) != 0 ||
        zmq_setsockopt(handle, ZMQ_CURVE_SECRETKEY, own.secret_key.data(), own.secret_key.size()) != 0) {
      return Error{ErrorCode::invalid_argument, concat({"Cannot set up CURVE: ", zmq_strerror(zmq_errno()), "."})};
    }
  }
  if (zmq_connect(handle, text.c_str()) != 0) {
    return Error{ErrorCode::invalid_argument, concat({"Cannot dial ", text, ": ", zmq_strerror(zmq_errno()), "."})};
  }
  const ChannelId id = state_->shared.next_channel();
  state_->channels.emplace(id,
                           std::make_unique<DialledChannel>(state_->shared, std::move(*socket), id, text, peer_key));
  return id;
}

Result<void> ZmqTransport::send(ChannelId channel, std::span<const std::byte> frame) {
  if (frame.size() > limits::kFrameBytes) {
    return Error{ErrorCode::invalid_argument,
                 concat({"The frame has ", frame.size(), " bytes; a link carries at most ", limits::kFrameBytes, "."})};
  }
  if (const auto found = state_->channels.find(channel); found != state_->channels.end()) {
    return found->second->send(frame);
  }
  for (const auto& listener : state_->listeners) {
    if (const std::optional<Result<void>> sent = listener->send(channel, frame)) {
      if (listener->has_ending()) state_->notify();
      return *sent;
    }
  }
  return ErrorCode::closed;
}

void ZmqTransport::close(ChannelId channel) {
  if (const auto found = state_->channels.find(channel); found != state_->channels.end()) {
    found->second->abandon();
    state_->retired.push_back(std::move(found->second));
    state_->channels.erase(found);
    return;
  }
  for (const auto& listener : state_->listeners) {
    if (listener->close(channel)) return;
  }
}

bool ZmqTransport::poll(TransportEvents& events) {
  State& state = *state_;
  state.retired.clear();
  bool more = state.joined && state.context.serve_zap(state.member);
  // By index and by id: the calls may listen, dial and close.
  for (std::size_t i = 0; i < state.listeners.size(); ++i) {
    Listener& listener = *state.listeners[i];
    more = listener.poll(events, kPollBatch) || listener.has_ending() || more;
  }
  state.turn.clear();
  for (const auto& [id, channel] : state.channels) state.turn.push_back(id);
  for (const ChannelId id : state.turn) {
    const auto found = state.channels.find(id);
    if (found == state.channels.end()) continue;
    DialledChannel& channel = *found->second;
    more = channel.poll(events, kPollBatch) || more;
    if (!channel.is_over() || channel.abandoned()) continue;
    const Error cause = channel.cause();
    close(id);
    events.on_closed(id, cause);
  }
  return more;
}

Wakeup& ZmqTransport::wakeup() noexcept { return *state_; }

Transport::Counters ZmqTransport::counters() const noexcept { return state_->shared.counters; }

void ZmqTransport::allow(const PublicKey& key) { state_->access.allow(key); }

void ZmqTransport::revoke(const PublicKey& key) {
  state_->access.revoke(key);
  state_->notify();
}

}  // namespace pannier::zmq
