#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <pannier/result.h>
#include "examples/delivery/day/shaper.h"

namespace pannier::delivery {

/// One link that the proxy makes: a TCP port on loopback that leads to another one.
struct ProxyLink {
  std::string name;                      ///< For error lines.
  std::uint16_t upstream_port = 0;       ///< On 127.0.0.1: whom the device means to reach.
  std::uint16_t listen_port = 0;         ///< On 127.0.0.1; 0: any that is free.
  ShaperOptions up;                      ///< From the device.
  ShaperOptions down;                    ///< To the device.
  std::size_t buffer_bytes = 32 * 1024;  ///< Held for each direction of a connection; full: no more is read.
  std::size_t max_connections = 64;      ///< One more is refused and counted.
};

/// How a link breaks.
enum class Cut : std::uint8_t {
  drop,    ///< All connections are reset and new ones refused: both ends know.
  freeze,  ///< Nothing moves and nobody is told: half-open. A new connection gets no further than the
           ///< system's backlog.
};

struct ProxyCounters {
  std::uint64_t bytes_up = 0;     ///< Written to the far side, from the device.
  std::uint64_t bytes_down = 0;   ///< Written to the device.
  std::uint64_t connections = 0;  ///< Taken in, ever.
  std::uint64_t refused = 0;      ///< Over max_connections, or the far side was not there.
  std::uint64_t open = 0;         ///< Now.
};

/// A mobile network in user space, between programs that know nothing of it: TCP on loopback, shaped by a
/// trace (this needs no rights and no kernel module, as network emulation in the kernel would). Runs on a
/// thread of its own. Memory is bounded: a full buffer stops the reading, so that TCP itself holds the sender
/// back.
class Proxy {
 public:
  /// Opens all ports and begins. in_use when a port is taken; unreachable for what else the system refuses.
  [[nodiscard]] static Result<std::unique_ptr<Proxy>> start(std::vector<ProxyLink> links);

  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;
  /// Resets all connections and ends the thread.
  ~Proxy();

  // Links are named by their index in start(). All calls are allowed from any thread; cut and restore have
  // happened when they return.

  [[nodiscard]] std::uint16_t port(std::size_t link) const;
  void cut(std::size_t link, Cut how);
  /// After a freeze the connections go on where they stood; after a drop new ones are taken. Without a cut it
  /// does nothing. in_use when the port cannot be opened again.
  Result<void> restore(std::size_t link);
  [[nodiscard]] ProxyCounters counters(std::size_t link) const;

 private:
  class Worker;
  explicit Proxy(std::unique_ptr<Worker> worker);
  std::unique_ptr<Worker> worker_;
};

}  // namespace pannier::delivery
