#pragma once

#include <string>
#include <string_view>

#include <pannier/platform.h>
#include <pannier/result.h>

namespace pannier::posix {

/// What the service manager that started this process put into the environment; null where it did not.
struct ServiceEnvironment {
  const char* socket = nullptr;         ///< NOTIFY_SOCKET: a path, or "@" and an abstract name.
  const char* watchdog_usec = nullptr;  ///< WATCHDOG_USEC: how often it wants to hear that we live.
  const char* watchdog_pid = nullptr;   ///< WATCHDOG_PID: whom of the service's processes it means.

  [[nodiscard]] static ServiceEnvironment of_process() noexcept;
};

/// Tells the service manager how this process does: datagrams on a socket that it listens at, in the protocol that
/// systemd documents in sd_notify(3) as open to other implementations. Where no service manager asked, every call does
/// nothing and succeeds. One thread at a time.
class ServiceManager {
 public:
  ServiceManager() = default;
  ~ServiceManager();
  ServiceManager(ServiceManager&& other) noexcept;
  ServiceManager& operator=(ServiceManager&&) = delete;

  /// invalid_argument for an environment that cannot be; failed without a descriptor.
  [[nodiscard]] static Result<ServiceManager> open(const ServiceEnvironment& environment);

  /// How often alive() is due, at the latest: past it the service manager kills the process. Zero: nobody watches.
  [[nodiscard]] Duration watchdog() const noexcept { return watchdog_; }

  /// The process does its work from now on. The service manager lets those start who wait for it.
  Result<void> ready() { return send("READY=1"); }
  /// The process does what it should. Tie it to that: a timer alone would hide what the watchdog is for.
  Result<void> alive() { return send("WATCHDOG=1"); }
  /// It has begun to end.
  Result<void> stopping() { return send("STOPPING=1"); }
  /// One line for a person who asks for the service's state; a line end in it becomes a space.
  Result<void> status(std::string_view line);

 private:
  Result<void> send(std::string_view assignments) const;

  std::string address_;  ///< As in sockaddr_un: an abstract name starts with a zero byte. Empty: nobody listens.
  int fd_ = -1;
  Duration watchdog_{};
};

}  // namespace pannier::posix
