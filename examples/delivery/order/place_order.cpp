#include "examples/delivery/order/place_order.h"

#include <string>
#include <utility>

#include "examples/delivery/events.h"

namespace pannier::delivery {

using namespace std::chrono_literals;
using namespace ::delivery::order;

namespace {

std::int64_t ms_of(WallTime time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

/// Tells the customer, once this step is stored.
void tell(PlaceOrderT& order, Step& step, NoticeKind kind, const std::string& text) {
  const std::string& id = order.created->order;
  step.enqueue(kNotices, id, make<Notice>(id, ++order.notices, kind, text));
}

/// Appends to the order's history, in the step's transaction.
template <class Object>
void record(const PlaceOrderT& order, Step& step, Object event) {
  const OrderCreatedT& created = *order.created;
  event.id = created.order + "." + Object::TableType::Traits::name + "." + std::to_string(order.notices);
  event.source = "hub";
  event.timestamp_ms = ms_of(step.wall_now());
  event.correlation_id = created.correlation_id;
  event.order = created.order;
  append(step.batch(), stream_of(created.order), ExpectedVersion::any, std::vector{*order_events().event(pack(event))},
         {.at = step.wall_now()})
      .ignore();  // its stream has a name, and a step few statements
}

std::string money(std::int64_t minor) {
  const std::string cents = std::to_string(100 + minor % 100).substr(1);
  return std::to_string(minor / 100) + "." + cents;
}

// --- Create ---------------------------------------------------------------------------------------------------------

void create(PlaceOrderT& order, Step& step) {
  append(step.batch(), stream_of(order.created->order), ExpectedVersion::none,
         std::vector{*order_events().event(pack(*order.created))}, {.at = step.wall_now()})
      .ignore();
  tell(order, step, NoticeKind::placed, "is placed, " + money(order.created->total_minor));
}
void cancel(PlaceOrderT& order, Step& step) {
  if (order.reason.empty()) order.reason = "payment stayed away";
  tell(order, step, NoticeKind::cancelled, "is cancelled: " + order.reason);
  OrderCancelledT event;
  event.reason = order.reason;
  record(order, step, std::move(event));
}

// --- Pay ------------------------------------------------------------------------------------------------------------

Table<Charge> charge_of(const PlaceOrderT& order, const Step& step) {
  return make<Charge>(order.created->order, order.created->total_minor, step.ticket());
}
/// Asked first: on a good day the customer sees the outcome at once. The desk has a policy, with a circuit breaker.
void pay(PlaceOrderT& order, Step& step) { step.ask("payment-desk", charge_of(order, step), 3s); }

void charged(PlaceOrderT& order, const Charged& result, Step& step) {
  if (result.ok()) {
    tell(order, step, NoticeKind::paid, "is paid");
    OrderPaidT event;
    event.minor = order.created->total_minor;
    record(order, step, std::move(event));
    return step.done();
  }
  if (!result.pending()) {
    order.reason = "the card was refused";
    return step.fail(order.reason);
  }
  // Payment is away: the same command goes by lane, where it waits on disk, and takes effect once.
  const std::string why{text_of(result.reason())};
  tell(order, step, NoticeKind::pending, "waits for payment (" + why + ")");
  PaymentPendingT event;
  event.reason = why;
  record(order, step, std::move(event));
  step.enqueue(kCharges, order.created->order, charge_of(order, step));
  step.wait();
}
/// Behind the charge, in the same lane, whether that has been made or not.
void refund(PlaceOrderT& order, Step& step) {
  step.enqueue(kCharges, order.created->order,
               make<Refund>(order.created->order, order.created->total_minor, "the order is cancelled"));
}

// --- Cook -----------------------------------------------------------------------------------------------------------

void cook(PlaceOrderT& order, Step& step) {
  step.enqueue(kKitchen, order.created->order, make<Cook>(order.created->order, step.ticket()));
}
void cooked(PlaceOrderT& order, const Cooked& result, Step& step) {
  if (!result.ok()) {
    order.reason = "the kitchen is closed";
    return step.fail(order.reason);
  }
  tell(order, step, NoticeKind::cooked, "is cooked");
  record(order, step, OrderCookedT{});
  step.done();
}
void stop_cooking(PlaceOrderT& order, Step& step) {
  step.enqueue(kKitchen, order.created->order, make<StopCooking>(order.created->order));
}

// --- Deliver --------------------------------------------------------------------------------------------------------

void put_down(PlaceOrderT& order, Step& step) {
  step.enqueue(order.courier + "/jobs", order.created->order, make<PutDown>(order.created->order));
}
/// Each attempt is another courier's.
void deliver(PlaceOrderT& order, Step& step) {
  if (!order.courier.empty()) {
    tell(order, step, NoticeKind::lost, order.courier + " is lost: the order goes to another courier");
    CourierLostT event;
    event.courier = order.courier;
    record(order, step, std::move(event));
    put_down(order, step);
  }
  order.courier = "courier-" + std::to_string(++order.couriers);
  tell(order, step, NoticeKind::assigned, order.courier + " has it");
  CourierAssignedT event;
  event.courier = order.courier;
  record(order, step, std::move(event));
  step.enqueue(order.courier + "/jobs", order.created->order, make<Carry>(order.created->order, step.ticket()));
}
void carried(PlaceOrderT& order, const Carried& result, Step& step) {
  if (text_of(result.courier()) != order.courier) return step.wait();  // one who was given up on
  tell(order, step, NoticeKind::delivered, "is delivered by " + order.courier);
  OrderHandedOverT event;
  event.courier = order.courier;
  record(order, step, std::move(event));
  step.done();
}
AnyTable is_yours(const PlaceOrderT& order, const JobQuestion& question) {
  return make<JobAnswer>(text_of(question.courier()) == order.courier);
}

// --- Settle ---------------------------------------------------------------------------------------------------------

void settle(PlaceOrderT& order, Step& step) {
  if (ms_of(step.wall_now()) > order.created->estimated_delivery_ms) {
    step.enqueue(kCharges, order.created->order, make<Refund>(order.created->order, kLateMinor, "it came late"));
    tell(order, step, NoticeKind::refunded, "came late: " + money(kLateMinor) + " are paid back");
    OrderRefundedT event;
    event.minor = kLateMinor;
    event.reason = "it came late";
    record(order, step, std::move(event));
  }
  tell(order, step, NoticeKind::completed, "is completed");
}

}  // namespace

EventTypes order_events() {
  EventTypes types;
  types.add<OrderCreated>()
      .add<PaymentPending>()
      .add<OrderPaid>()
      .add<OrderCooked>()
      .add<CourierAssigned>()
      .add<CourierLost>()
      .add<OrderHandedOver>()
      .add<OrderRefunded>()
      .add<OrderCancelled>();
  return types;
}

std::shared_ptr<const SagaTable> place_order() {
  return saga<PlaceOrder>("place-order", 1)
      .step("create", &create, &cancel)
      .step("pay", &pay, &refund)
      .on<Charged>(&charged)
      .with({.deadline = kPaymentPatience, .attempts = 1})
      .step("cook", &cook, &stop_cooking)
      .on<Cooked>(&cooked)
      .step("deliver", &deliver, &put_down)
      .on<Carried>(&carried)
      .with({.deadline = kCourierPatience, .attempts = 2, .backoff = 10ms})
      .step("settle", &settle)
      .query<JobQuestion>(&is_yours);
}

Table<PlaceOrder> sample_order(std::uint32_t number, WallTime now, Duration promised_in) {
  PlaceOrderT order;
  order.created = std::make_unique<OrderCreatedT>();
  OrderCreatedT& created = *order.created;
  created.order = "order-" + std::to_string(number);
  created.id = created.order + ".OrderCreated";
  created.source = "customer";
  created.timestamp_ms = ms_of(now);
  created.correlation_id = "evening-" + created.order;
  created.customer = "customer-7";
  created.restaurant = "noodle-bar";
  auto item = std::make_unique<ItemT>();
  item->name = "noodle soup";
  item->quantity = 2;
  item->price_minor = 925;
  item->instructions = "no coriander";
  created.items.push_back(std::move(item));
  created.total_minor = 1850;
  created.currency = "EUR";
  created.address = "12 Elm Street";
  created.estimated_delivery_ms = ms_of(now + promised_in);
  return pack(order);
}

}  // namespace pannier::delivery
