#include "tools/schema_check.h"

#include <flatbuffers/idl.h>
#include <flatbuffers/reflection.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>

#include <pannier/platform.h>

namespace pannier::tools {

namespace {

constexpr std::uint64_t kCheckedBytes = 4 * 1024 * 1024;

/// A schema as the parser has it, and as reflection shows it.
struct Parsed {
  flatbuffers::Parser parser;
  const reflection::Schema* schema = nullptr;

  static flatbuffers::IDLOptions options() {
    flatbuffers::IDLOptions options;
    options.binary_schema_builtins = true;  // `streaming` is one
    return options;
  }
  Parsed() : parser(options()) {}

  Result<void> load(const std::string& path) {
    const auto text = read_file(path, kCheckedBytes);
    if (!text) return text.error();
    const std::string folder = std::filesystem::path{path}.parent_path().string();
    const char* includes[] = {folder.c_str(), nullptr};
    if (!parser.Parse(text->c_str(), includes, path.c_str())) {
      std::string line = parser.error_;
      while (!line.empty() && line.back() == '\n') line.pop_back();
      std::replace(line.begin(), line.end(), '\n', ' ');
      return Error{ErrorCode::malformed, line};
    }
    parser.Serialize();
    schema = reflection::GetSchema(parser.builder_.GetBufferPointer());
    return {};
  }
};

std::string text_of(const flatbuffers::String* text) { return text == nullptr ? std::string{} : text->str(); }

class SchemaComparison {
 public:
  SchemaComparison(const reflection::Schema& before, const reflection::Schema& after)
      : before_(before), after_(after) {}

  std::vector<SchemaFinding> run() {
    for (const auto* object : *before_.objects()) compare(*object);
    for (const auto* each : *before_.enums()) compare(*each);
    compare_roots();
    if (before_.services() != nullptr) {
      for (const auto* service : *before_.services()) compare(*service);
    }
    return std::move(findings_);
  }

 private:
  void find(std::string element, std::string what) { findings_.push_back({std::move(element), std::move(what)}); }

  /// "[shop.Order]", "string", "shop.Color (ubyte)": two types are one where this is equal.
  std::string type_name(const reflection::Schema& schema, const reflection::Type& type) const {
    static constexpr std::array<const char*, 18> kNames = {"none",   "union type", "bool",   "byte",  "ubyte", "short",
                                                           "ushort", "int",        "uint",   "long",  "ulong", "float",
                                                           "double", "string",     "vector", "table", "union", "array"};
    const auto name = [&](reflection::BaseType base) -> std::string {
      const auto index = static_cast<std::size_t>(base);
      const std::string plain = index < kNames.size() ? kNames[index] : "unknown";
      if (type.index() < 0) return plain;
      const auto at = static_cast<flatbuffers::uoffset_t>(type.index());
      if (base == reflection::Obj) return text_of(schema.objects()->Get(at)->name());
      return text_of(schema.enums()->Get(at)->name()) + " (" + plain + ")";
    };
    if (type.base_type() == reflection::Vector) return "[" + name(type.element()) + "]";
    if (type.base_type() == reflection::Array) {
      return "[" + name(type.element()) + ":" + std::to_string(type.fixed_length()) + "]";
    }
    return name(type.base_type());
  }

  static const reflection::Field* by_id(const reflection::Object& object, std::uint16_t id) {
    for (const auto* field : *object.fields()) {
      if (field->id() == id) return field;
    }
    return nullptr;
  }

  void compare(const reflection::Object& before) {
    const std::string name = text_of(before.name());
    const reflection::Object* after = after_.objects()->LookupByKey(name.c_str());
    if (after == nullptr) return find(name, "was removed: messages of it may still be on their way, or on a disk");
    if (before.is_struct() != after->is_struct()) {
      return find(name, before.is_struct() ? "was a struct and is a table" : "was a table and is a struct");
    }
    if (before.is_struct()) return compare_structs(name, before, *after);
    for (const auto* field : *before.fields()) {
      const std::string element = name + "." + text_of(field->name());
      const reflection::Field* same = by_id(*after, field->id());
      const reflection::Field* named = after->fields()->LookupByKey(field->name()->c_str());
      if (named != nullptr && named->id() != field->id()) {
        find(element, "changed its id from " + std::to_string(field->id()) + " to " + std::to_string(named->id()) +
                          ": new fields go to the end, or give every field its (id: N)");
      } else if (same == nullptr) {
        find(element, "was removed: mark it (deprecated) and keep its id");
      } else {
        compare_fields(element, *field, *same);
      }
    }
    for (const auto* field : *after->fields()) {
      if (field->required() && by_id(before, field->id()) == nullptr) {
        find(name + "." + text_of(field->name()), "is new and required: what was written before it has none");
      }
    }
  }

  void compare_structs(const std::string& name, const reflection::Object& before, const reflection::Object& after) {
    if (before.bytesize() != after.bytesize()) {
      find(name, "is a struct and had " + std::to_string(before.bytesize()) + " bytes, now " +
                     std::to_string(after.bytesize()) + ": a struct never changes, add a new one");
    }
    for (const auto* field : *before.fields()) {
      const std::string element = name + "." + text_of(field->name());
      const reflection::Field* same = by_id(after, field->id());
      if (same == nullptr) {
        find(element, "was removed from a struct");
      } else if (same->offset() != field->offset() ||
                 type_name(before_, *field->type()) != type_name(after_, *same->type())) {
        find(element, "of a struct changed from " + type_name(before_, *field->type()) + " at byte " +
                          std::to_string(field->offset()) + " to " + type_name(after_, *same->type()) + " at byte " +
                          std::to_string(same->offset()));
      }
    }
  }

