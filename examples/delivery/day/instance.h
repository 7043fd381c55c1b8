#pragma once

#include <string>
#include <string_view>

#include <pannier/result.h>
#include "examples/delivery/day/day.h"

namespace pannier::delivery {

/// The four files of a recorded day, as text, with their names for errors.
struct InstanceText {
  std::string orders_name = "orders.txt";
  std::string_view orders;
  std::string restaurants_name = "restaurants.txt";
  std::string_view restaurants;
  std::string couriers_name = "couriers.txt";
  std::string_view couriers;
  std::string parameters_name = "instance_parameters.txt";
  std::string_view parameters;
};

/// Parses a recorded day: tab-separated, one header line per file. A wrong line is invalid_argument, "FILE:LINE: what
/// is wrong, what is expected". Nothing is skipped or guessed.
[[nodiscard]] Result<Day> parse_instance(const InstanceText& text);

/// Reads a recorded day from `directory`: orders.txt, restaurants.txt, couriers.txt, instance_parameters.txt. Errors:
/// not_found for a missing file, permission or storage_io for an unreadable one, otherwise as parse_instance.
[[nodiscard]] Result<Day> read_instance(const std::string& directory);

}  // namespace pannier::delivery
