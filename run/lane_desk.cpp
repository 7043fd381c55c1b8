#include "run/lane_desk.h"

#include <algorithm>

#include "run/schema/inspect.fbs.h"
#include "run/tool_service.h"

namespace pannier::tools {

namespace {

/// A reader of one command, which nobody goes on with, is forgotten when that has gone without a word.
constexpr std::string_view kPassingReader = "cli-";
constexpr Duration kReaderIdle = std::chrono::minutes{10};

Table<Settled> settled(bool known) { return make<Settled>(known); }

Table<Fetched> fetched(std::uint64_t handle, std::string_view key, const AnyTable& payload) {
  return build<Fetched>([&](flatbuffers::FlatBufferBuilder& builder) {
    const auto bytes = payload.bytes();
    const auto key_text = builder.CreateString(key.data(), key.size());
    const auto data = builder.CreateVector(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    return CreateFetched(builder, handle, key_text, static_cast<std::uint64_t>(payload.type()), data);
  });
}

}  // namespace

void LaneDesk::on_start() {
  next_ = random() >> 2 | 1;
  fetched_ = now();
  if (replay_.reader.empty()) return;
  const auto sent = replay_lane(lane_, replay_);
  if (replay_.reader.starts_with(kPassingReader)) every(std::chrono::minutes{1}, &LaneDesk::look);
  if (!sent) fail("cannot read lane " + lane_ + " again: " + sent.error().text());
}

void LaneDesk::look() {
  if (now() - fetched_ < kReaderIdle || !fetchers_.empty()) return;
  queue().forget_reader(lane_, replay_.reader).forget();
  stop();
}

void LaneDesk::take(const WantsMessage& wants) {
  // Without a visibility timeout: the lease is the desk's own, from when the script is given the message.
  const FetchOptions options{.visibility = Duration::zero(), .wait = wants.wait};
  fetch<AnyTable>(lane_, options).then([this, wants](Result<std::vector<pannier::Fetched<AnyTable>>> rows) {
    if (!rows) return refuse(wants.responder, rows.error().text());
    if (rows->empty())
      return wants.responder.reply(build<Fetched>([](auto& builder) { return CreateFetched(builder); }));
    pannier::Fetched<AnyTable>& row = rows->front();
    lend(wants.responder, wants.lease, {std::move(row.key), row.payload, std::move(row.delivery)});
  });
}

void LaneDesk::on(const WantsMessage& wants) {
  fetched_ = now();
  if (too_large_) return refuse_too_large(wants.responder);
  if (replay_.reader.empty()) return take(wants);
  const std::uint64_t id = next_++;
  const TimerId timeout = after(wants.wait, [this, id] {
    const auto found = std::find_if(fetchers_.begin(), fetchers_.end(), [id](const auto& c) { return c.id == id; });
    if (found == fetchers_.end()) return;
    found->responder.reply(build<Fetched>([](auto& builder) { return CreateFetched(builder); }));
    fetchers_.erase(found);
  });
  fetchers_.push_back({id, wants.responder, wants.lease, timeout});
  serve();
}

void LaneDesk::on(const AnyTable& payload, Delivery delivery) {
  held_.push_back({std::string{label()}, payload, std::move(delivery)});
  serve();
}

void LaneDesk::on(const ForgetsReader& forgets) {
  queue().forget_reader(lane_, replay_.reader).then([this, responder = forgets.responder](const Result<void>&) {
    responder.reply(build<Forgotten>([](auto& builder) { return CreateForgotten(builder); }));
    stop();
  });
}

void LaneDesk::serve() {
  while (!held_.empty() && !fetchers_.empty()) {
    const Fetcher fetcher = std::move(fetchers_.front());
    fetchers_.pop_front();
    cancel(fetcher.timeout);
    const Held held = std::move(held_.front());
    held_.pop_front();
    lend(fetcher.responder, fetcher.lease, held);
  }
}

void LaneDesk::refuse_too_large(const Responder& responder) {
  refuse(responder, "the next message of lane '" + lane_ + "', key '" + too_large_->key +
                        "', is too large for the command: a program must consume it");
}

void LaneDesk::lend(const Responder& responder, Duration lease, const Held& held) {
  if (held.payload.bytes().size() > kLargestCarried) {
    too_large_.emplace(held);  // it keeps its place: what comes behind it must not overtake it
    return refuse_too_large(responder);
  }
  const std::uint64_t handle = next_++;
  const TimerId timer = after(lease, [this, handle] {
    const auto found = lent_.find(handle);
    if (found == lent_.end()) return;
    found->second.delivery.retry({}, "who fetched it said nothing before the lease ended");
    lent_.erase(found);
  });
  lent_.emplace(handle, Lent{held.delivery, timer});
  responder.reply(fetched(handle, held.key, held.payload));
}

void LaneDesk::on(const SettlesMessage& settles) {
  const auto found = lent_.find(settles.handle);
  if (found == lent_.end()) {
    settles.responder.reply(settled(false));
    return;
  }
  const Delivery delivery = found->second.delivery;
  cancel(found->second.lease);
  lent_.erase(found);
  if (settles.outcome == pannier::Outcome::retry) {
    delivery.retry({}, settles.cause);
    settles.responder.reply(settled(true));
  } else if (settles.outcome == pannier::Outcome::dead_letter) {
    delivery.dead_letter(settles.cause);
    settles.responder.reply(settled(true));
  } else {
    // Answered once it is gone from disk: a script that goes on has its word.
    commit(delivery, Batch{}).then([responder = settles.responder](Result<Receipt> receipt) {
      responder.reply(settled(receipt.ok()));
    });
  }
}

}  // namespace pannier::tools
