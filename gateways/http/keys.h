#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <pannier/platform.h>
#include <pannier/result.h>

namespace pannier::http {

/// What the holder of a key may do: methods on a path.
struct Rule {
  std::vector<std::string> methods;  ///< Empty: all.
  std::string path;                  ///< As Request::path; where `prefix`, all that begins so.
  bool prefix = false;
};

/// Reads "GET,POST:/v1/lanes/jobs", "*:/v1/topics/fleet/*". malformed.
[[nodiscard]] Result<Rule> read_rule(std::string_view text);
[[nodiscard]] bool allows(const Rule& rule, std::string_view method, std::string_view path) noexcept;

/// API keys, from a file that is read again when it is used and some seconds old (docs/http.md, Keys).
class Keys {
 public:
  struct Key {
    std::string name;
    std::vector<Rule> rules;
  };
  /// How long a key may work after it was taken out of the file.
  static constexpr Duration kFresh = std::chrono::seconds{5};

  /// Empty: no keys are needed.
  explicit Keys(std::string path) : path_(std::move(path)) {}
  [[nodiscard]] bool needed() const noexcept { return !path_.empty(); }
  /// Who the token belongs to; null: nobody. Valid until the next call.
  [[nodiscard]] const Key* find(std::string_view token, MonoTime now);
  /// After a failed reading, which leaves the keys as they were: why. Once for each failure.
  [[nodiscard]] std::string take_complaint() { return std::exchange(complaint_, {}); }

  /// By the digest of their tokens. malformed, with the line.
  [[nodiscard]] static Result<std::map<std::string, Key>> parse(std::string_view text);

 private:
  std::string path_;
  std::map<std::string, Key> keys_;
  MonoTime read_{};
  bool loaded_ = false;
  std::string complaint_;
};

}  // namespace pannier::http
