#include "examples/delivery/day/instance.h"

#include <doctest/doctest.h>

#include <fstream>

#include "tests/examples/delivery/temp_folder.h"

namespace pannier::delivery {
namespace {

constexpr std::string_view kRestaurants = "restaurant\tx\ty\nr1\t8708\t5633\nr2\t9103\t6345\n";
constexpr std::string_view kCouriers = "courier\tx\ty\ton_time\toff_time\nc1\t11491\t2806\t0\t90\n";
constexpr std::string_view kOrders =
    "order\tx\ty\tplacement_time\trestaurant\tready_time\n"
    "o1\t9131\t7497\t743\tr1\t753\n"
    "o2\t9024\t6677\t541\tr2\t557\n";
constexpr std::string_view kParameters =
    "meters_per_minute\tpickup service minutes\tdropoff service minutes\ttarget click-to-door\t"
    "maximum click-to-door\tpay per order\tguaranteed pay per hour\n320\t4\t4\t40\t90\t10\t15\n";

InstanceText good() {
  InstanceText text;
  text.orders = kOrders;
  text.restaurants = kRestaurants;
  text.couriers = kCouriers;
  text.parameters = kParameters;
  return text;
}

// The one line that a person gets to see for these orders.
std::string complaint_about(std::string_view orders) {
  InstanceText text = good();
  text.orders = orders;
  const auto day = parse_instance(text);
  REQUIRE(!day);
  CHECK(day.error().code == ErrorCode::invalid_argument);
  CHECK(day.error().detail.find('\n') == std::string::npos);
  return day.error().detail;
}

std::string orders_with(std::string_view line) { return std::string(kOrders) + std::string(line) + "\n"; }

}  // namespace

TEST_CASE("a recorded day is read with all its parts, orders by the time of their placing") {
  const auto day = parse_instance(good());
  REQUIRE(day);
  REQUIRE(day->orders.size() == 2);
  CHECK(day->orders[0] == Order{"o2", {9024, 6677}, 541, "r2", 557});
  CHECK(day->orders[1] == Order{"o1", {9131, 7497}, 743, "r1", 753});
  CHECK(day->restaurants[1] == Restaurant{"r2", {9103, 6345}});
  CHECK(day->couriers[0] == Courier{"c1", {11491, 2806}, 0, 90});
  CHECK(day->parameters == DayParameters{320, 4, 4, 40, 90, 10, 15});
  CHECK(day->last_minute() == 753);
}

TEST_CASE("files written with carriage returns and a blank last line are read alike") {
  std::string orders(kOrders);
  for (std::size_t at = 0; (at = orders.find('\n', at)) != std::string::npos; at += 2) orders.insert(at, "\r");
  InstanceText text = good();
  orders += "\r\n";
  text.orders = orders;
  const auto day = parse_instance(text);
  REQUIRE(day);
  CHECK(*day == *parse_instance(good()));
}

TEST_CASE("a broken line is named with its file and line, what is wrong and what is expected") {
  CHECK(complaint_about(orders_with("o3\t1\t2\t3\tr1")) ==
        "orders.txt:4: 5 field(s), expected 6 separated by tabs: order x y placement_time restaurant "
        "ready_time");
  CHECK(complaint_about(orders_with("o3\t1\t2\tnoon\tr1\t4")) ==
        "orders.txt:4: placement_time is \"noon\", expected a whole number from 0 to 10080");
  CHECK(complaint_about(orders_with("o3\t1\t2\t3.5\tr1\t4")) ==
        "orders.txt:4: placement_time is \"3.5\", expected a whole number from 0 to 10080");
  CHECK(complaint_about(orders_with("o3\t1\t2\t-3\tr1\t4")) ==
        "orders.txt:4: placement_time is \"-3\", expected a whole number from 0 to 10080");
  CHECK(complaint_about(orders_with("o3\t99999999999\t2\t3\tr1\t4")) ==
        "orders.txt:4: x is \"99999999999\", expected a whole number from -1000000 to 1000000");
  CHECK(complaint_about(orders_with("\t1\t2\t3\tr1\t4")) ==
        "orders.txt:4: order is \"\", expected a name of 1 to 64 printable characters without spaces");
  CHECK(complaint_about(orders_with("o3\t1\t2\t3\tr9\t4")) ==
        "orders.txt:4: restaurant \"r9\" is unknown, expected one of restaurants.txt");
  CHECK(complaint_about(orders_with("o3\t1\t2\t9\tr1\t4")) ==
        "orders.txt:4: ready_time is before placement_time, expected it at or after");
  CHECK(complaint_about(orders_with("o1\t1\t2\t3\tr1\t4")) == "orders.txt:4: duplicate id \"o1\"");
}

TEST_CASE("a file without its header, or without a row, is refused") {
  CHECK(complaint_about("") ==
        "orders.txt:0: the file is empty, expected the header line "
        "\"order x y placement_time restaurant ready_time\"");
  CHECK(complaint_about("o1\t9131\t7497\t743\tr1\t753\n").starts_with("orders.txt:1: the header is "));
  CHECK(complaint_about("order\tx\ty\tplacement_time\trestaurant\tready_time\n") ==
        "orders.txt:1: no row follows the header, expected at least one");
}

TEST_CASE("a shift that ends before it begins, and a second row of parameters, are refused") {
  InstanceText text = good();
  text.couriers = "courier\tx\ty\ton_time\toff_time\nc1\t1\t2\t90\t30\n";
  auto day = parse_instance(text);
  REQUIRE(!day);
  CHECK(day.error().detail == "couriers.txt:2: off_time is before on_time, expected it after");

  text = good();
  const std::string twice = std::string(kParameters) + "320\t4\t4\t40\t90\t10\t15\n";
  text.parameters = twice;
  day = parse_instance(text);
  REQUIRE(!day);
  CHECK(day.error().detail == "instance_parameters.txt:3: a second row of parameters, expected one");
}

TEST_CASE("control characters of a broken file do not reach the terminal") {
  const std::string complaint = complaint_about(orders_with("o3\t1\t2\t\x1b[31m\tr1\t4"));
  CHECK(complaint.find('\x1b') == std::string::npos);
}

TEST_CASE("a day is read from its folder, and a missing file is named") {
  const TempFolder folder;
  REQUIRE(!folder.path().empty());
  const auto put = [&folder](const char* name, std::string_view text) {
    std::ofstream(folder.path() + "/" + name, std::ios::binary) << text;
  };
  put("orders.txt", kOrders);
  put("restaurants.txt", kRestaurants);
  put("couriers.txt", kCouriers);
  auto day = read_instance(folder.path());
  REQUIRE(!day);
  CHECK(day.error().code == ErrorCode::not_found);
  CHECK(day.error().detail.find("instance_parameters.txt") != std::string::npos);

  put("instance_parameters.txt", kParameters);
  day = read_instance(folder.path());
  REQUIRE(day);
  CHECK(*day == *parse_instance(good()));
}

}  // namespace pannier::delivery
