#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <pannier/node.h>
#include <pannier/result.h>
#include "examples/delivery/node_setup.h"

namespace pannier::delivery {

/// The configuration file (TOML) of hub, tablet and handheld, as it stands there.
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
  std::optional<std::string> instance;  ///< A recorded day's folder; without it the day is made up from the two below.
  std::uint32_t orders = 505;
  std::uint64_t seed = 1;
  std::uint32_t every_nth = 1;  ///< Of the day's orders only each nth is placed.
  std::int64_t start_ms = 0;
  double speed = 1;
  std::vector<std::string> serves;
  std::optional<std::string> listen;  ///< The hub's address; its peers come in there.
  std::optional<std::string> hub;     ///< A device's: where the hub is.
  std::vector<Peer> peers;            ///< The hub's: every device. A device's: the hub alone.

  /// Reads the file that the arguments `--config FILE` name. invalid_argument, "FILE:LINE: ..." where a line is wrong.
  [[nodiscard]] static Result<Config> read(int argc, const char* const* argv);
  [[nodiscard]] static Result<Config> read_file(const std::string& path);
  /// The text that read_file reads as this.
  [[nodiscard]] std::string text() const;

  /// Reads the day and opens the ledger.
  [[nodiscard]] Result<Setup> setup() const;
  [[nodiscard]] NodeOptions node_options() const;
  [[nodiscard]] std::vector<PublicKey> allowed_keys() const;
};

/// The day that a configuration means.
[[nodiscard]] Result<Day> load_day(const Config& config);

}  // namespace pannier::delivery
