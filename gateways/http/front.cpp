#include "gateways/http/front.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <utility>

namespace pannier::http {

namespace {

/// The longest time that a client may wait for an answer.
constexpr Duration kLongestAnswer = std::chrono::minutes{5};
constexpr double kBurstSeconds = 10;

bool consists_of(std::string_view text, std::string_view what) {
  return !text.empty() && text.find_first_not_of(what) == std::string_view::npos;
}

/// Four numbers with dots. What is no address after all leads nowhere.
bool is_ipv4(std::string_view text) {
  return consists_of(text, "0123456789.") && std::count(text.begin(), text.end(), '.') == 3;
}

bool same_name(std::string_view left, std::string_view right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(), [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
  });
}

/// Whether a request with this Host is meant for this gateway. A page whose name was pointed at this machine (DNS
/// rebinding) sends its own name, so names must be listed; an address or "localhost" is accepted. `listed` may have
/// "*".
bool is_own_host(std::string_view host, const std::vector<std::string>& listed) {
  if (std::find(listed.begin(), listed.end(), "*") != listed.end()) return true;
  std::string_view port;
  if (host.starts_with('[')) {
    const std::size_t end = host.find(']');
    if (end == std::string_view::npos) return false;
    const std::string_view address = host.substr(1, end - 1);
    port = host.substr(end + 1);
    if (!port.empty() && !(port.starts_with(':') && consists_of(port.substr(1), "0123456789"))) return false;
    return consists_of(address, "0123456789abcdefABCDEF:.") && address.find(':') != std::string_view::npos;
  }
  const std::size_t colon = host.find(':');
  if (colon != std::string_view::npos) {
    port = host.substr(colon + 1);
    host = host.substr(0, colon);
    if (!consists_of(port, "0123456789")) return false;
  }
  if (is_ipv4(host) || same_name(host, "localhost")) return true;
  return std::any_of(listed.begin(), listed.end(), [&](const std::string& name) { return same_name(host, name); });
}

}  // namespace

Front::Front(std::shared_ptr<const Setup> setup) : setup_(std::move(setup)), keys_(setup_->options.keys_file) {}

const std::vector<Front::Route>& Front::routes() {
  static const std::vector<Route> kRoutes = {
      {"GET", "/", &Front::get_page, true},
      {"GET", "/healthz", &Front::get_health, true},
      {"GET", "/readyz", &Front::get_ready, true},
      {"GET", "/metrics", &Front::get_metrics, false},
      {"GET", "/openapi.json", &Front::get_openapi, false},
      {"GET", "/v1/node", &Front::get_node, false},
      {"POST", "/v1/dead-letters/redrive", &Front::post_redrive, false},
      {"POST", "/v1/lanes/{lane}", &Front::post_lane, false},
      {"GET", "/v1/lanes/{lane}", &Front::get_lane, false},
      {"POST", "/v1/lanes/{lane}/deliveries/{delivery}/{outcome}", &Front::settle, false},
      {"POST", "/v1/ask/{actor}", &Front::post_ask, false},
      {"POST", "/v1/ask/{node}/{actor}", &Front::post_ask, false},
      {"POST", "/v1/topics/{topic...}", &Front::post_topic, false},
      {"GET", "/v1/topics/{topic...}", &Front::get_topic, false},
      {"GET", "/v1/events", &Front::get_events, false},
      {"GET", "/v1/events/{stream...}", &Front::get_events, false},
  };
  return kRoutes;
}

void Front::on(const Arrived& arrived) {
  const auto call = std::make_shared<Call>();
  call->exchange = arrived.exchange;
  call->begun = now();
  open_[arrived.exchange->id()] = call;
  if (auto refusal = check_origin(*call)) return answer(call, *std::move(refusal));
  if (auto refusal = read_timeout(*call)) return answer(call, *std::move(refusal));
  route(call);
}

void Front::route(const CallPtr& call) {
  const Request& request = call->request();
  const std::string_view method = request.method == "HEAD" ? std::string_view{"GET"} : request.method;
  std::string methods;
  static const std::vector<std::vector<std::string>> kPatterns = [] {
    std::vector<std::vector<std::string>> all;
    for (const Route& each : routes()) all.push_back(split_path(each.pattern));
    return all;
  }();
  for (std::size_t i = 0; i < routes().size(); ++i) {
    const Route& each = routes()[i];
    std::vector<std::string> values;
    if (!fits(kPatterns[i], request.segments, values)) continue;
    if (each.method != method) {
      if (methods.find(each.method) == std::string::npos) {
        methods.append(methods.empty() ? "" : ", ").append(each.method);
      }
      continue;
    }
    call->route = each.pattern;
    call->values = std::move(values);
    if (!each.open) {
      if (auto refusal = check_key(*call, method)) return answer(call, *std::move(refusal));
      if (auto refusal = check_rate(*call)) return answer(call, *std::move(refusal));
    }
    return (this->*each.handler)(call);
  }
  // Who has no key does not learn what there is.
  if (auto refusal = check_key(*call, method)) return answer(call, *std::move(refusal));
  if (auto refusal = check_rate(*call)) return answer(call, *std::move(refusal));
  if (route_resource(call)) return;
  for (const Resource& each : setup_->resources->all()) {
    std::vector<std::string> values;
    if (!fits(each.segments, request.segments, values)) continue;
    if (methods.find(each.method) == std::string::npos) {
      methods.append(methods.empty() ? "" : ", ").append(each.method);
    }
  }
  if (methods.empty()) return answer(call, problem(404, "not_found", "there is nothing at " + request.path));
  Response refusal = problem(405, "unsupported", request.path + " knows " + methods);
  refusal.headers.emplace_back("Allow", methods);
  answer(call, std::move(refusal));
}

