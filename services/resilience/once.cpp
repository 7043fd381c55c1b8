#include <pannier/admission.h>

#include <algorithm>
#include <map>

#include "services/resilience/schema/resilience.fbs.h"

namespace pannier {

namespace {

std::span<const std::byte> bytes_of(const flatbuffers::Vector<std::uint8_t>* payload) {
  if (payload == nullptr) return {};
  return {reinterpret_cast<const std::byte*>(payload->data()), payload->size()};
}

AnyTable kept_answer(std::uint64_t type, std::span<const std::byte> payload, std::uint64_t slot) {
  return build<services::OnceAnswer>([&](flatbuffers::FlatBufferBuilder& b) {
    b.ForceVectorAlignment(payload.size(), 1, 16);
    const auto bytes = b.CreateVector(reinterpret_cast<const std::uint8_t*>(payload.data()), payload.size());
    return services::CreateOnceAnswer(b, type, bytes, slot);
  });
}

/// A row that this desk has written, or a damaged one.
Result<Table<services::OnceAnswer>> read_row(const BlockRef& value) {
  return AnyTable{type_info<services::OnceAnswer>().id, nullptr, value}.as<services::OnceAnswer>();
}

}  // namespace

struct OnceDesk::State : std::enable_shared_from_this<OnceDesk::State> {
  struct Arrival {
    std::optional<Responder> responder;
    std::optional<Delivery> delivery;
  };
  struct Waiting {
    AnyTable call;
    Arrival arrival;
  };

  State(NodeActor& owner, Effect function, std::string desk, std::uint32_t tokens)
      : actor(&owner), effect(std::move(function)), name(std::move(desk)), remember(std::max(tokens, 1U)) {}

  NodeActor* actor;  // null: the desk has ended
  Effect effect;
  const std::string name;
  const std::uint32_t remember;
  enum class Loading : std::uint8_t { not_yet, reading, done } loading = Loading::not_yet;
  std::vector<Waiting> before;                                    // came before the tokens were read
  std::map<std::string, std::uint64_t, std::less<>> known;        // token: number
  std::map<std::uint64_t, std::string> ring;                      // place: token
  std::map<std::string, std::vector<Arrival>, std::less<>> busy;  // being committed
  std::uint64_t next = 0;
  std::uint64_t took_effect = 0;
  std::uint64_t repeated = 0;

  [[nodiscard]] std::string answer_key(std::string_view token) const { return name + "/t/" + std::string{token}; }
  [[nodiscard]] std::string place_key(std::uint64_t number) const {
    return name + "/n/" + std::to_string(number % remember);
  }

  static void answer(const Arrival& arrival, const AnyTable& with) {
    if (arrival.responder) arrival.responder->reply(with);
    if (arrival.delivery) arrival.delivery->ack();
  }
  static void refuse(const Arrival& arrival, const Error& error, bool for_good) {
    if (arrival.responder) arrival.responder->refuse(error.code);
    if (!arrival.delivery) return;
    if (for_good) {
      arrival.delivery->dead_letter(error.text());
    } else {
      arrival.delivery->retry({}, error.text());
    }
  }

  void handle(const AnyTable& call, Arrival arrival) {
    if (loading == Loading::done) return take(call, std::move(arrival));
    // Its mailbox bounds what waits here: a row read takes no longer than a commit.
    if (before.size() >= limits::kMailboxMessages) return refuse(arrival, ErrorCode::full, false);
    before.push_back({call, std::move(arrival)});
    if (loading == Loading::reading) return;
    loading = Loading::reading;
    ActorHandle{*actor}
        .read_state(name + "/n/", std::size_t{remember} + 1)
        .then([self = shared_from_this()](const Result<std::vector<StateRow>>& rows) { self->loaded(rows); });
  }

