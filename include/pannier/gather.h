#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pannier/actor.h>
#include <pannier/resilience.h>

/// One question to many: the parts of an answer come from several services, each in its own time, and the answer says
/// of each part what became of it. Link pannier::gather.
namespace pannier {

struct PartOptions {
  bool required = true;  ///< The answer is not complete without it. False: optional.
  Duration deadline{};   ///< Of this part. Zero: the gather's.
  /// stale_ok: an earlier answer to the same question stands in, if it is not older than this. Zero: none does.
  Duration stale_ok{};
};

enum class PartStatus : std::uint8_t {
  waiting,
  ok,
  stale,    ///< An earlier answer, `age` old.
  timeout,  ///< Nothing by the part's deadline.
  error,    ///< `error` says why.
};
[[nodiscard]] std::string_view to_string(PartStatus status) noexcept;

struct Part {
  std::string name;
  bool required = true;
  PartStatus status = PartStatus::waiting;
  std::optional<AnyTable> value = {};  ///< If ok or stale.
  Duration age{};
  std::optional<Error> error = {};  ///< Of timeout and error; of stale: why it is not fresh.
};

/// What has come. A value.
class Gathered {
 public:
  explicit Gathered(std::vector<Part> parts) : parts_(std::move(parts)) {}
  /// Every required part is there, fresh or stale.
  [[nodiscard]] bool complete() const noexcept;
  [[nodiscard]] const std::vector<Part>& parts() const noexcept { return parts_; }
  /// Null: there is none of that name.
  [[nodiscard]] const Part* find(std::string_view name) const noexcept;
  /// The part's value; its error if it has none; not_found.
  template <FlatTable T>
  [[nodiscard]] Result<Table<T>> get(std::string_view name) const {
    const Part* part = find(name);
    if (part == nullptr) return ErrorCode::not_found;
    if (!part->value) return part->error ? *part->error : Error{ErrorCode::timeout};
    return part->value->as<T>();
  }

 private:
  std::vector<Part> parts_;
};

class Gatherer;

/// A question about to be asked of many.
class [[nodiscard]] GatherCall {
 public:
  GatherCall(GatherCall&&) noexcept = default;
  GatherCall& operator=(GatherCall&&) = delete;

  /// Asks `question` of `service`, a destination of the same actor, which must be safe to ask twice. `name` is unique
  /// within the gather.
  GatherCall&& part(std::string name, Destination& service, AnyTable question, PartOptions options = {}) &&;
  /// Called with each part as it settles, before `then`; the last one and the outcome may come in one turn.
  GatherCall&& each(Callback<void(const Part&)> function) &&;
  /// Asks. `function` is called exactly once, in a turn of its own: when all parts have settled, at the latest at the
  /// deadline. It is dropped if the actor stops or the handle cancels.
  CallHandle then(Callback<void(const Gathered&)> function) &&;

 private:
  friend class Gatherer;
  struct Request;
  explicit GatherCall(Gatherer& gatherer, Duration deadline);
  Gatherer* gatherer_;
  std::unique_ptr<Request, void (*)(Request*)> request_;
};

/// Asks many for one answer, for one actor, whose member it is, declared after its destinations. Identical questions to
/// one destination that are under way at the same time are asked once, whichever gathers they belong to; one is taken
/// back when nobody waits for it any more. Keeps the latest answers to 64 questions whose parts are stale_ok.
class Gatherer {
 public:
  explicit Gatherer(NodeActor& actor);
  ~Gatherer();
  Gatherer(const Gatherer&) = delete;
  Gatherer& operator=(const Gatherer&) = delete;

  /// `deadline` from now. Where this actor answers a question (ActorBase::deadline()), at the latest when nine tenths
  /// of the time that it has left are over, so that the answer comes in time.
  [[nodiscard]] GatherCall ask(Duration deadline);

  struct Counters {
    std::uint64_t gathers = 0;
    std::uint64_t incomplete = 0;  ///< Of those that ended: a required part was missing.
    std::uint64_t asked = 0;       ///< Questions that were sent.
    std::uint64_t merged = 0;      ///< Parts that waited for a question under way.
    std::uint64_t stale = 0;
    std::uint64_t cancelled = 0;  ///< Gathers that were taken back.
  };
  [[nodiscard]] const Counters& counters() const noexcept;

 private:
  friend class GatherCall;
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace pannier
