#include <pannier/gather.h>

#include <algorithm>
#include <cstring>
#include <map>

namespace pannier {

namespace {

constexpr std::size_t kKeptAnswers = 64;

struct Wanted {
  std::string name;
  Destination* service;
  AnyTable question;
  PartOptions options;
};

/// The same for questions that are the same: to one destination, of one type, of equal bytes.
std::string key_of(const Destination& service, const AnyTable& question) {
  const auto* const place = &service;
  const auto type = static_cast<std::uint64_t>(question.type());
  std::string key(sizeof(place) + sizeof(type) + question.bytes().size(), '\0');
  std::memcpy(key.data(), &place, sizeof(place));
  std::memcpy(key.data() + sizeof(place), &type, sizeof(type));
  if (!question.bytes().empty()) {
    std::memcpy(key.data() + sizeof(place) + sizeof(type), question.bytes().data(), question.bytes().size());
  }
  return key;
}

}  // namespace

std::string_view to_string(PartStatus status) noexcept {
  switch (status) {
    case PartStatus::waiting: return "waiting";
    case PartStatus::ok: return "ok";
    case PartStatus::stale: return "stale";
    case PartStatus::timeout: return "timeout";
    case PartStatus::error: return "error";
  }
  return "?";
}

bool Gathered::complete() const noexcept {
  return std::all_of(parts_.begin(), parts_.end(),
                     [](const Part& part) { return !part.required || part.value.has_value(); });
}

const Part* Gathered::find(std::string_view name) const noexcept {
  const auto found = std::find_if(parts_.begin(), parts_.end(), [name](const Part& part) { return part.name == name; });
  return found == parts_.end() ? nullptr : &*found;
}

struct GatherCall::Request {
  Duration deadline;
  std::vector<Wanted> parts;
  Callback<void(const Part&)> each;
  Callback<void(const Gathered&)> then;
};

struct Gatherer::State : std::enable_shared_from_this<Gatherer::State> {
  explicit State(NodeActor& owner) : actor(&owner) {}

  struct Gather {
    std::uint64_t id = 0;
    std::vector<Part> parts;
    std::vector<MonoTime> deadlines;
    std::vector<std::string> keys;
    std::vector<Duration> stale_ok;
    Callback<void(const Part&)> each;
    Callback<void(const Gathered&)> then;
    TimerId timer{};
  };
  struct Waiter {
    std::uint64_t gather;
    std::size_t part;
  };
  /// A question under way, and who waits for its answer.
  struct Question {
    std::uint64_t id = 0;
    Destination* service = nullptr;
    AnyTable question;
    std::vector<Waiter> waiters;
    CallHandle call;
    bool keeps = false;  // somebody may want it stale later
  };
  struct Kept {
    std::string key;
    AnyTable answer;
    MonoTime at;
  };

  NodeActor* actor;  // null: the gatherer has ended
  std::map<std::uint64_t, std::shared_ptr<Gather>> gathers;
  std::map<std::string, Question, std::less<>> questions;
  std::vector<Kept> kept;  // the newest at the end
  std::uint64_t next = 0;
  Counters counters;

  [[nodiscard]] MonoTime now() const { return ActorHandle{*actor}.now(); }

  std::uint64_t begin(GatherCall::Request request) {
    ++counters.gathers;
    MonoTime end = later(now(), request.deadline);
    const MonoTime wanted_by = ActorHandle{*actor}.deadline();
    if (wanted_by != kNever) end = std::min(end, now() + (wanted_by - now()) / 10 * 9);
    const auto gather = std::make_shared<Gather>();
    gather->id = next++;
    gather->each = std::move(request.each);
    gather->then = std::move(request.then);
    gathers.emplace(gather->id, gather);
    for (std::size_t i = 0; i < request.parts.size(); ++i) {
      Wanted& wanted = request.parts[i];
      const Duration span = wanted.options.deadline;
      gather->parts.push_back({.name = std::move(wanted.name), .required = wanted.options.required});
      gather->deadlines.push_back(span > Duration::zero() ? std::min(end, later(now(), span)) : end);
      gather->keys.push_back(key_of(*wanted.service, wanted.question));
      gather->stale_ok.push_back(wanted.options.stale_ok);
      wait_for(gather->keys.back(), *wanted.service, wanted.question, wanted.options.stale_ok > Duration::zero(),
               {gather->id, i});
    }
    arm(*gather);
    return gather->id;
  }

