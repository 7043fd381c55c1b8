#include "examples/delivery/day/instance.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_set>
#include <utility>
#include <vector>

#include <pannier/platform.h>

namespace pannier::delivery {
namespace {

constexpr std::uint64_t kMaxFileBytes = 64ULL * 1024 * 1024;
constexpr std::int32_t kMaxMinute = 7 * 24 * 60;
constexpr std::int32_t kMaxMetre = 1'000'000;

// Splits a file into lines and fields and tracks the position, so that every error names its line.
class Table {
 public:
  Table(std::string_view name, std::string_view text, std::string_view header)
      : name_(name), rest_(text), columns_(split(header)), header_(header) {}

  [[nodiscard]] Error error(std::string_view what) const {
    return {ErrorCode::invalid_argument, std::string(name_) + ":" + std::to_string(line_) + ": " + std::string(what)};
  }

  /// The header must match: columns in another order would be misread.
  Result<void> read_header() {
    const auto line = next_line();
    if (!line) return error("the file is empty, expected the header line \"" + shown(header_) + "\"");
    if (*line != header_) {
      return error("the header is \"" + shown(*line) + "\", expected \"" + shown(header_) + "\"");
    }
    return {};
  }

  /// Reads the next non-empty row. False at the end of the file.
  Result<bool> next_row() {
    std::optional<std::string_view> line;
    do line = next_line();
    while (line && line->empty());
    if (!line) return false;
    fields_ = split(*line);
    if (fields_.size() != columns_.size()) {
      return error(std::to_string(fields_.size()) + " field(s), expected " + std::to_string(columns_.size()) +
                   " separated by tabs: " + shown(header_));
    }
    return true;
  }

  Result<std::string> id(std::size_t column) const {
    const std::string_view field = fields_[column];
    const bool plain = std::all_of(field.begin(), field.end(), [](char c) { return c > ' ' && c < 0x7f; });
    if (field.empty() || field.size() > 64 || !plain) {
      return error(named(column) + ", expected a name of 1 to 64 printable characters without spaces");
    }
    return std::string(field);
  }

  Result<std::int32_t> number(std::size_t column, std::int32_t low, std::int32_t high) const {
    const std::string_view field = fields_[column];
    std::int32_t value = 0;
    const auto [end, code] = std::from_chars(field.data(), field.data() + field.size(), value);
    if (code != std::errc{} || end != field.data() + field.size() || value < low || value > high) {
      return error(named(column) + ", expected a whole number from " + std::to_string(low) + " to " +
                   std::to_string(high));
    }
    return value;
  }

 private:
  static std::vector<std::string_view> split(std::string_view line) {
    std::vector<std::string_view> fields;
    for (std::size_t tab = line.find('\t'); tab != std::string_view::npos; tab = line.find('\t')) {
      fields.push_back(line.substr(0, tab));
      line.remove_prefix(tab + 1);
    }
    fields.push_back(line);
    return fields;
  }

  // One line for a terminal: short, without control characters.
  static std::string shown(std::string_view text) {
    std::string out(text.substr(0, 120));
    for (char& c : out) {
      if (c < ' ' || c > '~') c = ' ';
    }
    return out;
  }

  [[nodiscard]] std::string named(std::size_t column) const {
    return std::string(columns_[column]) + " is \"" + shown(fields_[column]) + "\"";
  }

  std::optional<std::string_view> next_line() {
    if (rest_.empty()) return std::nullopt;
    ++line_;
    const std::size_t end = rest_.find('\n');
    std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    return line;
  }

  std::string_view name_;
  std::string_view rest_;
  std::vector<std::string_view> columns_;
  std::string_view header_;
  std::vector<std::string_view> fields_;
  std::size_t line_ = 0;
};

// Reads numbers of one row and keeps the first error.
class Row {
 public:
  explicit Row(const Table& table) : table_(table) {}
  std::string id(std::size_t column) { return take(table_.id(column)); }
  std::int32_t minute(std::size_t column) { return take(table_.number(column, 0, kMaxMinute)); }
  std::int32_t positive(std::size_t column) { return take(table_.number(column, 1, kMaxMetre)); }
  std::int32_t amount(std::size_t column) { return take(table_.number(column, 0, kMaxMetre)); }
  Place place(std::size_t x, std::size_t y) {
    const std::int32_t x_m = take(table_.number(x, -kMaxMetre, kMaxMetre));
    const std::int32_t y_m = take(table_.number(y, -kMaxMetre, kMaxMetre));
    return {x_m, y_m};
  }
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

