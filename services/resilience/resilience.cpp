#include <pannier/resilience.h>

#include <array>
#include <span>

#include "services/resilience/call.h"
#include "services/resilience/schema/resilience.fbs.h"

namespace pannier {

namespace {

constexpr std::size_t kCachedAnswers = 32;
constexpr Duration kReportInterval = std::chrono::seconds{1};

}  // namespace

namespace detail {

/// What outlives a destination as long as a call of it is under way.
struct DestinationState {
  DestinationState(NodeActor& owner, DestinationOptions& options)
      : actor(&owner),
        sound(check(options.policy)),
        guard(std::move(options.name), sound ? options.policy : Policy{}),
        to(std::move(options.to)),
        report_to(options.report_to) {}

  struct Cached {
    std::string key;
    AnyTable answer;
    MonoTime at;
  };

  NodeActor* actor;  // null once the destination has ended
  const Result<void> sound;
  Guard guard;
  std::vector<Ref> to;
  std::size_t turn = 0;
  CircuitBreaker::State seen = CircuitBreaker::State::closed;
  std::vector<Cached> cache;  // the one used last at the end
  LocalRef report_to;
  MonoTime reported{};

  /// After whatever may have changed the breaker, or counters.
  void look(MonoTime now) {
    const auto state = guard.breaker.state(now);
    if (std::exchange(seen, state) != state) {
      const std::string_view what = to_string(state);
      ActorHandle{*actor}.log(state == CircuitBreaker::State::open ? LogLevel::warning : LogLevel::info,
                              guard.name + ": its circuit breaker is " + std::string{what});
    } else if (now - reported < kReportInterval) {
      return;
    }
    if (!report_to) return;
    reported = now;
    auto report = native_message(MessageKind::tell, report_to.id(), DestinationReport{guard.status(now), now});
    // The desk is for people: a report that finds no room is replaced by the next one.
    static_cast<void>(ActorHandle{*actor}.send(std::move(report)));
  }
};

/// One call of an actor: the step machine with the actor's timers and turns. Held by its timer and its attempts.
class CallBox final : public Call::Shell, public std::enable_shared_from_this<CallBox> {
 public:
  CallBox(std::shared_ptr<DestinationState> state, MonoTime deadline, bool idempotent, StartAttempt start,
          CallDone done)
      : state_(std::move(state)),
        start_(std::move(start)),
        done_(std::move(done)),
        call_(state_->guard, *this, deadline, idempotent) {}
  virtual ~CallBox() = default;

  void begin() {
    call_.begin(now(), random());
    // Never from within the call: what was refused at once is told in a turn of its own.
    if (call_.ended()) return later_done();
    arm();
  }
  void refuse(Error why) {
    refusal_ = std::move(why);
    later_done();
  }
  void cancel() {
    if (finished_ || state_->actor == nullptr) return;
    if (!call_.ended()) {
      call_.cancel(now());
      later_done();
    }
  }
  [[nodiscard]] bool wants(std::uint32_t serial) const noexcept {
    return state_->actor != nullptr && call_.wants(serial);
  }
  void report(std::uint32_t serial, const AttemptEnd& end) {
    forget(serial);
    call_.report(serial, end, now(), random());
    go_on();
  }

  void start(std::uint32_t serial, Duration timeout) override {
    auto& to = state_->to;
    const Ref instance = to.empty() ? Ref{} : to[state_->turn++ % to.size()];
    running_.push_back({serial, {}});
    auto taken_back = start_(Attempt{instance, timeout, serial}, Reporter{shared_from_this(), serial});
    for (Running& each : running_) {
      if (each.serial == serial) each.cancel = std::move(taken_back);
    }
  }
  void cancel(std::uint32_t serial) noexcept override {
    for (Running& each : running_) {
      if (each.serial != serial) continue;
      Callback<void()> cancel = std::move(each.cancel);
      forget(serial);
      if (cancel && state_->actor != nullptr) cancel();
      return;
    }
  }
  void wake() noexcept override {
    if (state_->actor != nullptr) arm();
  }

 private:
  struct Running {
    std::uint32_t serial;
    Callback<void()> cancel;
  };

