#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <pannier/saga.h>
#include <pannier/simulation.h>

#include "runtime/store/store.h"
#include "services/saga/saga.fbs.h"
#include "tests/services/saga/schema/shop.fbs.h"
#include "tests/support/temp_folder.h"

namespace pannier::testing::shop {

using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

inline std::string text_of_field(const flatbuffers::String* text) { return text == nullptr ? "" : text->str(); }

/// How the services behave. Outlives the node's lives: it is the test's.
struct Behaviour {
  std::map<std::string, int> refuse;  // so often
  std::map<std::string, int> silent;  // the command is carried out, and nobody answers
  std::map<std::string, int> undo_fails;
};

/// Carries out commands: an effect is a row of the table `effects`, in the transaction that ends the delivery and holds
/// the answer. What is done twice is seen.
struct Services : Actor<Services, Do, Undo, RouteQuestion> {
  explicit Services(Behaviour* how) : behaviour(how) {}
  void on_start() {
    Batch batch;
    batch.execute("CREATE TABLE IF NOT EXISTS effects (n INTEGER PRIMARY KEY, saga TEXT, what TEXT)");
    commit(std::move(batch)).forget();
    require(consume<Do, Undo>("services", {.window = 8}));
  }
  static bool take(std::map<std::string, int>& from, const std::string& what) {
    const auto found = from.find(what);
    if (found == from.end() || found->second == 0) return false;
    --found->second;
    return true;
  }
  static Batch effect(const std::string& saga, const std::string& what) {
    Batch batch;
    batch.execute("INSERT INTO effects (saga, what) VALUES (?1, ?2)", saga, what);
    return batch;
  }
  void on(const Do& command, Delivery delivery) {
    const std::string what = text_of_field(command.what());
    const std::string key = text_of_field(command.reply_to());
    const bool ok = !take(behaviour->refuse, what);
    Batch batch = ok ? effect(text_of_field(command.order()), what) : Batch{};
    if (!take(behaviour->silent, what)) {
      if (what == "pay") batch.enqueue("sagas", key, make<Paid>(ok, ok ? "" : "no money"));
      if (what == "cook") batch.enqueue("sagas", key, make<Cooked>(ok, ok ? "" : "closed"));
      if (what == "courier") batch.enqueue("sagas", key, make<CourierFound>(ok ? "Anna" : ""));
      if (what.starts_with("reserve")) batch.enqueue("sagas", key, make<Reserved>(ok ? what : ""));
    }
    delivery.ack(std::move(batch));
  }
  void on(const Undo& command, Delivery delivery) {
    const std::string what = text_of_field(command.what());
    if (take(behaviour->undo_fails, what)) return delivery.ack();
    Batch batch = effect(text_of_field(command.order()), "undo " + what);
    batch.enqueue("sagas", text_of_field(command.reply_to()), make<Undone>(what));
    delivery.ack(std::move(batch));
  }
  Result<Table<Route>> on(const RouteQuestion&) {
    if (take(behaviour->refuse, "route")) return ErrorCode::failed;
    return make<Route>(12);
  }
  Behaviour* behaviour;
};

// --- Place Order
// ------------------------------------------------------------------------------------------------------

inline void command(PlaceOrderT& order, const std::string& what, Step& step) {
  step.enqueue("services", order.order, make<Do>(order.order, what, step.ticket()));
}
inline void undo_command(PlaceOrderT& order, const std::string& what, Step& step) {
  step.enqueue("services", order.order, make<Undo>(order.order, what, step.ticket()));
}
inline void pay(PlaceOrderT& order, Step& step) { command(order, "pay", step); }
inline void refund(PlaceOrderT& order, Step& step) { undo_command(order, "pay", step); }
inline void paid(PlaceOrderT& /*order*/, const Paid& result, Step& step) {
  result.ok() ? step.done() : step.fail(text_of_field(result.why()));
}
inline void cook(PlaceOrderT& order, Step& step) { command(order, "cook", step); }
inline void stop_cooking(PlaceOrderT& order, Step& step) { undo_command(order, "cook", step); }
inline void cooked(PlaceOrderT& /*order*/, const Cooked& result, Step& step) {
  result.ok() ? step.done() : step.fail(text_of_field(result.why()));
}
inline void find_courier(PlaceOrderT& order, Step& step) { command(order, "courier", step); }
inline void release_courier(PlaceOrderT& order, Step& step) { undo_command(order, "courier", step); }
inline void found_courier(PlaceOrderT& order, const CourierFound& result, Step& step) {
  order.courier = text_of_field(result.courier());
  order.courier.empty() ? step.fail("no courier") : step.done();
}
inline void reserve(PlaceOrderT& order, Step& step) {
  if (order.line >= order.lines.size()) return step.done();
  step.note(order.lines[order.line]);
  command(order, "reserve " + order.lines[order.line], step);
}
inline void reserved(PlaceOrderT& order, const Reserved& result, Step& step) {
  if (text_of_field(result.line()).empty()) return step.fail("sold out");
  ++order.line;
  order.line < order.lines.size() ? step.repeat() : step.done();
}
inline void release(PlaceOrderT& order, Step& step) {
  step.note().empty() ? step.done() : undo_command(order, "reserve " + step.note(), step);
}
inline void undone(PlaceOrderT& /*order*/, const Undone& /*result*/, Step& step) { step.done(); }
inline void tell(PlaceOrderT& order, Step& step) {
  step.batch().execute("INSERT INTO effects (saga, what) VALUES (?1, ?2)", order.order, "tell " + order.courier);
}

inline Saga<PlaceOrder> place_order(std::uint32_t version = 3, StepOptions options = {.deadline = 30s, .attempts = 2}) {
  return saga<PlaceOrder>("place-order", version)
      .step("reserve", &reserve, &release)
      .on<Reserved>(&reserved)
      .undo_on<Undone>(&undone)
      .with(options)
      .step("pay", &pay, &refund)
      .on<Paid>(&paid)
      .undo_on<Undone>(&undone)
      .with(options)
      .step("cook", &cook, &stop_cooking)
      .on<Cooked>(&cooked)
      .undo_on<Undone>(&undone)
      .with(options)
      .and_step("courier", &find_courier, &release_courier)
      .on<CourierFound>(&found_courier)
      .undo_on<Undone>(&undone)
      .with(options)
      .step("tell", &tell);
}

/// A node with an SQLite file that runs the services and sagas of these tables, in each life.
struct Shop {
  using Tables = std::vector<std::shared_ptr<const SagaTable>>;
  explicit Shop(Tables given = {place_order()}, std::uint64_t seed = 1)
      : tables(std::move(given)),
        sim(seed),
        node(sim.add({.name = "here",
                      .lanes = {{.name = "sagas", .max_attempts = 50}, {.name = "services", .max_attempts = 50}}},
                     {.file = folder / "node.db", .boot = [this](Node& on) {
                        const auto spawned = on.spawn<Services>(SpawnOptions{.name = "services"}, &behaviour);
                        REQUIRE(spawned);
                        services = *spawned;
                        REQUIRE(on.spawn<SagaHost>(SpawnOptions{.name = "sagas"}, tables, SagaOptions{}));
                      }})) {}

