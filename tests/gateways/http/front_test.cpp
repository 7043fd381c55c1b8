#include <memory>
#include <optional>

#include <pannier/simulation.h>

#include <doctest/doctest.h>

#include "gateways/http/front.h"
#include "tests/gateways/http/web_shop.h"

/// The actor that answers, in virtual time and without sockets.
namespace pannier::testing {
namespace {

using namespace std::chrono_literals;
using http::Request;
using http::Response;

class Asked final : public http::Exchange {
 public:
  using Exchange::Exchange;
  void answer(Response response) override {
    if (!got) got = std::move(response);
  }
  std::optional<Response> got;
};

struct FrontBench {
  explicit FrontBench(http::Options options = {}) {
    options.mounts = {{&web::Shop::reflected(), "shop"}};
    const auto setup = std::make_shared<http::Setup>();
    setup->options = options;
    setup->node = &*sim.node();
    setup->schemas = std::make_shared<http::Schemas>(*http::Schemas::load(options));
    setup->resources = std::make_shared<const http::Resources>(*http::Resources::make(options.mounts));
    setup->counters = std::make_shared<http::ServerCounters>();
    sim.spawn<WebShop>(SpawnOptions{.name = "shop"});
    front = sim.spawn<http::Front>(std::shared_ptr<const http::Setup>{setup});
  }
  std::shared_ptr<Asked> send(const std::string& method, const std::string& target, const std::string& body = {},
                              http::Pairs headers = {}) {
    Request request;
    request.method = method;
    request.headers = std::move(headers);
    request.headers.emplace_back("content-type", "application/json");
    request.body = body;
    REQUIRE(http::read_target(target, request));
    const auto asked = std::make_shared<Asked>(next++, std::move(request));
    REQUIRE(sim.node()->tell(front, http::Arrived{asked}));
    sim.settle();
    return asked;
  }
  int status(const std::string& method, const std::string& target, const std::string& body = {},
             http::Pairs headers = {}) {
    const auto asked = send(method, target, body, std::move(headers));
    sim.advance(1s);
    return asked->got ? asked->got->status : 0;
  }
  testkit::Simulation sim;
  LocalRef front;
  std::uint64_t next = 1;
};

TEST_CASE("a fetched message stays out of sight as long as was asked, and comes again after that") {
  FrontBench bench;
  CHECK(bench.status("POST", "/v1/lanes/jobs?type=web.Order", "{}") == 201);
  CHECK(bench.status("GET", "/v1/lanes/jobs?visibility=3600") == 200);
  bench.sim.advance(3595s);
  CHECK(bench.status("GET", "/v1/lanes/jobs") == 204);
  bench.sim.advance(60s);
  CHECK(bench.status("GET", "/v1/lanes/jobs") == 200);
}

TEST_CASE("who waits for a message gets it when it comes; a client that has gone does not take it along") {
  FrontBench bench;
  const auto gone = bench.send("GET", "/v1/lanes/jobs?wait=20");
  REQUIRE(bench.sim.node()->tell(bench.front, http::HungUp{gone->id()}));
  bench.sim.advance(1s);
  const auto waits = bench.send("GET", "/v1/lanes/jobs?wait=20");
  bench.sim.advance(10s);
  CHECK_FALSE(waits->got);
  CHECK(bench.status("POST", "/v1/lanes/jobs?type=web.Order", "{}") == 201);
  bench.sim.advance(5s);
  REQUIRE(waits->got);
  CHECK(waits->got->status == 200);
  CHECK_FALSE(gone->got);
}

TEST_CASE("a question whose actor is silent ends with the time that the client has") {
  FrontBench bench;
  const auto slow = bench.send("GET", "/v1/orders/slow", {}, {{"request-timeout", "7"}});
  bench.sim.advance(6s);
  CHECK_FALSE(slow->got);
  bench.sim.advance(2s);
  REQUIRE(slow->got);
  CHECK(slow->got->status == 504);
}

TEST_CASE("a rate is refilled with time") {
  FrontBench bench{[] {
    http::Options options;
    options.rate = 1;
    return options;
  }()};
  int served = 0;
  while (bench.send("GET", "/v1/orders/7")->got.value_or(Response{.status = 200}).status != 429) ++served;
  CHECK(served == 10);
  bench.sim.advance(3s);
  for (int i = 0; i < 3; ++i) CHECK(bench.send("GET", "/v1/orders/7")->got.value_or(Response{}).status == 200);
  CHECK(bench.send("GET", "/v1/orders/7")->got->status == 429);
}

TEST_CASE("without a store that knows SQL no Idempotency-Key is taken, and nothing happens twice or at all") {
  FrontBench bench;
  CHECK(bench.status("POST", "/v1/lanes/jobs?type=web.Order", "{}", {{"idempotency-key", "a"}}) == 501);
  CHECK(bench.status("GET", "/v1/lanes/jobs") == 204);
}

TEST_CASE("targets are decoded once, and what could mean two things is refused") {
  Request request;
  CHECK(http::read_target("/a%2Fb/%25/c?x=1+2&y=%26", request));
  CHECK(request.path == "/a%2Fb/%25/c");
  CHECK(request.segments == std::vector<std::string>{"a/b", "%", "c"});
  CHECK(request.parameter("x") == "1 2");
  CHECK(request.parameter("y") == "&");
  for (const char* bad : {"", "a", "//a", "/a/", "/./a", "/%2e%2e/a", "/%", "/%4", "/%4g", "/%00", "*", "http://x/"}) {
    CHECK_MESSAGE(!http::read_target(bad, request), bad);
  }
}

}  // namespace
}  // namespace pannier::testing
