#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <pannier/actor_base.h>
#include <pannier/node.h>
#include <pannier/platform.h>
#include <pannier/queue.h>
#include <pannier/result.h>
#include <pannier/rpc.h>

/// HTTP for those without this library: docs/http.md. Link pannier::http. Nothing listens unless a program makes a
/// Gateway.
namespace pannier::http {

/// A service whose methods with `http_get`, `http_post`, `http_put`, `http_patch` or `http_delete` become resources.
struct Mount {
  const rpc::Service* service;  ///< OrderService::reflected().
  std::string server;           ///< The actor that serves it: "orders", "hub/orders".
};

/// What a gateway is made from. A value.
struct Options {
  /// "ADDRESS:PORT", both as numbers: "127.0.0.1:8080", "[::1]:8080". Port 0: the system chooses. An address other than
  /// loopback needs `keys_file`.
  std::string listen = "127.0.0.1:8080";
  /// Names besides the address that a request may give as its Host, without port; see docs/http.md, Safety. "*": any.
  std::vector<std::string> hosts = {};
  /// API keys (docs/http.md, Keys). Empty: whoever reaches the address may do everything.
  std::string keys_file = {};
  /// Origins of web pages that may use this gateway (CORS): "https://shop.example". Empty: none but its own.
  std::vector<std::string> origins = {};
  /// The services behind /v1/ resources.
  std::vector<Mount> mounts = {};
  /// Files of schemas (.fbs), for JSON of tables that no mounted service has.
  std::vector<std::string> schema_files = {};
  /// Nodes without whose links this one is not ready (/readyz).
  std::vector<std::string> needs_links = {};
  /// Lanes that /metrics shows one by one; the others are shown as one.
  std::vector<std::string> metric_lanes = {};

  std::uint32_t connections = 1024;
  std::size_t header_bytes = 16 * 1024;          ///< Of request line and headers.
  std::size_t body_bytes = 512 * 1024;           ///< Of a request. JSON is longer than the table it becomes.
  Duration idle = std::chrono::seconds{10};      ///< A connection that says nothing for so long is closed.
  Duration arrival = std::chrono::seconds{30};   ///< A request that has not arrived in whole by then is cut off.
  Duration deadline = std::chrono::seconds{30};  ///< Of an answer, where the client names none.
  std::uint32_t readers = 1000;                  ///< Event streams at once.
  std::size_t reader_bytes = 16 * 1024;          ///< What waits for one reader of an event stream.
  std::uint32_t rate = 0;  ///< Requests a second for each key, with a burst of ten seconds; 0: no limit.
};

/// For the handler of a method with the attributes `http_post` and `keeps_answer`, in the turn that begins the call:
/// adds to `batch` that `answer` is kept under the request's Idempotency-Key, so that key and effect share one
/// transaction and a repetition gets the same answer. Commit the batch, then answer. Where it was stored already, the
/// commit is refused. For a call that did not come over HTTP it adds nothing. `at`: wall_now(). invalid_argument:
/// `answer` is no table.
Result<void> keep_answer(Batch& batch, const rpc::Caller& caller, const AnyTable& answer, WallTime at);

/// Options from settings by name, such as the table [app.http] of a configuration file (RunOptions::app with `prefix`
/// "http."): listen, hosts, keys, origins, schemas, needs_links, metric_lanes (lists with spaces between), connections,
/// rate, and the times in seconds. invalid_argument: a name or value that makes no sense; the text names it.
[[nodiscard]] Result<Options> options_from(const std::map<std::string, std::string>& settings,
                                           const std::string& prefix, Options defaults = {});

/// A node's HTTP server: a loop on a thread of its own, and an actor that answers.
class Gateway {
 public:
  /// Listens at once and answers once the loop runs (posix::Process::drive). `node` and `platform` outlive the loop's
  /// last step. invalid_argument, in_use, permission: the address, or a file that cannot be read.
  [[nodiscard]] static Result<std::unique_ptr<Gateway>> create(Node& node, Platform platform, Options options);
  virtual ~Gateway() = default;
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  [[nodiscard]] virtual Loop& loop() noexcept = 0;
  /// Where it listens: "127.0.0.1:8080".
  [[nodiscard]] virtual const std::string& address() const noexcept = 0;

 protected:
  Gateway() = default;
};

}  // namespace pannier::http
