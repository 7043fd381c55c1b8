#pragma once

#include <string>
#include <string_view>

#include <pannier/platform.h>
#include <pannier/result.h>

namespace pannier::posix {

/// The environment set by the service manager; null if not set.
struct ServiceEnvironment {
  const char* socket = nullptr;         ///< NOTIFY_SOCKET: a path, or "@" and an abstract name.
  const char* watchdog_usec = nullptr;  ///< WATCHDOG_USEC: the interval in which it expects a sign of life.
  const char* watchdog_pid = nullptr;   ///< WATCHDOG_PID: the process it watches.

  [[nodiscard]] static ServiceEnvironment of_process() noexcept;
};

/// Tells the service manager about this process, in systemd's protocol (sd_notify(3)): datagrams to its socket. Without
/// a service manager every call succeeds and does nothing. One thread at a time.
class ServiceManager {
 public:
  ServiceManager() = default;
  ~ServiceManager();
  ServiceManager(ServiceManager&& other) noexcept;
  ServiceManager& operator=(ServiceManager&&) = delete;

  /// Errors: invalid_argument for an invalid environment; failed if out of descriptors.
  [[nodiscard]] static Result<ServiceManager> open(const ServiceEnvironment& environment);

  /// The longest interval between calls of alive(); beyond it the service manager kills the process. Zero: no watchdog.
  [[nodiscard]] Duration watchdog() const noexcept { return watchdog_; }

  /// The process is ready. The service manager then starts services that depend on it.
  Result<void> ready() { return send("READY=1"); }
  /// The process works. Call it on proof of progress; a bare timer would defeat the watchdog.
  Result<void> alive() { return send("WATCHDOG=1"); }
  /// The process is stopping.
  Result<void> stopping() { return send("STOPPING=1"); }
  /// One line of state for people. Line ends become spaces.
  Result<void> status(std::string_view line);

 private:
  Result<void> send(std::string_view assignments) const;

  std::string address_;  ///< As in sockaddr_un: an abstract name starts with a zero byte. Empty: no service manager.
  int fd_ = -1;
  Duration watchdog_{};
};

}  // namespace pannier::posix
