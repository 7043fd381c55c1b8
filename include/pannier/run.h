#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <pannier/lane.h>
#include <pannier/link.h>
#include <pannier/node.h>
#include <pannier/platform.h>
#include <pannier/process.h>
#include <pannier/result.h>

/// A whole program in one line of main: link `pannier::run` beside `pannier::pannier`. Programs that wire their node by
/// hand (posix::Process, open_sqlite_store, zmq::ZmqTransport, Node::create) do not need it.
namespace pannier {

/// What run builds a node from: the content of a configuration file (docs/cli.md), or the program's own settings.
/// Relative paths are opened as they are.
struct RunOptions {
  /// A node that may connect.
  struct Peer {
    std::string node;
    PublicKey key{};
    bool prefix = false;  ///< `node` is a prefix of the name.
    bool tools = false;   ///< It may use this node's tools, like the node's own user.
    PeerLimits limits = {};
  };

  std::string name = {};              ///< Of the node. Required.
  std::string version = {};           ///< Of the program, for --version.
  std::string store = {};             ///< The database file. Empty: no queue; enqueue is refused.
  std::uint64_t store_max_bytes = 0;  ///< Limit of the file in bytes; 0: none.
  std::string key_file = {};        ///< From `pannier keygen`. Required with `listen` or `links`, unless in plaintext.
  bool insecure_plaintext = false;  ///< No encryption, and any name is believed.
  std::vector<std::string> listen = {};
  std::vector<LinkOptions> links = {};
  std::vector<Peer> peers = {};
  std::vector<LaneOptions> lanes = {};
  QueueOptions queue = {};
  Supervision supervision = {};
  std::uint32_t workers = 0;  ///< Threads; 0: depends on the number of cores.
  LogLevel log = LogLevel::info;
  /// Where the `pannier` command reaches this node on its machine, as this user or root: "ipc:///PATH", or "off".
  /// Empty: tools_address().
  std::string tools = {};
  /// The application's settings: the table [app] of the file, values as text. Those of a table within it, such as
  /// [app.route], have names with a dot: "route.deadline".
  std::map<std::string, std::string> app = {};
};

/// Reads a configuration file (TOML) and checks it as far as possible without other files. Relative paths become
/// relative to the file's folder. An error is one line, "FILE:LINE: what is wrong, and what to do". Keys are not
/// opened.
[[nodiscard]] Result<RunOptions> load_options(const std::string& path);

/// The address of a node's tools: RunOptions::tools if set, otherwise `NAME.tools` beside the store, or in
/// /tmp/pannier-UID without a store. Empty if off.
[[nodiscard]] std::string tools_address(const RunOptions& options);

/// The release of this library, as "0.1.0".
[[nodiscard]] const char* version() noexcept;

namespace detail {

using SetUp = std::function<Result<void>(Node&, const RunOptions&, posix::Process&)>;
[[nodiscard]] int run(int argc, const char* const* argv, RunOptions options, const SetUp& set_up);
[[nodiscard]] int run(RunOptions options, const SetUp& set_up);

template <class F, class... Args>
Result<void> set_up(F& function, Args&... args) {
  using Made = std::invoke_result_t<F&, Args&...>;
  if constexpr (std::is_void_v<Made>) {
    function(args...);
    return {};
  } else {
    const auto made = function(args...);
    if (!made) return made.error();
    return {};
  }
}

template <class F>
SetUp set_up_of(F& function) {
  return [&function](Node& node, [[maybe_unused]] const RunOptions& options, [[maybe_unused]] posix::Process& process) {
    if constexpr (std::invocable<F&, Node&, const RunOptions&, posix::Process&>) {
      return set_up(function, node, options, process);
    } else if constexpr (std::invocable<F&, Node&, const RunOptions&>) {
      return set_up(function, node, options);
    } else {
      return set_up(function, node);
    }
  };
}

template <class F>
concept SetsUp = std::invocable<F&, Node&> || std::invocable<F&, Node&, const RunOptions&> ||
    std::invocable<F&, Node&, const RunOptions&, posix::Process&>;

}  // namespace detail

/// Runs a whole program: makes clock, store, transport and node, lets `set_up` spawn the program's actors, and runs
/// until SIGTERM, SIGINT or Node::stop. Call it before any thread starts. `set_up(node)`, `set_up(node, options)` or
/// `set_up(node, options, process)` returns nothing or a Result, such as that of Node::spawn. What it gives the process
/// to drive outlives this call.
///
/// With the argument `--config FILE` the node is built from that file, otherwise from `options`. Handles `--help` and
/// `--version`. With a file, SIGHUP reads it again: peers and lanes change at once, everything else at the next start.
///
/// Returns the exit status: 0; 2, with one line on stderr, if the input is wrong or set_up returned an error; 1 if the
/// store's disk is full or failed; Node::kExitFailed (70) if the top supervisor gave up or set_up threw.
template <detail::SetsUp F>
[[nodiscard]] int run(int argc, const char* const* argv, RunOptions options, F&& set_up) {
  return detail::run(argc, argv, std::move(options), detail::set_up_of(set_up));
}
template <detail::SetsUp F>
[[nodiscard]] int run(int argc, const char* const* argv, F&& set_up) {
  return detail::run(argc, argv, {}, detail::set_up_of(set_up));
}
/// As above, for a program that parses its own arguments.
template <detail::SetsUp F>
[[nodiscard]] int run(RunOptions options, F&& set_up) {
  return detail::run(std::move(options), detail::set_up_of(set_up));
}

}  // namespace pannier
