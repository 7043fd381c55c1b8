#pragma once

#include <optional>
#include <string>

#include <pannier/message.h>
#include <pannier/result.h>

#include "services/json/schema_file.h"
#include "tools/output.h"

namespace pannier::tools {

using json::SchemaFile;

/// How a command line gives a payload, and how it wants payloads shown.
struct PayloadOptions {
  std::string schema;              ///< Path of a .fbs file.
  std::string type;                ///< Full name of a table in it.
  std::string json;                ///< "-": from stdin.
  std::optional<std::string> raw;  ///< "-": from stdin.
};

/// Payloads between the command line and tables.
class Payloads {
 public:
  /// Reads the schema, where one is named.
  [[nodiscard]] static Result<Payloads> open(const PayloadOptions& options);

  /// The table that the options give. Raw bytes travel in a table pannier.tools.Bytes, since whatever is on a lane or
  /// a topic is one.
  [[nodiscard]] Result<AnyTable> read() const;
  /// The table that one text gives: JSON where a schema and a type are named, else raw bytes.
  [[nodiscard]] Result<AnyTable> read(const std::string& text) const;

  /// What there is to show of a payload.
  struct Shown {
    std::string type;  ///< Full name where it is known, else the type's id in hexadecimal.
    std::string text;  ///< JSON of a table that the schema knows; the bytes of raw ones; else empty.
    bool is_json = false;
    bool known = true;
  };
  [[nodiscard]] Shown show(const AnyTable& table) const;
  /// For a person, on one line where it can be.
  [[nodiscard]] std::string line(const AnyTable& table) const;
  /// Adds "type" and one of "data" (JSON), "text", "base64" (raw bytes), "table_base64" (a table without schema).
  void add_to(JsonObject& object, const AnyTable& table) const;

 private:
  explicit Payloads(PayloadOptions options) : options_(std::move(options)) {}
  PayloadOptions options_;
  std::optional<SchemaFile> schema_;
};

}  // namespace pannier::tools
