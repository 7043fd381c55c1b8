#include "examples/delivery/fleet.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <utility>

#include <pannier/zmq.h>
#include "examples/delivery/day/socket.h"

namespace pannier::delivery {
namespace {

/// One-way delay on top of the trace: a mobile network's core, and a restaurant's wireless.
constexpr std::int64_t kMobileDelayMs = 20;
constexpr std::int64_t kWirelessDelayMs = 1;

Result<std::uint16_t> free_port() {
  const auto socket = bound_socket("hub", 0);
  if (!socket) return socket.error();
  return port_of(*socket);
}

std::string last_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::string last;
  while (std::getline(file, line)) {
    if (!line.empty()) last = line;
  }
  return last;
}

Result<void> write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.flush();
  if (!file) return Error{ErrorCode::storage_io, path + ": cannot be written; is there room, and the right to write?"};
  return {};
}

}  // namespace

Result<std::unique_ptr<Fleet>> Fleet::start(const FleetOptions& options) {
  const auto day = load_day(options.day);
  if (!day) return day.error();
  std::unique_ptr<Fleet> fleet{new Fleet};
  fleet->ledgers_ = options.folder + "/ledgers";
  std::error_code failed;
  std::filesystem::create_directory(fleet->ledgers_, failed);
  if (failed) return Error{ErrorCode::storage_io, fleet->ledgers_ + ": " + failed.message()};

  // Restaurants are spread over the tablets, drivers over the handhelds.
  std::vector<Config> configs(1 + options.tablets + options.handhelds, options.day);
  configs[0].name = "hub";
  for (std::uint32_t i = 0; i < options.tablets; ++i) configs[1 + i].name = "tablet" + std::to_string(i + 1);
  for (std::uint32_t i = 0; i < options.handhelds; ++i) {
    configs[1 + options.tablets + i].name = "handheld" + std::to_string(i + 1);
  }
  for (std::size_t i = 0; i < day->restaurants.size(); ++i) {
    configs[1 + i % options.tablets].serves.push_back(day->restaurants[i].id);
  }
  for (std::size_t i = 0; i < day->couriers.size(); ++i) {
    configs[1 + options.tablets + i % options.handhelds].serves.push_back(day->couriers[i].id);
  }

  const auto port = free_port();
  if (!port) return port.error();
  std::vector<ProxyLink> links;
  const auto up = std::make_shared<const Trace>(options.mobile.up);
  const auto down = std::make_shared<const Trace>(options.mobile.down);
  for (std::size_t i = 1; i < configs.size(); ++i) {
    ProxyLink link;
    link.name = configs[i].name;
    link.upstream_port = *port;
    link.up.base_delay_ms = link.down.base_delay_ms = kWirelessDelayMs;
    if (i > options.tablets) {
      const std::int64_t offset_ms = static_cast<std::int64_t>(i) * 29'000;  // each elsewhere in the trace
      link.up = {up, kMobileDelayMs, 1.0, offset_ms};
      link.down = {down, kMobileDelayMs, 1.0, offset_ms};
    }
    links.push_back(std::move(link));
  }
  auto proxy = Proxy::start(std::move(links));
  if (!proxy) return proxy.error();
  fleet->proxy_ = std::move(*proxy);

  for (std::size_t i = 0; i < configs.size(); ++i) {
    Config& config = configs[i];
    config.key_file = options.folder + "/" + config.name + ".key";
    config.store_file = options.folder + "/" + config.name + ".db";
    config.ledger_folder = fleet->ledgers_;
    const auto keys = zmq::generate_key_pair();
    if (!keys) return keys.error();
    if (auto saved = zmq::save_key_pair(config.key_file, *keys); !saved) return saved.error();
    if (i == 0) {
      config.listen = "tcp://127.0.0.1:" + std::to_string(*port);
      for (std::size_t device = 1; device < configs.size(); ++device)
        configs[device].peers = {{"hub", keys->public_key, {}}};
    } else {
      config.hub = "tcp://127.0.0.1:" + std::to_string(fleet->proxy_->port(i - 1));
      configs[0].peers.push_back({config.name, keys->public_key, config.serves});
    }
  }
  for (const Config& config : configs) {
    const std::string path = options.folder + "/" + config.name + ".toml";
    if (auto written = write_file(path, config.text()); !written) return written.error();
    const std::string program = config.name.substr(0, config.name.find_first_of("0123456789"));
    auto process = Process::start({config.name,
                                   {options.programs + "/" + program, "--config", path},
                                   options.folder + "/" + config.name + ".log"});
    if (!process) return process.error();
    fleet->members_.push_back({config.name,
                               std::move(*process),
                               LedgerReader{fleet->ledgers_ + "/" + config.name + ".ledger"},
                               {},
                               0,
                               false});
  }
  return fleet;
}

