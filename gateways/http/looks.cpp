#include <algorithm>

#include "gateways/http/front.h"
#include "services/json/json_text.h"

/// What the gateway says of its node.
namespace pannier::http {

Reasons not_ready(const Options& options, const Result<QueueStatus>& status) {
  Reasons reasons;
  if (!status) {
    // A node without a store has no queue to ask: its links are not known here.
    const bool no_store = status.error().code == ErrorCode::closed;
    if (!no_store || !options.needs_links.empty()) reasons.emplace_back("queue", status.error().text());
    return reasons;
  }
  for (const std::string& node : options.needs_links) {
    const bool up = std::find(status->links.begin(), status->links.end(), node) != status->links.end();
    if (!up) reasons.emplace_back("link_down", node);
  }
  return reasons;
}

std::string reasons_json(const Reasons& reasons) {
  std::string list;
  for (const auto& [code, detail] : reasons) {
    list += (list.empty() ? "" : ",") + json::JsonObject{}.text("code", code).text("detail", detail).str();
  }
  return "[" + list + "]";
}

void Front::get_health(const CallPtr& call) {
  answer(call, json_answer(200, json::JsonObject{}.text("status", "ok").text("node", setup_->node->name()).str()));
}

void Front::get_ready(const CallPtr& call) {
  queue().inspect().then([this, call](const Result<QueueStatus>& status) {
    const Reasons reasons = not_ready(setup_->options, status);
    json::JsonObject body;
    body.flag("ready", reasons.empty()).text("node", setup_->node->name()).raw("reasons", reasons_json(reasons));
    Response response = json_answer(reasons.empty() ? 200 : 503, body.str());
    if (!reasons.empty()) response.headers.emplace_back("Retry-After", "1");
    answer(call, std::move(response));
  });
}

void Front::get_metrics(const CallPtr& call) {
  queue().inspect().then([this, call](const Result<QueueStatus>& status) {
    Node& node = *setup_->node;
    Measured measured;
    measured.actors = node.actors();
    measured.topics = node.topics();
    for (std::size_t i = 0; i < kDeadLetterReasons; ++i) {
      measured.dead_letters[i] = node.dead_letters(static_cast<DeadLetterReason>(i));
    }
    measured.queue = status ? &*status : nullptr;
    measured.lanes = &setup_->options.metric_lanes;
    measured.server = setup_->counters.get();
    measured.requests = &requests_;
    measured.feeds = feeds_.size();
    Response response{.status = 200, .body = metrics_text(measured)};
    response.headers.emplace_back("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    answer(call, std::move(response));
  });
}

void Front::get_openapi(const CallPtr& call) {
  answer(call, json_answer(200, openapi_text(*setup_->resources, setup_->options.mounts, keys_.needed())));
}

}  // namespace pannier::http
