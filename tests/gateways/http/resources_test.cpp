#include <fstream>

#include "tests/gateways/http/http_client.h"

/// Resources of a service, keys and histories, with real sockets.
namespace pannier::testing {
namespace {

TEST_CASE("a method with http_get is a resource: path and query become its request, its outcome the answer") {
  HttpHub hub;
  const HttpAnswer order = hub.get("/v1/orders/a%2Fb%22?loud=true&wait_ms=3");
  CHECK(order.status == 200);
  CHECK(order.has(R"("order_id": "a/b\"")"));
  CHECK(order.has(R"("total": 1000)"));
  CHECK(hub.get("/v1/orders/7?fields=total,notes").body == R"({"total": 42,"notes": ["a \"note\", with }","b"]})"
                                                           "\n");
  CHECK(hub.get("/v1/orders/7?wait_ms=soon").status == 400);
  CHECK(hub.get("/v1/orders/7?wait_ms=99999999999").status == 400);
  CHECK(hub.get("/v1/orders/7?loud=1").status == 400);
  CHECK(hub.get("/v1/orders/7?other=1").status == 400);
  CHECK(hub.get("/v1/orders/7?order_id=8").status == 400);
  const HttpAnswer none = hub.get("/v1/orders/none");
  CHECK(none.status == 404);
  CHECK(none.has("there is no order none"));
  const HttpAnswer busy = hub.get("/v1/orders/busy");
  CHECK(busy.status == 429);
  CHECK(busy.header("retry-after") == "3");
  CHECK(hub.ask("DELETE", "/v1/orders/7").status == 200);
  CHECK(hub.ask("PUT", "/v1/orders/7").header("allow") == "GET, DELETE");
}

TEST_CASE("a resource that has not changed is not sent again") {
  HttpHub hub;
  const std::string tag = hub.get("/v1/orders/7").header("etag");
  CHECK(tag.size() == 34);
  const HttpAnswer same = hub.get("/v1/orders/7", {{"If-None-Match", tag}});
  CHECK(same.status == 304);
  CHECK(same.header("etag") == tag);
  CHECK(hub.get("/v1/orders/8", {{"If-None-Match", tag}}).status == 200);
}

TEST_CASE("a method that keeps its answer takes effect once over kills, and each repetition gets that answer") {
  HttpHub hub;
  CHECK(hub.post("/v1/orders", R"({"order_id":"7","total":5})").status == 400);
  const auto place = [&](const std::string& key, const std::string& body) {
    return hub.post("/v1/orders", body, {{"Idempotency-Key", key}});
  };
  const HttpAnswer first = place("k", R"({"order_id":"7","total":5})");
  CHECK(first.status == 200);
  CHECK(first.has(R"("total": 5)"));
  for (int i = 0; i < 2; ++i) {
    hub.kill_and_restart();
    const HttpAnswer again = place("k", R"({"order_id":"7","total":5})");
    CHECK(again.status == 200);
    CHECK(again.body == first.body);
  }
  CHECK(place("k", R"({"order_id":"7","total":6})").status == 422);
  CHECK(place("l", R"({"order_id":""})").status == 400);
  // The effects are events: there is one.
  const HttpAnswer events = hub.get("/v1/events/orders");
  CHECK(events.has(R"("version":1)"));
  CHECK_FALSE(events.has(R"("version":2)"));
}

TEST_CASE("requests that race with one key take effect once") {
  HttpHub hub;
  std::vector<std::unique_ptr<RawSocket>> sockets;
  for (int i = 0; i < 20; ++i) sockets.push_back(std::make_unique<RawSocket>(hub.port()));
  for (auto& socket : sockets) {
    socket->send(http_text("POST", "/v1/orders", {{"Content-Type", "application/json"}, {"Idempotency-Key", "k"}},
                           R"({"order_id":"7","total":5})"));
  }
  int done = 0;
  for (auto& socket : sockets) {
    const int status = socket->answer().status;
    CHECK((status == 200 || status == 409));
    done += status == 200 ? 1 : 0;
  }
  CHECK(done >= 1);
  CHECK_FALSE(hub.get("/v1/events/orders").has(R"("version":2)"));
}

TEST_CASE("a method that does not keep its answer runs at most once; its errors are answers too") {
  HttpHub hub;
  const auto charge = [&](const std::string& key, const std::string& total) {
    return hub.post("/v2/orders/7/charges", R"({"total":)" + total + "}", {{"Idempotency-Key", key}});
  };
  const HttpAnswer first = charge("a", "1");
  CHECK(first.has(R"("total": 1)"));
  CHECK(charge("a", "1").body == first.body);
  CHECK(charge("b", "1").has(R"("total": 2)"));
  const HttpAnswer refused = charge("c", "-1");
  CHECK(refused.status == 400);
  hub.kill_and_restart();
  const HttpAnswer again = charge("c", "-1");
  CHECK(again.status == 400);
  CHECK(again.body == refused.body);
  CHECK(again.header("content-type") == "application/problem+json");
  CHECK(hub.post("/v2/orders/7/charges", R"({"order_id":"8"})", {{"Idempotency-Key", "d"}}).status == 400);
}

TEST_CASE("a client that hangs up cancels its call, and one with little time gets a 504") {
  HttpHub hub;
  CHECK(hub.get("/v1/orders/slow", {{"Request-Timeout", "1"}}).status == 504);
  CHECK(hub.get("/v1/lanes/cancelled?wait=30").status == 200);
  {
    RawSocket socket{hub.port()};
    socket.send(http_text("GET", "/v1/orders/slow", {{"Request-Timeout", "60"}}));
    // Its place in the line is before this one's.
    CHECK(hub.get("/v1/orders/7").status == 200);
  }
  CHECK(hub.get("/v1/lanes/cancelled?wait=10").status == 200);
}