void Front::on(const HungUp& hung_up) {
  if (const auto feed = feeds_.find(hung_up.exchange); feed != feeds_.end()) {
    stop(feed->second);
    feeds_.erase(feed);
  }
  const auto found = open_.find(hung_up.exchange);
  if (found == open_.end()) return;
  const CallPtr call = found->second;
  call->answered = true;
  requests_.count(call->route, 499, now() - call->begun);
  open_.erase(found);
  if (call->on_hangup) call->on_hangup();
}

void Front::answer(const CallPtr& call, Response response) {
  if (std::exchange(call->answered, true)) return;
  for (auto& header : call->headers) response.headers.push_back(std::move(header));
  requests_.count(call->route, response.status, now() - call->begun);
  open_.erase(call->exchange->id());
  call->on_hangup = nullptr;
  call->exchange->answer(std::move(response));
}

std::optional<Response> Front::check_origin(Call& call) const {
  const Request& request = call.request();
  const Options& options = setup_->options;
  if (const auto host = request.find_header("host"); host && !is_own_host(*host, options.hosts)) {
    return problem(421, "rejected", "this node does not answer as '" + std::string{*host} + "' (hosts)");
  }
  const auto origin = request.find_header("origin");
  const bool listed =
      origin && std::find(options.origins.begin(), options.origins.end(), *origin) != options.origins.end();
  const bool own = origin && (*origin == "http://" + std::string{request.header("host")} ||
                              *origin == "https://" + std::string{request.header("host")});
  if (!listed && ((origin && !own) || request.header("sec-fetch-site") == "cross-site")) {
    return problem(403, "permission", "pages of another origin may not use this node (origins)");
  }
  if (!listed) return std::nullopt;
  call.headers.emplace_back("Access-Control-Allow-Origin", *origin);
  call.headers.emplace_back("Vary", "Origin");
  call.headers.emplace_back("Cross-Origin-Resource-Policy", "cross-origin");
  call.headers.emplace_back("Access-Control-Expose-Headers", "ETag, RateLimit, RateLimit-Policy, Retry-After");
  if (request.method != "OPTIONS") return std::nullopt;
  Response preflight{.status = 204};
  preflight.headers.emplace_back("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE");
  preflight.headers.emplace_back("Access-Control-Allow-Headers",
                                 "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, "
                                 "Request-Timeout");
  preflight.headers.emplace_back("Access-Control-Max-Age", "600");
  return preflight;
}

std::optional<Response> Front::check_key(Call& call, std::string_view method) {
  if (!keys_.needed()) return std::nullopt;
  const std::string_view header = call.request().header("authorization");
  constexpr std::string_view kBearer = "Bearer ";
  const auto unknown = [](const char* challenge, std::string_view why) {
    Response refusal = problem(401, "permission", why);
    refusal.headers.emplace_back("WWW-Authenticate", challenge);
    return refusal;
  };
  if (!header.starts_with(kBearer)) return unknown("Bearer", "an API key is needed: Authorization: Bearer KEY");
  const Keys::Key* key = keys_.find(header.substr(kBearer.size()), now());
  if (const std::string complaint = keys_.take_complaint(); !complaint.empty()) log(LogLevel::error, complaint);
  if (key == nullptr) return unknown("Bearer error=\"invalid_token\"", "this API key is not known");
  call.key = key->name;
  const bool may = std::any_of(key->rules.begin(), key->rules.end(),
                               [&](const Rule& rule) { return allows(rule, method, call.request().path); });
  if (may) return std::nullopt;
  return problem(403, "permission", "the API key '" + key->name + "' has no rule for this");
}

std::optional<Response> Front::check_rate(Call& call) {
  const double rate = setup_->options.rate;
  if (rate <= 0) return std::nullopt;
  const double most = rate * kBurstSeconds;
  Bucket& bucket = buckets_.try_emplace(call.key, Bucket{most, now()}).first->second;
  bucket.tokens = std::min(most, bucket.tokens + rate * std::chrono::duration<double>(now() - bucket.at).count());
  bucket.at = now();
  const bool allowed = bucket.tokens >= 1;
  if (allowed) bucket.tokens -= 1;
  const auto whole = [](double value) { return std::to_string(static_cast<std::uint64_t>(value)); };
  // draft-ietf-httpapi-ratelimit-headers: r left, t seconds until there is one more, or all.
  const double wait = allowed ? (most - bucket.tokens) / rate : (1 - bucket.tokens) / rate;
  call.headers.emplace_back("RateLimit-Policy", "\"key\";q=" + whole(most) + ";w=" + whole(kBurstSeconds));
  call.headers.emplace_back("RateLimit", "\"key\";r=" + whole(bucket.tokens) + ";t=" + whole(std::ceil(wait)));
  if (allowed) return std::nullopt;
  Response refusal = problem(429, "full", "more requests than this API key may make");
  for (auto& [name, value] : refusal.headers) {
    if (name == "Retry-After") value = whole(std::ceil(wait));
  }
  return refusal;
}

std::optional<Response> Front::read_timeout(Call& call) const {
  call.timeout = setup_->options.deadline;
  const auto text = call.request().find_header("request-timeout");
  if (!text) return std::nullopt;
  std::uint32_t seconds = 0;
  const auto [end, bad] = std::from_chars(text->data(), text->data() + text->size(), seconds);
  if (bad != std::errc{} || end != text->data() + text->size() || seconds == 0) {
    return problem(400, "invalid_argument", "Request-Timeout is a whole number of seconds, at least 1");
  }
  call.timeout = std::min<Duration>(std::chrono::seconds{seconds}, kLongestAnswer);
  return std::nullopt;
}

}  // namespace pannier::http
