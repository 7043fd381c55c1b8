#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "examples/delivery/day/day.h"

namespace pannier::delivery {

struct GeneratorOptions {
  std::uint64_t seed = 1;
  std::uint32_t orders = 505;  ///< Clamped to 1 to 100,000.
};

/// Generates a day with the characteristics of the recorded ones: a lunch and a larger dinner peak in about 14 hours, a
/// few restaurants with many orders and many with few, preparation of 1 to 55 minutes (median 15), drop-offs 50 m to
/// 5.8 km from the kitchen (median 2.2 km), couriers with shifts of 2 to 3 hours that begin ahead of the demand. The
/// same options give the same day on every machine.
[[nodiscard]] Day generate_day(const GeneratorOptions& options);

/// One line of an order's bill.
struct OrderLine {
  std::string name;
  std::uint16_t quantity = 1;
  std::int64_t price_minor = 0;  ///< Of one item, in minor units.
  std::string instructions;      ///< Often empty.
};

/// What the recorded days leave out of an order.
struct OrderDetails {
  std::string customer;
  std::vector<OrderLine> lines;
  std::int64_t total_minor = 0;  ///< The sum over the lines.
  std::string currency;          ///< ISO 4217.
  std::string address;
};

/// Generates the details of an order, recorded or not. The same order and seed give the same details.
[[nodiscard]] OrderDetails describe_order(const Order& order, std::uint64_t seed);

}  // namespace pannier::delivery
