#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include <pannier/actor.h>
#include <pannier/queue.h>

namespace pannier::tools {

/// From the service to a desk: somebody wants the next message. Native.
struct WantsMessage {
  Responder responder;
  Duration wait{};
  Duration lease{};
};

/// From the service to a desk: what became of a message. Native.
struct SettlesMessage {
  Responder responder;
  std::uint64_t handle = 0;
  pannier::Outcome outcome = pannier::Outcome::retry;
  std::string cause;
};

/// From the service to a desk: its reader is no longer wanted. Native.
struct ForgetsReader {
  Responder responder;
};

/// Hands the messages of one lane to scripts, one for each fetch; with `replay.reader`, those that the lane retains,
/// from where that reader has come to. It takes a message of the lane when somebody waits for it, never ahead: only
/// what a script was given counts as an attempt. A message that is not settled before its lease ends is tried again.
class LaneDesk : public Actor<LaneDesk, WantsMessage, SettlesMessage, ForgetsReader, AnyTable> {
 public:
  LaneDesk(std::string lane, ReplayOptions replay) : lane_(std::move(lane)), replay_(std::move(replay)) {}

  void on_start();
  void on(const WantsMessage& wants);
  void on(const SettlesMessage& settles);
  void on(const ForgetsReader& forgets);
  void on(const AnyTable& payload, Delivery delivery);
  /// What is told to a lane's desk instead of enqueued is none of its business.
  void on(const AnyTable&) {}

 private:
  struct Held {
    std::string key;
    AnyTable payload;
    Delivery delivery;
  };
  struct Fetcher {
    std::uint64_t id;
    Responder responder;
    Duration lease;
    TimerId timeout;
  };
  struct Lent {
    Delivery delivery;
    TimerId lease;
  };
  void take(const WantsMessage& wants);
  void refuse_too_large(const Responder& responder);
  void lend(const Responder& responder, Duration lease, const Held& held);
  void serve();
  void look();

  MonoTime fetched_{};
  std::string lane_;
  ReplayOptions replay_;
  std::deque<Held> held_;          // of a replay, at most replay_.window
  std::optional<Held> too_large_;  // for the command; held until the desk ends
  std::deque<Fetcher> fetchers_;
  std::map<std::uint64_t, Lent> lent_;
  std::uint64_t next_ = 1;  // starts at random: a handle of an earlier life must not fit another message
};

}  // namespace pannier::tools
