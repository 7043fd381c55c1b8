#include <algorithm>
#include <array>
#include <vector>

#include "services/resilience/schema/resilience.fbs.h"
#include "tools/asking.h"
#include "tools/commands.h"
#include "tools/output.h"

namespace pannier::tools {

namespace {

/// What that share of the calls stayed below, by the buckets of ServiceState::latency.
std::string quantile(const services::ServiceState& state, double share) {
  const auto* const counts = state.latency();
  double total = 0;
  if (counts != nullptr) {
    for (const std::uint32_t count : *counts) total += count;
  }
  if (total == 0) return "-";
  double sum = 0;
  double below_ms = 0.1;
  for (const std::uint32_t count : *counts) {
    sum += count;
    if (sum >= share * total) break;
    below_ms *= 2;
  }
  return below_ms < 10 ? format("%.1f ms", below_ms) : format("%.0f ms", below_ms);
}

std::string json_of(const services::ServiceState& state) {
  JsonObject object;
  object.text("service", state.name()->string_view()).text("breaker", state.breaker()->string_view());
  object.number("open_for_ms", state.open_for_ms()).number("openings", state.openings());
  object.number("running", state.running()).number("limit", state.limit()).number("waiting", state.waiting());
  object.number("retry_tokens", state.retry_tokens()).number("succeeded", state.succeeded());
  object.number("failed", state.failed()).number("cancelled", state.cancelled()).number("attempts", state.attempts());
  object.number("retries", state.retries()).number("hedges", state.hedges());
  object.number("not_permitted", state.not_permitted()).number("no_room", state.no_room());
  object.number("over_rate", state.over_rate()).number("budget_spent", state.budget_spent());
  object.number("timed_out", state.timed_out()).number("fell_back", state.fell_back());
  std::string buckets;
  if (state.latency() != nullptr) {
    for (const std::uint32_t count : *state.latency()) buckets += (buckets.empty() ? "" : ",") + std::to_string(count);
  }
  object.raw("latency", "[" + buckets + "]").number("age_ms", state.age_ms());
  return object.str();
}

}  // namespace

int run_services(const ServicesCommand& command) {
  auto client = Client::connect(command.target);
  if (!client) return fail_with(client.error());
  const auto list = ask_actor<services::ServiceList>(*client, command.actor, make<services::ListServices>(),
                                                     command.target.timeout, "pannier::StatusDesk");
  if (!list) return fail_with(list.error());
  std::vector<const services::ServiceState*> states;
  if ((*list)->services() != nullptr) {
    for (const services::ServiceState* state : *(*list)->services()) states.push_back(state);
  }
  std::sort(states.begin(), states.end(), [](const auto* left, const auto* right) {
    return left->name()->string_view() < right->name()->string_view();
  });
  if (command.json) {
    for (const auto* state : states) {
      if (!print(json_of(*state))) return kExitRefused;
    }
    return 0;
  }
  std::string text = format("%-24s %-10s %8s %8s %8s %7s %7s %9s %9s", "service", "breaker", "ok", "failed", "refused",
                            "retries", "hedges", "p50", "p99");
  for (const auto* state : states) {
    const std::uint32_t refused = state->not_permitted() + state->no_room() + state->over_rate();
    text += format("\n%-24s %-10s %8u %8u %8u %7u %7u %9s %9s", state->name()->c_str(), state->breaker()->c_str(),
                   state->succeeded(), state->failed(), refused, state->retries(), state->hedges(),
                   quantile(*state, 0.5).c_str(), quantile(*state, 0.99).c_str());
  }
  return print(text) ? 0 : kExitRefused;
}

}  // namespace pannier::tools
