#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "tests/support/child_process.h"
#include "tests/support/temp_folder.h"

namespace pannier::testing {

struct HttpAnswer {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
  [[nodiscard]] std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
  }
  [[nodiscard]] bool has(std::string_view text) const { return body.find(text) != std::string::npos; }
};

/// One TCP connection that says bytes and reads answers, without any library between.
class RawSocket {
 public:
  explicit RawSocket(std::uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    // A test that waits for what never comes fails instead of hanging.
    const timeval limit{60, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  ~RawSocket() { hang_up(); }
  RawSocket(const RawSocket&) = delete;
  RawSocket& operator=(const RawSocket&) = delete;

  void hang_up() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;  // the server has ended it: the answer tells
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  /// Reads more into the buffer; false at the end.
  bool fill() {
    char block[4096];
    const ssize_t got = recv(fd_, block, sizeof block, 0);
    if (got <= 0) return false;
    buffer_.append(block, static_cast<std::size_t>(got));
    return true;
  }
  /// Up to and with `end`; everything where it never comes.
  std::string until(std::string_view end) {
    std::size_t at = std::string::npos;
    while ((at = buffer_.find(end)) == std::string::npos && fill()) {
    }
    const std::size_t size = at == std::string::npos ? buffer_.size() : at + end.size();
    const std::string text = buffer_.substr(0, size);
    buffer_.erase(0, size);
    return text;
  }
  std::string exactly(std::size_t size) {
    while (buffer_.size() < size && fill()) {
    }
    const std::string text = buffer_.substr(0, size);
    buffer_.erase(0, text.size());
    return text;
  }
  HttpAnswer head() {
    HttpAnswer answer;
    const std::string text = until("\r\n\r\n");
    if (text.starts_with("HTTP/1.1 100")) return head();
    if (text.size() > 12) answer.status = std::atoi(text.c_str() + 9);
    std::size_t at = text.find("\r\n");
    while (at != std::string::npos && at + 2 < text.size()) {
      const std::size_t end = text.find("\r\n", at + 2);
      const std::string line = text.substr(at + 2, end - at - 2);
      const std::size_t colon = line.find(": ");
      if (colon != std::string::npos) {
        std::string name = line.substr(0, colon);
        for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        answer.headers[name] = line.substr(colon + 2);
      }
      at = end;
    }
    return answer;
  }
  /// A whole answer, its body by Content-Length or in chunks.
  HttpAnswer answer(bool no_body = false) {
    HttpAnswer answer = head();
    if (no_body || answer.status == 204 || answer.status == 304) return answer;
    if (answer.header("transfer-encoding") == "chunked") {
      for (std::string part; !(part = chunk()).empty();) answer.body += part;
    } else if (!answer.header("content-length").empty()) {
      answer.body = exactly(static_cast<std::size_t>(std::atoi(answer.header("content-length").c_str())));
    }
    return answer;
  }
  std::string chunk() {
    const std::size_t size = std::strtoul(until("\r\n").c_str(), nullptr, 16);
    const std::string part = exactly(size);
    until("\r\n");
    return part;
  }
  /// The next event of an event stream that says something.
  std::string event() {
    while (true) {
      const std::size_t end = events_.find("\n\n");
      if (end != std::string::npos) {
        const std::string event = events_.substr(0, end);
        events_.erase(0, end + 2);
        if (!event.starts_with(':')) return event;
        continue;
      }
      const std::string part = chunk();
      if (part.empty()) return {};
      events_ += part;
    }
  }
  [[nodiscard]] bool ended() { return buffer_.empty() && !fill(); }

 private:
  int fd_;
  std::string buffer_;
  std::string events_;
};

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

inline std::string http_text(const std::string& method, const std::string& target, const HttpHeaders& headers = {},
                             const std::string& body = {}) {
  std::string text = method + " " + target + " HTTP/1.1\r\n";
  bool host = false;
  for (const auto& [name, value] : headers) {
    host = host || name == "Host";
    text += name + ": " + value + "\r\n";
  }
  if (!host) text += "Host: 127.0.0.1\r\n";
  if (!body.empty() || method == "POST") text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  return text + "\r\n" + body;
}

/// The program http_hub, on a store of its own.
class HttpHub {
 public:
  explicit HttpHub(std::vector<std::string> settings = {}, std::string store = {})
      : store_(store.empty() ? folder_ / "hub.db" : std::move(store)), settings_(std::move(settings)) {
    start();
  }
  void kill_and_restart() {
    child_->kill_and_wait();
    child_.reset();
    start();
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  HttpAnswer ask(const std::string& method, const std::string& target, HttpHeaders headers = {},
                 const std::string& body = {}) {
    RawSocket socket{port_};
    socket.send(http_text(method, target, headers, body));
    return socket.answer(method == "HEAD");
  }
  HttpAnswer get(const std::string& target, HttpHeaders headers = {}) { return ask("GET", target, std::move(headers)); }
  HttpAnswer post(const std::string& target, const std::string& body, HttpHeaders headers = {}) {
    headers.emplace_back("Content-Type", "application/json");
    return ask("POST", target, std::move(headers), body);
  }

 private:
  void start() {
    std::vector<std::string> arguments{PANNIER_HTTP_HUB, store_};
    arguments.insert(arguments.end(), settings_.begin(), settings_.end());
    child_ = std::make_unique<ChildProcess>(arguments);
    std::string line;
    REQUIRE(child_->line(line));
    port_ = static_cast<std::uint16_t>(std::atoi(line.substr(line.rfind(':') + 1).c_str()));
  }
  TempFolder folder_;
  std::string store_;
  std::vector<std::string> settings_;
  std::unique_ptr<ChildProcess> child_;
  std::uint16_t port_ = 0;
};

}  // namespace pannier::testing
