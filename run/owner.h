#pragma once

#include <memory>
#include <string>

#include <pannier/process.h>
#include <pannier/run.h>
#include <pannier/store.h>
#include <pannier/zmq.h>

namespace pannier::tools {

/// Everything that a running program is made of, in the order in which it has to go.
class Owner {
 public:
  /// Makes the parts that `options` name. Nothing runs yet. `file`: where the options came from, for reload; or empty.
  [[nodiscard]] static Result<std::unique_ptr<Owner>> make(RunOptions options, std::string file);

  [[nodiscard]] Node& node() noexcept { return *node_; }
  [[nodiscard]] posix::Process& process() noexcept { return process_; }
  [[nodiscard]] const RunOptions& options() const noexcept { return options_; }
  /// Runs the node to its end; the exit status.
  [[nodiscard]] int run();

 private:
  Owner(RunOptions options, std::string file)
      : options_(std::move(options)), file_(std::move(file)), process_(options_.log, options_.workers) {}
  [[nodiscard]] Result<void> open_transport();
  [[nodiscard]] Result<void> open_store();
  [[nodiscard]] Result<void> listen_for_tools();
  [[nodiscard]] Result<void> make_node();
  [[nodiscard]] std::vector<PeerOptions> peers() const;
  /// Reads the file again: peers and lanes change, the rest is for the next start.
  void reload();

  RunOptions options_;
  std::string file_;
  posix::Process process_;
  zmq::KeyPair keys_;
  std::unique_ptr<zmq::Context> context_;
  std::unique_ptr<zmq::ZmqTransport> transport_;
  StorePtr store_;
  std::unique_ptr<Node> node_;
  LocalRef tools_;
  bool tools_are_on_ = false;
};

/// How a node's own clients are called: "<node>.cli-" and something random. A node lets its own key in under them.
[[nodiscard]] std::string client_prefix(const std::string& node);

/// What must hold of options wherever they come from: names, keys where links are, the form of the tools' address.
[[nodiscard]] Result<void> check_options(const RunOptions& options);

}  // namespace pannier::tools