  [[nodiscard]] MonoTime now() const { return ActorHandle{*state_->actor}.now(); }
  [[nodiscard]] std::uint64_t random() const { return ActorHandle{*state_->actor}.random(); }
  void forget(std::uint32_t serial) noexcept {
    std::erase_if(running_, [serial](const Running& each) { return each.serial == serial; });
  }
  void arm() {
    const MonoTime due = call_.due();
    if (armed_ && due == due_) return;
    const auto self = shared_from_this();  // the timer's share may be the only one
    disarm();
    if (due == kNever) return;
    armed_ = true;
    due_ = due;
    const Duration delay = std::max(Duration::zero(), due - now());
    timer_ = ActorHandle{*state_->actor}.after(delay, [self] {
      self->armed_ = false;
      self->call_.advance(self->now(), self->random());
      self->go_on();
    });
  }
  void disarm() {
    if (std::exchange(armed_, false)) ActorHandle{*state_->actor}.cancel(timer_);
  }
  void go_on() {
    if (!call_.ended()) return arm();
    finish();
  }
  void later_done() {
    const auto self = shared_from_this();
    disarm();
    ActorHandle{*state_->actor}.after(Duration::zero(), [self] { self->finish(); });
  }
  void finish() {
    if (std::exchange(finished_, true)) return;
    const auto self = shared_from_this();  // the timer's or the attempt's share may go while `done` runs
    disarm();
    state_->look(now());
    CallDone done = std::move(done_);
    const auto& verdict = refusal_ ? refusal_ : call_.verdict();
    done(verdict ? &*verdict : nullptr);
  }

