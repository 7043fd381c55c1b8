// What pannier_rpcgen makes of a schema, and what it says where the schema is wrong.

#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>

#include "services/rpc/generator/write.h"
#include "tests/support/temp_folder.h"

namespace pannier::rpcgen {
namespace {

Input input_of(const std::string& text) {
  const testing::TempFolder folder;
  const std::string path = folder.path() + "/shop.fbs";
  const auto write = [](const std::string& to, const std::string& what) {
    std::FILE* file = std::fopen(to.c_str(), "wb");
    REQUIRE(file != nullptr);
    REQUIRE(std::fwrite(what.data(), 1, what.size(), file) == what.size());
    std::fclose(file);
  };
  write(path, text);
  const std::string command =
      "flatc -b --schema --bfbs-comments --bfbs-builtins -o " + folder.path() + "/ " + path + " >/dev/null";
  REQUIRE(std::system(command.c_str()) == 0);
  std::string schema;
  std::FILE* file = std::fopen((folder.path() + "/shop.bfbs").c_str(), "rb");
  REQUIRE(file != nullptr);
  char block[4096];
  while (const std::size_t got = std::fread(block, 1, sizeof block, file)) schema.append(block, got);
  std::fclose(file);
  return {"shop.fbs", text, schema};
}

const std::string kHead = R"(namespace shop;
attribute "idempotent";
attribute "deadline_ms";
table Q { n:int; }
table R { n:int; }
)";

std::vector<std::string> errors_of(const std::string& text) {
  std::vector<std::string> errors;
  static_cast<void>(read_services(input_of(kHead + text), errors));
  return errors;
}

TEST_CASE("a service is read as the schema says it, in the order of the file") {
  std::vector<std::string> errors;
  const auto services = read_services(input_of(kHead + R"(
/// Sells.
rpc_service Shop {
  // Zebra(Q):R is a comment
  Zebra(Q):R (idempotent, deadline_ms: 250);
  /// First by name.
  Apple(Q):R (streaming: "bidi");
}
)"),
                                      errors);
  CHECK(errors.empty());
  REQUIRE(services.size() == 1);
  CHECK(services[0].package == "shop");
  CHECK(services[0].documentation == std::vector<std::string>{" Sells."});
  REQUIRE(services[0].methods.size() == 2);
  CHECK(services[0].methods[0].name == "Zebra");
  CHECK(services[0].methods[0].idempotent);
  CHECK(services[0].methods[0].deadline_ms == 250);
  CHECK(services[0].methods[0].kind == "unary");
  CHECK(services[0].methods[1].kind == "bidi");
  CHECK(services[0].methods[1].request == "shop.Q");
}

TEST_CASE("a wrong attribute is an error with file and line") {
  CHECK(errors_of("rpc_service Shop {\n  A(Q):R;\n  B(Q):R (streaming: \"sever\");\n}\n") ==
        std::vector<std::string>{
            "shop.fbs:8: error: streaming of Shop.B is \"sever\": say \"client\", \"server\" or \"bidi\""});
  CHECK(errors_of("rpc_service Shop {\n  A(Q):R (deadline_ms: 0);\n}\n") ==
        std::vector<std::string>{"shop.fbs:7: error: deadline_ms of Shop.A is '0': say a number from 1 to 86400000"});
  CHECK(errors_of("rpc_service Shop {\n  A(Q):R (deadline_ms: \"soon\");\n}\n").size() == 1);
  CHECK(errors_of("rpc_service Shop {\n  A(Q):R (idempotent: \"no\");\n}\n").size() == 1);
}

TEST_CASE("the path of a resource is checked against the request") {
  const auto errors = [](const std::string& path) {
    return errors_of("attribute \"http_get\";\nrpc_service Shop { A(Q):R (http_get: \"" + path + "\"); }\n");
  };
  CHECK(errors("/v1/things/{n}").empty());
  CHECK(errors("/v1/things/{m}") ==
        std::vector<std::string>{
            "shop.fbs:7: error: http_get of Shop.A is \"/v1/things/{m}\": {m} is no field of shop.Q"});
  for (const char* bad : {"", "/things", "/v1", "/v1/", "/v1/things/", "/v1/things/{n", "/v1/a{n}", "/v1/{n}b"}) {
    CHECK_MESSAGE(errors(bad).size() == 1, bad);
  }
  CHECK(errors_of("attribute \"http_got\";\nrpc_service Shop { A(Q):R (http_got: \"/v1/a\"); }\n").size() == 1);
}

TEST_CASE("two methods that make one function, and a class that a table has, are errors") {
  CHECK(errors_of("rpc_service Shop {\n  GetIt(Q):R;\n  getIt(Q):R;\n}\n") ==
        std::vector<std::string>{
            "shop.fbs:8: error: Shop.getIt and Shop.GetIt both make a function get_it(): rename one"});
  CHECK(errors_of("table ShopClient { n:int; }\nrpc_service Shop { A(Q):R; }\n") ==
        std::vector<std::string>{"shop.fbs:7: error: the service shop.Shop makes a class shop.ShopClient, and there is "
                                 "a table of that name: rename one"});
}

TEST_CASE("methods become functions in the project's style, and keep clear of the language's words") {
  CHECK(function_name("GetOrder") == "get_order");
  CHECK(function_name("HTTPStatus") == "http_status");
  CHECK(function_name("get_order") == "get_order");
  CHECK(function_name("Delete") == "delete_");
  CHECK(function_name("Tell") == "tell_");
}

TEST_CASE("a schema that is none is refused") {
  std::vector<std::string> errors;
  CHECK(read_services({"shop.fbs", "", "nonsense"}, errors).empty());
  REQUIRE(errors.size() == 1);
}

}  // namespace
}  // namespace pannier::rpcgen
