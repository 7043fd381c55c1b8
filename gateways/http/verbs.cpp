#include <algorithm>
#include <charconv>
#include <cstdio>

#include "gateways/http/front.h"
#include "services/json/json_text.h"

/// Verbs for scripts: enqueue, fetch and settle, ask, publish.
namespace pannier::http {

namespace {

constexpr Duration kLongestVisibility = std::chrono::hours{12};
constexpr Duration kLongestFetch = std::chrono::seconds{60};
constexpr std::uint32_t kMostFetched = 100;

std::string_view name_of(Durability durability) noexcept {
  switch (durability) {
    case Durability::fsynced: return "fsynced";
    case Durability::committed: return "committed";
    default: return "memory";
  }
}

/// A whole number of seconds, or with a fraction: "1.5". The default where it is not given.
Result<Duration> seconds_in(const Request& request, std::string_view name, Duration otherwise, Duration most) {
  const auto text = request.find_query(name);
  if (!text) return otherwise;
  std::uint64_t milliseconds = 0;
  std::size_t decimals = 0;
  bool point = false;
  bool good = !text->empty() && text->size() <= 16;
  for (const char c : good ? *text : std::string_view{}) {
    if (c == '.' && !point) {
      point = true;
    } else if (c < '0' || c > '9') {
      good = false;
    } else if (!point || decimals < 3) {
      milliseconds = milliseconds * 10 + static_cast<std::uint64_t>(c - '0');
      decimals += point ? 1U : 0U;
    }
  }
  for (; decimals < 3; ++decimals) milliseconds *= 10;
  if (!good || milliseconds > static_cast<std::uint64_t>(std::chrono::ceil<std::chrono::milliseconds>(most).count())) {
    return Error{ErrorCode::invalid_argument,
                 std::string{name} + " is a number of seconds, at most " +
                     std::to_string(std::chrono::duration_cast<std::chrono::seconds>(most).count())};
  }
  return Duration{std::chrono::milliseconds{milliseconds}};
}

Result<std::uint32_t> number_in(const Request& request, std::string_view name, std::uint32_t otherwise,
                                std::uint32_t most) {
  const auto text = request.find_query(name);
  if (!text) return otherwise;
  std::uint32_t number = 0;
  const auto [end, bad] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (bad == std::errc{} && end == text->data() + text->size() && number >= 1 && number <= most) return number;
  return Error{ErrorCode::invalid_argument, std::string{name} + " is a number from 1 to " + std::to_string(most)};
}

bool is_type(std::string_view header, std::string_view wanted) {
  header = header.substr(0, header.find(';'));
  while (header.ends_with(' ')) header.remove_suffix(1);
  return header == wanted;
}

std::string hex_of(std::uint64_t number) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(number));
  return text;
}

Result<EnqueueOptions> enqueue_options(const Request& request) {
  EnqueueOptions options;
  const auto delay = seconds_in(request, "delay", {}, limits::kLongestWait);
  if (!delay) return delay.error();
  const auto expires = seconds_in(request, "expires", {}, limits::kLongestWait);
  if (!expires) return expires.error();
  options.delay = *delay;
  options.expires_in = *expires;
  if (const auto durability = request.find_query("durability")) {
    for (const Durability each : {Durability::memory, Durability::committed, Durability::fsynced}) {
      if (*durability == name_of(each)) options.durability = each;
    }
    if (!options.durability) {
      return Error{ErrorCode::invalid_argument, "durability is memory, committed or fsynced"};
    }
  }
  return options;
}

}  // namespace

Result<AnyTable> Front::payload(const Call& call) {
  const Request& request = call.request();
  const std::string_view type = request.parameter("type");
  if (type.empty()) return Error{ErrorCode::invalid_argument, "which table is it? Say ?type=Full.Name"};
  if (is_type(request.header("content-type"), "application/json")) {
    auto table = setup_->schemas->from_json(type, request.body);
    if (!table && table.error().code == ErrorCode::not_found) {
      return Error{ErrorCode::invalid_argument, table.error().detail};
    }
    return table;
  }
  if (request.body.size() > limits::kPayloadBytes) {
    return Error{ErrorCode::invalid_argument,
                 "a payload has at most " + std::to_string(limits::kPayloadBytes) + " bytes"};
  }
  return AnyTable{type_id_of(type), nullptr, BlockRef::copy_of(std::as_bytes(std::span{request.body}))};
}

