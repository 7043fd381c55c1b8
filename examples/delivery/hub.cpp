// The hub: places orders, offers them to their restaurants, assigns drivers, and follows them to the door.
//
//   hub --config hub.toml

#include "examples/delivery/events.h"
#include "examples/delivery/node_setup.h"
#include "examples/delivery/order_messages.h"
#include "examples/delivery/roster.h"
#include "examples/delivery/witness.h"

namespace pannier::delivery {
namespace {

using namespace std::chrono_literals;

/// Knows every driver's last position and answers questions about it.
class Fleet : public Actor<Fleet, DriverPosition, PositionRequest> {
 public:
  void on_start() { require(subscribe<DriverPosition>("fleet/+/position")); }

  void on(const Table<DriverPosition>& position) { last_.insert_or_assign(position->driver()->str(), position); }

  Result<Table<DriverPosition>> on(const PositionRequest& wanted) {
    for (const auto& [driver, position] : last_) {
      const bool is_driver = wanted.driver() != nullptr && wanted.driver()->string_view() == driver;
      const bool carries = wanted.order() != nullptr && position->order() != nullptr &&
                           wanted.order()->string_view() == position->order()->string_view();
      if (is_driver || carries) return position;
    }
    return ErrorCode::not_found;
  }

 private:
  std::map<std::string, Table<DriverPosition>> last_;
};

/// Takes every order from its placing to the door. The state of an order is on disk, changed in one transaction with
/// the messages that the change causes: after kill -9 it continues from there.
class Dispatcher : public Actor<Dispatcher, OrderAccepted, OrderReady, OrderPickedUp, OrderDelivered, DriverPosition> {
 public:
  explicit Dispatcher(const Setup* setup)
      : setup_(*setup), witness_(setup->ledger.get(), "hub/applied/"), roster_(setup->day) {
    for (const Restaurant& restaurant : setup_.day.restaurants) kitchens_[restaurant.id] = restaurant.place;
    for (const Order& order : setup_.day.orders) placing_[order.id] = &order;
  }

  void on_start() {
    read_state("").then([this](Result<std::vector<StateRow>> rows) {
      if (!rows) return fail(rows.error().text());
      for (const StateRow& row : *rows) {
        if (witness_.restore(row)) continue;
        if (const auto order = table_of<OrderState>(row)) (*order)->UnPackTo(&orders_[(*order)->order()->str()]);
      }
      for (const auto& [id, order] : orders_) go_on(id);
      place_due();
      require(subscribe<DriverPosition>("fleet/+/position"));
      require(consume<OrderAccepted, OrderReady, OrderPickedUp, OrderDelivered>("orders"));
      every(250ms, &Dispatcher::tell_progress);
    });
  }

  void on(const OrderAccepted& event, Delivery delivery) { advance(event, OrderStep::accepted, delivery); }
  void on(const OrderReady& event, Delivery delivery) { advance(event, OrderStep::ready, delivery); }
  void on(const OrderPickedUp& event, Delivery delivery) { advance(event, OrderStep::picked_up, delivery); }
  void on(const OrderDelivered& event, Delivery delivery) { advance(event, OrderStep::delivered, delivery); }
  void on(const DriverPosition& at) { roster_.is_at(at.driver()->str(), {at.x_m(), at.y_m()}); }

 private:
  static constexpr Duration kOfferDeadline = 2s;
  static constexpr Duration kOutOfReach = 1s;

  // --- Placing -----------------------------------------------------------------------------------------------------

  void place_due() {
    for (; next_ < setup_.day.orders.size(); ++next_) {
      const Order& order = setup_.day.orders[next_];
      if (orders_.contains(order.id)) continue;  // by an earlier life
      const Duration wait = setup_.clock.until(setup_.clock.minute_ms(order.placed_min), wall_now());
      if (wait > Duration::zero()) {
        after(wait, &Dispatcher::place_due);
        return;
      }
      place(order);
    }
  }

  void place(const Order& order) {
    OrderStateT& state = orders_[order.id] = placed_order(order, setup_.seed);
    Batch batch;
    save(batch, state, OrderStep::placed);
    commit(std::move(batch)).then([this, id = order.id](Result<Receipt> receipt) {
      if (!receipt) return fail(receipt.error().text());  // restarted from what is on disk
      go_on(id);
    });
  }

  // --- From step to step -------------------------------------------------------------------------------------------

  /// What the hub does for an order in its current step: at once, and again after a restart.
  void go_on(const std::string& id) {
    const OrderStateT& order = orders_.at(id);
    switch (order.step) {
      case OrderStep::placed: return offer_to_restaurant(id);
      case OrderStep::ready: return find_driver(id);
      case OrderStep::assigned:
      case OrderStep::picked_up: return roster_.set_busy(order.driver, true);
      case OrderStep::created:
      case OrderStep::accepted: return;  // the kitchen's turn
      case OrderStep::delivered: ++delivered_; return roster_.set_busy(order.driver, false);
    }
  }

