// The services of an order, each a process of its own:
//
//   order_service NAME FOLDER PORT
//
// NAME is hub, payment, tablet or courier-N. FOLDER has the keys and takes the database; PORT is the hub's.

#include <charconv>
#include <chrono>
#include <cstdio>
#include <map>
#include <string>
#include <string_view>

#include <pannier/pannier.h>
#include <pannier/resilience.h>

#include "examples/delivery/order/place_order.h"
#include "examples/delivery/order/setup.h"

namespace pannier::delivery {
namespace {

using namespace std::chrono_literals;
using namespace ::delivery::order;

// --- At the hub -----------------------------------------------------------------------------------------------------

/// Asks payment under a policy. Once its breaker is open, the answer that payment is away comes at once.
class PaymentDesk : public Actor<PaymentDesk, Charge> {
 public:
  void on(const Charge& charge, Responder responder) {
    payment_.call<Charged>(make<Charge>(text_of(charge.order()), charge.minor(), ""), {.idempotent = true})
        .then([responder](const Result<Answer<Table<Charged>>>& answer) {
          if (answer) return responder.reply(AnyTable{**answer});
          responder.reply(AnyTable{make<Charged>(false, true, answer.error().text())});
        });
  }

 private:
  static Policy policy() {
    Policy policy;
    policy.deadline = 2s;
    policy.attempt_timeout = 300ms;
    policy.retry = {.attempts = 2, .backoff = {.base = 50ms, .cap = 200ms}};
    policy.breaker = {.calls = 4, .least = 2, .failure_percent = 50, .probes = 1, .open_for = 1s};
    return policy;
  }
  Destination payment_{*this, {.name = "payment", .to = {ref("payment/payment")}, .policy = policy()}};
};

/// Runs the sagas of orders, once the tables of their histories are there.
class Orders : public Actor<Orders> {
 public:
  void on_start() {
    Batch tables;
    prepare_events(tables);
    commit(std::move(tables)).then([this](const Result<Receipt>& made) {
      if (!made) return fail(made.error().text());
      const auto sagas = spawn<SagaHost>(SpawnOptions{.name = "sagas"},
                                         std::vector<std::shared_ptr<const SagaTable>>{place_order()}, SagaOptions{});
      if (!sagas) fail(sagas.error().text());
    });
  }
};

// --- Payment --------------------------------------------------------------------------------------------------------

/// Charges an order once, however it is told to: asked, asked again, or by lane. What was charged and paid back is in
/// its own table, in the transaction of the command that did it.
class Payment : public Actor<Payment, Charge, Refund> {
 public:
  void on_start() {
    Batch table;
    table.execute(
        "CREATE TABLE IF NOT EXISTS account (order_id TEXT PRIMARY KEY, charged INTEGER NOT NULL DEFAULT 0,"
        " refunded INTEGER NOT NULL DEFAULT 0) STRICT");
    commit(std::move(table)).then([this](const Result<Receipt>& made) {
      if (!made) return fail(made.error().text());
      require(consume<Charge, Refund>("charges"));
    });
  }

  void on(const Charge& charge, Responder responder) {
    commit(charged(charge)).then([responder](const Result<Receipt>& stored) {
      if (!stored) return responder.refuse(stored.error());
      responder.reply(AnyTable{make<Charged>(true, false, "")});
    });
  }
  void on(const Charge& charge, Delivery delivery) {
    Batch batch = charged(charge);
    batch.enqueue(kSagas, text_of(charge.reply_to()), make<Charged>(true, false, ""));
    delivery.ack(std::move(batch));
  }
  void on(const Refund& refund, Delivery delivery) {
    const std::string order{text_of(refund.order())};
    Batch batch;
    batch.execute(
        "UPDATE account SET refunded=refunded+min(?2, charged-refunded) WHERE order_id=?1 AND charged>refunded", order,
        refund.minor());
    batch.enqueue(kNotices, order,
                  make<Notice>(order, 0U, NoticeKind::charged,
                               "payment: is paid back, " + std::string{text_of(refund.reason())}));
    delivery.ack(std::move(batch));
  }

 private:
  static Batch charged(const Charge& charge) {
    Batch batch;
    batch.execute("INSERT OR IGNORE INTO account (order_id, charged) VALUES (?1, ?2)", text_of(charge.order()),
                  charge.minor());
    return batch;
  }
};

// --- The restaurant -------------------------------------------------------------------------------------------------

class Kitchen : public Actor<Kitchen, Cook, StopCooking> {
 public:
  void on_start() { require(consume<Cook, StopCooking>("kitchen")); }
  /// Acknowledged once it is cooked: a kitchen that dies meanwhile cooks it again.
  void on(const Cook& order, Delivery delivery) {
    after(kCooking, [delivery, reply_to = std::string{text_of(order.reply_to())}] {
      delivery.ack(Batch{}.enqueue(kSagas, reply_to, make<Cooked>(true)));
    });
  }
  void on(const StopCooking&) {}  // behind the order, so it is cooked: the cook eats it