  TempFolder folder{std::filesystem::exists("/dev/shm") ? std::filesystem::path{"/dev/shm"}
                                                        : std::filesystem::temp_directory_path()};
  Behaviour behaviour;
  Tables tables;
  LocalRef services;
  testkit::Simulation sim;
  testkit::SimNode& node;

  static Table<PlaceOrder> order_of(const std::string& id, Lines lines = {"soup"}) {
    PlaceOrderT order;
    order.order = id;
    order.cents = 1200;
    order.lines = std::move(lines);
    return pack(order);
  }
  static Table<sagas::Start> start_of(const std::string& /*id*/, const AnyTable& data,
                                      const std::string& name = "place-order") {
    sagas::StartT start;
    start.saga = name;
    const auto bytes = data.bytes();
    const auto* first = reinterpret_cast<const std::uint8_t*>(bytes.data());
    start.data.assign(first, first + bytes.size());
    return pack(start);
  }
  void start(const std::string& id, Lines lines = {"soup"}) {
    REQUIRE(node.probe().enqueue("sagas", id, start_of(id, order_of(id, std::move(lines))), 10s));
  }
  void send(const std::string& key, const AnyTable& message) {
    REQUIRE(node.probe().enqueue("sagas", key, message, 10s));
  }
  void order(const std::string& id, sagas::OrderKind kind) { send(id, make<sagas::Order>(kind, "", "")); }
  Lines effects(const std::string& id) {
    Lines lines;
    REQUIRE(node.store().sql()->query({"SELECT what FROM effects WHERE saga=?1 ORDER BY n", {SqlValue{id}}},
                                      [&](std::span<const SqlValue> row) {
                                        lines.push_back(std::get<std::string>(row[0]));
                                        return true;
                                      }));
    return lines;
  }
  std::string status(const std::string& id) {
    const auto host = node->ref("sagas");
    const auto answer = node.probe().ask<sagas::Status>(host, make<sagas::StatusQuestion>(id), 10s);
    if (!answer) return answer.error().text();
    std::string text = (*answer)->status()->str();
    if (!text_of_field((*answer)->cause()).empty()) text += " (" + (*answer)->cause()->str() + ")";
    std::string running;
    if ((*answer)->steps() == nullptr) return text;
    for (const auto* each : *(*answer)->steps()) {
      if (each->state()->str() != "done" && each->state()->str() != "undone") {
        running += " " + each->name()->str() + ": " + each->state()->str();
      }
    }
    return text + running;
  }
  std::uint64_t dead_letters() { return node.store().total(RowState::dead_lettered).messages; }
};

}  // namespace pannier::testing::shop
