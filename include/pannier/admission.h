#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pannier/actor.h>
#include <pannier/policy.h>

/// The called side: admission of callers, and commands that take effect once. Link pannier::resilience.
namespace pannier {

/// What an overloaded service sheds first.
enum class Priority : std::uint8_t {
  background,  ///< Shed from half of the limit.
  normal,      ///< Shed from three quarters.
  high,        ///< Shed from nine tenths.
  critical,    ///< Shed at the limit only.
};

struct AdmissionPolicy {
  RatePolicy rate = {};          ///< Per peer; `wait` is ignored.
  std::uint16_t concurrent = 0;  ///< Questions in progress, over all peers. 0: no limit.
  bool adaptive = false;         ///< The limit follows the latency; see BulkheadPolicy::adaptive.
  std::uint16_t least = 1;       ///< Of `adaptive`.
};

/// invalid_argument, with one line that says what to change. Any thread.
[[nodiscard]] Result<void> check(const AdmissionPolicy& policy);

/// Admits as much as a service can handle and tells the rest when to ask again. Pure; one thread. Remembers the rates
/// of the latest 1,024 peers.
class Admission {
 public:
  /// A question in progress. Drop it when done. Must not outlive its Admission.
  class Ticket {
   public:
    Ticket() noexcept = default;
    Ticket(Ticket&& other) noexcept : of_(std::exchange(other.of_, nullptr)), began_(other.began_) {}
    Ticket& operator=(Ticket&& other) noexcept {
      if (this != &other) {
        drop();
        of_ = std::exchange(other.of_, nullptr);
        began_ = other.began_;
      }
      return *this;
    }
    ~Ticket() { drop(); }
    /// As dropping it, but tells the adaptive limit and retry_after when it was done.
    void done(MonoTime now) noexcept;
    void drop() noexcept;

   private:
    friend class Admission;
    Ticket(Admission& of, MonoTime began) noexcept : of_(&of), began_(began) {}
    Admission* of_ = nullptr;
    MonoTime began_{};
  };

  /// The refusal.
  struct Refusal {
    Duration retry_after{};
    std::string reason;
  };

  explicit Admission(const AdmissionPolicy& policy) noexcept;
  Admission(const Admission&) = delete;
  Admission& operator=(const Admission&) = delete;

  struct Decision {
    std::optional<Ticket> ticket;  ///< Empty: refused.
    Refusal refusal;
    explicit operator bool() const noexcept { return ticket.has_value(); }
  };
  /// `peer`: the asking node, as ActorBase::label() (empty: this node).
  [[nodiscard]] Decision admit(std::string_view peer, Priority priority, MonoTime now);

  [[nodiscard]] unsigned in_work() const noexcept { return in_work_; }
  [[nodiscard]] unsigned limit() const noexcept { return bulkhead_.limit(); }
  [[nodiscard]] std::uint64_t admitted() const noexcept { return admitted_; }
  [[nodiscard]] std::uint64_t shed(Priority priority) const noexcept {
    return shed_[static_cast<std::size_t>(priority)];
  }
  [[nodiscard]] std::uint64_t over_rate() const noexcept { return over_rate_; }

 private:
  struct Peer {
    TokenBucket bucket;
    MonoTime at;
  };

  AdmissionPolicy policy_;
  Bulkhead bulkhead_;  // for its adaptive limit
  unsigned in_work_ = 0;
  float took_ms_ = 0;  // a moving average
  std::map<std::string, Peer, std::less<>> peers_;
  std::uint64_t admitted_ = 0;
  std::uint64_t shed_[4] = {};
  std::uint64_t over_rate_ = 0;
};

/// Answers "not now". Callers with a policy wait at least `retry_after` before they ask again; a plain `ask<R>` gets
/// `rejected`.
void refuse_overloaded(const Responder& responder, const Admission::Refusal& refusal);

/// The receiving end of Destination::call_once: a command takes effect once, whether it arrives as a question,
/// repeatedly, or as a message of a lane. A member of an actor that handles AnyTable in both forms, on a node with a
/// store:
///
///     void on_start() { require(consume<AnyTable>("orders")); }
///     void on(const AnyTable& call, Responder responder) { once_.handle(call, responder); }
///     void on(const AnyTable& call, Delivery delivery) { once_.handle(call, delivery); }
///     OnceDesk once_{*this, [this](const AnyTable& command, Batch& effects) -> Result<AnyTable> { ... }};
///
/// Effects in the batch share a commit with the token's mark, so they happen once even across crashes. An error is
/// answered without effect, and the command may come again.
class OnceDesk {
 public:
  using Effect = Callback<Result<AnyTable>(const AnyTable& command, Batch& effects)>;

  /// Remembers the `remember` latest tokens; a command repeated after more than that takes effect again. `name`
  /// separates desks of one store.
  OnceDesk(NodeActor& actor, Effect effect, std::string name = "once", std::uint32_t remember = 4096);
  ~OnceDesk();
  OnceDesk(const OnceDesk&) = delete;
  OnceDesk& operator=(const OnceDesk&) = delete;

  /// Answers what `effect` returned, now or earlier, once that is committed.
  void handle(const AnyTable& call, Responder responder);
  /// Acknowledges once the effect is committed, now or earlier. Dead-letters what is no call_once, or whose effect
  /// fails permanently. Otherwise retries.
  void handle(const AnyTable& call, Delivery delivery);

  [[nodiscard]] std::uint64_t took_effect() const noexcept;
  [[nodiscard]] std::uint64_t repeated() const noexcept;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace pannier
