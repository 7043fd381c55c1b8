#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <pannier/platform.h>
#include <pannier/result.h>

#include "run/toml.h"

namespace pannier::tools {

/// The first thing that was wrong in a file; readers go on, so that none of them has to look at errors.
struct Problem {
  std::string path;
  std::optional<Error> first;

  void report(std::uint32_t line, const std::string& text) {
    if (first) return;
    first = Error{ErrorCode::invalid_argument, path + ":" + std::to_string(std::max(line, 1U)) + ": " + text};
  }
};

/// Reads one TOML table, and remembers what it was asked for: what is left over is a misspelling.
class ConfigReader {
 public:
  /// `table` and `problem` outlive the reader; `name` is how messages call the table.
  ConfigReader(const toml::table& table, std::string name, Problem& problem)
      : table_(table), name_(std::move(name)), problem_(problem) {}

  [[nodiscard]] std::string text(std::string_view key, bool required) {
    const auto value = get<std::string>(key, "text in quotes");
    if (!value && required) missing(key);
    return value.value_or("");
  }
  [[nodiscard]] bool flag(std::string_view key) { return get<bool>(key, "true or false").value_or(false); }
  [[nodiscard]] std::uint64_t number(std::string_view key, std::uint64_t otherwise,
                                     std::uint64_t most = std::uint64_t{1} << 62) {
    const auto value = get<std::int64_t>(key, "a whole number");
    if (!value) return otherwise;
    if (*value < 0 || static_cast<std::uint64_t>(*value) > most) {
      wrong(key, "must be from 0 to " + std::to_string(most));
      return otherwise;
    }
    return static_cast<std::uint64_t>(*value);
  }
  /// The place of the text under `key` among `choices`; 0, the first of them, where it is not there.
  [[nodiscard]] std::size_t choice(std::string_view key, std::initializer_list<std::string_view> choices) {
    const auto value = get<std::string>(key, "text in quotes");
    if (!value) return 0;
    const auto* found = std::find(choices.begin(), choices.end(), *value);
    if (found != choices.end()) return static_cast<std::size_t>(found - choices.begin());
    std::string known;
    for (const std::string_view each : choices) (known += known.empty() ? "" : ", ") += each;
    wrong(key, "'" + *value + "' is none of " + known);
    return 0;
  }
  /// Seconds, with a fraction where wanted.
  [[nodiscard]] Duration seconds(std::string_view key, Duration otherwise) {
    asked_.emplace_back(key);
    const toml::node* node = table_.get(key);
    if (node == nullptr) return otherwise;
    const auto value = node->value<double>();
    if (!value || !(*value >= 0) || *value > 1e9) {
      wrong(key, "must be seconds, from 0 to 1,000,000,000");
      return otherwise;
    }
    return Duration{static_cast<Duration::rep>(*value * 1e9)};
  }
  /// From 0 to 1.
  [[nodiscard]] double share(std::string_view key, double otherwise) {
    asked_.emplace_back(key);
    const toml::node* node = table_.get(key);
    if (node == nullptr) return otherwise;
    const auto value = node->value<double>();
    if (value && *value >= 0 && *value <= 1) return *value;
    wrong(key, "must be a number from 0 to 1");
    return otherwise;
  }
  [[nodiscard]] std::vector<std::string> texts(std::string_view key) {
    asked_.emplace_back(key);
    std::vector<std::string> all;
    const toml::node* node = table_.get(key);
    if (node == nullptr) return all;
    const toml::array* array = node->as_array();
    if (array == nullptr) {
      wrong(key, "must be a list of texts: [\"...\"]");
      return all;
    }
    for (const toml::node& each : *array) {
      if (const auto value = each.value<std::string>()) {
        all.push_back(*value);
      } else {
        wrong(key, "must be a list of texts: [\"...\"]");
      }
    }
    return all;
  }

