#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <pannier/result.h>
#include "examples/delivery/day/shaper.h"

namespace pannier::delivery {

/// One link: a TCP port on loopback that leads to another.
struct ProxyLink {
  std::string name;                      ///< For error messages.
  std::uint16_t upstream_port = 0;       ///< On 127.0.0.1: the device's destination.
  std::uint16_t listen_port = 0;         ///< On 127.0.0.1; 0: any free port.
  ShaperOptions up;                      ///< From the device.
  ShaperOptions down;                    ///< To the device.
  std::size_t buffer_bytes = 32 * 1024;  ///< Buffered per direction of a connection. When full, reading stops.
  std::size_t max_connections = 64;      ///< Further ones are refused and counted.
};

/// How a link is cut.
enum class Cut : std::uint8_t {
  drop,    ///< All connections are reset and new ones refused. Both ends know.
  freeze,  ///< Nothing moves and nobody is told: half-open. New connections stay in the system's backlog.
};

struct ProxyCounters {
  std::uint64_t bytes_up = 0;     ///< Written to the far side, from the device.
  std::uint64_t bytes_down = 0;   ///< Written to the device.
  std::uint64_t connections = 0;  ///< Accepted in total.
  std::uint64_t refused = 0;      ///< Beyond max_connections, or the far side was down.
  std::uint64_t open = 0;         ///< Currently.
};

/// A mobile network in user space, invisible to the programs: TCP on loopback, shaped by a trace. Unlike kernel network
/// emulation it needs no privileges. Runs on its own thread. Memory is bounded: a full buffer stops reading, and TCP
/// holds the sender back.
class Proxy {
 public:
  /// Opens all ports and starts. Errors: in_use for a taken port; unreachable otherwise.
  [[nodiscard]] static Result<std::unique_ptr<Proxy>> start(std::vector<ProxyLink> links);

  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;
  /// Resets all connections and ends the thread.
  ~Proxy();

  // Links are named by their index in start(). Any thread. cut and restore take effect before they return.

  [[nodiscard]] std::uint16_t port(std::size_t link) const;
  void cut(std::size_t link, Cut how);
  /// After a freeze connections continue; after a drop new ones are accepted. No effect without a cut. in_use if the
  /// port cannot be reopened.
  Result<void> restore(std::size_t link);
  [[nodiscard]] ProxyCounters counters(std::size_t link) const;

 private:
  class Worker;
  explicit Proxy(std::unique_ptr<Worker> worker);
  std::unique_ptr<Worker> worker_;
};

}  // namespace pannier::delivery
