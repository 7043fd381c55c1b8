#pragma once
#include <pannier/limits.h>
namespace pannier::limits {
inline constexpr Duration kHeartbeatLeast = std::chrono::milliseconds{100};
inline constexpr Duration kHeartbeatMost = std::chrono::minutes{10};
inline constexpr int kSilentHalves = 5;
inline constexpr Duration kQuietMost = std::chrono::hours{24};
inline constexpr Duration kReconnectCapSoon = std::chrono::seconds{2};
inline constexpr Duration kReconnectSoon = std::chrono::minutes{2};
inline constexpr Duration kRetryAfterMost = std::chrono::minutes{5};
inline constexpr std::size_t kAcceptsPerSecond = 200;
inline constexpr Duration kRetrySpread = std::chrono::seconds{3};
inline constexpr std::size_t kHops = 16;
inline constexpr std::size_t kNodesPerLink = 4096;
inline constexpr Duration kRingGrace = std::chrono::seconds{15};
}
