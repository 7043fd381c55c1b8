// A restaurant's tablet: takes orders and reports when they are started and ready. Several restaurants may share a
// process; each is an actor with its own lane.
//
//   tablet --config tablet1.toml

#include "examples/delivery/events.h"
#include "examples/delivery/node_setup.h"
#include "examples/delivery/witness.h"

namespace pannier::delivery {
namespace {

using namespace std::chrono_literals;

class Kitchen : public Actor<Kitchen, OrderOffer, OrderCreated> {
 public:
  Kitchen(std::string id, const Setup* setup)
      : id_(std::move(id)), setup_(*setup), witness_(setup->ledger.get(), id_ + "/applied/") {}

  // First the orders that were cooking when the last life ended, which are on disk; then new ones and those
  // redelivered.
  void on_start() {
    read_state(id_ + "/").then([this](Result<std::vector<StateRow>> rows) {
      if (!rows) return fail(rows.error().text());
      for (const StateRow& row : *rows) {
        if (witness_.restore(row)) continue;
        if (const auto order = table_of<OrderCreated>(row)) cook(*order);
      }
      require(consume<OrderCreated>(id_));
    });
  }

  // Asked: can you cook it? The answer is not stored.
  Table<OfferAnswer> on(const OrderOffer& offer) {
    const bool room = cooking_ < kStoves;
    return make<OfferAnswer>(offer.order()->string_view(), id_, room, room ? "" : "the kitchen is full");
  }

  // Durable: cook it. Storing the order, reporting to the hub and acknowledging this message are one transaction.
  void on(const OrderCreated& created, Delivery delivery) {
    OrderCreatedT order;
    created.UnPackTo(&order);
    auto accepted = event_of<OrderAcceptedT>(order.order, order.correlation_id, setup_.name, now_ms());
    accepted.restaurant = id_;
    accepted.estimated_ready_ms = ready_ms(created);
    const auto event = pack(accepted);
    const auto kept = pack(order);
    Batch batch;
    batch.put_state(state_key(order.order), kept).enqueue(kHubOrders, order.order, event);
    witness_.applied(batch, created);
    commit(delivery, std::move(batch)).then([this, kept, event](Result<Receipt> receipt) {
      if (!receipt) return fail(receipt.error().text());  // restarted from what is on disk
      witness_.accepted(event, 1);
      cook(kept);
    });
  }

 private:
  static constexpr std::size_t kStoves = 50;

  void cook(const Table<OrderCreated>& order) {
    ++cooking_;
    after(setup_.clock.until(ready_ms(*order), wall_now()), [this, order] { ready(order); });
  }

  void ready(const Table<OrderCreated>& order) {
    const std::string id = order->order()->str();
    auto ready = event_of<OrderReadyT>(id, order->correlation_id()->string_view(), setup_.name, now_ms());
    ready.restaurant = id_;
    const auto event = pack(ready);
    Batch batch;
    batch.erase_state(state_key(id)).enqueue(kHubOrders, id, event);
    commit(std::move(batch)).then([this, id, event](Result<Receipt> receipt) {
      if (!receipt) return fail(receipt.error().text());
      --cooking_;
      witness_.accepted(event, 2);
      after(kLookForDriver, [this, id] { look_for_driver(id); });
    });
  }

  // Optional information: asked once, and a missing answer does not matter.
  void look_for_driver(const std::string& order) {
    ask<DriverPosition>(ref("hub/fleet"), make<PositionRequest>("", order), 1s)
        .then([this, order](Result<Table<DriverPosition>> found) {
          if (found) log(LogLevel::debug, order + " is with " + (*found)->driver()->str());
        });
  }

  static std::int64_t ready_ms(const OrderCreated& order) { return order.timestamp_ms() + order.ready_in_ms(); }
  std::int64_t now_ms() const { return setup_.clock.now_ms(wall_now()); }
  std::string state_key(const std::string& order) const { return id_ + "/kitchen/" + order; }

  static constexpr Duration kLookForDriver = 2s;

  const std::string id_;
  const Setup& setup_;
  Witness witness_;
  std::size_t cooking_ = 0;
};

}  // namespace
}  // namespace pannier::delivery

int main(int argc, char** argv) {
  using namespace pannier::delivery;
  return run_program("tablet", argc, argv, [](Setup& setup, pannier::Node& node) -> pannier::Result<void> {
    for (const std::string& restaurant : setup.serves) {
      if (auto made = node.spawn<Kitchen>({.name = restaurant}, restaurant, &setup); !made) return made.error();
    }
    return {};
  });
}