  /// A device's event: the order's new step and the acknowledgement are one transaction.
  template <class Event>
  void advance(const Event& event, OrderStep to, const Delivery& delivery) {
    const auto found = orders_.find(event.order()->str());
    if (found == orders_.end()) return delivery.dead_letter("no such order was placed");
    Batch batch;
    witness_.applied(batch, event);
    save(batch, found->second, to);
    commit(delivery, std::move(batch)).then([this, id = found->first](Result<Receipt> receipt) {
      if (!receipt) return fail(receipt.error().text());
      go_on(id);
    });
  }

  void save(Batch& batch, OrderStateT& order, OrderStep step) {
    order.step = step;
    order.updated_ms = now_ms();
    batch.put_state("order/" + order.order, pack(order));
  }

  // --- The kitchen -------------------------------------------------------------------------------------------------

  /// Asked with a deadline; an unreachable tablet is asked again with backoff.
  void offer_to_restaurant(const std::string& id, std::uint32_t tries = 0) {
    const OrderStateT& order = orders_.at(id);
    ask<OfferAnswer>(ref(address(order.restaurant)), offer_to(order.restaurant, order), kOfferDeadline)
        .then([this, id, tries](Result<Table<OfferAnswer>> answer) {
          if (answer && (*answer)->accepted()) return send_to_kitchen(id);
          after(backoff(tries, random()), [this, id, tries] { offer_to_restaurant(id, tries + 1); });
        });
  }

  void send_to_kitchen(const std::string& id) {
    OrderStateT& order = orders_.at(id);
    const auto event = created_event(*placing_.at(id), order, setup_, now_ms());
    Batch batch;
    batch.enqueue(address(order.restaurant), id, event);
    save(batch, order, OrderStep::created);
    commit(std::move(batch)).then([this, event](Result<Receipt> receipt) {
      if (!receipt) return fail(receipt.error().text());
      witness_.accepted(event, 1);
    });
  }

  // --- The driver --------------------------------------------------------------------------------------------------

  /// The nearest free driver, repeated until one accepts.
  void find_driver(const std::string& id, std::uint32_t tries = 0) {
    const auto again = [this, id, tries] {
      after(backoff(tries, random()), [this, id, tries] { find_driver(id, tries + 1); });
    };
    const OrderStateT& order = orders_.at(id);
    const std::string driver =
        roster_.nearest_free(kitchens_.at(order.restaurant), setup_.clock.minute(wall_now()), now());
    if (driver.empty()) {
      again();
      return;
    }
    roster_.set_busy(driver, true);
    ask<OfferAnswer>(ref(address(driver)), offer_to(driver, order), kOfferDeadline)
        .then([this, id, driver, again](Result<Table<OfferAnswer>> answer) {
          if (answer && (*answer)->accepted()) return assign(id, driver);
          roster_.pass_over(driver, now() + kOutOfReach);
          again();
        });
  }

  void assign(const std::string& id, const std::string& driver) {
    OrderStateT& order = orders_.at(id);
    order.driver = driver;
    const auto event = assigned_event(order, kitchens_.at(order.restaurant), setup_.name, now_ms());
    Batch batch;
    batch.enqueue(address(driver), id, event);
    save(batch, order, OrderStep::assigned);
    commit(std::move(batch)).then([this, event](Result<Receipt> receipt) {
      if (!receipt) return fail(receipt.error().text());
      witness_.accepted(event, 1);
    });
  }

  // --- Helpers -----------------------------------------------------------------------------------------------------

  /// The name of a restaurant's or driver's actor, and of its lane.
  std::string address(const std::string& id) const { return setup_.served_by.at(id) + "/" + id; }
  std::int64_t now_ms() const { return setup_.clock.now_ms(wall_now()); }
  void tell_progress() {
    witness_.gauge("placed", orders_.size());
    witness_.gauge("delivered", delivered_);
  }

  const Setup& setup_;
  Witness witness_;
  Roster roster_;
  std::map<std::string, Place> kitchens_;
  std::map<std::string, const Order*> placing_;  // the day's orders by id
  std::map<std::string, OrderStateT> orders_;
  std::size_t next_ = 0;  // index into the day's orders
  std::uint64_t delivered_ = 0;
};

}  // namespace
}  // namespace pannier::delivery

int main(int argc, char** argv) {
  using namespace pannier::delivery;
  return run_program("hub", argc, argv, [](Setup& setup, pannier::Node& node) -> pannier::Result<void> {
    if (auto fleet = node.spawn<Fleet>({.name = "fleet"}); !fleet) return fleet.error();
    if (auto dispatcher = node.spawn<Dispatcher>({.name = "dispatcher"}, &setup); !dispatcher) {
      return dispatcher.error();
    }
    return {};
  });
}
