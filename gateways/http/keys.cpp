#include "gateways/http/keys.h"

#include <algorithm>
#include <utility>

#include "platform/posix/digest.h"

namespace pannier::http {

namespace {

constexpr std::uint64_t kKeysBytes = 256 * 1024;

std::vector<std::string_view> words_of(std::string_view line, char separator) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    const std::size_t end = line.find(separator);
    if (const auto word = line.substr(0, end); !word.empty()) words.push_back(word);
    if (end == std::string_view::npos) break;
    line.remove_prefix(end + 1);
  }
  return words;
}

bool is_digest(std::string_view text) {
  return text.size() == 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace

Result<Rule> read_rule(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0 || text.size() < colon + 2 || text[colon + 1] != '/') {
    return Error{ErrorCode::malformed,
                 "'" + std::string{text} + "' is no rule: say METHODS:/PATH, as GET:/v1/topics/*"};
  }
  Rule rule;
  std::string_view path = text.substr(colon + 1);
  rule.prefix = path.ends_with('*');
  if (rule.prefix) path.remove_suffix(1);
  if (path.find('*') != std::string_view::npos) {
    return Error{ErrorCode::malformed, "'" + std::string{text} + "': a * stands at the end only"};
  }
  rule.path = path;
  if (text.substr(0, colon) == "*") return rule;
  for (const std::string_view method : words_of(text.substr(0, colon), ',')) rule.methods.emplace_back(method);
  return rule;
}

bool allows(const Rule& rule, std::string_view method, std::string_view path) noexcept {
  // What may be got may be asked for without its body.
  if (method == "HEAD") method = "GET";
  if (!rule.methods.empty() && std::find(rule.methods.begin(), rule.methods.end(), method) == rule.methods.end()) {
    return false;
  }
  return rule.prefix ? path.starts_with(rule.path) : path == rule.path;
}

Result<std::map<std::string, Keys::Key>> Keys::parse(std::string_view text) {
  std::map<std::string, Key> keys;
  std::size_t number = 0;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with('#')) continue;
    const auto words = words_of(line, ' ');
    if (words.empty()) continue;
    const auto wrong = [&](std::string why) {
      return Error{ErrorCode::malformed, "line " + std::to_string(number) + ": " + std::move(why)};
    };
    if (words.size() < 3 || !is_digest(words[1])) {
      return wrong("say NAME SHA256 RULE...: the digest in 64 small hexadecimal digits, as sha256sum prints it");
    }
    Key key{std::string{words[0]}, {}};
    for (std::size_t i = 2; i < words.size(); ++i) {
      auto rule = read_rule(words[i]);
      if (!rule) return wrong(rule.error().detail);
      key.rules.push_back(std::move(*rule));
    }
    if (!keys.emplace(std::string{words[1]}, std::move(key)).second) return wrong("this digest is there twice");
  }
  return keys;
}

const Keys::Key* Keys::find(std::string_view token, MonoTime now) {
  if (!loaded_ || now - read_ >= kFresh) {
    read_ = now;
    const auto text = read_file(path_, kKeysBytes);
    auto keys = text ? parse(*text) : Result<std::map<std::string, Key>>{text.error()};
    if (keys) {
      keys_ = std::move(*keys);
      loaded_ = true;
    } else {
      complaint_ = path_ + ": " + keys.error().text() + "; the keys stay as they were";
    }
  }
  // Looked up by its digest: how long that takes says nothing about the tokens.
  const auto found = keys_.find(posix::sha256_hex(token));
  return found == keys_.end() ? nullptr : &found->second;
}

}  // namespace pannier::http
