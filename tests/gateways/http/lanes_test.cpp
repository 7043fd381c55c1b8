#include "tests/gateways/http/http_client.h"

/// The verbs for scripts, with real sockets.
namespace pannier::testing {
namespace {

std::string member(const std::string& json, const std::string& name) {
  const std::size_t at = json.find("\"" + name + "\":\"");
  if (at == std::string::npos) return {};
  const std::size_t begin = at + name.size() + 4;
  return json.substr(begin, json.find('"', begin) - begin);
}

TEST_CASE("a message is enqueued with a receipt, fetched, given back, and gone once it is acknowledged") {
  HttpHub hub;
  const HttpAnswer receipt =
      hub.post("/v1/lanes/jobs?type=web.Order&key=7", R"({"order_id":"7","total":42,"state":"paid"})");
  CHECK(receipt.status == 201);
  CHECK(receipt.has("\"durability\":\"fsynced\""));
  CHECK(member(receipt.body, "lane") == "jobs");

  const HttpAnswer fetched = hub.get("/v1/lanes/jobs?visibility=60");
  CHECK(fetched.status == 200);
  CHECK(fetched.has(R"("key":"7")"));
  CHECK(fetched.has(R"("type":"web.Order")"));
  CHECK(fetched.has(R"("total": 42)"));
  CHECK(hub.get("/v1/lanes/jobs").status == 204);

  const std::string deliveries = "/v1/lanes/jobs/deliveries/";
  CHECK(hub.post(deliveries + member(fetched.body, "delivery") + "/keep", "").status == 404);
  CHECK(hub.post(deliveries + member(fetched.body, "delivery") + "/retry", "").status == 202);
  CHECK(hub.post(deliveries + member(fetched.body, "delivery") + "/ack", "").status == 404);

  hub.kill_and_restart();
  const HttpAnswer again = hub.get("/v1/lanes/jobs?wait=30");
  CHECK(again.status == 200);
  CHECK(hub.post(deliveries + member(again.body, "delivery") + "/ack", "").status == 204);
  hub.kill_and_restart();
  CHECK(hub.get("/v1/lanes/jobs").status == 204);
}

TEST_CASE("a message that is not settled while it is out of sight comes again") {
  HttpHub hub;
  CHECK(hub.post("/v1/lanes/jobs?type=web.Order", R"({"total":1})").status == 201);
  CHECK(hub.get("/v1/lanes/jobs?visibility=1").status == 200);
  const HttpAnswer again = hub.get("/v1/lanes/jobs?wait=30");
  CHECK(again.status == 200);
  CHECK(again.has("\"attempts\":1"));
}

TEST_CASE("a post with an Idempotency-Key takes effect once over kills, with the same answer each time") {
  HttpHub hub;
  const auto post = [&](const std::string& key, const std::string& body) {
    return hub.post("/v1/lanes/jobs?type=web.Order", body, {{"Idempotency-Key", key}});
  };
  const HttpAnswer first = post("a", R"({"total":1})");
  CHECK(first.status == 201);
  for (int i = 0; i < 3; ++i) {
    hub.kill_and_restart();
    const HttpAnswer again = post("a", R"({"total":1})");
    CHECK(again.status == 201);
    CHECK(again.body == first.body);
  }
  const HttpAnswer other = post("a", R"({"total":2})");
  CHECK(other.status == 422);
  CHECK(other.has("\"code\":\"conflict\""));
  CHECK(post("", R"({"total":2})").status == 400);
  CHECK(post("b", R"({"total":2})").body != first.body);
  const HttpAnswer all = hub.get("/v1/lanes/jobs?max=100");
  CHECK(all.has("\"total\": 1"));
  CHECK(all.has("\"total\": 2"));
  CHECK(hub.get("/v1/lanes/jobs?max=100").status == 204);
}

TEST_CASE("an actor is asked and its reply comes as JSON; nobody there is a 404, silence a 504") {
  HttpHub hub;
  const HttpAnswer reply = hub.post("/v1/ask/shop?type=web.GetOrder", R"({"order_id":"9"})");
  CHECK(reply.status == 200);
  CHECK(reply.header("pannier-type") == "web.Order");
  CHECK(reply.has(R"("order_id": "9")"));
  CHECK(hub.post("/v1/ask/nobody?type=web.GetOrder", "{}").status == 404);
  CHECK(hub.post("/v1/ask/elsewhere/shop?type=web.GetOrder", "{}", {{"Request-Timeout", "1"}}).status == 502);
  CHECK(hub.post("/v1/ask/shop?type=web.Position", "{}").status == 422);
}

TEST_CASE("who follows a topic gets what is published on it, retained values first") {
  HttpHub hub;
  CHECK(hub.post("/v1/topics/fleet/7/position?type=web.Position&retain=true", R"({"lat":1.5})").status == 202);
  RawSocket reader{hub.port()};
  reader.send(http_text("GET", "/v1/topics/fleet/%23", {{"Accept", "text/event-stream"}}));
  const HttpAnswer head = reader.head();
  CHECK(head.status == 200);
  CHECK(head.header("content-type") == "text/event-stream");
  CHECK(reader.event().find(R"(data: {"topic":"fleet/7/position","type":"web.Position","data":{"lat": 1.5)") == 0);
  CHECK(hub.post("/v1/topics/fleet/8/position?type=web.Position", R"({"lat":2.5})").status == 202);
  CHECK(reader.event().find(R"("topic":"fleet/8/position")") != std::string::npos);
  CHECK(hub.get("/v1/topics/fleet").status == 406);
  CHECK(hub.post("/v1/topics/fleet/+?type=web.Position", "{}").status == 400);
}

}  // namespace
}  // namespace pannier::testing
