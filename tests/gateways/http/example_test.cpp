#include <fstream>

#include "tests/gateways/http/http_client.h"

/// examples/http, as its first lines say.
namespace pannier::testing {
namespace {

TEST_CASE("the example places an order once and shows it") {
  const TempFolder folder;
  std::ofstream{folder / "hub.toml"} << "[node]\nname = \"hub\"\nstore = \"hub.db\"\ntools = \"off\"\n"
                                        "insecure_plaintext = true\n"
                                        "[app.http]\nlisten = \"127.0.0.1:0\"\n";
  // The address is in the log, on stderr.
  ChildProcess hub{{"/bin/sh", "-c", "exec \"$0\" --config \"$1\" 2>&1", PANNIER_HTTP_HUB, folder / "hub.toml"}};
  std::string line;
  do {
    REQUIRE(hub.line(line));
  } while (line.find("HTTP at ") == std::string::npos);
  const auto port = static_cast<std::uint16_t>(std::atoi(line.substr(line.rfind(':') + 1).c_str()));
  for (int i = 0; i < 2; ++i) {
    RawSocket socket{port};
    socket.send(http_text("POST", "/v1/orders", {{"Content-Type", "application/json"}, {"Idempotency-Key", "1"}},
                          R"({"seats": 4})"));
    CHECK(socket.answer().body == "{\"id\": 1,\"seats\": 4}\n");
    socket.send(http_text("GET", "/v1/orders/1"));
    CHECK(socket.answer().body == "{\"id\": 1,\"seats\": 4}\n");
    socket.send(http_text("GET", "/v1/orders/2"));
    CHECK(socket.answer().status == 404);
  }
}

}  // namespace
}  // namespace pannier::testing
