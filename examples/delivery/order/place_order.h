#pragma once

#include <chrono>
#include <memory>

#include <pannier/events.h>
#include <pannier/saga.h>

#include "examples/delivery/schema/place_order.fbs.h"

/// Placing an order: from "is placed" to the door, or back to nothing, over payment, kitchen and couriers. One table
/// says what is done in which order, and how each step is undone.
namespace pannier::delivery {

/// What the order's history is made of, and its data.
[[nodiscard]] EventTypes order_events();
[[nodiscard]] inline std::string stream_of(std::string_view order) { return std::string{order}; }

/// Where the saga's commands go: a lane at the node of each service.
inline constexpr const char* kCharges = "payment/charges";
inline constexpr const char* kKitchen = "tablet/kitchen";
inline constexpr const char* kSagas = "hub/sagas";
inline constexpr const char* kNotices = "customer/notices";

/// How long the saga waits for payment, once its call is in the lane, before it gives the order up.
inline constexpr Duration kPaymentPatience = std::chrono::seconds{5};
/// How long a courier may be silent before another one gets the order.
inline constexpr Duration kCourierPatience = std::chrono::seconds{3};
/// Of the order's price, paid back where it comes late.
inline constexpr std::int64_t kLateMinor = 200;

[[nodiscard]] std::shared_ptr<const SagaTable> place_order();

/// The order that scenarios place: `order-NUMBER`, promised within that time.
[[nodiscard]] Table<::delivery::order::PlaceOrder> sample_order(std::uint32_t number, WallTime now,
                                                                Duration promised_in);

}  // namespace pannier::delivery
