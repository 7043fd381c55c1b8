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

/// The side that is called: who is let in, and how a call takes effect once. Link pannier::resilience.
namespace pannier {

/// What a service sheds first when it has too much to do.
enum class Priority : std::uint8_t {
  background,  ///< From half of the limit on it is turned away.
  normal,      ///< From three quarters on.
  high,        ///< From nine tenths on.
  critical,    ///< At the limit only.
};

struct AdmissionPolicy {
  RatePolicy rate = {};          ///< Of each peer on its own; `wait` has no meaning here.
  std::uint16_t concurrent = 0;  ///< Questions in work at once, of all peers. 0: no limit.
  bool adaptive = false;         ///< The limit follows the latency, as BulkheadPolicy::adaptive.
  std::uint16_t least = 1;       ///< Of `adaptive`.
};

/// invalid_argument, with one line that says what to change. Any thread.
[[nodiscard]] Result<void> check(const AdmissionPolicy& policy);

/// Lets in as much as a service can do, and tells the rest when to ask again. Pure; one thread. Remembers the rates of
/// the 1,024 peers that asked last.
class Admission {
 public:
  /// A question in work. Dropping it says that it is done. Must not outlive its Admission.
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
    /// As dropping it, with what the adaptive limit and retry_after learn from: when it was done.
    void done(MonoTime now) noexcept;
    void drop() noexcept;

   private:
    friend class Admission;
    Ticket(Admission& of, MonoTime began) noexcept : of_(&of), began_(began) {}
    Admission* of_ = nullptr;
    MonoTime began_{};
  };

  /// Not now.
  struct Refusal {
    Duration retry_after{};
    std::string reason;
  };

  explicit Admission(const AdmissionPolicy& policy) noexcept;
  Admission(const Admission&) = delete;
  Admission& operator=(const Admission&) = delete;

  struct Decision {
    std::optional<Ticket> ticket;  ///< Nothing: refused.
    Refusal refusal;
    explicit operator bool() const noexcept { return ticket.has_value(); }
  };
  /// `peer`: who asks, as ActorBase::label() says (empty: this node).
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

/// Answers "not now": callers that use a policy wait at least `retry_after` before they ask again; a plain `ask<R>`
/// sees `rejected`.
void refuse_overloaded(const Responder& responder, const Admission::Refusal& refusal);

/// The receiving end of Destination::call_once: a command takes effect once, whether it comes as a question, several
/// times, or as a message of a lane. A member of an actor that handles AnyTable in both forms, on a node with a store:
///
///     void on_start() { require(consume<AnyTable>("orders")); }
///     void on(const AnyTable& call, Responder responder) { once_.handle(call, responder); }
///     void on(const AnyTable& call, Delivery delivery) { once_.handle(call, delivery); }
///     OnceDesk once_{*this, [this](const AnyTable& command, Batch& effects) -> Result<AnyTable> { ... }};
///
/// Effects that go into the batch share their commit with the mark of the token, so they happen once across crashes
/// too. An error is answered, and has no effect: the command may come again.
class OnceDesk {
 public:
  using Effect = Callback<Result<AnyTable>(const AnyTable& command, Batch& effects)>;

  /// `remember`: so many of the latest tokens are known; a command that comes again after as many others takes effect
  /// again. `name` keeps desks of one store apart.
  OnceDesk(NodeActor& actor, Effect effect, std::string name = "once", std::uint32_t remember = 4096);
  ~OnceDesk();
  OnceDesk(const OnceDesk&) = delete;
  OnceDesk& operator=(const OnceDesk&) = delete;

  /// Answers with what `effect` answered, the first time or an earlier one, once that is committed.
  void handle(const AnyTable& call, Responder responder);
  /// Acknowledges once the effect is committed, now or earlier; dead-letters what is no call_once, or whose effect is
  /// refused by an error that will not pass; otherwise retries.
  void handle(const AnyTable& call, Delivery delivery);

  [[nodiscard]] std::uint64_t took_effect() const noexcept;
  [[nodiscard]] std::uint64_t repeated() const noexcept;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace pannier
