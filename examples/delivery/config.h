#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <pannier/result.h>
#include <pannier/run.h>
#include "examples/delivery/node_setup.h"

namespace pannier::delivery {

/// The configuration file (TOML) of hub, tablet and handheld.
struct Config {
  struct Peer {
    std::string name;
    PublicKey key{};
    std::vector<std::string> serves;  ///< The restaurants or drivers at that node.
  };

  std::string name;
  std::string key_file;
  std::string store_file;
  std::string ledger_folder;
  std::optional<std::string> instance;  ///< A recorded day's folder. Without it the day is generated from the next two.
  std::uint32_t orders = 505;
  std::uint64_t seed = 1;
  std::uint32_t every_nth = 1;  ///< Only every nth order of the day is placed.
  std::int64_t start_ms = 0;
  double speed = 1;
  std::vector<std::string> serves;
  std::optional<std::string> listen;  ///< The hub's address for its peers.
  std::optional<std::string> hub;     ///< Of a device: the hub's address.
  std::vector<Peer> peers;            ///< Of the hub: every device. Of a device: the hub alone.

  /// Reads the file named by the arguments `--config FILE`. invalid_argument for a wrong line, as "FILE:LINE: ...".
  [[nodiscard]] static Result<Config> read(int argc, const char* const* argv);
  [[nodiscard]] static Result<Config> read_file(const std::string& path);
  /// The text that read_file reads as this.
  [[nodiscard]] std::string text() const;

  /// Loads the day and opens the ledger.
  [[nodiscard]] Result<Setup> setup() const;
  /// What the node is made of.
  [[nodiscard]] RunOptions options() const;
};

/// The day that a configuration selects.
[[nodiscard]] Result<Day> load_day(const Config& config);

}  // namespace pannier::delivery
