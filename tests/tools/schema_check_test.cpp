#include <doctest/doctest.h>

#include <fstream>

#include "tests/support/temp_folder.h"
#include "tools/schema_check.h"

namespace pannier::tools {
namespace {

const std::string kBase = R"(namespace shop;
attribute "idempotent";
struct Point { x:int; y:int; }
enum Size : ubyte { Small, Large }
table Cash { cents:int (id: 0); }
table Card { number:string (id: 0); }
union Payment { Cash, Card }
table Order {
  id:string (id: 0, required);
  total:int = 5 (id: 1);
  note:string (id: 2);
  size:Size (id: 3);
  at:Point (id: 4);
  payment:Payment (id: 6);
}
rpc_service Orders {
  Get(Cash):Order (idempotent);
  Watch(Cash):Order (streaming: "server");
}
root_type Order;
)";

void write_text(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

/// What is found when `old_part` of the schema is replaced, line by line.
std::vector<std::string> found(const std::string& old_part, const std::string& new_part) {
  const testing::TempFolder folder;
  std::string changed = kBase;
  const std::size_t at = changed.find(old_part);
  REQUIRE(at != std::string::npos);
  changed.replace(at, old_part.size(), new_part);
  write_text(folder / "old.fbs", kBase);
  write_text(folder / "new.fbs", changed);
  const auto findings = check_schemas(folder / "old.fbs", folder / "new.fbs");
  INFO((findings ? "" : findings.error().text()));
  REQUIRE(findings);
  std::vector<std::string> lines;
  for (const SchemaFinding& finding : *findings) lines.push_back(finding.element + " " + finding.what);
  return lines;
}
std::string only(const std::vector<std::string>& lines) {
  REQUIRE(lines.size() == 1);
  return lines.front();
}

TEST_CASE("a schema may grow: new fields at the end, new tables, enumerators, members and methods") {
  CHECK(found("payment:Payment (id: 6);", "payment:Payment (id: 6);\n  tip:int (id: 7);").empty());
  CHECK(found("Small, Large", "Small, Large, Huge").empty());
  CHECK(found("Cash, Card }", "Cash, Card, Order }").empty());
  CHECK(found("root_type", "table More { n:int; }\nroot_type").empty());
  CHECK(found("Get(Cash)", "List(Cash):Order;\n  Get(Cash)").empty());
  CHECK(found("note:string (id: 2)", "note:string (id: 2, deprecated)").empty());
  CHECK(found("note:string", "remark:string").empty());
}

TEST_CASE("what flatc --conform lets pass is found, with the element's name") {
  CHECK(only(found("y:int; }", "y:int; z:int; }")) ==
        "shop.Point is a struct and had 8 bytes, now 12: a struct never changes, add a new one");
  CHECK(only(found("  payment:Payment (id: 6);\n", "")) ==
        "shop.Order.payment_type was removed: mark it (deprecated) and keep its id");
  CHECK(only(found("note:string (id: 2)", "note:string (id: 2, required)")) ==
        "shop.Order.note became required: old messages may lack it");
  CHECK(only(found("id:string (id: 0, required)", "id:string (id: 0)")) ==
        "shop.Order.id is no longer required: programs built before it refuse a message without");
  CHECK(only(found("payment:Payment (id: 6);", "payment:Payment (id: 6);\n  by:string (id: 7, required);")) ==
        "shop.Order.by is new and required: what was written before it has none");
  CHECK(only(found("Small, Large", "Small")) == "shop.Size.Large was removed: old messages may hold it");
  CHECK(only(found("Cash, Card }", "Cash }")) == "shop.Payment.Card was removed from a union");
  CHECK(only(found("root_type Order", "root_type Cash")) ==
        "shop.Order was the root_type, and is not any more: shop.Cash is");
}

TEST_CASE("changed methods are found") {
  CHECK(only(found("  Get(Cash):Order (idempotent);\n", "")) ==
        "shop.Orders.Get was removed: those who call it hear unimplemented");
  CHECK(only(found("Get(Cash)", "Get(Card)")) == "shop.Orders.Get changed its request from shop.Cash to shop.Card");
  CHECK(only(found("Get(Cash):Order", "Get(Cash):Card")) ==
        "shop.Orders.Get changed its response from shop.Order to shop.Card");
  CHECK(only(found("\"server\"", "\"bidi\"")) == "shop.Orders.Watch changed its streaming from server to bidi");
  CHECK(only(found(" (idempotent)", "")) ==
        "shop.Orders.Get is no longer idempotent: callers built before it still call it twice");
}

TEST_CASE("what flatc --conform finds is found as well, all of it") {
  CHECK(only(found("total:int = 5", "total:int = 6")) ==
        "shop.Order.total changed its default: a field that holds it is not written, so each side reads its own");
  CHECK(only(found("total:int = 5", "total:long = 5")) == "shop.Order.total changed its type from int to long");
  CHECK(found("id:string (id: 0, required);\n  total:int = 5 (id: 1);",
              "total:int = 5 (id: 0);\n  id:string (id: 1, required);")
            .size() == 2);
}

TEST_CASE("a file that is no schema, or is not there, is bad input") {
  const testing::TempFolder folder;
  write_text(folder / "good.fbs", kBase);
  write_text(folder / "bad.fbs", "table {");
  const auto bad = check_schemas(folder / "good.fbs", folder / "bad.fbs");
  REQUIRE_FALSE(bad);
  CHECK(bad.error().code == ErrorCode::malformed);
  CHECK(bad.error().detail.find("bad.fbs:1") != std::string::npos);
  CHECK(check_schemas(folder / "none.fbs", folder / "good.fbs").error().code == ErrorCode::not_found);
}

}  // namespace
}  // namespace pannier::tools
