#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <pannier/actor.h>
#include <pannier/message.h>
#include <pannier/platform.h>
#include <pannier/result.h>

/// Typed calls between actors, here and on other nodes: docs/services.md.
namespace pannier::rpc {

// --- How a call ends -------------------------------------------------------------------------------------------------

/// How a call ended. The set is closed; names and numbers are gRPC's, so that a gateway passes them on unchanged.
enum class Status : std::uint8_t {
  ok = 0,
  cancelled = 1,            ///< The caller took it back, or left.
  unknown = 2,              ///< A status that this build does not know.
  invalid_argument = 3,     ///< The request is wrong, whatever the state of the server.
  deadline_exceeded = 4,    ///< The deadline passed first. Whether the server acted is unknown.
  not_found = 5,            ///< What the request names does not exist.
  already_exists = 6,       ///< What the request would make exists.
  permission_denied = 7,    ///< The caller may not do this.
  resource_exhausted = 8,   ///< A bound or a quota is reached: try later, or shed.
  failed_precondition = 9,  ///< The server's state does not allow it, and trying again changes nothing.
  aborted = 10,             ///< A conflict with another call: try the whole transaction again.
  out_of_range = 11,        ///< Past the end of what there is.
  unimplemented = 12,       ///< The server does not know this method.
  internal = 13,            ///< The server's handler failed, or broke its contract.
  unavailable = 14,         ///< No link leads there, the link was lost, or the server has restarted.
  data_loss = 15,           ///< Bytes that do not verify.
  unauthenticated = 16,     ///< The caller did not say who it is.
};
inline constexpr std::size_t kStatuses = 17;

/// The name as it stands in the enum. Static storage.
[[nodiscard]] std::string_view to_string(Status status) noexcept;
/// What an error means that a handler returns.
[[nodiscard]] Status status_of(ErrorCode code) noexcept;
/// The nearest error of the runtime, for who decides on those; `failed` for ok.
[[nodiscard]] ErrorCode error_of(Status status) noexcept;

/// How a call ended, when it did not end well. A value.
struct Failure {
  Status status = Status::unknown;
  std::string message = {};   ///< For a person; at most limits::kCauseBytes, a longer one is cut.
  Duration retry_after = {};  ///< The server asks not to be called again before; zero: it says nothing.
  /// The request certainly had no effect: it never reached a handler. False where that is unknown.
  bool not_started = false;
};

}  // namespace pannier::rpc