  std::shared_ptr<DestinationState> state_;
  StartAttempt start_;
  CallDone done_;
  std::optional<Error> refusal_;
  std::vector<Running> running_;
  TimerId timer_{};
  MonoTime due_{};
  bool armed_ = false;
  bool finished_ = false;
  Call call_;  // last: it ends first, and then uses the others no more
};

bool Reporter::wanted() const noexcept { return box_ != nullptr && box_->wants(serial_); }

void Reporter::report(const Error* error, const AttemptNote& note) {
  if (const auto box = std::exchange(box_, nullptr); box != nullptr && box->wants(serial_)) {
    box->report(serial_, {.error = error == nullptr ? std::nullopt : std::optional{error->code},
                          .retry_after = note.retry_after,
                          .not_started = note.not_started});
  }
}

std::optional<Duration> overloaded(const AnyTable& answer) noexcept {
  if (answer.type() != type_info<services::Overloaded>().id) return std::nullopt;
  const auto table = answer.as<services::Overloaded>();
  return table ? std::chrono::milliseconds{(*table)->retry_after_ms()} : Duration::zero();
}

}  // namespace detail

Destination::Destination(NodeActor& actor, DestinationOptions options)
    : actor_(actor), state_(std::make_shared<detail::DestinationState>(actor, options)) {}

Destination::~Destination() { state_->actor = nullptr; }

CallHandle Destination::begin(CallOptions options, detail::StartAttempt start, detail::CallDone done) {
  const MonoTime now = ActorHandle{actor_}.now();
  const Duration most = state_->guard.deadline;
  const Duration span = options.deadline > Duration::zero() ? std::min(options.deadline, most) : most;
  const MonoTime deadline = std::min(later(now, span), ActorHandle{actor_}.deadline());
  const auto box =
      std::make_shared<detail::CallBox>(state_, deadline, options.idempotent, std::move(start), std::move(done));
  if (state_->sound) {
    box->begin();
  } else {
    ++state_->guard.counters.failed;
    box->refuse(state_->sound.error());
  }
  return CallHandle{[weak = std::weak_ptr{box}] {
    if (const auto call = weak.lock()) call->cancel();
  }};
}

Callback<void()> Destination::ask(const Attempt& attempt, const AnyTable& question,
                                  Callback<void(Result<AnyTable>)> then) {
  NodeActor* const actor = &actor_;
  auto message = any_message(MessageKind::ask, attempt.to.id(), question);
  const TimerId id = Pending<AnyTable>{{actor, std::move(message), attempt.timeout}}.then(std::move(then));
  return [actor, id] { ActorHandle{*actor}.cancel(id); };
}

DestinationStatus Destination::status() const { return state_->guard.status(ActorHandle{actor_}.now()); }

const std::string& Destination::name() const noexcept { return state_->guard.name; }

void Destination::mark_down() {
  const MonoTime now = ActorHandle{actor_}.now();
  state_->guard.breaker.open(now, ActorHandle{actor_}.random());
  state_->look(now);
}

std::optional<std::pair<AnyTable, Duration>> Destination::cached(std::string_view key) const {
  for (const auto& each : state_->cache) {
    if (each.key == key) return std::pair{each.answer, ActorHandle{actor_}.now() - each.at};
  }
  return std::nullopt;
}

void Destination::keep(std::string_view key, const AnyTable& answer) {
  auto& cache = state_->cache;
  std::erase_if(cache, [key](const auto& each) { return each.key == key; });
  if (cache.size() >= kCachedAnswers) cache.erase(cache.begin());
  cache.push_back({std::string{key}, answer, ActorHandle{actor_}.now()});
}

void Destination::fell_back() noexcept { ++state_->guard.counters.fell_back; }

void Destination::enqueue(const std::string& lane, const std::string& key, const AnyTable& command,
                          const std::string& token, Callback<void(Result<Receipt>)> then) {
  ActorHandle{actor_}.enqueue(lane, key, command, EnqueueOptions{.token = token}).then(std::move(then));
}

std::string Destination::new_token() const {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string token;
  for (int half = 0; half < 2; ++half) {
    std::uint64_t bits = ActorHandle{actor_}.random();
    for (int i = 0; i < 16; ++i, bits >>= 4) token += kDigits[bits & 15U];
  }
  return token;
}

AnyTable Destination::once(const std::string& token, const AnyTable& command) {
  return build<services::OnceCall>([&](flatbuffers::FlatBufferBuilder& b) {
    const auto bytes = command.bytes();
    b.ForceVectorAlignment(bytes.size(), 1, 16);
    const auto payload = b.CreateVector(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    const auto text = b.CreateString(token);
    return services::CreateOnceCall(b, text, static_cast<std::uint64_t>(command.type()), payload);
  });
}

// --- StatusDesk ------------------------------------------------------------------------------------------------------

namespace {
constexpr std::size_t kKnownDestinations = 1024;
}

void StatusDesk::on(const DestinationReport& report) {
  const std::uint64_t caller = sender().id().bits();
  const auto same = std::find_if(known_.begin(), known_.end(), [&](const Known& each) {
    return each.caller == caller && each.report.status.name == report.status.name;
  });
  if (same != known_.end()) known_.erase(same);
  if (known_.size() >= kKnownDestinations) known_.erase(known_.begin());
  known_.push_back({caller, report});
}

Result<AnyTable> StatusDesk::on(const AnyTable& question) {
  if (question.type() != type_info<services::ListServices>().id) return ErrorCode::rejected;
  services::ServiceListT list;
  for (const Known& each : known_) {
    const DestinationStatus& status = each.report.status;
    const CallCounters& counters = status.counters;
    auto state = std::make_unique<services::ServiceStateT>();
    const Duration age = now() - each.report.at;
    const Duration open = std::max(Duration::zero(), status.open_for - age);
    const bool was_open = status.breaker == CircuitBreaker::State::open;
    const auto ms = [](Duration span) {
      return static_cast<std::uint64_t>(std::chrono::ceil<std::chrono::milliseconds>(span).count());
    };
    state->name = status.name;
    // Without a call nobody says that the time of an open breaker is over.
    state->breaker =
        to_string(was_open && open == Duration::zero() ? CircuitBreaker::State::half_open : status.breaker);
    state->open_for_ms = was_open ? ms(open) : 0;
    state->openings = status.openings;
    state->running = status.running;
    state->limit = status.limit;
    state->waiting = status.waiting;
    state->retry_tokens = status.retry_tokens;
    state->succeeded = counters.succeeded;
    state->failed = counters.failed;
    state->cancelled = counters.cancelled;
    state->attempts = counters.attempts;
    state->retries = counters.retries;
    state->hedges = counters.hedges;
    state->not_permitted = counters.not_permitted;
    state->no_room = counters.no_room;
    state->over_rate = counters.over_rate;
    state->budget_spent = counters.budget_spent;
    state->timed_out = counters.timed_out;
    state->fell_back = counters.fell_back;
    state->latency.assign(status.latency.counts.begin(), status.latency.counts.end());
    state->age_ms = ms(age);
    list.services.push_back(std::move(state));
  }
  return AnyTable{pack(list)};
}

// --- Proxy -----------------------------------------------------------------------------------------------------------

Proxy::Proxy(std::string to, Policy policy, bool idempotent, LocalRef report_to)
    : destination_(*this, {.name = to, .to = {ref(to)}, .policy = policy, .report_to = report_to}),
      idempotent_(idempotent) {}

void Proxy::on(const AnyTable& question, Responder responder) {
  destination_.call<AnyTable>(question, {.idempotent = idempotent_})
      .then([responder = std::move(responder)](const Result<Answer<AnyTable>>& answer) {
        if (answer) {
          responder.reply(**answer);
        } else {
          responder.refuse(answer.error().code);
        }
      });
}

}  // namespace pannier