 private:
  static constexpr Duration kCooking = 200ms;
};

// --- A courier ------------------------------------------------------------------------------------------------------

/// Carries what it is given. After a restart it asks whether its jobs are still its own: another courier may have them.
class Courier : public Actor<Courier, Carry, PutDown> {
 public:
  explicit Courier(std::string name) : name_(std::move(name)) {}

  void on_start() {
    read_state("job/").then([this](const Result<std::vector<StateRow>>& rows) {
      if (!rows) return fail(rows.error().text());
      for (const StateRow& row : *rows) {
        if (const auto job = row.as<Carry>()) confirm(*job);
      }
      require(consume<Carry, PutDown>("jobs"));
    });
  }
  void on(const Carry& order, Delivery delivery) {
    const auto job = make<Carry>(text_of(order.order()), text_of(order.reply_to()));
    delivery.ack(Batch{}.put_state(key_of(*job), job));
    ride(job);
  }
  void on(const PutDown& order, Delivery delivery) {
    const std::string id{text_of(order.order())};
    if (const auto ride = rides_.extract(id); !ride.empty()) cancel(ride.mapped());
    Batch batch;
    batch.erase_state("job/" + id)
        .enqueue(kNotices, id, make<Notice>(id, 0U, NoticeKind::put_down, name_ + ": puts it down, another has it"));
    delivery.ack(std::move(batch));
  }

 private:
  static constexpr Duration kRide = 700ms;

  void ride(const Table<Carry>& job) {
    rides_[std::string{text_of(job->order())}] = after(kRide, [this, job] {
      rides_.erase(std::string{text_of(job->order())});
      Batch batch;
      batch.erase_state(key_of(*job)).enqueue(kSagas, text_of(job->reply_to()), make<Carried>(name_));
      commit(std::move(batch)).forget();
    });
  }
  void confirm(const Table<Carry>& job) {
    const auto question = make<JobQuestion>(name_);
    sagas::DataQuestionT asked;
    asked.id = text_of(job->order());
    asked.type = static_cast<std::uint64_t>(type_info<JobQuestion>().id);
    const auto bytes = question.bytes();
    asked.data.assign(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                      reinterpret_cast<const std::uint8_t*>(bytes.data()) + bytes.size());
    ask<JobAnswer>(ref("hub/sagas"), pack(asked), 1s).then([this, job](const Result<Table<JobAnswer>>& answer) {
      if (!answer) return static_cast<void>(after(200ms, [this, job] { confirm(job); }));  // the link is not up yet
      if ((*answer)->yours()) return ride(job);
      commit(std::move(Batch{}.erase_state(key_of(*job)))).forget();  // its PutDown is on the way
    });
  }
  static std::string key_of(const Carry& job) { return "job/" + std::string{text_of(job.order())}; }

  const std::string name_;
  std::map<std::string, TimerId> rides_;
};

/// Tells the customer, by way of the hub, that this service is there.
class Herald : public Actor<Herald> {
 public:
  explicit Herald(std::string name) : name_(std::move(name)) {}
  void on_start() { enqueue(kNotices, name_, make<Notice>(name_, 0U, NoticeKind::up, "is up")).forget(); }

 private:
  const std::string name_;
};

Result<void> spawn(const std::string& name, Node& node) {
  const auto done = [](const auto& spawned) { return spawned ? Result<void>{} : spawned.error(); };
  if (auto made = node.spawn<Herald>(SpawnOptions{.restart = Restart::temporary}, name); !made) return made.error();
  if (name == "payment") return done(node.spawn<Payment>(SpawnOptions{.name = "payment"}));
  if (name == "tablet") return done(node.spawn<Kitchen>());
  if (name != "hub") return done(node.spawn<Courier>(SpawnOptions{}, name));
  if (auto made = node.spawn<PaymentDesk>(SpawnOptions{.name = "payment-desk"}); !made) return made.error();
  if (auto made = node.spawn<EventReader>(SpawnOptions{.name = "events"}); !made) return made.error();
  return done(node.spawn<Orders>());
}

}  // namespace
}  // namespace pannier::delivery

int main(int argc, char** argv) {
  using namespace pannier::delivery;
  std::uint16_t port = 0;
  if (argc == 4) std::from_chars(argv[3], argv[3] + std::string_view{argv[3]}.size(), port);
  if (port == 0) return std::fprintf(stderr, "usage: order_service NAME FOLDER PORT; the demo starts it\n"), 2;
  const std::string name = argv[1];
  const auto options = service_options(name, argv[2], port);
  if (!options) return std::fprintf(stderr, "order_service: %s\n", options.error().text().c_str()), 2;
  return pannier::run(*options, [&](pannier::Node& node) { return spawn(name, node); });
}
