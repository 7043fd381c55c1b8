#include <charconv>
#include <utility>

#include "gateways/http/front.h"

namespace pannier::http {

namespace {

class GatewayHere final : public Gateway {
 public:
  GatewayHere(std::unique_ptr<Server> server, std::shared_ptr<ServerCounters> counters, std::string address)
      : counters_(std::move(counters)), server_(std::move(server)), address_(std::move(address)) {}
  [[nodiscard]] Loop& loop() noexcept override { return *server_; }
  [[nodiscard]] const std::string& address() const noexcept override { return address_; }

 private:
  std::shared_ptr<ServerCounters> counters_;  // the server's, so destroyed after it
  std::unique_ptr<Server> server_;
  std::string address_;
};

std::vector<std::string> words_in(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const std::size_t end = text.find(' ');
    if (end != 0) words.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return words;
}

Result<std::uint32_t> whole_in(const std::string& name, std::string_view text) {
  std::uint32_t number = 0;
  const auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (bad == std::errc{} && end == text.data() + text.size() && number <= 1'000'000) return number;
  return Error{ErrorCode::invalid_argument, name + ": '" + std::string{text} + "' is no number up to 1000000"};
}

}  // namespace

Result<Options> options_from(const std::map<std::string, std::string>& settings, const std::string& prefix,
                             Options options) {
  for (const auto& [full, value] : settings) {
    if (!full.starts_with(prefix)) continue;
    const std::string name = full.substr(prefix.size());
    if (name == "listen") {
      options.listen = value;
    } else if (name == "hosts") {
      options.hosts = words_in(value);
    } else if (name == "keys") {
      options.keys_file = value;
    } else if (name == "origins") {
      options.origins = words_in(value);
    } else if (name == "schemas") {
      options.schema_files = words_in(value);
    } else if (name == "needs_links") {
      options.needs_links = words_in(value);
    } else if (name == "metric_lanes") {
      options.metric_lanes = words_in(value);
    } else if (name == "connections" || name == "rate" || name == "idle" || name == "arrival" || name == "deadline") {
      const auto number = whole_in(full, value);
      if (!number) return number.error();
      if (*number == 0 && name != "rate") return Error{ErrorCode::invalid_argument, full + ": at least 1"};
      if (name == "connections") options.connections = *number;
      if (name == "rate") options.rate = *number;
      if (name == "idle") options.idle = std::chrono::seconds{*number};
      if (name == "arrival") options.arrival = std::chrono::seconds{*number};
      if (name == "deadline") options.deadline = std::chrono::seconds{*number};
    } else {
      return Error{ErrorCode::invalid_argument, full + ": there is no such setting (docs/http.md)"};
    }
  }
  return options;
}

Result<std::unique_ptr<Gateway>> Gateway::create(Node& node, Platform platform, Options options) {
  auto schemas = Schemas::load(options);
  if (!schemas) return schemas.error();
  auto resources = Resources::make(options.mounts);
  if (!resources) return resources.error();
  if (!options.keys_file.empty()) {
    Keys keys{options.keys_file};
    static_cast<void>(keys.find({}, platform.clock.now()));
    if (const std::string why = keys.take_complaint(); !why.empty()) return Error{ErrorCode::invalid_argument, why};
  }
  auto socket = posix::listen_tcp(options.listen);
  if (!socket) return socket.error();
  if (!socket->loopback && options.keys_file.empty()) {
    posix::close_socket(socket->fd);
    return Error{ErrorCode::invalid_argument,
                 options.listen +
                     " can be reached from outside: name a file of API keys (keys), or listen at "
                     "127.0.0.1 behind a proxy"};
  }
  auto counters = std::make_shared<ServerCounters>();
  const auto front = node.spawn<Front>(
      SpawnOptions{.mailbox = {.messages = 4 * options.connections + 64, .bytes = limits::kMailboxBytes}},
      std::shared_ptr<const Setup>{
          std::make_shared<Setup>(Setup{options, &node, std::make_shared<Schemas>(std::move(*schemas)),
                                        std::make_shared<const Resources>(std::move(*resources)), counters})});
  if (!front) {
    posix::close_socket(socket->fd);
    return front.error();
  }
  const LocalRef to = *front;
  Server::Sink sink{[&node, to](Arrived arrived) { return node.tell(to, std::move(arrived)); },
                    [&node, to](HungUp gone) { node.tell(to, gone).ignore(); }};
  auto server = Server::start(*socket, options, std::move(sink), *counters);
  if (!server) {
    posix::close_socket(socket->fd);
    return server.error();
  }
  platform.log.write(LogLevel::info, "HTTP at " + socket->address);
  return std::unique_ptr<Gateway>{
      std::make_unique<GatewayHere>(std::move(*server), std::move(counters), socket->address)};
}

}  // namespace pannier::http
