#include "examples/delivery/config.h"

#include <sstream>
#include <string_view>
#include <utility>

// Errors are values here too.
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <pannier/zmq.h>
#include "examples/delivery/day/generator.h"
#include "examples/delivery/day/instance.h"

namespace pannier::delivery {
namespace {

std::vector<std::string> texts(const toml::node_view<toml::node>& list) {
  std::vector<std::string> all;
  if (const toml::array* array = list.as_array()) {
    for (const toml::node& each : *array) {
      if (const auto text = each.value<std::string>()) all.push_back(*text);
    }
  }
  return all;
}

toml::array list_of(const std::vector<std::string>& texts) {
  toml::array list;
  for (const std::string& text : texts) list.push_back(text);
  return list;
}

}  // namespace

Result<Config> Config::read(int argc, const char* const* argv) {
  if (argc != 3 || std::string_view{argv[1]} != "--config") {
    return Error{ErrorCode::invalid_argument, "expected --config FILE, and nothing else"};
  }
  return read_file(argv[2]);
}

Result<Config> Config::read_file(const std::string& path) {
  toml::parse_result parsed = toml::parse_file(path);
  if (!parsed) {
    const auto& error = parsed.error();
    return Error{ErrorCode::invalid_argument,
                 path + ":" + std::to_string(error.source().begin.line) + ": " + std::string{error.description()}};
  }
  toml::table& table = parsed.table();
  Config config;
  for (auto [key, text] : {std::pair{"name", &config.name}, std::pair{"key", &config.key_file},
                           std::pair{"store", &config.store_file}, std::pair{"ledger", &config.ledger_folder}}) {
    const auto value = table[key].value<std::string>();
    if (!value) return Error{ErrorCode::invalid_argument, path + ": " + key + " = \"...\" is missing"};
    *text = *value;
  }
  config.instance = table["instance"].value<std::string>();
  config.orders = table["orders"].value_or(config.orders);
  config.seed = table["seed"].value_or(config.seed);
  config.every_nth = std::max(1U, table["every_nth"].value_or(config.every_nth));
  config.start_ms = table["start_ms"].value_or(config.start_ms);
  config.speed = table["speed"].value_or(config.speed);
  config.serves = texts(table["serves"]);
  config.listen = table["listen"].value<std::string>();
  config.hub = table["hub"].value<std::string>();
  if (const toml::array* peers = table["peer"].as_array()) {
    for (const toml::node& each : *peers) {
      toml::node_view<const toml::node> peer{each};
      const auto key = zmq::parse_z85(peer["key"].value_or(std::string{}));
      if (!key) {
        return Error{ErrorCode::invalid_argument, path + ":" + std::to_string(each.source().begin.line) +
                                                      ": this peer needs key = \"...\", 40 characters of Z85"};
      }
      Peer made{peer["name"].value_or(std::string{}), *key, {}};
      if (const toml::array* served = peer["serves"].as_array()) {
        for (const toml::node& id : *served) made.serves.push_back(id.value_or(std::string{}));
      }
      config.peers.push_back(std::move(made));
    }
  }
  if (config.listen.has_value() == config.hub.has_value()) {
    return Error{ErrorCode::invalid_argument, path + ": expected either listen = \"tcp://...\" or hub = \"tcp://...\""};
  }
  if (config.hub && config.peers.size() != 1) {
    return Error{ErrorCode::invalid_argument, path + ": a device has exactly one [[peer]], the hub"};
  }
  return config;
}

std::string Config::text() const {
  toml::table table{{"name", name},           {"key", key_file},
                    {"store", store_file},    {"ledger", ledger_folder},
                    {"orders", orders},       {"seed", static_cast<std::int64_t>(seed)},
                    {"every_nth", every_nth}, {"start_ms", start_ms},
                    {"speed", speed}};
  if (instance) table.insert("instance", *instance);
  if (listen) table.insert("listen", *listen);
  if (hub) table.insert("hub", *hub);
  table.insert("serves", list_of(serves));
  toml::array all;
  for (const Peer& peer : peers) {
    all.push_back(toml::table{{"name", peer.name}, {"key", zmq::to_z85(peer.key)}, {"serves", list_of(peer.serves)}});
  }
  table.insert("peer", std::move(all));
  std::ostringstream out;
  out << table << "\n";
  return out.str();
}

Result<Day> load_day(const Config& config) {
  auto day = config.instance ? read_instance(*config.instance)
                             : Result<Day>{generate_day({.seed = config.seed, .orders = config.orders})};
  if (!day || config.every_nth == 1) return day;
  std::vector<Order> some;
  for (std::size_t i = 0; i < day->orders.size(); i += config.every_nth) some.push_back(day->orders[i]);
  day->orders = std::move(some);
  return day;
}

Result<Setup> Config::setup() const {
  auto day = load_day(*this);
  if (!day) return day.error();
  auto ledger = LedgerWriter::open(ledger_folder, name);
  if (!ledger) return ledger.error();
  Setup setup{name, DayClock{start_ms, speed}, std::move(*day), seed, serves, {}, {}};
  setup.ledger = std::make_unique<LedgerWriter>(std::move(*ledger));
  for (const Peer& peer : peers) {
    for (const std::string& id : peer.serves) setup.served_by[id] = peer.name;
  }
  return setup;
}

RunOptions Config::options() const {
  RunOptions options;
  options.name = name;
  options.store = store_file;
  options.key_file = key_file;
  if (listen) options.listen = {*listen};
  if (hub) options.links = {{peers.front().name, *hub, peers.front().key}};
  for (const Peer& peer : peers) options.peers.push_back({peer.name, peer.key});
  return options;
}

}  // namespace pannier::delivery