  void wait_for(const std::string& key, Destination& service, const AnyTable& asked, bool keeps, Waiter waiter) {
    auto found = questions.find(key);
    if (found != questions.end()) {
      ++counters.merged;
      found->second.waiters.push_back(waiter);
      found->second.keeps |= keeps;
      return;
    }
    found = questions.emplace(key, Question{next++, &service, asked, {waiter}, {}, keeps}).first;
    // In a turn that answers nobody: whoever asked first may give up long before the others do.
    ActorHandle{*actor}.after(Duration::zero(), [self = shared_from_this(), key, id = found->second.id] {
      const auto still = self->questions.find(key);
      if (still != self->questions.end() && still->second.id == id) self->send(key, still->second);
    });
  }

  void send(const std::string& key, Question& question) {
    ++counters.asked;
    MonoTime latest = now();
    for (const Waiter& waiter : question.waiters) {
      latest = std::max(latest, gathers.at(waiter.gather)->deadlines[waiter.part]);
    }
    question.call =
        question.service->call<AnyTable>(question.question, {.idempotent = true, .deadline = latest - now()})
            .then([self = shared_from_this(), key, id = question.id](const Result<Answer<AnyTable>>& answer) {
              self->answered(key, id, answer);
            });
  }

  void answered(const std::string& key, std::uint64_t id, const Result<Answer<AnyTable>>& answer) {
    const auto found = questions.find(key);
    if (found == questions.end() || found->second.id != id) return;
    Question question = std::move(found->second);
    questions.erase(found);
    if (answer && question.keeps) keep(key, **answer);
    for (const Waiter& waiter : question.waiters) {
      const auto gather = gathers.find(waiter.gather);
      if (gather == gathers.end()) continue;
      const std::shared_ptr<Gather> held = gather->second;
      Part& part = held->parts[waiter.part];
      if (answer) {
        part.status = PartStatus::ok;
        part.value = **answer;
      } else if (answer.error().code == ErrorCode::timeout && held->deadlines[waiter.part] > now()) {
        // It came later than the one who asked, and has time left.
        wait_for(key, *question.service, question.question, question.keeps, waiter);
        continue;
      } else {
        missing(*held, waiter.part, answer.error());
      }
      settled(*held, waiter.part);
    }
  }

  /// What to make of a part that has no fresh value.
  void missing(Gather& gather, std::size_t index, const Error& error) {
    Part& part = gather.parts[index];
    part.error = error;
    part.status = error.code == ErrorCode::timeout ? PartStatus::timeout : PartStatus::error;
    if (gather.stale_ok[index] <= Duration::zero()) return;
    for (const Kept& each : kept) {
      if (each.key != gather.keys[index] || now() - each.at > gather.stale_ok[index]) continue;
      part.status = PartStatus::stale;
      part.value = each.answer;
      part.age = now() - each.at;
      ++counters.stale;
    }
  }

  void settled(Gather& gather, std::size_t index) {
    if (gather.each) gather.each(gather.parts[index]);
    const bool open = std::any_of(gather.parts.begin(), gather.parts.end(),
                                  [](const Part& part) { return part.status == PartStatus::waiting; });
    if (!open) finish(gather);
  }

