#pragma once

#include <memory>

namespace pannier::zmq {

struct ContextState;

/// ZeroMQ's context: its I/O threads, and the one ZAP handler (ZeroMQ RFC 27) that a context can have. One a process:
/// with two, libzmq before 4.3.5 can crash in libsodium. Make it before any thread forks off, and never fork after it.
///
/// The ZAP handler serves every transport of the context, told apart by ZAP domain (each transport has its own). It
/// has no thread: the oldest transport that listens polls it, and hands it on when it goes. So a transport that is not
/// polled for long delays the handshakes of its neighbours in the same process; with one transport a process, the rule
/// outside of tests, there are none.
///
/// Must outlive its transports. Callable from any thread.
class Context {
 public:
  /// `io_threads` move the bytes and do the encryption; one carries about a gigabyte a second. `max_sockets` bounds
  /// what libzmq opens: a dialled channel takes three, a listener three.
  explicit Context(int io_threads = 1, int max_sockets = 4096);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

 private:
  friend class ZmqTransport;
  std::unique_ptr<ContextState> state_;
};

}  // namespace pannier::zmq
