#include "tests/gateways/http/http_client.h"

/// What a request may be, with real sockets: forms, sizes, hosts, smuggling.
namespace pannier::testing {
namespace {

TEST_CASE("what is wrong with a request is answered as a problem with our code, and the gateway goes on") {
  HttpHub hub;
  const auto check = [&](const HttpAnswer& answer, int status, const std::string& code) {
    CHECK(answer.status == status);
    CHECK(answer.header("content-type") == "application/problem+json");
    CHECK_MESSAGE(answer.has("\"code\":\"" + code + "\""), answer.body);
    CHECK(answer.has("\"status\":" + std::to_string(status)));
    CHECK(answer.header("x-content-type-options") == "nosniff");
  };
  check(hub.get("/no/such"), 404, "not_found");
  HttpAnswer wrong_method = hub.ask("DELETE", "/v1/lanes/jobs");
  check(wrong_method, 405, "unsupported");
  CHECK(wrong_method.header("allow") == "POST, GET");
  check(hub.ask("POST", "/v1/lanes/jobs?type=web.Order", {{"Content-Type", "text/plain"}}, "{}"), 415, "unsupported");
  check(hub.post("/v1/lanes/jobs?type=web.Order", "{\"total\": 1,}"), 400, "malformed");
  check(hub.post("/v1/lanes/jobs?type=web.Order", "{\"total\": \"many\"}"), 400, "malformed");
  check(hub.post("/v1/lanes/jobs?type=web.Order", "{\"nothing\": 1}"), 400, "malformed");
  check(hub.post("/v1/lanes/jobs?type=web.Order", "table Evil { a:int; } root_type Evil; {}"), 400, "malformed");
  check(hub.post("/v1/lanes/jobs?type=web.Order", ""), 400, "malformed");
  check(hub.post("/v1/lanes/jobs?type=web.Order", std::string(60000, '[')), 400, "malformed");
  check(hub.post("/v1/lanes/jobs?type=no.Such", "{}"), 400, "invalid_argument");
  check(hub.post("/v1/lanes/jobs", "{}"), 400, "invalid_argument");
  check(hub.post("/v1/lanes/No%20Lane?type=web.Order", "{}"), 400, "invalid_argument");
  check(hub.get("/v1/orders/%zz"), 400, "malformed");
  check(hub.get("/v1/orders/%00"), 400, "malformed");
  check(hub.get("/v1/../healthz"), 400, "malformed");
  check(hub.get("/healthz", {{"Request-Timeout", "soon"}}), 400, "invalid_argument");
  CHECK(hub.get("/healthz").status == 200);
}

TEST_CASE("a request whose length is told twice, or by something else, reaches nobody") {
  HttpHub hub;
  const auto status = [&](const std::string& head) {
    RawSocket socket{hub.port()};
    socket.send("POST /v1/lanes/jobs?type=web.Order HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n" +
                head + "\r\n2\r\n{}\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    const int first = socket.head().status;
    // What follows may be the second request of a smuggler: the connection ends instead.
    CHECK(socket.until("\"status\":\"ok\"").find("\"ok\"") == std::string::npos);
    CHECK(socket.ended());
    return first;
  };
  CHECK(status("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n") == 400);
  CHECK(status("Content-Length: 2\r\nContent-Length: 2\r\n") == 400);
  CHECK(status("Content-Length: +2\r\n") == 400);
  CHECK(status("Content-Length: 99999999999999999999999\r\n") >= 400);
  CHECK(status("Transfer-Encoding: gzip, chunked\r\n") == 501);
  CHECK(status("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n") == 400);
  CHECK(hub.get("/v1/lanes/jobs").status == 204);
}

TEST_CASE("heads and bodies have limits, told by a status where the client still listens") {
  HttpHub hub;
  {
    RawSocket bomb{hub.port()};
    bomb.send("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n");
    for (int i = 0; i < 2000; ++i) bomb.send("X-" + std::to_string(i) + ": " + std::string(100, 'x') + "\r\n");
    const HttpAnswer answer = bomb.answer();
    CHECK((answer.status == 431 || answer.status == 413 || answer.status == 0));
  }
  CHECK(hub.get("/" + std::string(40000, 'a')).status == 414);
  CHECK(hub.post("/v1/lanes/jobs?type=web.Order", std::string(600000, ' ')).status == 413);
  {
    RawSocket chunked{hub.port()};
    chunked.send(
        "POST /v1/lanes/jobs?type=web.Order HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 10; ++i) chunked.send("10000\r\n" + std::string(65536, ' ') + "\r\n");
    chunked.send("0\r\n\r\n");
    CHECK(chunked.answer().status == 413);
  }
  CHECK(hub.get("/healthz").status == 200);
}

TEST_CASE("a name that was made to lead here is refused, as is a page of another origin") {
  HttpHub hub{{"hosts=hub.example", "origins=https://shop.example"}};
  CHECK(hub.get("/healthz", {{"Host", "evil.example"}}).status == 421);
  CHECK(hub.get("/healthz", {{"Host", "127.0.0.1.evil.example"}}).status == 421);
  CHECK(hub.get("/healthz", {{"Host", "hub.example:80"}}).status == 200);
  CHECK(hub.get("/healthz", {{"Host", "localhost:8080"}}).status == 200);
  CHECK(hub.get("/healthz", {{"Host", "[::1]:8080"}}).status == 200);
  {
    RawSocket none{hub.port()};
    none.send("GET /healthz HTTP/1.1\r\n\r\n");
    CHECK(none.answer().status == 400);
  }
  CHECK(hub.get("/healthz", {{"Origin", "https://evil.example"}}).status == 403);
  CHECK(hub.get("/healthz", {{"Origin", "null"}}).status == 403);
  CHECK(hub.get("/healthz", {{"Sec-Fetch-Site", "cross-site"}}).status == 403);
  CHECK(hub.get("/healthz", {{"Origin", "http://127.0.0.1"}}).status == 200);
  const HttpAnswer listed = hub.get("/healthz", {{"Origin", "https://shop.example"}});
  CHECK(listed.status == 200);
  CHECK(listed.header("access-control-allow-origin") == "https://shop.example");
  CHECK(hub.get("/healthz").header("access-control-allow-origin").empty());
  const HttpAnswer preflight = hub.ask("OPTIONS", "/v1/lanes/jobs", {{"Origin", "https://shop.example"}});
  CHECK(preflight.status == 204);
  CHECK(preflight.header("access-control-allow-headers").find("Idempotency-Key") != std::string::npos);
}

TEST_CASE("one connection takes requests one after the other, in pieces and by HEAD as well") {
  HttpHub hub;
  RawSocket socket{hub.port()};
  for (int i = 0; i < 3; ++i) {
    socket.send(http_text("GET", "/healthz"));
    CHECK(socket.answer().status == 200);
  }
  for (const char c : http_text("GET", "/healthz")) socket.send(std::string(1, c));
  CHECK(socket.answer().body == "{\"status\":\"ok\",\"node\":\"hub\"}\n");
  socket.send(http_text("HEAD", "/healthz") + http_text("GET", "/readyz"));
  CHECK(socket.answer(true).status == 200);
  CHECK(socket.answer().has("\"ready\":true"));
}

TEST_CASE("an honest client is served beside many idle and slow connections, which end") {
  HttpHub hub{{"connections=64", "idle=1", "arrival=2"}};
  std::vector<std::unique_ptr<RawSocket>> idle;
  for (int i = 0; i < 300; ++i) idle.push_back(std::make_unique<RawSocket>(hub.port()));
  std::vector<std::unique_ptr<RawSocket>> slow;
  for (int i = 0; i < 60; ++i) {
    slow.push_back(std::make_unique<RawSocket>(hub.port()));
    slow.back()->send("GET /healthz HTTP/1.1\r\nHost: 127.0");
  }
  for (int i = 0; i < 20; ++i) CHECK(hub.get("/healthz").status == 200);
  CHECK(slow.front()->ended());
  CHECK(hub.get("/healthz").status == 200);
}

}  // namespace
}  // namespace pannier::testing