TEST_CASE("a history is followed from an offset on, without gap or duplicate over a restart") {
  HttpHub hub;
  const auto place = [&](int number) {
    const std::string id = std::to_string(number);
    return hub.post("/v1/orders", R"({"order_id":")" + id + R"(","total":1})", {{"Idempotency-Key", id}}).status;
  };
  for (int i = 1; i <= 3; ++i) CHECK(place(i) == 200);
  std::string last;
  const auto read = [&](RawSocket& reader, int number) {
    const std::string event = reader.event();
    CHECK(event.find("id: " + std::to_string(number) + "\ndata: {") == 0);
    CHECK(event.find(R"("data":{"order_id": ")" + std::to_string(number) + "\"") != std::string::npos);
    last = event.substr(4, event.find('\n') - 4);
  };
  const auto follow = [&](RawSocket& reader) {
    HttpHeaders headers{{"Accept", "text/event-stream"}};
    if (!last.empty()) headers.emplace_back("Last-Event-ID", last);
    reader.send(http_text("GET", "/v1/events/orders", headers));
    CHECK(reader.head().status == 200);
  };
  {
    RawSocket reader{hub.port()};
    follow(reader);
    for (int i = 1; i <= 3; ++i) read(reader, i);
    CHECK(place(4) == 200);
    read(reader, 4);
  }
  CHECK(place(5) == 200);
  hub.kill_and_restart();
  RawSocket reader{hub.port()};
  follow(reader);
  read(reader, 5);
  CHECK(place(6) == 200);
  read(reader, 6);
  const HttpAnswer page = hub.get("/v1/events/orders?after=2&limit=2");
  CHECK(page.has(R"("version":3)"));
  CHECK(page.has(R"("version":4)"));
  CHECK_FALSE(page.has(R"("version":5)"));
  CHECK(page.has(R"("next":"/v1/events/orders?after=4&limit=2")"));
  CHECK(hub.get("/v1/events?limit=0").status == 400);
  CHECK(hub.get("/v1/events", {{"Last-Event-ID", "x"}}).status == 400);
}

TEST_CASE("a reader that takes nothing costs its bound; a history waits for it") {
  HttpHub hub;
  RawSocket topic{hub.port()};
  topic.send(http_text("GET", "/v1/topics/%23", {{"Accept", "text/event-stream"}}));
  CHECK(topic.head().status == 200);
  RawSocket publisher{hub.port()};
  const std::string note(30000, 'x');
  const std::string publication = http_text("POST", "/v1/topics/t?type=web.Order",
                                            {{"Content-Type", "application/json"}}, "{\"order_id\":\"" + note + "\"}");
  // More than socket buffers hold.
  for (int i = 0; i < 400; ++i) {
    publisher.send(publication);
    REQUIRE(publisher.answer().status == 202);
  }
  std::string event;
  int seen = 0;
  while (!(event = topic.event()).starts_with("event: dropped")) {
    REQUIRE(++seen < 400);
    if (seen > 3 && seen % 3 == 0) {  // told with the next that fits
      publisher.send(publication);
      REQUIRE(publisher.answer().status == 202);
    }
  }
  CHECK(event.find("data: {\"count\":") != std::string::npos);
}

TEST_CASE("keys say who may do what, are read again, and have their rates") {
  const TempFolder folder;
  const std::string path = folder / "keys";
  // printf %s secret | sha256sum; printf %s other | sha256sum
  const std::string secret = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
  const std::string other = "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa";
  std::ofstream{path} << "# name digest rules\nscanner " << secret
                      << " POST:/v1/lanes/scans GET:/v1/topics/fleet/* *:/v1/orders*\noncall " << other << " *:/*\n";
  HttpHub hub{{"keys=" + path, "rate=2"}};
  const HttpHeaders scanner{{"Authorization", "Bearer secret"}};
  CHECK(hub.get("/healthz").status == 200);
  CHECK(hub.get("/metrics").status == 401);
  CHECK(hub.get("/metrics").header("www-authenticate") == "Bearer");
  CHECK(hub.get("/metrics", {{"Authorization", "Bearer wrong"}}).status == 401);
  CHECK(hub.get("/metrics", scanner).status == 403);
  CHECK(hub.get("/metrics", {{"Authorization", "Bearer other"}}).status == 200);
  CHECK(hub.post("/v1/lanes/scans?type=web.Order", "{}", scanner).status == 201);
  CHECK(hub.post("/v1/lanes/scans2?type=web.Order", "{}", scanner).status == 403);
  CHECK(hub.post("/v1/lanes/scans%2F..?type=web.Order", "{}", scanner).status == 403);
  CHECK(hub.get("/v1/topics/fleet%2F%23", scanner).status == 403);
  CHECK(hub.get("/no/such", scanner).status == 403);
  int limited = 0;
  for (int i = 0; i < 60 && limited == 0; ++i) {
    const HttpAnswer answer = hub.get("/v1/orders/7", scanner);
    if (answer.status == 429) {
      ++limited;
      CHECK(answer.header("retry-after") == "1");
      CHECK(answer.header("ratelimit").find("\"key\";r=0") == 0);
    } else {
      CHECK(answer.status == 200);
      CHECK(answer.header("ratelimit-policy") == "\"key\";q=20;w=10");
    }
  }
  CHECK(limited == 1);
}

TEST_CASE("beyond this machine nothing is reachable without keys") {
  const TempFolder folder;
  ChildProcess hub{{PANNIER_HTTP_HUB, folder / "hub.db", "listen=0.0.0.0:0"}};
  std::string line;
  CHECK_FALSE(hub.line(line));
}

}  // namespace
}  // namespace pannier::testing
