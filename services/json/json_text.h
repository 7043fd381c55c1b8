#pragma once

#include <cstdint>
#include <string>
#include <string_view>

/// Writing JSON. Reading it is SchemaFile's.
namespace pannier::json {

/// One flat JSON object, built member by member.
class JsonObject {
 public:
  JsonObject& text(std::string_view name, std::string_view value);
  JsonObject& number(std::string_view name, std::uint64_t value);
  JsonObject& flag(std::string_view name, bool value);
  /// `json` is JSON already.
  JsonObject& raw(std::string_view name, std::string_view json);
  [[nodiscard]] std::string str() const { return "{" + members_ + "}"; }

 private:
  void name(std::string_view name);
  std::string members_;
};

/// In quotes, with what JSON wants escaped. `text` is UTF-8; other bytes become U+FFFD.
[[nodiscard]] std::string json_text(std::string_view text);
/// Whether these bytes are text that a terminal may show: UTF-8 without control characters but tab and line end.
[[nodiscard]] bool is_text(std::string_view bytes);
[[nodiscard]] std::string base64(std::string_view bytes);

}  // namespace pannier::json
