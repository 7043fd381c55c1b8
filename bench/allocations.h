#pragma once

#include <atomic>
#include <cstdint>

namespace pannier::bench {

/// Calls for heap memory since it was last set, by any thread and any library of this process. Counted in the program
/// `ours_counted` only (bench/allocations.cpp); it stays zero in the measured ones.
inline std::atomic<std::uint64_t> allocations{0};

}  // namespace pannier::bench
