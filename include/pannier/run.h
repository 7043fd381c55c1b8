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
#include <pannier/result.h>

/// A whole program in one line of main: link `pannier::run` beside `pannier::pannier`. A program that wires its node by
/// hand (posix::Process, open_sqlite_store, zmq::ZmqTransport, Node::create) needs none of it.
namespace pannier {

/// What run makes a node of: what a configuration file says (docs/cli.md), or what the program says by itself. Paths are
/// as they are to be opened.
struct RunOptions {
  /// A node that may come in.
  struct Peer {
    std::string node;
    PublicKey key{};
    bool prefix = false;  ///< `node` is only how the name must begin.
    bool tools = false;   ///< It may use this node's tools, as the node's own user may.
  };

  std::string name = {};               ///< Of the node. Required.
  std::string version = {};            ///< Of the program, for --version.
  std::string store = {};              ///< The database file. Empty: no queue; enqueue is refused.
  std::uint64_t store_max_bytes = 0;   ///< Cap on the file; 0: none.
  std::string key_file = {};           ///< As `pannier keygen` makes it. Required with `listen` or `links`, or say
  bool insecure_plaintext = false;     ///< that there is no encryption and any name is believed.
  std::vector<std::string> listen = {};
  std::vector<LinkOptions> links = {};
  std::vector<Peer> peers = {};
  std::vector<LaneOptions> lanes = {};
  QueueOptions queue = {};
  Supervision supervision = {};
  std::uint32_t workers = 0;           ///< Threads; 0: by the number of cores.
  LogLevel log = LogLevel::info;
  /// Where the `pannier` command finds this node on its machine: "ipc:///PATH", for this user and root; "off": nowhere.
  /// Empty: tools_address().
  std::string tools = {};
  /// The application's own settings: the table [app] of the file, each value as text; those of a table within it, such as
  /// [app.route], by names with a dot: "route.deadline".
  std::map<std::string, std::string> app = {};
};

/// Reads a configuration file (TOML) and checks it as far as the file alone allows. Relative paths are taken from the
/// file's folder. Each error is one line, "FILE:LINE: what, and what to do"; keys are not opened.
[[nodiscard]] Result<RunOptions> load_options(const std::string& path);

/// The address of a node's tools: RunOptions::tools; by default `NAME.tools` in the folder of the store, and without a
/// store in /tmp/pannier-UID. Empty where they are off.
[[nodiscard]] std::string tools_address(const RunOptions& options);

/// The release of this library, as "0.1.0".
[[nodiscard]] const char* version() noexcept;

namespace detail {

using SetUp = std::function<Result<void>(Node&, const RunOptions&)>;
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
  return [&function](Node& node, [[maybe_unused]] const RunOptions& options) {
    if constexpr (std::invocable<F&, Node&, const RunOptions&>) {
      return set_up(function, node, options);
    } else {
      return set_up(function, node);
    }
  };
}

template <class F>
concept SetsUp = std::invocable<F&, Node&> || std::invocable<F&, Node&, const RunOptions&>;

}  // namespace detail

/// The whole of main: makes clock, store, transport and node, lets `set_up` start the program's actors, and runs until
/// SIGTERM, SIGINT or Node::stop. Call it before any thread is started. `set_up(node)` or `set_up(node, options)`
/// returns nothing or a Result, such as what Node::spawn gives.
///
/// What the node is comes from the file of the argument `--config FILE`, where there is one; else from `options`.
/// `--help` and `--version` are answered. With a file, SIGHUP reads it again: peers and lanes change while the node
/// runs, everything else at the next start.
///
/// Returns the exit status: 0; 2 with one line on stderr where the input is wrong or set_up gave an error; 1 where the
/// disk of the store is full or failed; Node::kExitFailed (70) where the top supervisor gave up or set_up threw.
template <detail::SetsUp F>
[[nodiscard]] int run(int argc, const char* const* argv, RunOptions options, F&& set_up) {
  return detail::run(argc, argv, std::move(options), detail::set_up_of(set_up));
}
template <detail::SetsUp F>
[[nodiscard]] int run(int argc, const char* const* argv, F&& set_up) {
  return detail::run(argc, argv, {}, detail::set_up_of(set_up));
}
/// The same without arguments, for a program that reads its own.
template <detail::SetsUp F>
[[nodiscard]] int run(RunOptions options, F&& set_up) {
  return detail::run(std::move(options), detail::set_up_of(set_up));
}

}  // namespace pannier
