#include "platform/posix/service_manager.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

#include "platform/concat.h"

namespace pannier::posix {
namespace {

/// A manager that does not read its socket must not block the process for longer.
constexpr timeval kSendLimit{5, 0};

std::optional<std::uint64_t> number(std::string_view text) noexcept {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Error wrong(const char* variable, const char* value) {
  return {ErrorCode::invalid_argument,
          concat({"Invalid ", variable, " '", value, "'; running without a service manager."})};
}

}  // namespace

ServiceEnvironment ServiceEnvironment::of_process() noexcept {
  return {std::getenv("NOTIFY_SOCKET"), std::getenv("WATCHDOG_USEC"), std::getenv("WATCHDOG_PID")};
}

ServiceManager::ServiceManager(ServiceManager&& other) noexcept
    : address_(std::move(other.address_)), fd_(std::exchange(other.fd_, -1)), watchdog_(other.watchdog_) {}

ServiceManager::~ServiceManager() {
  if (fd_ >= 0) ::close(fd_);
}

Result<ServiceManager> ServiceManager::open(const ServiceEnvironment& environment) {
  ServiceManager manager;
  if (environment.socket == nullptr || *environment.socket == '\0') return manager;
  std::string address = environment.socket;
  if ((address.front() != '/' && address.front() != '@') || address.size() >= sizeof(sockaddr_un::sun_path)) {
    return wrong("NOTIFY_SOCKET", environment.socket);
  }
  if (address.front() == '@') address.front() = '\0';

  if (environment.watchdog_usec != nullptr) {
    const auto usec = number(environment.watchdog_usec);
    if (!usec || *usec == 0 || *usec > std::uint64_t{1} << 50) return wrong("WATCHDOG_USEC", environment.watchdog_usec);
    // If inherited from a watched parent, it names the parent.
    std::optional<std::uint64_t> pid = static_cast<std::uint64_t>(::getpid());
    if (environment.watchdog_pid != nullptr) pid = number(environment.watchdog_pid);
    if (!pid) return wrong("WATCHDOG_PID", environment.watchdog_pid);
    if (*pid == static_cast<std::uint64_t>(::getpid())) manager.watchdog_ = std::chrono::microseconds{*usec};
  }

  manager.fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (manager.fd_ < 0) {
    return Error{ErrorCode::failed,
                 concat({"Cannot open a socket to the service manager: ", std::strerror(errno), "."})};
  }
  ::setsockopt(manager.fd_, SOL_SOCKET, SO_SNDTIMEO, &kSendLimit, sizeof kSendLimit);
  manager.address_ = std::move(address);
  return manager;
}

Result<void> ServiceManager::status(std::string_view line) {
  std::string assignment = concat({"STATUS=", line});
  std::replace(assignment.begin(), assignment.end(), '\n', ' ');
  return send(assignment);
}

Result<void> ServiceManager::send(std::string_view assignments) const {
  if (address_.empty()) return {};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, address_.data(), address_.size());
  // Only the name's bytes count: a trailing zero would be part of an abstract name.
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
  while (::sendto(fd_, assignments.data(), assignments.size(), MSG_NOSIGNAL,
                  reinterpret_cast<const sockaddr*>(&address), size) < 0) {
    if (errno == EINTR) continue;
    return Error{ErrorCode::unreachable,
                 concat({"Cannot send ", assignments, " to the service manager: ", std::strerror(errno), "."})};
  }
  return {};
}

}  // namespace pannier::posix
