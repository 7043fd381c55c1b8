#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pannier::delivery {

/// A place, in metres from the city's corner.
struct Place {
  std::int32_t x_m = 0;
  std::int32_t y_m = 0;
  friend bool operator==(const Place&, const Place&) = default;
};

struct Order {
  std::string id;
  Place dropoff;
  std::int32_t placed_min = 0;  ///< Minutes from the start of the day.
  std::string restaurant;
  std::int32_t ready_min = 0;  ///< When the kitchen is done; not before placed_min.
  friend bool operator==(const Order&, const Order&) = default;
};

struct Restaurant {
  std::string id;
  Place place;
  friend bool operator==(const Restaurant&, const Restaurant&) = default;
};

struct Courier {
  std::string id;
  Place start;
  std::int32_t on_min = 0;   ///< Start of the shift, in minutes from the start of the day.
  std::int32_t off_min = 0;  ///< End of the shift.
  friend bool operator==(const Courier&, const Courier&) = default;
};

struct DayParameters {
  std::int32_t metres_per_minute = 320;  ///< Speed of a courier.
  std::int32_t pickup_service_min = 4;
  std::int32_t dropoff_service_min = 4;
  std::int32_t click_to_door_target_min = 40;
  std::int32_t click_to_door_max_min = 90;
  std::int32_t pay_per_order = 10;
  std::int32_t pay_per_hour = 15;
  friend bool operator==(const DayParameters&, const DayParameters&) = default;
};

/// One day of meal delivery, modelled on the Meal Delivery Routing Problem instances (Reyes et al., 2018; public
/// repository grubhub/mdrplib): recorded (instance.h) or generated (generator.h).
///
/// Always: ids are unique within their kind and contain no white space, every order's restaurant exists, there is at
/// least one of each, and orders are sorted by the time they are placed.
struct Day {
  std::vector<Order> orders;
  std::vector<Restaurant> restaurants;
  std::vector<Courier> couriers;
  DayParameters parameters;

  /// The last minute at which something begins.
  [[nodiscard]] std::int32_t last_minute() const noexcept {
    std::int32_t last = 0;
    for (const Order& order : orders) last = order.ready_min > last ? order.ready_min : last;
    return last;
  }
  friend bool operator==(const Day&, const Day&) = default;
};

}  // namespace pannier::delivery