 private:
  template <class T>
  T take(Result<T> result) {
    if (result) return std::move(result).value();
    if (!error_) error_ = result.error();
    return T{};
  }
  const Table& table_;
  std::optional<Error> error_;
};

// Runs `row`, which returns the row's id, for each row, and checks that ids are unique.
template <class ReadRow>
Result<std::unordered_set<std::string>> read_table(std::string_view name, std::string_view text,
                                                   std::string_view header, ReadRow read_row) {
  Table table(name, text, header);
  if (const auto fine = table.read_header(); !fine) return fine.error();
  std::unordered_set<std::string> ids;
  for (;;) {
    const Result<bool> more = table.next_row();
    if (!more) return more.error();
    if (!*more) break;
    Row row(table);
    Result<std::string> id = read_row(table, row);
    if (row.error()) return *row.error();
    if (!id) return id.error();
    if (!ids.insert(*id).second) return table.error("duplicate id \"" + *id + "\"");
  }
  if (ids.empty()) return table.error("no row follows the header, expected at least one");
  return ids;
}

}  // namespace

Result<Day> parse_instance(const InstanceText& text) {
  Day day;
  const auto restaurants =
      read_table(text.restaurants_name, text.restaurants, "restaurant\tx\ty", [&](const Table&, Row& row) {
        day.restaurants.push_back({row.id(0), row.place(1, 2)});
        return Result<std::string>(day.restaurants.back().id);
      });
  if (!restaurants) return restaurants.error();

  const auto couriers = read_table(text.couriers_name, text.couriers, "courier\tx\ty\ton_time\toff_time",
                                   [&](const Table& table, Row& row) -> Result<std::string> {
                                     day.couriers.push_back({row.id(0), row.place(1, 2), row.minute(3), row.minute(4)});
                                     const Courier& courier = day.couriers.back();
                                     if (courier.off_min < courier.on_min)
                                       return table.error("off_time is before on_time, expected it after");
                                     return courier.id;
                                   });
  if (!couriers) return couriers.error();

  const auto orders =
      read_table(text.orders_name, text.orders, "order\tx\ty\tplacement_time\trestaurant\tready_time",
                 [&](const Table& table, Row& row) -> Result<std::string> {
                   day.orders.push_back({row.id(0), row.place(1, 2), row.minute(3), row.id(4), row.minute(5)});
                   const Order& order = day.orders.back();
                   if (row.error()) return order.id;
                   if (!restaurants->contains(order.restaurant)) {
                     return table.error("restaurant \"" + order.restaurant + "\" is unknown, expected one of " +
                                        text.restaurants_name);
                   }
                   if (order.ready_min < order.placed_min) {
                     return table.error("ready_time is before placement_time, expected it at or after");
                   }
                   return order.id;
                 });
  if (!orders) return orders.error();

  int parameter_rows = 0;
  const auto parameters =
      read_table(text.parameters_name, text.parameters,
                 "meters_per_minute\tpickup service minutes\tdropoff service minutes\ttarget click-to-door\tmaximum "
                 "click-to-door\tpay per order\tguaranteed pay per hour",
                 [&](const Table& table, Row& row) -> Result<std::string> {
                   if (++parameter_rows > 1) return table.error("a second row of parameters, expected one");
                   day.parameters = {row.positive(0), row.amount(1), row.amount(2), row.amount(3),
                                     row.amount(4),   row.amount(5), row.amount(6)};
                   return std::string("parameters");
                 });
  if (!parameters) return parameters.error();

  std::stable_sort(day.orders.begin(), day.orders.end(),
                   [](const Order& a, const Order& b) { return a.placed_min < b.placed_min; });
  return day;
}

Result<Day> read_instance(const std::string& directory) {
  const auto in = [&directory](std::string_view name) { return directory + "/" + std::string(name); };
  InstanceText text;
  text.orders_name = in("orders.txt");
  text.restaurants_name = in("restaurants.txt");
  text.couriers_name = in("couriers.txt");
  text.parameters_name = in("instance_parameters.txt");

  const std::array<std::pair<const std::string*, std::string_view*>, 4> files{{
      {&text.orders_name, &text.orders},
      {&text.restaurants_name, &text.restaurants},
      {&text.couriers_name, &text.couriers},
      {&text.parameters_name, &text.parameters},
  }};
  std::array<std::string, 4> contents;
  for (std::size_t i = 0; i < files.size(); ++i) {
    Result<std::string> content = read_file(*files[i].first, kMaxFileBytes);
    if (!content) return content.error();
    contents[i] = std::move(content).value();
    *files[i].second = contents[i];
  }
  return parse_instance(text);
}

}  // namespace pannier::delivery
