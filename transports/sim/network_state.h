#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <pannier/sim.h>

namespace pannier::sim {

/// The size of a dial, its answer or an end on a limited path.
inline constexpr std::size_t kControlBytes = 64;

/// One end of a channel.
struct Network::Half {
  ChannelId id{};
  std::shared_ptr<Endpoint> owner;  ///< Null at the far end of a dial not answered yet.
  std::string host;
  std::shared_ptr<Half> peer;  ///< Released by both once both have ended.
  std::optional<PublicKey> wanted_key;
  PeerIdentity peer_identity;
  MonoTime last_arrival{};         ///< Of what this end sent. Keeps a channel in order.
  std::size_t waiting_frames = 0;  ///< Sent by this end and not yet polled at the far end.
  std::size_t waiting_bytes = 0;
  bool open = true;
  bool answered = false;  ///< This end's dial has been answered.
  bool broken = false;    ///< A cut swallowed something that this end sent.
  bool refused = false;   ///< This end got `full` and is notified when there is room.
};

struct Network::Event {
  enum class Kind : std::uint8_t { open, accept, frame, closed } kind;
  std::shared_ptr<Half> half;
  std::vector<std::byte> frame;
  Error cause{ErrorCode::closed};
};

struct Network::Endpoint {
  std::string host;
  std::optional<PublicKey> key;
  FlagWakeup* wakeup = nullptr;  ///< Null once the transport is gone.
  std::deque<Event> events;
  std::unordered_map<ChannelId, std::shared_ptr<Half>> channels;  ///< For lookup only: its order means nothing.
  Transport::Counters counters;

  void post(Event event) {
    if (wakeup == nullptr) return;
    events.push_back(std::move(event));
    wakeup->notify();
  }
};

}  // namespace pannier::sim
