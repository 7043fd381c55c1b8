#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include <pannier/pannier.h>
#include "examples/delivery/schema/orders.fbs.h"

namespace pannier::delivery {

// The schema's types, in this namespace.
using ::delivery::CourierJob;
using ::delivery::CourierJobT;
using ::delivery::DriverPosition;
using ::delivery::DriverPositionT;
using ::delivery::Item;
using ::delivery::ItemT;
using ::delivery::OfferAnswer;
using ::delivery::OrderAccepted;
using ::delivery::OrderAcceptedT;
using ::delivery::OrderAssigned;
using ::delivery::OrderAssignedT;
using ::delivery::OrderCreated;
using ::delivery::OrderCreatedT;
using ::delivery::OrderDelivered;
using ::delivery::OrderDeliveredT;
using ::delivery::OrderOffer;
using ::delivery::OrderOfferT;
using ::delivery::OrderPickedUp;
using ::delivery::OrderPickedUpT;
using ::delivery::OrderReady;
using ::delivery::OrderReadyT;
using ::delivery::OrderState;
using ::delivery::OrderStateT;
using ::delivery::OrderStep;
using ::delivery::PositionRequest;

/// An event with its header filled in. Its id is the same on every attempt: an order has one event of each type.
template <class Object>
[[nodiscard]] Object event_of(std::string_view order, std::string_view correlation, std::string_view source,
                              std::int64_t now_ms) {
  Object event;
  event.id = std::string{order} + "." + Object::TableType::Traits::name;
  event.source = source;
  event.timestamp_ms = now_ms;
  event.correlation_id = correlation;
  event.order = order;
  return event;
}

/// A value of the application's state as a table. malformed if it does not verify.
template <class T>
[[nodiscard]] Result<Table<T>> table_of(const StateRow& row) {
  return AnyTable{type_info<T>().id, &type_info<T>(), row.value}.as<T>();
}

/// The delay after `tries` failed attempts, with full jitter (AWS Architecture Blog, 2015): the bound doubles each
/// time.
[[nodiscard]] inline Duration backoff(std::uint32_t tries, std::uint64_t random) noexcept {
  constexpr Duration kBase = std::chrono::milliseconds{100};
  constexpr Duration kCap = std::chrono::seconds{3};
  const Duration ceiling = std::min(kCap, kBase * (std::int64_t{1} << std::min(tries, 6U)));
  return Duration{static_cast<Duration::rep>(random % static_cast<std::uint64_t>(ceiling.count()))};
}

}  // namespace pannier::delivery
