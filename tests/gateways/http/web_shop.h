#pragma once

#include <chrono>
#include <string>

#include <pannier/events.h>
#include <pannier/http.h>

#include "tests/gateways/http/schema/web.fbs.rpc.h"

namespace pannier::testing {

/// The service behind the resources of web.fbs. Orders are rows of the application's own table.
struct WebShop : web::ShopServer<WebShop, web::GetOrder> {
  void on_start() {
    Batch batch;
    batch.execute("CREATE TABLE IF NOT EXISTS web_orders (number INTEGER PRIMARY KEY, id TEXT)");
    prepare_events(batch);
    commit(std::move(batch)).forget();
  }

  /// Of what is asked outside the service.
  auto on(const web::GetOrder& question) { return order(question.order_id()->str(), 7); }

  void get_order(const web::GetOrder& request, rpc::Reply<web::Order> reply) {
    const std::string id = request.order_id() == nullptr ? "" : request.order_id()->str();
    if (id == "none") return reply.finish(rpc::Failure{rpc::Status::not_found, "there is no order none"});
    if (id == "busy") {
      return reply.finish(rpc::Failure{rpc::Status::resource_exhausted, "later", std::chrono::milliseconds{2500}});
    }
    if (id == "slow") {
      reply.on_cancel(
          [this] { enqueue("cancelled", std::to_string(++cancelled_), make<web::PlaceOrder>("slow", 1)).forget(); });
      after(std::chrono::seconds{20}, [reply]() mutable { reply.finish(order("slow", 0)); });
      return;
    }
    reply.finish(order(id, request.loud() ? 1000 : 42));
  }

  void place_order(const web::PlaceOrder& request, rpc::Reply<web::Order> reply) {
    const std::string id = request.order_id() == nullptr ? "" : request.order_id()->str();
    if (id.empty()) return reply.finish(rpc::Failure{rpc::Status::invalid_argument, "an order needs an order_id"});
    const Table<web::Order> answer = order(id, request.total());
    Batch batch;
    batch.execute("INSERT INTO web_orders (id) VALUES (?1)", id);
    EventTypes types;
    types.add<web::PlaceOrder>();
    const auto event = types.event(make<web::PlaceOrder>(id, request.total()));
    append(batch, "orders", ExpectedVersion::any, std::vector{*event}, {.at = wall_now()}).ignore();
    http::keep_answer(batch, caller(), answer, wall_now()).ignore();
    commit(std::move(batch)).then([reply, answer](const Result<Receipt>& stored) mutable {
      if (!stored) return reply.finish(rpc::Response<web::Order>{stored.error()});
      reply.finish(answer);
    });
  }

  rpc::Response<web::Order> charge(const web::PlaceOrder& request) {
    if (request.total() < 0) return rpc::Failure{rpc::Status::failed_precondition, "a charge is positive"};
    ++charges_;
    return order(request.order_id()->str(), charges_);
  }

  rpc::Response<web::Order> drop_order(const web::GetOrder& request) { return order(request.order_id()->str(), 0); }

  static Table<web::Order> order(const std::string& id, int total) {
    return make<web::Order>(id, total, web::State::paid, std::vector<std::string>{"a \"note\", with }", "b"});
  }

 private:
  int charges_ = 0;
  int cancelled_ = 0;
};

}  // namespace pannier::testing
