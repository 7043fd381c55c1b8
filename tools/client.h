#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include <pannier/message.h>
#include <pannier/result.h>

namespace pannier::tools {

/// Which running node a command means: the one of a configuration file, or one that is described.
struct Target {
  std::string config;   ///< The node's own file: its key, its address, its name.
  std::string connect;  ///< Address, or path of a node's own socket; with it what of the four below it needs.
  std::string server_key;
  std::string key;
  std::string as;
  std::string node;
  bool plaintext = false;  ///< No keys: the node runs with insecure_plaintext.
  std::chrono::milliseconds timeout{5000};
};

/// A link to a running node, held by a small node of this process that keeps nothing: what is to be durable is made so
/// by the node at the far end. For the main thread; each call waits.
class Client {
 public:
  /// Dials and waits until the node's tools answer. invalid_argument and the errors of files: the input is wrong;
  /// unreachable: no answer within the timeout, with what stood in the way and what to do.
  [[nodiscard]] static Result<Client> connect(const Target& target);
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();

  [[nodiscard]] const std::string& node() const noexcept;

  /// Asks the node's tools for one R. An error's text is a sentence that names the node.
  template <FlatTable R>
  [[nodiscard]] Result<Table<R>> ask(const AnyTable& question, std::chrono::milliseconds timeout) {
    auto answer = ask_any(question, timeout);
    if (!answer) return answer.error();
    auto table = answer->template as<R>();
    if (!table)
      return Error{table.error().code,
                   "the node '" + node() + "' answers with something else: is it of another version?"};
    return *table;
  }

  /// The same of an answer of any type.
  [[nodiscard]] Result<AnyTable> ask_any(const AnyTable& question, std::chrono::milliseconds timeout);

  /// What is published under `filter` from now on. Returns once the node has taken the subscription.
  using Received = std::function<void(std::string_view topic, const AnyTable& payload)>;
  [[nodiscard]] Result<void> subscribe(const std::string& filter);
  /// Waits for the next publication; timeout when there was none, unreachable when the link is gone.
  [[nodiscard]] Result<void> next(const Received& received, std::chrono::milliseconds wait);

 private:
  struct State;
  explicit Client(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Whether an error of a Client means that the link is gone, so that another Client may do better.
[[nodiscard]] bool is_lost(const Error& error) noexcept;

/// The exit status for an error of a Client: kExitUsage for wrong input, kExitRefused else. Prints it.
[[nodiscard]] int fail_with(const Error& error);

}  // namespace pannier::tools