  /// Reads the table that must stand under `key`.
  template <class Read>
  void table(std::string_view key, Read&& read) {
    asked_.emplace_back(key);
    const toml::node* node = table_.get(key);
    if (node == nullptr || node->as_table() == nullptr) {
      problem_.report(node == nullptr ? 1 : node->source().begin.line,
                      "the table [" + std::string{key} + "] is missing");
      return;
    }
    ConfigReader inner{*node->as_table(), "[" + std::string{key} + "]", problem_};
    read(inner);
  }
  /// Reads each of the tables [[key]], of which there may be none.
  template <class Read>
  void tables(std::string_view key, Read&& read) {
    asked_.emplace_back(key);
    const toml::node* node = table_.get(key);
    if (node == nullptr) return;
    if (!node->is_array_of_tables()) {
      problem_.report(node->source().begin.line, "write [[" + std::string{key} + "]], with two brackets");
      return;
    }
    for (const toml::node& each : *node->as_array()) {
      ConfigReader inner{*each.as_table(), "[[" + std::string{key} + "]]", problem_};
      read(inner);
    }
  }

  /// Texts, numbers and flags of the table under `key`, as text; empty where there is none.
  [[nodiscard]] std::map<std::string, std::string> values(std::string_view key) {
    asked_.emplace_back(key);
    std::map<std::string, std::string> all;
    const toml::node* node = table_.get(key);
    if (node == nullptr) return all;
    if (node->as_table() == nullptr) {
      wrong(key, "must be a table: [" + std::string{key} + "]");
      return all;
    }
    add_values(*node->as_table(), "", all);
    return all;
  }

  /// The value of `key` is not one that can be.
  void wrong(std::string_view key, const std::string& why) {
    const toml::node* node = table_.get(key);
    problem_.report(node == nullptr ? table_.source().begin.line : node->source().begin.line,
                    std::string{key} + ": " + why);
  }
  /// Settings that nobody asked for are misspelt ones.
  void nothing_else() {
    for (const auto& [key, value] : table_) {
      if (std::find(asked_.begin(), asked_.end(), key.str()) != asked_.end()) continue;
      std::string known;
      for (const std::string& each : asked_) known += (known.empty() ? "" : ", ") + each;
      problem_.report(key.source().begin.line,
                      "unknown setting '" + std::string{key.str()} + "' in " + name_ + "; there are " + known);
    }
  }

 private:
  void add_values(const toml::table& table, const std::string& before, std::map<std::string, std::string>& all) {
    for (const auto& [name, value] : table) {
      const std::string full = before + std::string{name.str()};
      if (const toml::table* inner = value.as_table()) {
        add_values(*inner, full + ".", all);
        continue;
      }
      std::string& text = all[full];
      if (const auto number = value.value_exact<std::int64_t>()) {
        text = std::to_string(*number);
      } else if (const auto real = value.value_exact<double>()) {
        std::array<char, 32> digits{};
        std::snprintf(digits.data(), digits.size(), "%.17g", *real);
        text = digits.data();
      } else if (const auto flag = value.value_exact<bool>()) {
        text = *flag ? "true" : "false";
      } else if (const auto given = value.value_exact<std::string>()) {
        text = *given;
      } else {
        problem_.report(value.source().begin.line, full + ": must be text, a number, true or false");
      }
    }
  }

  template <class T>
  std::optional<T> get(std::string_view key, std::string_view form) {
    asked_.emplace_back(key);
    const toml::node* node = table_.get(key);
    if (node == nullptr) return std::nullopt;
    const auto value = node->value_exact<T>();
    if (!value) wrong(key, "must be " + std::string{form});
    return value;
  }
  void missing(std::string_view key) {
    problem_.report(table_.source().begin.line, std::string{key} + " is missing in " + name_);
  }

  const toml::table& table_;
  std::string name_;
  Problem& problem_;
  std::vector<std::string> asked_;
};

}  // namespace pannier::tools
