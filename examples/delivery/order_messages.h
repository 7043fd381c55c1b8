#pragma once

#include <memory>
#include <string>
#include <utility>

#include "examples/delivery/day/generator.h"
#include "examples/delivery/events.h"
#include "examples/delivery/node_setup.h"

/// Builds the hub's messages. Instants and durations are in the day's time (day_clock.h).
namespace pannier::delivery {

/// The record of a newly placed order.
[[nodiscard]] inline OrderStateT placed_order(const Order& order, std::uint64_t seed) {
  OrderStateT state;
  state.order = order.id;
  state.restaurant = order.restaurant;
  state.correlation_id = "day-" + order.id;
  state.dropoff_x_m = order.dropoff.x_m;
  state.dropoff_y_m = order.dropoff.y_m;
  state.address = describe_order(order, seed).address;
  return state;
}

/// "Can you take it?", to a restaurant or a driver.
[[nodiscard]] inline Table<::delivery::OrderOffer> offer_to(const std::string& who, const OrderStateT& order) {
  OrderOfferT offer;
  offer.order = order.order;
  offer.to = who;
  offer.correlation_id = order.correlation_id;
  offer.dropoff_x_m = order.dropoff_x_m;
  offer.dropoff_y_m = order.dropoff_y_m;
  return pack(offer);
}

/// The whole order, for the kitchen.
[[nodiscard]] inline Table<OrderCreated> created_event(const Order& order, const OrderStateT& state, const Setup& setup,
                                                       std::int64_t now_ms) {
  auto created = event_of<OrderCreatedT>(order.id, state.correlation_id, setup.name, now_ms);
  OrderDetails details = describe_order(order, setup.seed);
  created.customer = std::move(details.customer);
  created.restaurant = order.restaurant;
  for (OrderLine& line : details.lines) {
    auto item = std::make_unique<ItemT>();
    item->name = std::move(line.name);
    item->quantity = line.quantity;
    item->price_minor = line.price_minor;
    item->instructions = std::move(line.instructions);
    created.items.push_back(std::move(item));
  }
  created.total_minor = details.total_minor;
  created.currency = std::move(details.currency);
  created.address = state.address;
  created.x_m = order.dropoff.x_m;
  created.y_m = order.dropoff.y_m;
  created.ready_in_ms = (order.ready_min - order.placed_min) * DayClock::kMinuteMs;
  created.estimated_delivery_ms = now_ms + setup.day.parameters.click_to_door_target_min * DayClock::kMinuteMs;
  return pack(created);
}

/// The job, for the driver who accepted.
[[nodiscard]] inline Table<OrderAssigned> assigned_event(const OrderStateT& state, Place kitchen,
                                                         const std::string& source, std::int64_t now_ms) {
  auto assigned = event_of<OrderAssignedT>(state.order, state.correlation_id, source, now_ms);
  assigned.driver = state.driver;
  assigned.restaurant = state.restaurant;
  assigned.pickup_x_m = kitchen.x_m;
  assigned.pickup_y_m = kitchen.y_m;
  assigned.dropoff_x_m = state.dropoff_x_m;
  assigned.dropoff_y_m = state.dropoff_y_m;
  assigned.address = state.address;
  return pack(assigned);
}

}  // namespace pannier::delivery
