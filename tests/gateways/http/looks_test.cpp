#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "tests/gateways/http/http_client.h"

/// Health, readiness and metrics, with real sockets.
namespace pannier::testing {
namespace {

/// The rules of Prometheus's text format that matter, and of our own names. The text of what is wrong.
std::string complaint_about(const std::string& text) {
  std::map<std::string, std::string> types;
  std::set<std::string> samples;
  std::istringstream lines{text};
  std::string family;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words{line};
    std::string first;
    std::string what;
    words >> first;
    if (first == "#") {
      std::string type;
      words >> what >> family >> type;
      if (what != "HELP" && what != "TYPE") return "what is " + line;
      if (what == "TYPE" && !types.emplace(family, type).second) return family + " is there twice";
      continue;
    }
    const std::string name = line.substr(0, line.find_first_of("{ "));
    if (!name.starts_with(family) || !types.contains(family)) return name + " stands under " + family;
    if (!name.starts_with("pannier_")) return name + " is not ours";
    if (types[family] == "counter" && !name.ends_with("_total")) return name + " is a counter without _total";
    if (types[family] != "counter" && name.ends_with("_total")) return name + " is no counter";
    const std::string series = line.substr(0, line.rfind(' '));
    if (!samples.insert(series).second) return series + " is there twice";
    char* end = nullptr;
    std::strtod(line.c_str() + line.rfind(' '), &end);
    if (*end != '\0') return line + " has no number";
  }
  return samples.size() > 50 ? "" : "only " + std::to_string(samples.size()) + " samples";
}

TEST_CASE("the metrics are well formed, count what happened, and take no label from a request") {
  HttpHub hub{{"metric_lanes=jobs"}};
  CHECK(hub.post("/v1/lanes/jobs?type=web.Order&key=k", "{\"total\":1}").status == 201);
  CHECK(hub.post("/v1/lanes/evil-lane?type=web.Order&key=k", "{\"total\":1}").status == 201);
  CHECK(hub.get("/evil-path").status == 404);
  const HttpAnswer metrics = hub.get("/metrics");
  CHECK(metrics.status == 200);
  CHECK(metrics.header("content-type") == "text/plain; version=0.0.4; charset=utf-8");
  CHECK(complaint_about(metrics.body) == "");
  CHECK(metrics.has("pannier_lane_messages{lane=\"jobs\",box=\"inbox\",state=\"ready\"} 1\n"));
  CHECK(metrics.has("pannier_lane_messages{lane=\"other\",box=\"inbox\",state=\"ready\"} 1\n"));
  CHECK(metrics.has("pannier_http_requests_total{route=\"/v1/lanes/{lane}\",code=\"201\"} 2\n"));
  CHECK(metrics.has("pannier_http_requests_total{route=\"none\",code=\"404\"} 1\n"));
  CHECK(metrics.has("pannier_http_request_duration_seconds_count{route=\"/v1/lanes/{lane}\"} 2\n"));
  CHECK_FALSE(metrics.has("evil"));
  if (std::system("command -v promtool >/dev/null") == 0) {
    const TempFolder folder;
    std::ofstream{folder / "metrics"} << metrics.body;
    CHECK(std::system(("promtool check metrics < " + folder / "metrics").c_str()) == 0);
  }
}

TEST_CASE("the page is one small file that runs its own script only; a dead letter is redriven from what it shows") {
  HttpHub hub;
  const HttpAnswer page = hub.get("/");
  CHECK(page.status == 200);
  CHECK(page.header("content-type") == "text/html; charset=utf-8");
  CHECK(page.body.size() < 60 * 1024);
  CHECK_FALSE(page.has("http://"));
  CHECK_FALSE(page.has("https://"));
  const std::string policy = page.header("content-security-policy");
  CHECK(policy.starts_with("default-src 'none'; connect-src 'self';"));
  CHECK(policy.find("script-src 'sha256-") != std::string::npos);

  CHECK(hub.post("/v1/lanes/jobs?type=web.Order&key=k%22", "{}").status == 201);
  const std::string fetched = hub.get("/v1/lanes/jobs").body;
  const std::size_t handle = fetched.find("\"delivery\":\"") + 12;
  const std::string delivery = "/v1/lanes/jobs/deliveries/" + fetched.substr(handle, 32);
  CHECK(hub.ask("POST", delivery + "/dead-letter?cause=no+courier").status == 202);
  RawSocket watcher{hub.port()};
  watcher.send(http_text("GET", "/v1/node", {{"Accept", "text/event-stream"}}));
  CHECK(watcher.head().status == 200);
  std::string seen = watcher.event();
  while (seen.find("no courier") == std::string::npos && !seen.empty()) seen = watcher.event();
  CHECK(seen.find("\"lane\":\"jobs\"") != std::string::npos);
  CHECK(seen.find("\"key\":\"k\\\"\",\"cause\":\"no courier\"") != std::string::npos);
  CHECK(hub.ask("POST", "/v1/dead-letters/redrive").status == 400);
  CHECK(hub.ask("POST", "/v1/dead-letters/redrive?lane=jobs&id=99").status == 404);
  CHECK(hub.ask("POST", "/v1/dead-letters/redrive?lane=jobs&key=k%22").has("\"messages\":1"));
  CHECK(hub.get("/v1/lanes/jobs").status == 200);
}

TEST_CASE("a node that misses a link says that it is not ready, and which one it misses") {
  HttpHub hub{{"needs_links=depot"}};
  CHECK(hub.get("/healthz").status == 200);
  const HttpAnswer ready = hub.get("/readyz");
  CHECK(ready.status == 503);
  CHECK(ready.has("\"ready\":false"));
  CHECK(ready.has("{\"code\":\"link_down\",\"detail\":\"depot\"}"));
}

}  // namespace
}  // namespace pannier::testing