  void loaded(const Result<std::vector<StateRow>>& rows) {
    std::vector<Waiting> all = std::exchange(before, {});
    if (!rows) {
      loading = Loading::not_yet;
      for (const Waiting& each : all) refuse(each.arrival, rows.error(), false);
      return;
    }
    for (const StateRow& row : *rows) {
      const auto table = read_row(row.value);
      if (!table) continue;
      const auto bytes = bytes_of((*table)->payload());
      std::string token{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
      next = std::max(next, (*table)->slot() + 1);
      ring[(*table)->slot() % remember] = token;
      known[std::move(token)] = (*table)->slot();
    }
    loading = Loading::done;
    for (Waiting& each : all) take(each.call, std::move(each.arrival));
  }

  void take(const AnyTable& call, Arrival arrival) {
    const auto table = call.as<services::OnceCall>();
    const auto* token = table ? (*table)->token() : nullptr;
    if (token == nullptr || token->size() == 0 || token->size() > limits::kTokenBytes) {
      return refuse(arrival, {ErrorCode::rejected, "not a call under an idempotency token: use call_once"}, true);
    }
    if (const auto same = busy.find(token->string_view()); same != busy.end()) {
      ++repeated;
      same->second.push_back(std::move(arrival));
      return;
    }
    if (known.contains(token->string_view())) {
      ++repeated;
      return again(token->str(), std::move(arrival));
    }
    const AnyTable command{TypeId{(*table)->type()}, nullptr, BlockRef::copy_of(bytes_of((*table)->payload()))};
    Batch effects;
    const auto done = effect(command, effects);
    if (!done) return refuse(arrival, done.error(), !is_unavailable(done.error().code));
    commit(token->str(), *done, std::move(effects), std::move(arrival));
  }

  void commit(const std::string& token, const AnyTable& with, Batch effects, Arrival arrival) {
    const std::uint64_t number = next++;
    const auto oldest = ring.find(number % remember);
    if (oldest != ring.end()) effects.erase_state(answer_key(oldest->second));
    effects.put_state(answer_key(token), kept_answer(static_cast<std::uint64_t>(with.type()), with.bytes(), number));
    effects.put_state(place_key(number), kept_answer(0, std::as_bytes(std::span{token}), number));
    std::optional<Delivery> delivery = std::exchange(arrival.delivery, std::nullopt);
    auto& waiting = busy[token];
    if (arrival.responder) waiting.push_back(std::move(arrival));
    auto committed = [self = shared_from_this(), token, with, number](const Result<Receipt>& receipt) {
      self->committed(token, with, number, receipt);
    };
    if (delivery) {
      ActorHandle{*actor}.commit(*delivery, std::move(effects)).then(std::move(committed));
    } else {
      ActorHandle{*actor}.commit(std::move(effects)).then(std::move(committed));
    }
  }

  void committed(const std::string& token, const AnyTable& with, std::uint64_t number, const Result<Receipt>& receipt) {
    const auto waiting = busy.extract(token);
    if (receipt) {
      ++took_effect;
      std::string& place = ring[number % remember];
      known.erase(place);
      place = token;
      known[token] = number;
    }
    for (const Arrival& each : waiting.mapped()) {
      if (receipt) {
        answer(each, with);
      } else {
        refuse(each, receipt.error(), false);
      }
    }
  }

  /// Answers as the first time.
  void again(const std::string& token, Arrival arrival) {
    ActorHandle{*actor}
        .read_state(answer_key(token), 1)
        .then([arrival = std::move(arrival)](const Result<std::vector<StateRow>>& rows) {
          if (!rows) return refuse(arrival, rows.error(), false);
          const auto row =
              rows->empty() ? Result<Table<services::OnceAnswer>>{ErrorCode::not_found} : read_row(rows->front().value);
          if (!row) return refuse(arrival, row.error(), false);
          answer(arrival, AnyTable{TypeId{(*row)->type()}, nullptr, BlockRef::copy_of(bytes_of((*row)->payload()))});
        });
  }
};

OnceDesk::OnceDesk(NodeActor& actor, Effect effect, std::string name, std::uint32_t remember)
    : state_(std::make_shared<State>(actor, std::move(effect), std::move(name), remember)) {}

OnceDesk::~OnceDesk() { state_->actor = nullptr; }

void OnceDesk::handle(const AnyTable& call, Responder responder) {
  state_->handle(call, {.responder = std::move(responder), .delivery = {}});
}

void OnceDesk::handle(const AnyTable& call, Delivery delivery) {
  state_->handle(call, {.responder = {}, .delivery = std::move(delivery)});
}

std::uint64_t OnceDesk::took_effect() const noexcept { return state_->took_effect; }
std::uint64_t OnceDesk::repeated() const noexcept { return state_->repeated; }

}  // namespace pannier
