#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <pannier/lane.h>
#include <pannier/link.h>
#include <pannier/platform.h>
#include <pannier/result.h>

namespace pannier::tools {

/// What a file for `pannier node` says, checked as far as the file alone allows. Paths are as they are to be opened:
/// relative ones were taken from the folder of the file.
struct NodeConfig {
  /// A node that may come in.
  struct Peer {
    PeerOptions who;
    bool tools = false;  ///< It may use this node's tools, as the node's own key may.
  };

  std::string path;  ///< Of the file itself, for messages.
  std::string name;
  std::string key_file;  ///< Empty only with insecure_plaintext.
  std::string store;
  std::uint64_t store_max_bytes = 0;
  std::vector<std::string> listen;
  std::uint32_t workers = 0;
  bool insecure_plaintext = false;
  LogLevel log = LogLevel::info;
  std::vector<LaneOptions> lanes;
  QueueOptions queue;
  std::vector<Peer> peers;
  std::vector<LinkOptions> links;
};

/// Reads and checks a file. Each error is one line, "FILE:LINE: what, and what to do"; keys are not opened.
[[nodiscard]] Result<NodeConfig> load_config(const std::string& path);

}  // namespace pannier::tools
