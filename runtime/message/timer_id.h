#pragma once

#include <cstdint>

namespace pannier {

/// Names one armed timer of one worker; zero names none. No id is ever given out twice, so an id that was kept after
/// its timer fired or was cancelled names nothing: cancelling it does nothing.
enum class TimerId : std::uint64_t {};

}  // namespace pannier
