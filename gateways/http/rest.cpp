#include <algorithm>
#include <cctype>

#include "gateways/http/front.h"
#include "platform/posix/digest.h"
#include "services/json/json_text.h"

/// Resources of mounted services: a request becomes a call, its outcome an answer.
namespace pannier::http {

namespace {

std::uint16_t http_status(rpc::Status status) noexcept {
  switch (status) {
    case rpc::Status::ok: return 200;
    case rpc::Status::cancelled: return 499;
    case rpc::Status::invalid_argument:
    case rpc::Status::failed_precondition:
    case rpc::Status::out_of_range: return 400;
    case rpc::Status::deadline_exceeded: return 504;
    case rpc::Status::not_found: return 404;
    case rpc::Status::already_exists:
    case rpc::Status::aborted: return 409;
    case rpc::Status::permission_denied: return 403;
    case rpc::Status::resource_exhausted: return 429;
    case rpc::Status::unimplemented: return 501;
    case rpc::Status::unavailable: return 503;
    case rpc::Status::unauthenticated: return 401;
    default: return 500;
  }
}

Response problem_of(const rpc::Failure& failure) {
  Response response = problem(http_status(failure.status), rpc::to_string(failure.status), failure.message);
  if (failure.retry_after <= Duration::zero()) return response;
  const auto seconds = std::to_string(std::chrono::ceil<std::chrono::seconds>(failure.retry_after).count());
  const auto found = std::find_if(response.headers.begin(), response.headers.end(),
                                  [](const auto& header) { return header.first == "Retry-After"; });
  if (found != response.headers.end()) {
    found->second = seconds;
  } else {
    response.headers.emplace_back("Retry-After", seconds);
  }
  return response;
}

bool is_number(std::string_view text, bool whole) {
  if (text.starts_with('-')) text.remove_prefix(1);
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  if (digits == 0 || (digits > 1 && text[0] == '0')) return false;
  text.remove_prefix(digits);
  if (text.empty()) return true;
  return !whole && text[0] == '.' && text.size() > 1 && text.size() < 32 &&
         text.find_first_not_of("0123456789", 1) == std::string_view::npos;
}

/// One field as a member of a JSON object.
Result<std::string> member_of(const Parameter& parameter, const std::string& value) {
  const std::string name = json::json_text(parameter.name) + ":";
  const auto wrong = [&](const char* what) {
    return Error{ErrorCode::invalid_argument, parameter.name + " is " + what + ", not '" + value + "'"};
  };
  switch (parameter.kind) {
    case Parameter::Kind::text: return name + json::json_text(value);
    case Parameter::Kind::flag:
      if (value != "true" && value != "false") return wrong("true or false");
      return name + value;
    case Parameter::Kind::whole:
      if (!is_number(value, true)) return wrong("a whole number");
      return name + value;
    case Parameter::Kind::real:
      if (!is_number(value, false)) return wrong("a number");
      return name + value;
  }
  return wrong("of no known type");
}

const Parameter* find_parameter(const Resource& resource, std::string_view name) {
  const auto found = std::find_if(resource.parameters.begin(), resource.parameters.end(),
                                  [&](const Parameter& each) { return each.name == name; });
  return found == resource.parameters.end() ? nullptr : &*found;
}

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

/// The request's table as JSON: variables of the path, then the query's fields or the body's members. A field that is
/// said twice is refused by the parser of the schema.
Result<std::string> request_json(const Resource& resource, const Call& call) {
  const Request& request = call.request();
  std::string members;
  const auto add = [&](std::string_view name, const std::string& value) -> Result<void> {
    const Parameter* parameter = find_parameter(resource, name);
    if (parameter == nullptr) {
      return Error{ErrorCode::invalid_argument, "there is no parameter '" + std::string{name} + "'"};
    }
    auto member = member_of(*parameter, value);
    if (!member) return member.error();
    members += (members.empty() ? "" : ",") + *member;
    return {};
  };
  std::size_t next = 0;
  for (const std::string& segment : resource.segments) {
    if (!segment.starts_with('{')) continue;
    if (auto added = add(std::string_view{segment}.substr(1, segment.size() - 2), call.values[next++]); !added) {
      return added.error();
    }
  }
  for (const auto& [name, value] : request.query) {
    if (name == "fields") continue;
    if (auto added = add(name, value); !added) return added.error();
  }
  std::string_view body = request.body;
  while (!body.empty() && is_space(body.front())) body.remove_prefix(1);
  if (body.empty() || !resource.has_body()) return "{" + members + "}";
  if (body.front() != '{') return Error{ErrorCode::malformed, "the body is no JSON object"};
  if (members.empty()) return std::string{body};
  body.remove_prefix(1);
  const std::size_t first =
      static_cast<std::size_t>(std::find_if_not(body.begin(), body.end(), is_space) - body.begin());
  const bool none = first < body.size() && body[first] == '}';
  return "{" + members + (none ? "" : ",") + std::string{body};
}

/// The members of `object`, JSON that this gateway has written, whose names are in `fields`, with commas between.
std::string only(const std::string& object, std::string_view fields) {
  std::vector<std::string> wanted;
  while (!fields.empty()) {
    const std::size_t end = fields.find(',');
    wanted.push_back(json::json_text(fields.substr(0, end)));
    fields.remove_prefix(end == std::string_view::npos ? fields.size() : end + 1);
  }
  std::string out;
  int depth = 0;
  std::size_t begin = 1;
  for (std::size_t i = 0; i < object.size(); ++i) {
    const char c = object[i];
    if (c == '"') {
      for (++i; object[i] != '"'; ++i) i += object[i] == '\\' ? 1U : 0U;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if ((c == ',' && depth == 1) || (c == '}' && depth == 1)) {
      std::string_view member = std::string_view{object}.substr(begin, i - begin);
      while (member.starts_with(' ')) member.remove_prefix(1);
      while (member.ends_with(' ')) member.remove_suffix(1);
      for (const std::string& name : wanted) {
        if (member.starts_with(name)) out.append(out.empty() ? "" : ",").append(member);
      }
      begin = i + 1;
      if (c == '}') --depth;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return "{" + out + "}";
}

}  // namespace

bool Front::route_resource(const CallPtr& call) {
  const Request& request = call->request();
  const std::string_view method = request.method == "HEAD" ? std::string_view{"GET"} : request.method;
  for (const Resource& each : setup_->resources->all()) {
    if (each.method != method || !fits(each.segments, request.segments, call->values)) continue;
    call->route = each.path;
    call_resource(call, each);
    return true;
  }
  return false;
}

Result<std::string> Front::resource_body(const Call& call, const Resource& resource, const BlockRef& block) {
  const TypeInfo& info = *resource.call->response;
  auto text = setup_->schemas->to_json(AnyTable{info.id, &info, block});
  const auto fields = call.request().find_query("fields");
  if (!text || !fields) return text;
  return only(*text, *fields);
}

void Front::call_resource(const CallPtr& call, const Resource& resource) {
  const Request& request = call->request();
  const std::string_view type = request.header("content-type");
  if (resource.has_body() && type.substr(0, type.find(';')) != "application/json") {
    return answer(call, problem(415, "unsupported", "say Content-Type: application/json"));
  }
  const auto json = request_json(resource, *call);
  if (!json) return fail(call, json.error());
  auto table = setup_->schemas->from_json(resource.call->request->name, *json);
  if (!table) return fail(call, table.error());

  rpc::detail::Spec spec{this, ref(resource.server), resource.call, table->block(), {}};
  if (request.find_header("request-timeout")) spec.options.deadline = call->timeout;
  const bool safe = resource.method == "GET";
  if (safe || resource.call->idempotent) {
    const rpc::InFlight sent = rpc::detail::start(spec, [=, this, &resource](Message* reply) {
      const rpc::detail::Outcome outcome = rpc::detail::read_outcome(reply, *resource.call);
      if (outcome.failure.status != rpc::Status::ok) return answer(call, problem_of(outcome.failure));
      auto body = resource_body(*call, resource, outcome.block);
      if (!body) return fail(call, body.error());
      if (!safe) return answer(call, json_answer(200, std::move(*body)));
      const std::string tag = "\"" + posix::sha256_hex(*body).substr(0, 32) + "\"";
      const std::string_view known = call->request().header("if-none-match");
      const bool same = known == "*" || known.find(tag) != std::string_view::npos;
      Response response = same ? Response{.status = 304} : json_answer(200, std::move(*body));
      response.headers.emplace_back("ETag", tag);
      response.headers.emplace_back("Cache-Control", "no-cache");
      answer(call, std::move(response));
    });
    call->on_hangup = [sent] { sent.cancel(); };
    return;
  }

  if (!request.find_header("idempotency-key")) {
    return fail(call, {ErrorCode::invalid_argument, request.method + " " + resource.path +
                                                        " needs an Idempotency-Key: any text that is new with each "
                                                        "request, and the same where one is repeated"});
  }
  const auto once_only = once_of(call);
  if (!once_only) return;
  spec.options.metadata = {{"idempotency-key", once_only->key}, {"idempotency-print", once_only->print}};
  const auto finish = [=, this, &resource](const rpc::detail::Outcome& outcome) {
    Response response;
    if (outcome.failure.status == rpc::Status::ok) {
      auto body = resource_body(*call, resource, outcome.block);
      response = body ? json_answer(200, std::move(*body)) : problem(body.error());
    } else {
      response = problem_of(outcome.failure);
    }
    if (resource.keeps_answer) {
      running_.erase(once_only->key);
      return answer(call, std::move(response));
    }
    Batch batch;
    if (outcome.failure.not_started) {
      batch.execute("DELETE FROM http_answers WHERE key = ?1", once_only->key);
    } else {
      std::string body = response.body;
      if (body.ends_with('\n')) body.pop_back();
      batch.execute("UPDATE http_answers SET status = ?2, body = ?3 WHERE key = ?1", once_only->key,
                    static_cast<std::int64_t>(response.status), body);
    }
    // Answered once the answer is kept: a repetition must not hear another.
    commit(std::move(batch)).then([this, call, response, key = once_only->key](const Result<Receipt>& kept) {
      running_.erase(key);
      if (!kept) return fail(call, kept.error());
      answer(call, response);
    });
  };
  once(call, *once_only, &resource, [=, this, &resource] {
    const auto send = [=, &resource] {
      // Not cancelled by a client that goes: one that asks again is told what came of it.
      static_cast<void>(rpc::detail::start(
          spec, [finish, &resource](Message* reply) { finish(rpc::detail::read_outcome(reply, *resource.call)); }));
    };
    if (resource.keeps_answer) return send();
    // Noted before it begins: a node that stops meanwhile must not let it happen twice.
    Batch batch;
    keep(batch, *once_only, 0, "");
    commit(std::move(batch)).then([this, call, send, key = once_only->key](const Result<Receipt>& noted) {
      if (noted) return send();
      running_.erase(key);
      fail(call, noted.error());
    });
  });
}

}  // namespace pannier::http