Result<void> Fleet::look() {
  for (Member& member : members_) {
    auto lines = member.ledger.read_more();
    if (!lines) return lines.error();
    for (const LedgerLine& line : *lines) {
      const auto* status = std::get_if<Status>(&line);
      if (status == nullptr) continue;
      Gauge& gauge = member.gauges[status->name];
      // A counter that fell restarted with its process.
      if (status->name == "disk_bytes" && status->value < gauge.value) {
        member.disk_bytes += static_cast<std::uint64_t>(gauge.value);
      }
      gauge = {status->value, status->t_ms};
    }
    if (member.down_on_purpose || !member.process->wait(std::chrono::milliseconds{0})) continue;
    return Error{ErrorCode::failed, member.name + " ended by itself: " + last_line(member.process->spec().log_path)};
  }
  return {};
}

const Fleet::Member& Fleet::member(const std::string& name) const {
  return *std::find_if(members_.begin(), members_.end(), [&](const Member& each) { return each.name == name; });
}

std::size_t Fleet::link_of(const std::string& name) const {
  return static_cast<std::size_t>(&member(name) - members_.data()) - 1;
}

std::uint64_t Fleet::gauge(const std::string& name, const std::string& what) const {
  const auto& gauges = member(name).gauges;
  const auto found = gauges.find(what);
  return found == gauges.end() ? 0 : static_cast<std::uint64_t>(found->second.value);
}

std::uint64_t Fleet::waiting() const {
  std::uint64_t sum = 0;
  for (const Member& each : members_) sum += gauge(each.name, "waiting");
  return sum;
}

std::uint64_t Fleet::waiting_around(const std::string& name) const {
  return name == "hub" ? waiting() : gauge(name, "waiting") + gauge("hub", "waiting_for_" + name);
}

std::uint64_t Fleet::links_up() const {
  std::uint64_t sum = 0;
  for (const Member& each : members_) {
    if (each.name != "hub" && !each.down_on_purpose) sum += gauge(each.name, "links_up");
  }
  return sum;
}

bool Fleet::well(const std::string& name, std::int64_t since_ms) const {
  const auto& gauges = member(name).gauges;
  const auto found = gauges.find("links_up");
  return found != gauges.end() && found->second.t_ms > since_ms &&
         static_cast<std::uint64_t>(found->second.value) == (name == "hub" ? links() : 1);
}

std::uint64_t Fleet::wire_bytes() const {
  std::uint64_t sum = 0;
  for (std::size_t link = 0; link < links(); ++link) {
    const ProxyCounters counters = proxy_->counters(link);
    sum += counters.bytes_up + counters.bytes_down;
  }
  return sum;
}

std::uint64_t Fleet::disk_bytes() const {
  std::uint64_t sum = 0;
  for (const Member& each : members_) sum += each.disk_bytes + gauge(each.name, "disk_bytes");
  return sum;
}

void Fleet::break_it(const Fault& fault) {
  switch (fault.kind) {
    case Fault::Kind::kill: {
      Member& victim = member(fault.target);
      victim.down_on_purpose = true;
      victim.process->kill_now();
      return;
    }
    case Fault::Kind::cut_drop: return proxy_->cut(link_of(fault.target), Cut::drop);
    case Fault::Kind::cut_freeze: return proxy_->cut(link_of(fault.target), Cut::freeze);
  }
}

Result<void> Fleet::mend(const Fault& fault) {
  if (fault.kind != Fault::Kind::kill) return proxy_->restore(link_of(fault.target));
  Member& victim = member(fault.target);
  victim.down_on_purpose = false;
  return victim.process->restart();
}

std::vector<std::string> Fleet::end(std::chrono::milliseconds limit) {
  std::vector<std::string> troubles;
  for (std::size_t i = members_.size(); i-- > 0;) members_[i].process->terminate();
  for (Member& each : members_) {
    each.down_on_purpose = true;
    const auto exit = each.process->wait(limit);
    if (!exit) {
      each.process->kill_now();
      troubles.push_back(each.name + " did not stop when asked to and was killed");
    } else if (!exit->clean()) {
      troubles.push_back(each.name + " ended with status " + std::to_string(exit->status) + ", signal " +
                         std::to_string(exit->signal) + ": " + last_line(each.process->spec().log_path));
    }
  }
  look().ignore();  // the last gauges
  return troubles;
}

Result<AuditResult> Fleet::audit() const {
  Auditor auditor;
  for (const Member& each : members_) {
    if (auto added = auditor.add_file(ledgers_, each.name); !added) return added.error();
  }
  return auditor.result();
}

}  // namespace pannier::delivery