  void finish(Gather& gather) {
    const auto held = gathers.extract(gather.id);
    if (held.empty()) return;
    ActorHandle{*actor}.cancel(gather.timer);
    const Gathered all{std::move(gather.parts)};
    if (!all.complete()) ++counters.incomplete;
    auto then = std::move(gather.then);
    if (then) then(all);
  }

  void arm(Gather& gather) {
    MonoTime due = kNever;
    for (std::size_t i = 0; i < gather.parts.size(); ++i) {
      if (gather.parts[i].status == PartStatus::waiting) due = std::min(due, gather.deadlines[i]);
    }
    // Without parts it ends at once, in a turn of its own as ever.
    const Duration delay = due == kNever ? Duration::zero() : std::max(Duration::zero(), due - now());
    gather.timer = ActorHandle{*actor}.after(delay, [self = shared_from_this(), id = gather.id] { self->late(id); });
  }

  void late(std::uint64_t id) {
    const auto found = gathers.find(id);
    if (found == gathers.end()) return;
    const std::shared_ptr<Gather> gather = found->second;
    if (gather->parts.empty()) return finish(*gather);
    for (std::size_t i = 0; i < gather->parts.size() && gathers.contains(id); ++i) {
      if (gather->parts[i].status != PartStatus::waiting || gather->deadlines[i] > now()) continue;
      leave(gather->keys[i], {id, i});
      missing(*gather, i, ErrorCode::timeout);
      settled(*gather, i);
    }
    if (gathers.contains(id)) arm(*gather);
  }

  /// A part does not wait any more; the question is taken back with the last one that does.
  void leave(const std::string& key, Waiter waiter) {
    const auto found = questions.find(key);
    if (found == questions.end()) return;
    auto& waiters = found->second.waiters;
    std::erase_if(waiters,
                  [&](const Waiter& each) { return each.gather == waiter.gather && each.part == waiter.part; });
    if (!waiters.empty()) return;
    const CallHandle call = std::move(found->second.call);
    questions.erase(found);
    call.cancel();
  }

  void cancel(std::uint64_t id) {
    const auto held = gathers.extract(id);
    if (held.empty() || actor == nullptr) return;
    ++counters.cancelled;
    Gather& gather = *held.mapped();
    ActorHandle{*actor}.cancel(gather.timer);
    for (std::size_t i = 0; i < gather.parts.size(); ++i) leave(gather.keys[i], {id, i});
  }

  void keep(const std::string& key, const AnyTable& answer) {
    std::erase_if(kept, [&](const Kept& each) { return each.key == key; });
    if (kept.size() >= kKeptAnswers) kept.erase(kept.begin());
    kept.push_back({key, answer, now()});
  }
};

Gatherer::Gatherer(NodeActor& actor) : state_(std::make_shared<State>(actor)) {}
Gatherer::~Gatherer() { state_->actor = nullptr; }

GatherCall Gatherer::ask(Duration deadline) { return GatherCall{*this, deadline}; }
const Gatherer::Counters& Gatherer::counters() const noexcept { return state_->counters; }

GatherCall::GatherCall(Gatherer& gatherer, Duration deadline)
    : gatherer_(&gatherer), request_(new Request{deadline, {}, {}, {}}, [](Request* request) { delete request; }) {}

GatherCall&& GatherCall::part(std::string name, Destination& service, AnyTable question, PartOptions options) && {
  request_->parts.push_back({std::move(name), &service, std::move(question), options});
  return std::move(*this);
}

GatherCall&& GatherCall::each(Callback<void(const Part&)> function) && {
  request_->each = std::move(function);
  return std::move(*this);
}

CallHandle GatherCall::then(Callback<void(const Gathered&)> function) && {
  request_->then = std::move(function);
  const auto& state = gatherer_->state_;
  const std::uint64_t id = state->begin(std::move(*request_));
  return CallHandle{[weak = std::weak_ptr{state}, id] {
    if (const auto still = weak.lock()) still->cancel(id);
  }};
}

}  // namespace pannier
