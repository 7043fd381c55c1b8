#include "examples/delivery/day/generator.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>

#include <pannier/message.h>

namespace pannier::delivery {
namespace {

// One number for a whole day, to compare it with the same day made on another machine.
std::uint64_t fingerprint(const Day& day) {
  std::string text;
  const auto add = [&text](const std::string& id, std::initializer_list<std::int32_t> numbers) {
    text += id;
    for (const std::int32_t number : numbers) text += "," + std::to_string(number);
    text += ";";
  };
  for (const Order& o : day.orders) add(o.id + o.restaurant, {o.dropoff.x_m, o.dropoff.y_m, o.placed_min, o.ready_min});
  for (const Restaurant& r : day.restaurants) add(r.id, {r.place.x_m, r.place.y_m});
  for (const Courier& c : day.couriers) add(c.id, {c.start.x_m, c.start.y_m, c.on_min, c.off_min});
  return static_cast<std::uint64_t>(type_id_of(text));
}

}  // namespace

TEST_CASE("the same seed makes the same day, on every machine") {
  CHECK(generate_day({7, 505}) == generate_day({7, 505}));
  CHECK(fingerprint(generate_day({7, 505})) == 16'688'823'568'658'975'201ULL);
}

TEST_CASE("another seed makes another day") { CHECK(!(generate_day({7, 505}) == generate_day({8, 505}))); }

TEST_CASE("a generated day keeps what every day promises") {
  for (const std::uint32_t orders : {0U, 1U, 40U, 505U, 3'213U}) {
    CAPTURE(orders);
    const Day day = generate_day({3, orders});
    CHECK(day.orders.size() == std::max(1U, orders));
    std::set<std::string> restaurants;
    for (const Restaurant& restaurant : day.restaurants) restaurants.insert(restaurant.id);
    CHECK(restaurants.size() == day.restaurants.size());
    std::set<std::string> ids;
    std::int32_t last = 0;
    for (const Order& order : day.orders) {
      ids.insert(order.id);
      CHECK(restaurants.contains(order.restaurant));
      CHECK(order.placed_min >= last);
      CHECK(order.ready_min > order.placed_min);
      last = order.placed_min;
    }
    CHECK(ids.size() == day.orders.size());
    for (const Courier& courier : day.couriers) CHECK(courier.on_min < courier.off_min);
  }
}

TEST_CASE("a generated day has the shape of the recorded ones") {
  const Day day = generate_day({1, 3'213});
  std::array<int, 24> in_hour{};
  std::map<std::string, int> at_restaurant;
  std::vector<std::int32_t> preparation;
  for (const Order& order : day.orders) {
    ++in_hour[static_cast<std::size_t>(order.placed_min / 60)];
    ++at_restaurant[order.restaurant];
    preparation.push_back(order.ready_min - order.placed_min);
  }
  CHECK(in_hour[3] > in_hour[0]);  // lunch
  CHECK(in_hour[3] > in_hour[6]);
  CHECK(in_hour[9] > in_hour[6]);  // dinner is the larger peak
  CHECK(in_hour[9] > in_hour[3]);
  CHECK(in_hour[9] > in_hour[13]);
  int busiest = 0;
  for (const auto& [restaurant, count] : at_restaurant) busiest = std::max(busiest, count);
  CHECK(busiest > 10 * static_cast<int>(day.orders.size() / day.restaurants.size()) / 2);

  std::sort(preparation.begin(), preparation.end());
  CHECK(preparation[preparation.size() / 2] >= 13);
  CHECK(preparation[preparation.size() / 2] <= 17);
  CHECK(preparation.back() <= 55);
}

TEST_CASE("at every minute at which somebody may order, a courier is at work") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    const Day day = generate_day({seed, 505});
    for (const Order& order : day.orders) {
      CHECK(std::any_of(day.couriers.begin(), day.couriers.end(), [&order](const Courier& courier) {
        return courier.on_min <= order.placed_min && order.placed_min < courier.off_min;
      }));
    }
  }
}

TEST_CASE("the details of an order are the same each time, and its total is the sum of its lines") {
  const Day day = generate_day({1, 100});
  for (const Order& order : day.orders) {
    const OrderDetails details = describe_order(order, 1);
    CHECK(details.address == describe_order(order, 1).address);
    CHECK(!details.lines.empty());
    std::int64_t total = 0;
    for (const OrderLine& line : details.lines) total += line.quantity * line.price_minor;
    CHECK(details.total_minor == total);
    CHECK(total > 0);
  }
}

}  // namespace pannier::delivery
