#pragma once

#include <optional>
#include <string>
#include <vector>

#include <pannier/lane.h>
#include <pannier/message.h>
#include <pannier/queue.h>

/// What actors ask of the queue. Native, within one process. Each names what it is answered with.
namespace pannier {

/// Where the answer to a question goes. Outlives the question.
struct ReplyTo {
  ActorId asker;
  ActorId asked;
  std::uint64_t correlation = 0;
  BlockRef trace;

  explicit ReplyTo(const Message& question) noexcept
      : asker(question.sender), asked(question.receiver), correlation(question.correlation), trace(question.trace) {}

  [[nodiscard]] MessagePtr message(MessagePtr reply) const noexcept {
    reply->receiver = asker;
    reply->sender = asked;
    reply->correlation = correlation;
    reply->trace = trace;
    return reply;
  }
  template <class T>
  [[nodiscard]] MessagePtr message(T value) const {
    return message(native_message(MessageKind::reply, asker, std::move(value)));
  }
  [[nodiscard]] MessagePtr message(const Error& error) const {
    MessagePtr reply = make_message(MessageKind::reply, asker);
    reply->has_error = true;
    reply->error = error.code;
    if (!error.detail.empty()) reply->label = BlockRef::copy_of(std::as_bytes(std::span{error.detail}));
    return message(std::move(reply));
  }
};

/// A Receipt, once the group is committed.
struct Commit {
  Batch batch;
  std::optional<Delivery> settles = {};  ///< Acknowledged in the same transaction; retried if that fails.
};

/// Nothing.
struct Consume {
  std::string lane;
  ConsumeOptions options;
};
struct ReplayLane {
  std::string lane;
  ReplayOptions options;
};

/// A std::vector<FetchedRow>, perhaps an empty one.
struct Fetch {
  std::string lane;
  FetchOptions options;
};

/// detail::Done: the lane no longer knows the reader.
struct ForgetReader {
  std::string lane;
  std::string reader;
};
/// detail::Done: the lane has these options.
struct SetLane {
  LaneOptions options;
};

/// A DeadLetterCount: dead letters went behind all other messages of their lane, in their order, as if they were new.
struct Redrive {
  DeadLetterSelection selection;
};
/// A DeadLetterCount: dead letters were erased.
struct Purge {
  DeadLetterSelection selection;
};

/// A std::vector<StateRow>.
struct ReadState {
  std::string prefix;
  std::size_t limit = 0;
};

/// A std::vector<SqlRow>: what one SELECT on the application's tables gives.
struct Query {
  SqlStatement statement;
};

/// A SqlVersion, once it is another one than `seen`.
struct WatchSql {
  SqlVersion seen{};
};

/// Cancelled: the message that a receipt named was erased before it left. not_found: it is not here. in_use: it is in
/// flight, or in a consumer's hands.
struct Cancel {
  Sequence id = 0;
};

/// A RowStatus: the message that a receipt named. not_found: delivered, expired, cancelled, or never here.
struct Where {
  Sequence id = 0;
};

}  // namespace pannier
