#pragma once

// A restaurant's order service and somebody who calls it, for the tests of services/rpc.

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <pannier/simulation.h>
#include "tests/services/rpc/schema/shop.fbs.rpc.h"

namespace pannier::rpc::testing {

using namespace std::chrono_literals;
using shop::Chunk;
using shop::GetOrder;
using shop::Order;
using shop::OrderService;
using shop::OrderServiceClient;
using shop::OrderServiceServer;
using shop::Route;
using shop::RouteRequest;
using shop::Summary;

/// What happened at the servers of a test, which outlive none of it.
struct Ledger {
  std::vector<std::string> lines;
  std::vector<Reply<Order>> waiting;
  std::vector<Writer<Chunk>> writers;
  std::vector<Reader<Chunk, Summary>> readers;
  std::vector<Exchange<Chunk, Chunk>> exchanges;
  bool hold_uploads = false;
  int served = 0;
  std::size_t in_hand = 0;  ///< When the server was last poked.
  void add(std::string line) { lines.push_back(std::move(line)); }
  [[nodiscard]] bool has(std::string_view line) const {
    return std::find(lines.begin(), lines.end(), line) != lines.end();
  }
};

struct Poke {
  std::function<void()> act;
};

struct Orders : OrderServiceServer<Orders, Poke> {
  explicit Orders(Ledger* ledger) : ledger_(ledger) {}
  ~Orders() {
    ledger_->waiting.clear();
    ledger_->writers.clear();
    ledger_->readers.clear();
    ledger_->exchanges.clear();
  }

  void on(const Poke& poke) {
    ledger_->in_hand = calls_in_hand();
    poke.act();
  }

  Response<Order> get_order(const GetOrder& request) {
    ++ledger_->served;
    const std::string id = request.order_id()->str();
    if (id == "missing") return {Status::not_found, "there is no order missing"};
    if (id == "busy") return Failure{Status::resource_exhausted, "later", 3s};
    if (id == "throw") throw std::runtime_error("the oven is out");
    Response<Order> order = make<Order>(id, 42, "Lindenweg 3");
    if (const auto who = caller().value("who"); !who.empty()) order.metadata().emplace_back("hello", who);
    if (!caller().node.empty()) ledger_->add("from " + std::string{caller().node});
    return order;
  }
  void await(const GetOrder& request, Reply<Order> reply) {
    ++ledger_->served;
    ledger_->add("await " + request.order_id()->str());
    reply.on_cancel([ledger = ledger_, id = request.order_id()->str()] { ledger->add("cancelled " + id); });
    ledger_->waiting.push_back(reply);
  }
  void watch(const GetOrder& request, Writer<Chunk> out) {
    ledger_->add("watch " + request.order_id()->str());
    out.on_cancel([ledger = ledger_] { ledger->add("cancelled watch"); });
    for (int i = 0; i < request.wait_ms(); ++i) {
      if (!out.write(make<Chunk>("chunk", i))) break;
    }
    if (request.order_id()->str() == "stay") {
      ledger_->writers.push_back(out);
    } else {
      out.finish();
    }
  }
  void upload(Reader<Chunk, Summary> in) {
    if (ledger_->hold_uploads) return ledger_->readers.push_back(in);
    auto sum = std::make_shared<std::pair<int, int>>();
    in.each(
        [sum](const Table<Chunk>& chunk) {
          ++sum->first;
          sum->second += static_cast<int>(chunk->data()->size());
        },
        [sum, in]() mutable { in.finish(make<Summary>(sum->first, sum->second)); });
  }
  void chat(Exchange<Chunk, Chunk> peer) {
    peer.on_cancel([ledger = ledger_] { ledger->add("cancelled chat"); });
    peer.each([peer](const Table<Chunk>& chunk) mutable { REQUIRE(peer.write(make<Chunk>("echo", chunk->number()))); },
              [peer]() mutable { peer.finish(); });
  }
  void plan_route(const RouteRequest& request, Reply<Route> reply) {
    reply.finish(make<Route>(request.to()->string_view(), request.minutes()));
  }
  Response<Order> reprice(const Order& order) {
    return make<Order>(order.order_id()->string_view(), order.total() * 2, order.address()->string_view());
  }

 private:
  Ledger* ledger_;
};

struct Asker : Actor<Asker, std::function<void(Asker&)>> {
  using Actor::after;
  using Actor::now;
  explicit Asker(std::string server) : orders{*this, server} {}
  void on(const std::function<void(Asker&)>& act) { act(*this); }
  OrderServiceClient orders;
};
using Act = std::function<void(Asker&)>;

/// A hub with the service, and a van that calls it over a link of `delay` each way; or both on one node.
struct Shop {
  explicit Shop(bool linked, std::uint64_t seed = 1, Duration delay = 10ms) : sim(seed, {}) {
    hub = &sim.add({.name = "hub", .listen = {"sim://hub"}, .supervision = {.max_restarts = 1000}});
    sim.network().set_path("hub", "van", {.delay_min = delay, .delay_mean = {}});
    van = linked ? &sim.add({.name = "van", .links = {{"hub", "sim://hub", {}}}}) : hub;
    server = hub->spawn<Orders>({.name = "orders"}, &ledger);
    asker = van->spawn<Asker>({}, std::string{linked ? "hub/orders" : "orders"});
    sim.advance(linked ? 2s : 0s);
  }
  void act(Act act) {
    REQUIRE((*van)->tell(asker, std::move(act)));
    sim.settle();
  }
  void at_server(std::function<void()> act) {
    REQUIRE((*hub)->tell(server, Poke{std::move(act)}));
    sim.settle();
  }
  Ledger ledger;
  testkit::Simulation sim;
  testkit::SimNode* hub;
  testkit::SimNode* van;
  ActorRef<Orders> server;
  ActorRef<Asker> asker;
};

}  // namespace pannier::rpc::testing
