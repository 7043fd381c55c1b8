#include <array>

#include <pannier/rpc.h>

namespace pannier::rpc {

std::string_view to_string(Status status) noexcept {
  static constexpr std::array<std::string_view, kStatuses> kNames = {
      "ok",        "cancelled",      "unknown",           "invalid_argument",   "deadline_exceeded",
      "not_found", "already_exists", "permission_denied", "resource_exhausted", "failed_precondition",
      "aborted",   "out_of_range",   "unimplemented",     "internal",           "unavailable",
      "data_loss", "unauthenticated"};
  const auto index = static_cast<std::size_t>(status);
  return index < kNames.size() ? kNames[index] : "unknown";
}

Status status_of(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::full: return Status::resource_exhausted;
    case ErrorCode::timeout: return Status::deadline_exceeded;
    case ErrorCode::unreachable: return Status::unavailable;
    case ErrorCode::not_found: return Status::not_found;
    case ErrorCode::rejected: return Status::failed_precondition;
    case ErrorCode::failed: return Status::internal;
    case ErrorCode::cancelled: return Status::cancelled;
    case ErrorCode::closed: return Status::unavailable;
    case ErrorCode::malformed: return Status::data_loss;
    case ErrorCode::unsupported: return Status::unimplemented;
    case ErrorCode::invalid_argument: return Status::invalid_argument;
    case ErrorCode::permission: return Status::permission_denied;
    case ErrorCode::in_use: return Status::already_exists;
    case ErrorCode::storage_full: return Status::resource_exhausted;
    case ErrorCode::storage_io: return Status::internal;
    case ErrorCode::corrupt: return Status::data_loss;
  }
  return Status::unknown;
}

ErrorCode error_of(Status status) noexcept {
  switch (status) {
    case Status::ok: break;
    case Status::cancelled: return ErrorCode::cancelled;
    case Status::unknown: break;
    case Status::invalid_argument: return ErrorCode::invalid_argument;
    case Status::deadline_exceeded: return ErrorCode::timeout;
    case Status::not_found: return ErrorCode::not_found;
    case Status::already_exists: return ErrorCode::in_use;
    case Status::permission_denied: return ErrorCode::permission;
    case Status::resource_exhausted: return ErrorCode::full;
    case Status::failed_precondition: return ErrorCode::rejected;
    case Status::aborted: return ErrorCode::rejected;
    case Status::out_of_range: return ErrorCode::invalid_argument;
    case Status::unimplemented: return ErrorCode::unsupported;
    case Status::internal: return ErrorCode::failed;
    case Status::unavailable: return ErrorCode::unreachable;
    case Status::data_loss: return ErrorCode::corrupt;
    case Status::unauthenticated: return ErrorCode::permission;
  }
  return ErrorCode::failed;
}

}  // namespace pannier::rpc