  void compare_fields(const std::string& element, const reflection::Field& before, const reflection::Field& after) {
    const std::string old_type = type_name(before_, *before.type());
    const std::string new_type = type_name(after_, *after.type());
    if (old_type != new_type) {
      return find(
          element,
          "changed its type from " + old_type + " to " + new_type +
              (text_of(before.name()) == text_of(after.name()) ? "" : ", and is called " + text_of(after.name())));
    }
    if (before.default_integer() != after.default_integer() || before.default_real() < after.default_real() ||
        before.default_real() > after.default_real()) {
      find(element, "changed its default: a field that holds it is not written, so each side reads its own");
    }
    if (!before.required() && after.required()) find(element, "became required: old messages may lack it");
    if (before.required() && !after.required()) {
      find(element, "is no longer required: programs built before it refuse a message without");
    }
  }

  void compare(const reflection::Enum& before) {
    const std::string name = text_of(before.name());
    const reflection::Enum* after = after_.enums()->LookupByKey(name.c_str());
    if (after == nullptr) return find(name, "was removed");
    const std::string old_type = type_name(before_, *before.underlying_type());
    const std::string new_type = type_name(after_, *after->underlying_type());
    if (before.underlying_type()->base_type() != after->underlying_type()->base_type()) {
      find(name, "changed from " + old_type + " to " + new_type);
    }
    for (const auto* value : *before.values()) {
      const std::string element = name + "." + text_of(value->name());
      const reflection::EnumVal* same = after->values()->LookupByKey(value->value());
      const reflection::EnumVal* named = nullptr;
      for (const auto* each : *after->values()) {
        if (text_of(each->name()) == text_of(value->name())) named = each;
      }
      if (named != nullptr && named->value() != value->value()) {
        find(element,
             "changed its value from " + std::to_string(value->value()) + " to " + std::to_string(named->value()));
      } else if (same == nullptr) {
        find(element, before.is_union() ? "was removed from a union" : "was removed: old messages may hold it");
      } else if (before.is_union() && value->union_type() != nullptr && same->union_type() != nullptr &&
                 type_name(before_, *value->union_type()) != type_name(after_, *same->union_type())) {
        find(element, "of a union is another table now: " + type_name(after_, *same->union_type()));
      }
    }
  }

  void compare_roots() {
    const auto root = [](const reflection::Schema& schema) {
      return schema.root_table() == nullptr ? std::string{} : text_of(schema.root_table()->name());
    };
    if (root(before_) != root(after_) && !root(before_).empty()) {
      find(root(before_), "was the root_type, and is not any more" +
                              (root(after_).empty() ? std::string{} : ": " + root(after_) + " is"));
    }
    if (text_of(before_.file_ident()) != text_of(after_.file_ident())) {
      find(root(before_), "changed its file_identifier from '" + text_of(before_.file_ident()) + "' to '" +
                              text_of(after_.file_ident()) + "'");
    }
  }

  static std::string attribute(const reflection::RPCCall& call, const char* key) {
    const auto* found = call.attributes() == nullptr ? nullptr : call.attributes()->LookupByKey(key);
    return found == nullptr ? "" : found->value() == nullptr ? "0" : found->value()->str();
  }
  static std::string streaming(const reflection::RPCCall& call) {
    const std::string kind = attribute(call, "streaming");
    return kind.empty() ? "none" : kind;
  }

  void compare(const reflection::Service& before) {
    const std::string name = text_of(before.name());
    const reflection::Service* after =
        after_.services() == nullptr ? nullptr : after_.services()->LookupByKey(name.c_str());
    if (after == nullptr) return find(name, "was removed: those who call it hear unimplemented");
    if (before.calls() == nullptr) return;
    for (const auto* call : *before.calls()) {
      const std::string element = name + "." + text_of(call->name());
      const auto* same = after->calls() == nullptr ? nullptr : after->calls()->LookupByKey(call->name()->c_str());
      if (same == nullptr) {
        find(element, "was removed: those who call it hear unimplemented");
        continue;
      }
      const auto differ = [&](const char* what, const std::string& old_text, const std::string& new_text) {
        if (old_text != new_text)
          find(element, std::string{"changed its "} + what + " from " + old_text + " to " + new_text);
      };
      differ("request", text_of(call->request()->name()), text_of(same->request()->name()));
      differ("response", text_of(call->response()->name()), text_of(same->response()->name()));
      differ("streaming", streaming(*call), streaming(*same));
      if (!attribute(*call, "idempotent").empty() && attribute(*same, "idempotent").empty()) {
        find(element, "is no longer idempotent: callers built before it still call it twice");
      }
    }
  }

  const reflection::Schema& before_;
  const reflection::Schema& after_;
  std::vector<SchemaFinding> findings_;
};

}  // namespace

Result<std::vector<SchemaFinding>> check_schemas(const std::string& before, const std::string& after) {
  Parsed old_schema;
  if (auto loaded = old_schema.load(before); !loaded) return loaded.error();
  Parsed new_schema;
  if (auto loaded = new_schema.load(after); !loaded) return loaded.error();
  auto findings = SchemaComparison{*old_schema.schema, *new_schema.schema}.run();
  // flatc stops at its first finding; what it knows and the comparison does not must not pass.
  const std::string conform = new_schema.parser.ConformTo(old_schema.parser);
  if (findings.empty() && !conform.empty()) findings.push_back({after, "does not conform: " + conform});
  return findings;
}

}  // namespace pannier::tools
