#include "services/json/schema_file.h"

#include <doctest/doctest.h>

#include <vector>

#include "run/schema/inspect.fbs.h"

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
