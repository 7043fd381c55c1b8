#include "gateways/http/feeds.h"

#include <charconv>

#include "gateways/http/front.h"
#include "services/json/json_text.h"

namespace pannier::http {

namespace {

constexpr std::size_t kEventsRead = 32;
constexpr std::uint32_t kMostEvents = 1000;

bool wants_events(const Request& request) {
  return request.header("accept").find("text/event-stream") != std::string_view::npos;
}

Response feed_response(const std::shared_ptr<Feed>& feed) {
  Response response;
  response.headers.emplace_back("Content-Type", "text/event-stream");
  response.headers.emplace_back("X-Accel-Buffering", "no");  // a proxy passes events on as they come
  response.feed = feed;
  return response;
}

std::string wall_text(WallTime time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count());
}

}  // namespace

Result<std::uint64_t> offset_in(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), number);
  // SQLite's numbers have a sign.
  if (bad == std::errc{} && end == text.data() + text.size() && number <= std::uint64_t{1} << 62) return number;
  return Error{ErrorCode::invalid_argument, "an offset is a number: the id of an event"};
}

std::string sse_event(std::string_view id, std::string_view name, std::string_view data) {
  std::string text;
  if (!id.empty()) text.append("id: ").append(id).append("\n");
  if (!name.empty()) text.append("event: ").append(name).append("\n");
  return text.append("data: ").append(data).append("\n\n");
}

