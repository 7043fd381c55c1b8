#pragma once

#include <vector>

#include "runtime/actor/actor_base.h"
#include "runtime/queue/requests.h"

namespace pannier {

/// What an actor may ask of its node's queue beyond enqueue, commit and consume: ActorBase::queue(). Refers to the
/// actor, and is used within one of its turns. Each answer comes as a turn of its own (Pending); a node without a store
/// answers closed.
class QueueControl {
 public:
  explicit QueueControl(ActorBase& actor) noexcept : actor_(actor) {}

  /// The message that a receipt named, and why it waits. not_found: delivered, expired, cancelled, or never here.
  [[nodiscard]] Pending<RowStatus> where(Sequence id);
  /// Erases a message before it leaves. not_found: it is not here. in_use: on its way, or in somebody's hands.
  [[nodiscard]] Pending<Cancelled> cancel(Sequence id);
  /// Gives a lane other options from now on; nothing that is in it is lost. invalid_argument: check(LaneOptions).
  [[nodiscard]] Pending<Done> set_lane(LaneOptions options);
  /// What one SELECT on the application's own tables gives, at most limits::kQueryRows rows, with everything that was
  /// committed before. rejected: with SQLite's text. unsupported: the store knows no SQL.
  template <class... Values>
  [[nodiscard]] Pending<std::vector<SqlRow>> query(std::string sql, Values&&... values) {
    return query(SqlStatement{std::move(sql), {sql_value(std::forward<Values>(values))...}});
  }
  [[nodiscard]] Pending<std::vector<SqlRow>> query(SqlStatement statement);
  /// Answers once the application's tables have changed since the answer `seen`, at once with SqlVersion{}: for who
  /// follows a table without asking again and again. Any batch with SQL counts as a change. full: too many wait.
  [[nodiscard]] Pending<SqlVersion> sql_changed(SqlVersion seen);
  /// Makes dead letters ready again, behind all other messages of their lane, in their order, with no attempts counted;
  /// a bounded number at once. not_found: no dead letter has that number.
  [[nodiscard]] Pending<DeadLetterCount> redrive(DeadLetterSelection selection);
  /// Erases dead letters; a bounded number at once.
  [[nodiscard]] Pending<DeadLetterCount> purge(DeadLetterSelection selection);
  /// A lane forgets how far a reader of its retained messages has come (ActorBase::replay_lane).
  [[nodiscard]] Pending<Done> forget_reader(std::string lane, std::string reader);
  /// What waits in every stream, with counters; rows too where asked.
  [[nodiscard]] Pending<QueueStatus> inspect(Inspect request = {});

 private:
  ActorBase& actor_;
};

}  // namespace pannier
