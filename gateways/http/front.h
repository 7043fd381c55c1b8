#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <pannier/actor.h>
#include <pannier/http.h>
#include <pannier/node.h>
#include <pannier/queue.h>

#include "gateways/http/keys.h"
#include "gateways/http/message.h"
#include "gateways/http/metrics.h"
#include "gateways/http/resources.h"
#include "gateways/http/schemas.h"
#include "gateways/http/server.h"
#include "services/json/json_text.h"

namespace pannier::http {

/// What a front and its children share, made once. Outlives them.
struct Setup {
  Options options;
  Node* node = nullptr;
  std::shared_ptr<Schemas> schemas;  ///< Of the front's worker; children run with it.
  std::shared_ptr<const Resources> resources;
  std::shared_ptr<ServerCounters> counters;
};

/// Why the node is not ready: a code and a detail each. Empty: it is.
using Reasons = std::vector<std::pair<std::string, std::string>>;
[[nodiscard]] Reasons not_ready(const Options& options, const Result<QueueStatus>& status);
[[nodiscard]] std::string reasons_json(const Reasons& reasons);
/// The node as /v1/node shows it.
[[nodiscard]] std::string node_json(const Setup& setup, const Result<QueueStatus>& status, WallTime at);

/// A request while it is answered. Of the front's turns.
struct Call {
  std::shared_ptr<Exchange> exchange;
  std::string_view route = {};           ///< Its pattern: "/v1/lanes/{lane}". Static storage, or that of Resources.
  std::vector<std::string> values = {};  ///< Of the pattern's variables, in order.
  std::string key = {};                  ///< The name of the API key; empty: none is needed.
  MonoTime begun{};
  Duration timeout{};  ///< Of the answer, from its begin.
  Pairs headers = {};  ///< To add to the answer.
  std::function<void()> on_hangup = {};
  bool answered = false;

  [[nodiscard]] const Request& request() const noexcept { return exchange->request(); }
};
using CallPtr = std::shared_ptr<Call>;

/// Answers requests: who may, what they mean, and what the node says. One for each gateway.
class Front : public Actor<Front, Arrived, HungUp, Down> {
 public:
  explicit Front(std::shared_ptr<const Setup> setup);

  void on_start();
  void on(const Arrived& arrived);
  void on(const HungUp& hung_up);
  /// The writer of a feed has ended.
  void on(const Down& down);

 private:
  using Handler = void (Front::*)(const CallPtr&);
  struct Route {
    std::string_view method;
    std::string_view pattern;  ///< Segments; "{name}" takes one, "{name...}" one or more.
    Handler handler;
    bool open;  ///< Needs no key.
  };
  static const std::vector<Route>& routes();

  // --- front.cpp: before and after a handler ---
  void answer(const CallPtr& call, Response response);
  void fail(const CallPtr& call, const Error& error) { answer(call, problem(error)); }
  [[nodiscard]] std::optional<Response> check_origin(Call& call) const;
  [[nodiscard]] std::optional<Response> check_key(Call& call, std::string_view method);
  [[nodiscard]] std::optional<Response> check_rate(Call& call);
  [[nodiscard]] std::optional<Response> read_timeout(Call& call) const;
  void route(const CallPtr& call);

  // --- looks.cpp: health, metrics, descriptions ---
  void get_health(const CallPtr& call);
  void get_ready(const CallPtr& call);
  void get_metrics(const CallPtr& call);
  void get_openapi(const CallPtr& call);

  // --- page.cpp ---
  void get_page(const CallPtr& call);
  void get_node(const CallPtr& call);
  void post_redrive(const CallPtr& call);

  // --- verbs.cpp ---
  [[nodiscard]] Result<AnyTable> payload(const Call& call);
  /// The members "type" and "data", or "base64" of what no schema here has.
  void add_payload(json::JsonObject& object, const AnyTable& table) const;
  void post_lane(const CallPtr& call);
  void get_lane(const CallPtr& call);
  void settle(const CallPtr& call);
  void post_ask(const CallPtr& call);
  void post_topic(const CallPtr& call);

  // --- feeds.cpp ---
  void get_topic(const CallPtr& call);
  void get_events(const CallPtr& call);
  void start_feed(const CallPtr& call, const std::shared_ptr<Feed>& feed, LocalRef writer);

  // --- answers.cpp: Idempotency-Key ---
  struct Once {
    std::string key;    ///< With whose it is.
    std::string print;  ///< Of what was asked.
  };
  /// Reads the header; answers where it makes no sense. Empty without one.
  [[nodiscard]] std::optional<Once> once_of(const CallPtr& call);
  /// Answers as before where the key is known; else `act`.
  /// `resource`: whose table a kept answer is, if it is no text.
  void once(const CallPtr& call, const Once& once, const Resource* resource, std::function<void()> act);
  [[nodiscard]] Response kept_answer(const Call& call, const Once& once, const Resource* resource, const SqlRow& row);
  void keep(Batch& batch, const Once& once, std::uint16_t status, std::string_view body) const;

  // --- rest.cpp: resources of mounted services ---
  [[nodiscard]] bool route_resource(const CallPtr& call);
  void call_resource(const CallPtr& call, const Resource& resource);
  /// The answer's table as JSON, with the fields that the request wants.
  [[nodiscard]] Result<std::string> resource_body(const Call& call, const Resource& resource, const BlockRef& block);

  const std::shared_ptr<const Setup> setup_;
  Keys keys_;
  Requests requests_;
  std::map<std::uint64_t, CallPtr> open_;    // by exchange; at most as many as connections
  std::map<std::uint64_t, LocalRef> feeds_;  // their writers, by exchange
  struct Lent {
    Delivery delivery;
    std::string lane;
    std::string key;
    TimerId end;
  };
  std::map<std::string, Lent> lent_;  // by handle; at most limits::kInFlight
  std::set<std::string> running_;     // keys of requests that are being answered
  struct Bucket {
    double tokens;
    MonoTime at;
  };
  std::map<std::string, Bucket> buckets_;           // by API key
  std::optional<Durability> keeps_;                 // answers, so durable; empty: not at all
  bool knows_ = false;                              // whether it does
  std::vector<std::function<void()>> until_known_;  // requests that wait for that
};

}  // namespace pannier::http
