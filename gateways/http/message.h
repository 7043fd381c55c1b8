#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pannier/platform.h>
#include <pannier/result.h>

/// Requests and answers as values, without sockets: what the server makes and an actor answers, and what a test can
/// make as well.
namespace pannier::http {

using Pairs = std::vector<std::pair<std::string, std::string>>;

struct Request {
  std::string method;  ///< In capitals.
  std::string path;    ///< Decoded segments, each after a '/'; a '/' or '%' within a segment stays encoded.
  std::vector<std::string> segments;  ///< Decoded.
  Pairs query;                        ///< Decoded.
  Pairs headers;                      ///< Names in lower case.
  std::string body;

  /// The first of that name; empty: none.
  [[nodiscard]] std::string_view header(std::string_view name) const noexcept;
  [[nodiscard]] std::optional<std::string_view> find_header(std::string_view name) const noexcept;
  [[nodiscard]] std::optional<std::string_view> find_query(std::string_view name) const noexcept;
  [[nodiscard]] std::string_view parameter(std::string_view name) const noexcept {
    return find_query(name).value_or(std::string_view{});
  }
};

/// Reads "/v1/orders/7?fields=total" into `request`. malformed: an encoding that is none, an empty segment, "." or
/// "..", a NUL.
[[nodiscard]] Result<void> read_target(std::string_view target, Request& request);
/// What a segment is as a part of Request::path.
[[nodiscard]] std::string encode_segment(std::string_view segment);

/// The body of an answer that goes on: bytes from one actor to one reader, at most `bytes` of them waiting. Any thread.
class Feed {
 public:
  explicit Feed(std::size_t bytes) : bytes_(bytes) {}

  // --- The writer ---
  /// Takes all of `text` or, if it does not fit, nothing. An empty feed takes a text of any length. False too once the
  /// reader has gone.
  [[nodiscard]] bool write(std::string_view text);
  /// No more will come.
  void end();
  /// Called, on the reader's thread, when the reader has taken what was there after write() returned false. Set before
  /// the answer.
  void on_room(std::function<void()> told) { on_room_ = std::move(told); }

  // --- The reader ---
  /// Takes up to `most` bytes. Empty: none now, or none any more (ended).
  struct Taken {
    std::size_t bytes;
    bool ended;
  };
  [[nodiscard]] Taken take(char* out, std::size_t most);
  /// Called, on the writer's thread, when there is something to take. Set before the first take.
  void on_data(std::function<void()> told);
  void reader_gone();

 private:
  std::mutex mutex_;
  const std::size_t bytes_;
  std::string waiting_;
  std::size_t taken_ = 0;
  bool refused_ = false;
  bool ended_ = false;
  bool gone_ = false;
  std::function<void()> on_room_;
  std::function<void()> on_data_;
};

struct Response {
  std::uint16_t status = 200;
  Pairs headers = {};
  std::string body = {};
  std::shared_ptr<Feed> feed = {};  ///< In place of the body.
};

/// A request on its way, and the right to answer it. Any thread.
class Exchange {
 public:
  Exchange(std::uint64_t id, Request request) : id_(id), request_(std::move(request)) {}
  virtual ~Exchange() = default;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
  [[nodiscard]] const Request& request() const noexcept { return request_; }
  /// The first answer counts.
  virtual void answer(Response response) = 0;

 private:
  const std::uint64_t id_;
  const Request request_;
};

/// To the front: a request. Native.
struct Arrived {
  std::shared_ptr<Exchange> exchange;
};
/// To the front: who made this request is gone. Native.
struct HungUp {
  std::uint64_t exchange = 0;
};

/// An error as RFC 9457 has it: application/problem+json with type, title, status, detail and our code.
[[nodiscard]] Response problem(std::uint16_t status, std::string_view code, std::string_view detail);
[[nodiscard]] Response problem(const Error& error);
/// The status of an error of the runtime: docs/http.md, Errors.
[[nodiscard]] std::uint16_t status_of(ErrorCode code) noexcept;
[[nodiscard]] Response json_answer(std::uint16_t status, std::string body);

}  // namespace pannier::http
