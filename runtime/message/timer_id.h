#pragma once

#include <cstdint>

namespace pannier {

/// Names one armed timer. Zero names none. Cancelling a timer that has fired or was cancelled does nothing.
enum class TimerId : std::uint64_t {};

}  // namespace pannier
