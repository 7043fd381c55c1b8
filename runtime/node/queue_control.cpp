#include <pannier/actor.h>

#include "runtime/actor/system.h"
#include "runtime/queue/requests.h"

namespace pannier {

namespace {

template <class Answer, class Question>
Pending<Answer> ask_queue(ActorBase& actor, Question question) {
  // No deadline: the queue always answers.
  return Pending<Answer>{
      {&actor, native_message(MessageKind::ask, actor.system().queue, std::move(question)), Duration::max()}};
}

}  // namespace

Pending<RowStatus> QueueControl::where(Sequence id) { return ask_queue<RowStatus>(actor_, Where{id}); }
Pending<Cancelled> QueueControl::cancel(Sequence id) { return ask_queue<Cancelled>(actor_, Cancel{id}); }
Pending<void> QueueControl::set_lane(LaneOptions options) {
  return ask_queue<void>(actor_, SetLane{std::move(options)});
}
Pending<std::vector<SqlRow>> QueueControl::query(SqlStatement statement) {
  return ask_queue<std::vector<SqlRow>>(actor_, Query{std::move(statement)});
}
Pending<DeadLetterCount> QueueControl::redrive(DeadLetterSelection selection) {
  return ask_queue<DeadLetterCount>(actor_, Redrive{std::move(selection)});
}
Pending<DeadLetterCount> QueueControl::purge(DeadLetterSelection selection) {
  return ask_queue<DeadLetterCount>(actor_, Purge{std::move(selection)});
}
Pending<void> QueueControl::forget_reader(std::string lane, std::string reader) {
  return ask_queue<void>(actor_, ForgetReader{std::move(lane), std::move(reader)});
}
Pending<QueueStatus> QueueControl::inspect(Inspect request) {
  return ask_queue<QueueStatus>(actor_, std::move(request));
}

}  // namespace pannier
