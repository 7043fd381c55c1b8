#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <pannier/message.h>
#include <pannier/result.h>

namespace pannier::json {

/// A FlatBuffers schema read at run time: JSON to tables and back, for types that this program was not built with.
///
/// Text generation follows offsets without checking them, so only bytes that passed FlatBuffers' own verification by
/// reflection, against this schema and within the runtime's bounds on depth and tables, are ever printed.
class SchemaFile {
 public:
  /// Reads `path`; what it includes is looked for beside it. not_found, or malformed with file and line.
  [[nodiscard]] static Result<SchemaFile> load(const std::string& path);
  /// A schema in flatc's binary form, as a node's reflection service gives it. malformed: it is none.
  [[nodiscard]] static Result<SchemaFile> from_binary(std::string_view bytes);
  SchemaFile(SchemaFile&&) noexcept;
  SchemaFile& operator=(SchemaFile&&) noexcept;
  ~SchemaFile();

  /// What people type, or JSON to the letter.
  enum class Form : std::uint8_t { relaxed, strict };
  /// The table that `json` says, of the type with this full name ("shop.Order"). not_found: the schema has no such
  /// table; malformed: what is wrong in the JSON, and where. It is read as JSON alone: what would be a schema's is
  /// malformed.
  [[nodiscard]] Result<AnyTable> from_json(std::string_view type, const std::string& json,
                                           Form form = Form::relaxed) const;
  /// As JSON on one line. not_found: no table of this schema has the type; malformed: the bytes do not verify.
  [[nodiscard]] Result<std::string> to_json(const AnyTable& table) const;
  /// The full name of a table of this schema; empty where none has the type. Lives as long as the schema.
  [[nodiscard]] std::string_view name_of(TypeId type) const noexcept;

 private:
  struct State;
  explicit SchemaFile(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace pannier::json
