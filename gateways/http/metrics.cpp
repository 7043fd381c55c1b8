#include "gateways/http/metrics.h"

#include <algorithm>
#include <cstdio>

#include "gateways/http/server.h"

namespace pannier::http {

namespace {

class Text {
 public:
  void family(const char* name, const char* type, const char* help) {
    text_ += std::string{"# HELP "} + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
    name_ = name;
  }
  void sample(const std::string& labels, double value, const char* suffix = "") {
    char number[40];
    if (value == static_cast<double>(static_cast<std::uint64_t>(value))) {
      std::snprintf(number, sizeof number, "%llu", static_cast<unsigned long long>(value));
    } else {
      std::snprintf(number, sizeof number, "%.9g", value);
    }
    text_ += name_ + suffix + (labels.empty() ? "" : "{" + labels + "}") + " " + number + "\n";
  }
  void one(const char* name, const char* type, const char* help, std::uint64_t value) {
    family(name, type, help);
    sample("", static_cast<double>(value));
  }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string name_;
  std::string text_;
};

std::string label(std::string_view name, std::string_view value) {
  std::string text{name};
  text += "=\"";
  for (const char c : value) {
    if (c == '\\' || c == '"') text += '\\';
    text += c == '\n' ? std::string{"\\n"} : std::string{c};
  }
  return text + "\"";
}

constexpr std::string_view kOtherLanes = "other";

void write_lanes(Text& text, const QueueStatus& queue, const std::vector<std::string>& shown) {
  const auto name_of = [&](const std::string& lane) {
    return std::find(shown.begin(), shown.end(), lane) == shown.end() ? kOtherLanes : std::string_view{lane};
  };
  static constexpr std::array<const char*, kRowStates> kStates = {"ready", "dead_lettered", "delayed", "retained"};
  std::map<std::pair<std::string_view, int>, std::array<Load, kRowStates>> loads;
  for (const StreamStatus& stream : queue.streams) {
    auto& all = loads[{name_of(stream.lane), static_cast<int>(stream.box)}];
    for (std::size_t i = 0; i < kRowStates; ++i) all[i] += stream.loads[i];
  }
  const auto write = [&](const char* name, const char* help, std::uint64_t Load::*what) {
    text.family(name, "gauge", help);
    for (const auto& [key, all] : loads) {
      for (std::size_t i = 0; i < kRowStates; ++i) {
        text.sample(label("lane", key.first) + "," + label("box", key.second == 0 ? "outbox" : "inbox") + "," +
                        label("state", kStates[i]),
                    static_cast<double>(all[i].*what));
      }
    }
  };
  write("pannier_lane_messages", "Messages in a lane's outboxes or inbox, by state.", &Load::messages);
  write("pannier_lane_payload_bytes", "Bytes of their payloads.", &Load::bytes);
  struct Counter {
    const char* name;
    const char* help;
    std::uint64_t LaneCounters::*value;
  };
  static constexpr std::array<Counter, 14> kCounters = {{
      {"pannier_lane_accepted_total", "Messages stored, from this node and others.", &LaneCounters::accepted},
      {"pannier_lane_refused_total", "Messages not stored.", &LaneCounters::refused},
      {"pannier_lane_duplicates_total", "Messages received or enqueued again, and dropped.", &LaneCounters::duplicates},
      {"pannier_lane_evicted_total", "Messages erased to make room.", &LaneCounters::evicted},
      {"pannier_lane_expired_total", "Messages that expired.", &LaneCounters::expired},
      {"pannier_lane_cancelled_total", "Messages that were cancelled.", &LaneCounters::cancelled},
      {"pannier_lane_delivered_total", "Messages acknowledged by another node.", &LaneCounters::delivered},
      {"pannier_lane_handled_total", "Deliveries acknowledged by consumers.", &LaneCounters::handled},
      {"pannier_lane_retried_total", "Attempts that failed and are repeated.", &LaneCounters::retried},
      {"pannier_lane_timed_out_total", "Attempts that were not settled in time.", &LaneCounters::timed_out},
      {"pannier_lane_undelivered_total", "Deliveries that a full mailbox refused.", &LaneCounters::undelivered},
      {"pannier_lane_dead_lettered_total", "Messages given up on.", &LaneCounters::dead_lettered},
      {"pannier_lane_redriven_total", "Dead letters made ready again.", &LaneCounters::redriven},
      {"pannier_lane_purged_total", "Dead letters erased.", &LaneCounters::purged},
  }};
  for (const Counter& counter : kCounters) {
    std::map<std::string_view, std::uint64_t> sums;
    for (const LaneStatus& lane : queue.lanes) sums[name_of(lane.options.name)] += lane.counters.*counter.value;
    text.family(counter.name, "counter", counter.help);
    for (const auto& [lane, sum] : sums) text.sample(label("lane", lane), static_cast<double>(sum));
  }
  text.one("pannier_queue_accepted_total", "counter", "Messages whose receipt was given.", queue.accepted);
  text.one("pannier_queue_delivered_total", "counter", "Rows acknowledged by other nodes.", queue.delivered);
  text.one("pannier_queue_handled_total", "counter", "Deliveries acknowledged.", queue.handled);
  text.one("pannier_queue_duplicates_total", "counter", "Rows received again, and dropped.", queue.duplicates);
  text.one("pannier_queue_refused_total", "counter", "Enqueues and rows not stored.", queue.refused);
  text.one("pannier_queue_forgotten_total", "counter", "Messages with a receipt of memory that could not be stored.",
           queue.forgotten);
  text.one("pannier_links", "gauge", "Nodes with a link now.", queue.links.size());
  text.one("pannier_store_commits_total", "counter", "Transactions committed.", queue.store.commits);
  text.one("pannier_store_rows_put_total", "counter", "Rows stored.", queue.store.rows_put);
  text.one("pannier_store_written_bytes_total", "counter", "Bytes written to files.", queue.store.bytes_written);
  text.one("pannier_store_fsyncs_total", "counter", "Files synced.", queue.store.fsyncs);
  text.one("pannier_store_corrupt_pages_total", "counter", "Reads refused by a page checksum.",
           queue.store.corrupt_pages);
}

void write_requests(Text& text, const Requests& requests) {
  const auto route = [](std::string_view name) { return label("route", name.empty() ? "none" : name); };
  text.family("pannier_http_requests_total", "counter", "Requests answered, by route and status.");
  for (const auto& [key, count] : requests.counts()) {
    text.sample(route(key.first) + "," + label("code", std::to_string(key.second)), static_cast<double>(count));
  }
  text.family("pannier_http_request_duration_seconds", "histogram", "From a request's arrival to its answer.");
  for (const auto& [name, times] : requests.times()) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < times.counts.size(); ++i) {
      sum += times.counts[i];
      char bound[24] = "+Inf";
      if (i < Requests::kBounds.size()) std::snprintf(bound, sizeof bound, "%g", Requests::kBounds[i]);
      text.sample(route(name) + "," + label("le", bound), static_cast<double>(sum), "_bucket");
    }
    text.sample(route(name), times.sum, "_sum");
    text.sample(route(name), static_cast<double>(sum), "_count");
  }
}

}  // namespace

