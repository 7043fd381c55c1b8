#include "services/json/schema_file.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <pannier/limits.h>

#include "run/schema/inspect.fbs.h"
#include "tests/support/temp_folder.h"

namespace pannier::tools {

using json::SchemaFile;
namespace {

TEST_CASE("JSON becomes a table that the generated code reads, and comes back as JSON") {
  const auto schema = SchemaFile::load(PANNIER_TOOLS_SCHEMA);
  REQUIRE(schema);
  const auto table = schema->from_json("pannier.tools.Inspect", R"({"key": "order-1", "rows": 7,"id": 0})");
  REQUIRE(table);
  const auto read = table->as<Inspect>();
  REQUIRE(read);
  CHECK((*read)->rows() == 7);
  const auto json = schema->to_json(*table);
  REQUIRE(json);
  CHECK(*json == R"({"key": "order-1","rows": 7,"id": 0})");
}

struct SchemaOf {
  explicit SchemaOf(const std::string& text) {
    std::ofstream(folder / "s.fbs") << text;
    schema.emplace(std::move(*SchemaFile::load(folder / "s.fbs")));
  }
  testing::TempFolder folder;
  std::optional<SchemaFile> schema;
};

TEST_CASE("a schema includes others by their path from its own folder, or from one above it") {
  const testing::TempFolder folder;
  std::filesystem::create_directories(folder / "shop/schema");
  std::ofstream(folder / "shop/schema/item.fbs") << "namespace shop; table Item { name: string; }";
  std::ofstream(folder / "shop/schema/near.fbs") << "include \"item.fbs\"; namespace shop; table Near { item: Item; }";
  std::ofstream(folder / "shop/schema/far.fbs")
      << "include \"shop/schema/item.fbs\"; namespace shop; table Far { item: Item; }";
  for (const auto& [file, type] : {std::pair{"near", "shop.Near"}, std::pair{"far", "shop.Far"}}) {
    const auto schema = SchemaFile::load(folder / "shop/schema" + "/" + file + ".fbs");
    REQUIRE(schema);
    CHECK(schema->from_json(type, R"({item: {name: "soup"}})"));
  }
}

TEST_CASE("JSON of which no receiver would take the table is refused at once") {
  const SchemaOf tree{"namespace t; table Tree { branches:[Tree]; }"};
  const auto deep = [&](int depth) {
    std::string json;
    for (int i = 1; i < depth; ++i) json += "{\"branches\": [";
    json += "{}";
    for (int i = 1; i < depth; ++i) json += "]}";
    return tree.schema->from_json("t.Tree", json);
  };
  const auto wide = [&](int tables) {
    std::string json = "{\"branches\": [{}";
    for (int i = 2; i < tables; ++i) json += ",{}";
    return tree.schema->from_json("t.Tree", json + "]}");
  };
  CHECK(deep(limits::kVerifyDepth));
  CHECK(deep(limits::kVerifyDepth + 1).error().detail.find("no receiver would take it") != std::string::npos);
  CHECK(wide(limits::kVerifyTables));
  CHECK(wide(limits::kVerifyTables + 1).error().detail.find("no receiver would take it") != std::string::npos);
}

TEST_CASE("a number that is none is null, since JSON has no word for it, and words in texts stay") {
  const SchemaOf gauge{"namespace t; table Gauge { a:double; b:float; c:double; text:string; }"};
  const auto table = gauge.schema->from_json("t.Gauge", R"({a: nan, b: inf, c: -inf, text: "nan \"-inf\" inf"})");
  REQUIRE(table);
  CHECK(*gauge.schema->to_json(*table) == R"({"a": null,"b": null,"c": null,"text": "nan \"-inf\" inf"})");
}

TEST_CASE("bytes that do not verify against the schema are never printed") {
  const auto schema = SchemaFile::load(PANNIER_TOOLS_SCHEMA);
  REQUIRE(schema);
  const auto table = schema->from_json("pannier.tools.Inspect", R"({"key": "order-1", "rows": 7,"id": 0})");
  REQUIRE(table);
  std::size_t refused = 0;
  for (std::size_t size = 0; size < table->bytes().size(); ++size) {
    const AnyTable cut{table->type(), nullptr, BlockRef::copy_of(table->bytes().first(size))};
    if (!schema->to_json(cut)) ++refused;
  }
  CHECK(refused >= table->bytes().size() / 2);
  std::vector<std::byte> wild(table->bytes().begin(), table->bytes().end());
  for (std::byte& each : wild) each = std::byte{0xff};
  CHECK(schema->to_json(AnyTable{table->type(), nullptr, BlockRef::copy_of(wild)}).error().code ==
        ErrorCode::malformed);
}

TEST_CASE("a type that the schema does not have, and JSON that does not fit, say so") {
  const auto schema = SchemaFile::load(PANNIER_TOOLS_SCHEMA);
  REQUIRE(schema);
  CHECK(schema->from_json("pannier.tools.Nothing", "{}").error().code == ErrorCode::not_found);
  CHECK(schema->from_json("pannier.tools.Inspect", R"({"kee": 1})").error().detail.find("kee") != std::string::npos);
  CHECK(SchemaFile::load("/no/such.fbs").error().code == ErrorCode::not_found);
}

}  // namespace
}  // namespace pannier::tools
