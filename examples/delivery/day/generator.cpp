#include "examples/delivery/day/generator.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <tuple>
#include <utility>

#include <pannier/message.h>
#include "examples/delivery/day/random.h"

namespace pannier::delivery {
namespace {

// Orders per hour, per thousand: shaped like the recorded days, with the lunch peak in the fourth hour and the dinner
// peak in the tenth.
constexpr std::array<std::int64_t, 14> kOrdersInHour{20, 42, 56, 78, 60, 40, 32, 62, 130, 190, 150, 85, 45, 10};

// In tenths of the orders, from the smallest to the largest value.
constexpr std::array<std::int64_t, 11> kPreparationMin{1, 6, 9, 10, 12, 15, 17, 20, 24, 30, 55};
constexpr std::array<std::int64_t, 11> kDropoffMetres{50,    640,   1'020, 1'430, 1'810, 2'160,
                                                      2'550, 2'910, 3'230, 3'870, 5'850};

constexpr std::int64_t kCityMetres = 12'500;
constexpr std::int64_t kMinutesInHour = 60;
constexpr std::int64_t kDayMinutes = kMinutesInHour * static_cast<std::int64_t>(kOrdersInHour.size());

struct Shift {
  std::int64_t minutes;
  std::int64_t weight;
};
constexpr std::array<Shift, 4> kShifts{{{90, 4}, {120, 26}, {150, 5}, {180, 65}}};

// Districts with many restaurants. Spread is half the width of the district.
struct District {
  std::int64_t x;
  std::int64_t y;
  std::int64_t spread;
  std::int64_t weight;
};
constexpr std::array<District, 3> kDistricts{
    {{8'900, 6'300, 2'200, 60}, {5'200, 8'400, 2'000, 25}, {10'600, 4'200, 1'500, 15}}};

constexpr std::int64_t square_root(std::int64_t value) noexcept {
  std::int64_t root = 0;
  for (std::int64_t bit = std::int64_t{1} << 30; bit > 0; bit >>= 1) {
    if ((root + bit) * (root + bit) <= value) root += bit;
  }
  return root;
}

template <class Table>
std::size_t choose(Random& random, const Table& table) {
  std::array<std::int64_t, std::tuple_size_v<Table>> weights{};
  for (std::size_t i = 0; i < table.size(); ++i) weights[i] = table[i].weight;
  return random.weighted(weights);
}

Place in_city(std::int64_t x, std::int64_t y) {
  return {static_cast<std::int32_t>(std::clamp<std::int64_t>(x, 0, kCityMetres)),
          static_cast<std::int32_t>(std::clamp<std::int64_t>(y, 0, kCityMetres))};
}

// The sum of three uniform values is close enough to a bell curve.
std::int64_t bell(Random& random, std::int64_t spread) {
  std::int64_t sum = 0;
  for (int i = 0; i < 3; ++i) sum += random.between(-spread, spread);
  return sum / 2;
}

// A place `metres` away in a random direction: a random point of a disc, moved out to the circle.
Place at_distance(Random& random, Place from, std::int64_t metres) {
  constexpr std::int64_t kRadius = 1'000;
  for (;;) {
    const std::int64_t x = random.between(-kRadius, kRadius);
    const std::int64_t y = random.between(-kRadius, kRadius);
    const std::int64_t length = square_root(x * x + y * y);
    if (length < 100 || length > kRadius) continue;
    return {static_cast<std::int32_t>(from.x_m + x * metres / length),
            static_cast<std::int32_t>(from.y_m + y * metres / length)};
  }
}

std::int32_t placing_minute(Random& random) {
  const auto hour = static_cast<std::int64_t>(random.weighted(kOrdersInHour));
  return static_cast<std::int32_t>(hour * kMinutesInHour + random.below(kMinutesInHour));
}

std::vector<Restaurant> make_restaurants(Random random, std::int64_t count) {
  std::vector<Restaurant> restaurants;
  for (std::int64_t i = 1; i <= count; ++i) {
    const District& district = kDistricts[choose(random, kDistricts)];
    const std::int64_t x = district.x + bell(random, district.spread);
    const std::int64_t y = district.y + bell(random, district.spread);
    restaurants.push_back({"r" + std::to_string(i), in_city(x, y)});
  }
  return restaurants;
}

std::vector<Courier> make_couriers(Random random, std::int64_t count) {
  std::vector<Courier> couriers;
  for (std::int64_t i = 1; i <= count; ++i) {
    const std::int64_t minutes = kShifts[choose(random, kShifts)].minutes;
    // A shift lies around a minute with an order and begins on the half hour. Two couriers open the day and two close
    // it, so that no order is left without one.
    std::int64_t on = placing_minute(random);
    on -= random.below(minutes);
    if (i <= 2) on = 0;
    if (i == 3 || i == 4) on = kDayMinutes - minutes + kMinutesInHour;
    on = std::max<std::int64_t>(0, on / 30 * 30);
    const std::int64_t x = random.between(0, kCityMetres);
    const std::int64_t y = random.between(0, kCityMetres);
    couriers.push_back({"c" + std::to_string(i), in_city(x, y), static_cast<std::int32_t>(on),
                        static_cast<std::int32_t>(on + minutes)});
  }
  std::stable_sort(couriers.begin(), couriers.end(),
                   [](const Courier& a, const Courier& b) { return a.on_min < b.on_min; });
  return couriers;
}

std::vector<Order> make_orders(Random random, std::int64_t count, const std::vector<Restaurant>& restaurants) {
  std::vector<std::int64_t> popularity;  // about one over the rank: the first gets a tenth of a small day's orders
  for (std::size_t rank = 0; rank < restaurants.size(); ++rank) {
    popularity.push_back(100'000 / (static_cast<std::int64_t>(rank) + 3));
  }
  std::vector<Order> orders;
  for (std::int64_t i = 0; i < count; ++i) {
    const Restaurant& restaurant = restaurants[random.weighted(popularity)];
    const std::int64_t metres = random.from_quantiles(kDropoffMetres);
    const Place dropoff = at_distance(random, restaurant.place, metres);
    const std::int32_t placed = placing_minute(random);
    const auto preparation = static_cast<std::int32_t>(random.from_quantiles(kPreparationMin));
    orders.push_back({"", dropoff, placed, restaurant.id, placed + preparation});
  }
  std::stable_sort(orders.begin(), orders.end(),
                   [](const Order& a, const Order& b) { return a.placed_min < b.placed_min; });
  for (std::size_t i = 0; i < orders.size(); ++i) orders[i].id = "o" + std::to_string(i + 1);
  return orders;
}

struct Dish {
  std::string_view name;
  std::int64_t price_minor;
};
constexpr std::array<Dish, 12> kDishes{{{"Margherita", 1'150},
                                        {"Pad thai", 1'290},
                                        {"Cheeseburger", 995},
                                        {"Fries", 395},
                                        {"Chicken tikka", 1'390},
                                        {"Ramen", 1'450},
                                        {"Falafel wrap", 875},
                                        {"Caesar salad", 1'045},
                                        {"Miso soup", 425},
                                        {"Tiramisu", 590},
                                        {"Lemonade", 320},
                                        {"Sparkling water", 250}}};
constexpr std::array<std::string_view, 6> kInstructions{"no onions", "extra hot",         "sauce on the side",
                                                        "no nuts",   "cut in six pieces", "no cutlery"};
constexpr std::array<std::string_view, 8> kStreets{"Mill Lane",   "Station Road", "High Street", "Elm Street",
                                                   "Harbour Way", "Church Hill",  "Park Avenue", "Orchard Close"};

}  // namespace

Day generate_day(const GeneratorOptions& options) {
  const std::int64_t orders = std::clamp<std::int64_t>(options.orders, 1, 100'000);
  Day day;
  day.restaurants = make_restaurants(Random::for_part(options.seed, 1), 1 + square_root(orders * 26));
  day.couriers = make_couriers(Random::for_part(options.seed, 2), 50 + orders / 8);
  day.orders = make_orders(Random::for_part(options.seed, 3), orders, day.restaurants);
  return day;
}

OrderDetails describe_order(const Order& order, std::uint64_t seed) {
  Random random = Random::for_part(seed, static_cast<std::uint64_t>(type_id_of(order.id)));
  OrderDetails details;
  details.customer = "customer-" + std::to_string(random.between(1, 5'000));
  details.currency = "USD";
  const std::int64_t lines = random.between(1, 4);
  for (std::int64_t i = 0; i < lines; ++i) {
    const Dish& dish = kDishes[static_cast<std::size_t>(random.below(kDishes.size()))];
    OrderLine line{std::string(dish.name), static_cast<std::uint16_t>(random.between(1, 3)), dish.price_minor, ""};
    if (random.below(4) == 0) {
      line.instructions = kInstructions[static_cast<std::size_t>(random.below(kInstructions.size()))];
    }
    details.total_minor += line.price_minor * line.quantity;
    details.lines.push_back(std::move(line));
  }
  // One statement each: the compiler chooses the evaluation order of operands.
  details.address = std::to_string(random.between(1, 199)) + " ";
  details.address += kStreets[static_cast<std::size_t>(random.below(kStreets.size()))];
  return details;
}

}  // namespace pannier::delivery
