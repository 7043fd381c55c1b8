#include <pannier/zmq.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "platform/concat.h"
#include "transports/zmq/context_state.h"

namespace pannier::zmq {
namespace {

constexpr int kZapBatch = 64;

std::string_view text_of(const ::zmq::message_t& message) {
  return {static_cast<const char*>(message.data()), message.size()};
}

}  // namespace

Context::Context(int io_threads, int max_sockets) : state_(std::make_unique<ContextState>(io_threads, max_sockets)) {}
Context::~Context() = default;

ContextState::ContextState(int io_threads, int max_sockets) : context(io_threads, max_sockets) {}

Result<void> ContextState::join(ZapMember& member) {
  const std::lock_guard lock{mutex_};
  if (!handler_) {
    try {
      ::zmq::socket_t handler{context, ::zmq::socket_type::rep};
      handler.set(::zmq::sockopt::linger, 0);
      handler.bind("inproc://zeromq.zap.01");
      handler_.emplace(std::move(handler));
    } catch (const ::zmq::error_t& error) {
      return Error{error.num() == EADDRINUSE ? ErrorCode::in_use : ErrorCode::full,
                   concat({"Cannot open the ZAP handler: ", error.what(), "."})};
    }
  }
  members_.push_back(&member);
  return {};
}

void ContextState::leave(ZapMember& member) noexcept {
  const std::lock_guard lock{mutex_};
  std::erase(members_, &member);
  if (members_.empty()) {
    handler_.reset();
  } else {
    members_.front()->wakeup->notify();
  }
}

void* ContextState::zap_socket_of(const ZapMember& member) noexcept {
  const std::lock_guard lock{mutex_};
  const bool owns = handler_ && !members_.empty() && members_.front() == &member;
  return owns ? handler_->handle() : nullptr;
}

bool ContextState::serve_zap(const ZapMember& member) noexcept {
  const std::lock_guard lock{mutex_};
  if (!handler_ || members_.empty() || members_.front() != &member) return false;
  for (int served = 0; served < kZapBatch; ++served) {
    if (!answer_one()) return false;
  }
  return true;
}

/// One request: version, request id, domain, address, routing id, mechanism, credentials. One reply: version, request
/// id, status code, status text, user id, metadata.
bool ContextState::answer_one() noexcept {
  std::array<::zmq::message_t, 7> request;
  std::size_t parts = 0;
  for (;;) {
    ::zmq::message_t spare;
    ::zmq::message_t& part = parts < request.size() ? request[parts] : spare;
    if (zmq_msg_recv(part.handle(), handler_->handle(), ZMQ_DONTWAIT) < 0) return false;
    ++parts;
    if (!(parts <= request.size() ? part : spare).more()) break;
  }

  PublicKey key{};
  std::string user_id;
  if (parts == request.size() && text_of(request[0]) == "1.0" && text_of(request[5]) == "CURVE" &&
      request[6].size() == key.size()) {
    std::memcpy(key.data(), request[6].data(), key.size());
    const std::string_view domain = text_of(request[2]);
    const auto member = std::find_if(members_.begin(), members_.end(),
                                     [domain](const ZapMember* each) { return each->domain == domain; });
    if (member != members_.end() && (*member)->access->allows(key)) user_id = to_hex(key);
  }
  const bool allowed = !user_id.empty();
  const std::array<std::string_view, 6> reply{
      "1.0", text_of(request[1]), allowed ? "200" : "400", allowed ? "OK" : "No access", user_id, ""};
  for (std::size_t i = 0; i < reply.size(); ++i) {
    const int more = i + 1 < reply.size() ? ZMQ_SNDMORE : 0;
    // Cannot block: a reply takes the place of its request. If it fails, the peer's handshake times out.
    if (zmq_send(handler_->handle(), reply[i].data(), reply[i].size(), more | ZMQ_DONTWAIT) < 0) break;
  }
  return true;
}

}  // namespace pannier::zmq