void Requests::count(std::string_view route, std::uint16_t status, Duration took) {
  ++counts_[{route, status}];
  Times& times = times_[route];
  const double seconds = std::chrono::duration<double>(took).count();
  const auto bound = std::lower_bound(kBounds.begin(), kBounds.end(), seconds);
  ++times.counts[static_cast<std::size_t>(bound - kBounds.begin())];
  times.sum += seconds;
}

std::string metrics_text(const Measured& measured) {
  Text text;
  std::map<std::string_view, std::array<std::uint64_t, 3>> types;  // actors, waiting, failures
  for (const ActorStatus& actor : measured.actors) {
    auto& sums = types[actor.type];
    sums[0] += 1;
    sums[1] += actor.queued;
    sums[2] += actor.failures;
  }
  text.family("pannier_actors", "gauge", "Living actors, by class.");
  for (const auto& [type, sums] : types) text.sample(label("class", type), static_cast<double>(sums[0]));
  text.family("pannier_mailbox_messages", "gauge", "Messages in their mailboxes.");
  for (const auto& [type, sums] : types) text.sample(label("class", type), static_cast<double>(sums[1]));
  text.family("pannier_actor_restarts", "gauge", "Failures of the actors that live now.");
  for (const auto& [type, sums] : types) text.sample(label("class", type), static_cast<double>(sums[2]));
  text.family("pannier_dead_letters_total", "counter", "Messages that reached no handler or made it fail, by reason.");
  for (std::size_t i = 0; i < kDeadLetterReasons; ++i) {
    text.sample(label("reason", to_string(static_cast<DeadLetterReason>(i))),
                static_cast<double>(measured.dead_letters[i]));
  }
  const TopicCounters& topics = measured.topics;
  text.one("pannier_topics_published_total", "counter", "Publications, here and over links.", topics.published);
  text.one("pannier_topics_delivered_total", "counter", "Copies taken by a mailbox or a link.", topics.delivered);
  text.family("pannier_topics_dropped_total", "counter", "Copies dropped, by reason.");
  text.sample(label("reason", "mailbox_full"), static_cast<double>(topics.mailbox_full));
  text.sample(label("reason", "subscriber_gone"), static_cast<double>(topics.subscriber_gone));
  text.sample(label("reason", "link_full"), static_cast<double>(topics.link_full));
  text.one("pannier_topics_filters", "gauge", "Distinct filters subscribed to.", topics.filters);
  text.one("pannier_topics_retained", "gauge", "Topics with a retained value.", topics.retained);
  if (measured.queue != nullptr) write_lanes(text, *measured.queue, *measured.lanes);
  if (measured.server != nullptr) {
    const ServerCounters& server = *measured.server;
    text.one("pannier_http_connections", "gauge", "Connections now.", server.open);
    text.one("pannier_http_connections_total", "counter", "Connections accepted.", server.accepted);
    text.one("pannier_http_connections_cut_total", "counter", "Connections cut for being slow, or to make room.",
             server.cut);
    text.one("pannier_http_requests_refused_total", "counter", "Requests refused before an actor saw them.",
             server.refused);
  }
  text.one("pannier_http_event_readers", "gauge", "Event streams being read.", measured.feeds);
  if (measured.requests != nullptr) write_requests(text, *measured.requests);
  return text.take();
}

}  // namespace pannier::http