void Front::add_payload(json::JsonObject& object, const AnyTable& table) const {
  const std::string_view type = setup_->schemas->name_of(table.type());
  object.text("type", type.empty() ? "0x" + hex_of(static_cast<std::uint64_t>(table.type())) : std::string{type});
  if (const auto json = setup_->schemas->to_json(table)) {
    object.raw("data", *json);
  } else {
    const auto bytes = table.bytes();
    object.text("base64", json::base64({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
  }
}

namespace {

/// A page of another origin can send other types without asking first.
bool has_known_type(const Request& request) {
  const std::string_view type = request.header("content-type");
  return is_type(type, "application/json") || is_type(type, "application/octet-stream");
}

Response unknown_type() {
  return problem(415, "unsupported", "say Content-Type: application/json, or application/octet-stream for a table");
}

}  // namespace

void Front::post_lane(const CallPtr& call) {
  const Request& request = call->request();
  if (!has_known_type(request)) return answer(call, unknown_type());
  const auto table = payload(*call);
  if (!table) return fail(call, table.error());
  const auto options = enqueue_options(request);
  if (!options) return fail(call, options.error());
  const std::string lane = call->values[0];
  const std::string key{request.parameter("key")};
  const auto receipt_of = [lane](std::string_view id, Durability durability) {
    return json::JsonObject{}.text("lane", lane).text("id", id).text("durability", name_of(durability)).str();
  };
  if (!request.find_header("idempotency-key")) {
    enqueue(lane, key, *table, *options).then([this, call, receipt_of](const Result<Receipt>& receipt) {
      if (!receipt) return fail(call, receipt.error());
      answer(call, json_answer(201, receipt_of(std::to_string(receipt->sequence), receipt->durability)));
    });
    return;
  }
  const auto once_only = once_of(call);
  if (!once_only) return;
  once(call, *once_only, nullptr, [=, this, table = *table, options = *options] {
    // Its answer is stored with it, so all of it must be known before.
    const std::string body = receipt_of(hex_of(random()) + hex_of(random()), keeps_.value_or(Durability::memory));
    EnqueueOptions stored = options;
    stored.durability = Durability::fsynced;
    Batch batch;
    batch.enqueue(lane, key, table, stored);
    keep(batch, *once_only, 201, body);
    commit(std::move(batch)).then([this, call, body, key = once_only->key](const Result<Receipt>& receipt) {
      running_.erase(key);
      if (!receipt) return fail(call, receipt.error());
      answer(call, json_answer(201, body));
    });
  });
}

void Front::get_lane(const CallPtr& call) {
  const Request& request = call->request();
  const auto most = number_in(request, "max", 1, kMostFetched);
  const auto visibility = seconds_in(request, "visibility", std::chrono::seconds{30}, kLongestVisibility);
  const auto wait = seconds_in(request, "wait", {}, kLongestFetch);
  for (const Error* error :
       {most ? nullptr : &most.error(), visibility ? nullptr : &visibility.error(), wait ? nullptr : &wait.error()}) {
    if (error != nullptr) return fail(call, *error);
  }
  if (*visibility < std::chrono::seconds{1}) {
    return fail(call, {ErrorCode::invalid_argument, "visibility is at least a second"});
  }
  if (lent_.size() + *most > limits::kInFlight) {
    return fail(call, {ErrorCode::full, "too many messages are fetched and not settled"});
  }
  const std::string lane = call->values[0];
  const FetchOptions options{.max = *most, .visibility = *visibility, .wait = std::min(*wait, call->timeout)};
  const TimerId asked = fetch<AnyTable>(lane, options).then([=, this](Result<std::vector<Fetched<AnyTable>>> rows) {
    if (!rows) return fail(call, rows.error());
    // Nobody is there to settle them: given back at once.
    if (call->answered) return;
    std::string list;
    for (Fetched<AnyTable>& row : *rows) {
      const std::string handle = hex_of(random()) + hex_of(random());
      const TimerId end = after(options.visibility, [this, handle] { lent_.erase(handle); });
      json::JsonObject object;
      object.text("delivery", handle).text("key", row.key).number("attempts", row.attempts);
      add_payload(object, row.payload);
      list += (list.empty() ? "" : ",") + object.str();
      lent_.emplace(handle, Lent{std::move(row.delivery), lane, call->key, end});
    }
    if (list.empty()) return answer(call, Response{.status = 204});
    answer(call, json_answer(200, "{\"messages\":[" + list + "]}"));
  });
  call->on_hangup = [this, asked] { cancel(asked); };
}

void Front::settle(const CallPtr& call) {
  const std::string& outcome = call->values[2];
  if (outcome != "ack" && outcome != "retry" && outcome != "dead-letter") {
    return answer(call, problem(404, "not_found", "a delivery ends in ack, retry or dead-letter"));
  }
  const auto found = lent_.find(call->values[1]);
  if (found == lent_.end() || found->second.lane != call->values[0] || found->second.key != call->key) {
    return answer(call, problem(404, "not_found", "this delivery is settled already, or its visibility has ended"));
  }
  const std::string cause{call->request().parameter("cause")};
  const Delivery delivery = std::move(found->second.delivery);
  cancel(found->second.end);
  lent_.erase(found);
  if (outcome == "ack") {
    // Answered once it is gone from disk: a script that goes on has the node's word.
    commit(delivery, Batch{}).then([this, call](const Result<Receipt>& receipt) {
      if (!receipt) return fail(call, receipt.error());
      answer(call, Response{.status = 204});
    });
    return;
  }
  if (outcome == "retry") {
    delivery.retry({}, cause.empty() ? "retry asked for over HTTP" : cause);
  } else {
    delivery.dead_letter(cause.empty() ? "dead-lettered over HTTP" : cause);
  }
  answer(call, Response{.status = 202});
}

void Front::post_ask(const CallPtr& call) {
  if (!has_known_type(call->request())) return answer(call, unknown_type());
  const auto table = payload(*call);
  if (!table) return fail(call, table.error());
  const std::string name = call->values.size() == 2 ? call->values[0] + "/" + call->values[1] : call->values[0];
  const TimerId asked = ask<AnyTable>(ref(name), *table, call->timeout).then([this, call](Result<AnyTable> reply) {
    if (!reply) return fail(call, reply.error());
    if (!reply->can_leave() || !reply->block()) {
      return answer(call, problem(422, "rejected", "the answer is no table"));
    }
    const std::string_view type = setup_->schemas->name_of(reply->type());
    Response response;
    if (auto json = setup_->schemas->to_json(*reply)) {
      response = json_answer(200, std::move(*json));
    } else {
      const auto bytes = reply->bytes();
      response.body.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      response.headers.emplace_back("Content-Type", "application/octet-stream");
    }
    response.headers.emplace_back(
        "Pannier-Type", type.empty() ? "0x" + hex_of(static_cast<std::uint64_t>(reply->type())) : std::string{type});
    answer(call, std::move(response));
  });
  call->on_hangup = [this, asked] { cancel(asked); };
}

void Front::post_topic(const CallPtr& call) {
  const Request& request = call->request();
  if (!has_known_type(request)) return answer(call, unknown_type());
  const auto table = payload(*call);
  if (!table) return fail(call, table.error());
  const std::string_view retain = request.parameter("retain");
  if (!retain.empty() && retain != "true" && retain != "false") {
    return fail(call, {ErrorCode::invalid_argument, "retain is true or false"});
  }
  if (auto sent = publish(call->values[0], *table, {.retain = retain == "true"}); !sent) {
    return fail(call, sent.error());
  }
  answer(call, Response{.status = 202});
}

}  // namespace pannier::http