std::string event_json(const RecordedEvent& event, const Schemas& schemas) {
  json::JsonObject object;
  object.number("position", event.position).text("stream", event.stream).number("version", event.version);
  object.text("type", event.type).number("schema", event.schema).raw("at_ms", wall_text(event.at));
  const AnyTable table{type_id_of(event.type), nullptr, event.data};
  if (!event.subject.empty()) {
    object.text("sealed_for", event.subject);
  } else if (const auto json = schemas.to_json(table)) {
    object.raw("data", *json);
  } else {
    const auto bytes = event.data.bytes();
    object.text("base64", json::base64({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
  }
  return object.str();
}

// --- Topics ---------------------------------------------------------------------------------------------------------

void TopicWriter::on_start() {
  if (auto subscribed = subscribe_any(filter_); !subscribed) {
    const std::string why = json::JsonObject{}.text("detail", subscribed.error().text()).str();
    static_cast<void>(feed_->write(sse_event("", "error", why)));
    return stop();
  }
  every(kFeedHeartbeat, [this] { static_cast<void>(feed_->write(":\n\n")); });
}

void TopicWriter::on(const AnyTable& value) {
  if (!value.can_leave()) return;  // a value of this process only
  json::JsonObject object;
  object.text("topic", label());
  const std::string_view type = schemas_->name_of(value.type());
  if (const auto json = schemas_->to_json(value)) {
    object.text("type", type).raw("data", *json);
  } else {
    const auto bytes = value.bytes();
    object.text("base64", json::base64({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
  }
  std::string text;
  if (dropped_ > 0) text = sse_event("", "dropped", json::JsonObject{}.number("count", dropped_).str());
  text += sse_event("", "", object.str());
  if (feed_->write(text)) {
    dropped_ = 0;
  } else {
    ++dropped_;
  }
}

// --- Histories ------------------------------------------------------------------------------------------------------

void HistoryWriter::on_start() {
  every(kFeedHeartbeat, [this] { static_cast<void>(feed_->write(":\n\n")); });
  read();
}

void HistoryWriter::read() {
  waits_ = true;
  read_events(*this, {.stream = stream_, .after = after_, .limit = kEventsRead},
              [this](Result<std::vector<RecordedEvent>> events) {
                waits_ = false;
                if (!events) {
                  const std::string why = json::JsonObject{}.text("detail", events.error().text()).str();
                  static_cast<void>(feed_->write(sse_event("", "error", why)));
                  return stop();
                }
                if (events->empty()) {
                  waits_ = true;
                  QueueControl{*this}.sql_changed(seen_).then([this](const Result<SqlVersion>& changed) {
                    waits_ = false;
                    if (!changed) return stop();  // the client comes again, from where it was
                    seen_ = *changed;
                    read();
                  });
                  return;
                }
                read_ = std::move(*events);
                next_ = 0;
                go_on();
              });
}

void HistoryWriter::go_on() {
  for (; next_ < read_.size(); ++next_) {
    const RecordedEvent& event = read_[next_];
    const std::uint64_t offset = stream_.empty() ? event.position : event.version;
    if (!feed_->write(sse_event(std::to_string(offset), "", event_json(event, *schemas_)))) return;  // RoomMade follows
    after_ = offset;
  }
  if (!waits_) read();
}

// --- Front ----------------------------------------------------------------------------------------------------------

void Front::start_feed(const CallPtr& call, const std::shared_ptr<Feed>& feed, LocalRef writer) {
  feeds_[call->exchange->id()] = writer;
  watch(writer);
  answer(call, feed_response(feed));
}

void Front::on(const Down& down) {
  for (auto feed = feeds_.begin(); feed != feeds_.end(); ++feed) {
    if (feed->second.id() != down.actor.id()) continue;
    feeds_.erase(feed);
    return;
  }
}

void Front::get_topic(const CallPtr& call) {
  if (!wants_events(call->request())) {
    return answer(call, problem(406, "unsupported", "a topic is a stream: say Accept: text/event-stream"));
  }
  if (feeds_.size() >= setup_->options.readers) return fail(call, {ErrorCode::full, "too many event streams"});
  const auto feed = std::make_shared<Feed>(setup_->options.reader_bytes);
  const auto writer = spawn<TopicWriter>({.restart = Restart::temporary}, call->values[0], feed, setup_->schemas);
  if (!writer) return fail(call, writer.error());
  start_feed(call, feed, *writer);
}

void Front::get_events(const CallPtr& call) {
  const Request& request = call->request();
  const std::string stream = call->values.empty() ? "" : call->values[0];
  std::string_view from = request.parameter("after");
  if (const auto last = request.find_header("last-event-id"); last && !last->empty()) from = *last;
  const auto after = offset_in(from.empty() ? "0" : from);
  if (!after) return fail(call, after.error());
  if (wants_events(request)) {
    if (feeds_.size() >= setup_->options.readers) return fail(call, {ErrorCode::full, "too many event streams"});
    const auto feed = std::make_shared<Feed>(setup_->options.reader_bytes);
    const auto writer = spawn<HistoryWriter>({.restart = Restart::temporary}, stream, *after, feed, setup_->schemas);
    if (!writer) return fail(call, writer.error());
    feed->on_room([node = setup_->node, to = LocalRef{*writer}] { node->tell(to, RoomMade{}).ignore(); });
    return start_feed(call, feed, *writer);
  }
  std::uint64_t limit = 100;
  if (const auto text = request.find_query("limit")) {
    const auto number = offset_in(*text);
    if (!number || *number == 0 || *number > kMostEvents) {
      return fail(call, {ErrorCode::invalid_argument, "limit is a number from 1 to 1000"});
    }
    limit = *number;
  }
  read_events(*this, {.stream = stream, .after = *after, .limit = static_cast<std::size_t>(limit)},
              [this, call, stream, limit](const Result<std::vector<RecordedEvent>>& events) {
                if (!events) return fail(call, events.error());
                std::string list;
                for (const RecordedEvent& event : *events) {
                  list += (list.empty() ? "" : ",") + event_json(event, *setup_->schemas);
                }
                json::JsonObject body;
                body.raw("events", "[" + list + "]");
                if (events->size() == limit) {
                  const RecordedEvent& last = events->back();
                  const std::string next = std::to_string(stream.empty() ? last.position : last.version);
                  body.text("next", call->request().path + "?after=" + next + "&limit=" + std::to_string(limit));
                }
                answer(call, json_answer(200, body.str()));
              });
}

}  // namespace pannier::http
