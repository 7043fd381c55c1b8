#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <pannier/actor.h>
#include <pannier/events.h>

#include "gateways/http/message.h"
#include "gateways/http/schemas.h"

namespace pannier::http {

/// The reader has taken what was there. Native.
struct RoomMade {};

/// How often a stream says that it is still there, so that both ends notice when it is not.
inline constexpr Duration kFeedHeartbeat = std::chrono::seconds{15};

/// One event of Server-Sent Events; `id` may be empty. `data` has no line ends.
[[nodiscard]] std::string sse_event(std::string_view id, std::string_view name, std::string_view data);

/// The number in an event's id. invalid_argument.
[[nodiscard]] Result<std::uint64_t> offset_in(std::string_view text);

/// Publications of matching topics, as they come. What does not fit is dropped, and the reader is told how many.
class TopicWriter : public Actor<TopicWriter, AnyTable> {
 public:
  TopicWriter(std::string filter, std::shared_ptr<Feed> feed, std::shared_ptr<Schemas> schemas)
      : filter_(std::move(filter)), feed_(std::move(feed)), schemas_(std::move(schemas)) {}
  void on_start();
  void on_stop() { feed_->end(); }
  void on(const AnyTable& value);

 private:
  std::string filter_;
  std::shared_ptr<Feed> feed_;
  std::shared_ptr<Schemas> schemas_;
  std::uint64_t dropped_ = 0;
};

/// A history from an offset on, then what is added to it. Reads only as fast as its reader.
class HistoryWriter : public Actor<HistoryWriter, RoomMade> {
 public:
  HistoryWriter(std::string stream, std::uint64_t after, std::shared_ptr<Feed> feed, std::shared_ptr<Schemas> schemas)
      : stream_(std::move(stream)), after_(after), feed_(std::move(feed)), schemas_(std::move(schemas)) {}
  void on_start();
  void on_stop() { feed_->end(); }
  void on(const RoomMade&) { go_on(); }

 private:
  void read();
  void go_on();
  std::string stream_;
  std::uint64_t after_;
  std::shared_ptr<Feed> feed_;
  std::shared_ptr<Schemas> schemas_;
  std::vector<RecordedEvent> read_;  // at most a page
  std::size_t next_ = 0;
  bool waits_ = false;  // for the store
  SqlVersion seen_{};
};

/// An event as JSON, and its offset: of all events its position, of a stream its version.
[[nodiscard]] std::string event_json(const RecordedEvent& event, const Schemas& schemas);

}  // namespace pannier::http
