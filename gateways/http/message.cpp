#include "gateways/http/message.h"

#include <algorithm>

#include "services/json/json_text.h"

namespace pannier::http {

namespace {

std::optional<std::string_view> find_in(const Pairs& pairs, std::string_view name) noexcept {
  const auto found = std::find_if(pairs.begin(), pairs.end(), [&](const auto& pair) { return pair.first == name; });
  if (found == pairs.end()) return std::nullopt;
  return std::string_view{found->second};
}

int digit_of(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// RFC 3986, with '+' as a space where it stands in a query.
Result<std::string> decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      const int high = i + 2 < text.size() ? digit_of(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? digit_of(text[i + 2]) : -1;
      if (high < 0 || low < 0) return Error{ErrorCode::malformed, "a % in the address is not followed by two digits"};
      out += static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (out.back() == '\0') return Error{ErrorCode::malformed, "the address contains a NUL"};
  }
  return out;
}

std::string_view title_of(std::uint16_t status) noexcept {
  switch (status) {
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 421: return "Misdirected Request";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 499: return "Client Closed Request";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 507: return "Insufficient Storage";
    default: return "Internal Server Error";
  }
}

}  // namespace

std::optional<std::string_view> Request::find_header(std::string_view name) const noexcept {
  return find_in(headers, name);
}
std::string_view Request::header(std::string_view name) const noexcept {
  return find_in(headers, name).value_or(std::string_view{});
}
std::optional<std::string_view> Request::find_query(std::string_view name) const noexcept {
  return find_in(query, name);
}

std::string encode_segment(std::string_view segment) {
  std::string out;
  for (const char c : segment) {
    if (c == '/') {
      out += "%2F";
    } else if (c == '%') {
      out += "%25";
    } else {
      out += c;
    }
  }
  return out;
}

Result<void> read_target(std::string_view target, Request& request) {
  request.path.clear();
  request.segments.clear();
  request.query.clear();
  if (!target.starts_with('/')) return Error{ErrorCode::malformed, "the address does not start with /"};
  const std::size_t mark = target.find('?');
  std::string_view path = target.substr(1, mark == std::string_view::npos ? mark : mark - 1);
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    auto segment = decode(path.substr(0, slash), false);
    if (!segment) return segment.error();
    if (segment->empty() || *segment == "." || *segment == "..") {
      return Error{ErrorCode::malformed, "a segment of the address is empty, . or .."};
    }
    request.path += "/" + encode_segment(*segment);
    request.segments.push_back(std::move(*segment));
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
    if (path.empty()) return Error{ErrorCode::malformed, "the address ends with /"};
  }
  if (request.path.empty()) request.path = "/";
  std::string_view query = mark == std::string_view::npos ? std::string_view{} : target.substr(mark + 1);
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    const std::size_t equals = pair.find('=');
    auto name = decode(pair.substr(0, equals), true);
    auto value = decode(equals == std::string_view::npos ? std::string_view{} : pair.substr(equals + 1), true);
    if (!name) return name.error();
    if (!value) return value.error();
    if (!pair.empty()) request.query.emplace_back(std::move(*name), std::move(*value));
    if (end == std::string_view::npos) break;
    query.remove_prefix(end + 1);
  }
  return {};
}

bool Feed::write(std::string_view text) {
  std::function<void()> tell;
  {
    const std::lock_guard lock{mutex_};
    if (gone_ || ended_) return false;
    const std::size_t waiting = waiting_.size() - taken_;
    if (waiting > 0 && waiting + text.size() > bytes_) {
      refused_ = true;
      return false;
    }
    if (taken_ > 0) waiting_.erase(0, std::exchange(taken_, 0));
    waiting_ += text;
    tell = on_data_;
  }
  if (tell) tell();
  return true;
}

void Feed::end() {
  std::function<void()> tell;
  {
    const std::lock_guard lock{mutex_};
    ended_ = true;
    tell = on_data_;
  }
  if (tell) tell();
}

Feed::Taken Feed::take(char* out, std::size_t most) {
  bool tell = false;
  Taken taken{};
  {
    const std::lock_guard lock{mutex_};
    taken.bytes = std::min(most, waiting_.size() - taken_);
    std::copy_n(waiting_.data() + taken_, taken.bytes, out);
    taken_ += taken.bytes;
    if (taken_ == waiting_.size()) {
      waiting_.clear();
      waiting_.shrink_to_fit();  // most readers wait most of the time
      taken_ = 0;
      tell = std::exchange(refused_, false);
      taken.ended = ended_ && taken.bytes == 0;
    }
  }
  if (tell && on_room_) on_room_();
  return taken;
}

void Feed::on_data(std::function<void()> told) {
  const std::lock_guard lock{mutex_};
  on_data_ = std::move(told);
}

void Feed::reader_gone() {
  const std::lock_guard lock{mutex_};
  gone_ = true;
  on_data_ = nullptr;
  waiting_.clear();
  taken_ = 0;
}

std::uint16_t status_of(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::full: return 503;
    case ErrorCode::timeout: return 504;
    case ErrorCode::unreachable: return 502;
    case ErrorCode::not_found: return 404;
    case ErrorCode::rejected: return 422;
    case ErrorCode::failed: return 500;
    case ErrorCode::cancelled: return 499;
    case ErrorCode::closed: return 503;
    case ErrorCode::malformed: return 400;
    case ErrorCode::unsupported: return 501;
    case ErrorCode::invalid_argument: return 400;
    case ErrorCode::permission: return 403;
    case ErrorCode::in_use: return 409;
    case ErrorCode::storage_full: return 507;
    case ErrorCode::storage_io: return 500;
    case ErrorCode::corrupt: return 500;
    case ErrorCode::conflict: return 409;
  }
  return 500;
}

Response problem(std::uint16_t status, std::string_view code, std::string_view detail) {
  json::JsonObject body;
  body.text("type", "urn:pannier:" + std::string{code}).text("title", title_of(status)).number("status", status);
  if (!detail.empty()) body.text("detail", detail);
  body.text("code", code);
  Response response{.status = status, .body = body.str() + "\n"};
  response.headers.emplace_back("Content-Type", "application/problem+json");
  if (status == 503 || status == 429) response.headers.emplace_back("Retry-After", "1");
  return response;
}

Response problem(const Error& error) { return problem(status_of(error.code), to_string(error.code), error.detail); }

Response json_answer(std::uint16_t status, std::string body) {
  Response response{.status = status, .body = std::move(body) + "\n"};
  response.headers.emplace_back("Content-Type", "application/json");
  return response;
}

}  // namespace pannier::http
