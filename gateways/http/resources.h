#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <pannier/http.h>
#include <pannier/rpc.h>

namespace pannier::http {

/// How a field of a request is said in a path or a query.
struct Parameter {
  enum class Kind : std::uint8_t { text, whole, real, flag };
  std::string name;
  Kind kind = Kind::text;
};

/// A method of a service as HTTP has it: attribute http_get, http_post, http_put, http_patch or http_delete, with the
/// path, whose variables are fields of the request.
struct Resource {
  std::string method;
  std::string path;
  std::vector<std::string> segments;  ///< Of the path; "{name}" is a variable.
  const rpc::Method* call = nullptr;
  std::string server;
  std::string_view service;  ///< "shop.OrderService".
  std::vector<std::string> documentation;
  bool keeps_answer = false;          ///< The handler keeps its answer with its effect: keep_answer().
  std::vector<Parameter> parameters;  ///< Fields of the request that a path or a query may have.

  [[nodiscard]] bool has_body() const noexcept { return method != "GET" && method != "DELETE"; }
};

class Resources {
 public:
  /// malformed: an attribute that makes no sense, naming the method.
  [[nodiscard]] static Result<Resources> make(const std::vector<Mount>& mounts);
  [[nodiscard]] const std::vector<Resource>& all() const noexcept { return all_; }

 private:
  std::vector<Resource> all_;
};

/// The segments of a pattern, and whether those of a path fit it. `values` gets those of the variables; "{name...}" at
/// the end takes the rest, with '/' between.
[[nodiscard]] std::vector<std::string> split_path(std::string_view path);
[[nodiscard]] bool fits(const std::vector<std::string>& pattern, const std::vector<std::string>& path,
                        std::vector<std::string>& values);

/// The gateway's own resources and those of services, as OpenAPI 3.1.
[[nodiscard]] std::string openapi_text(const Resources& resources, const std::vector<Mount>& mounts, bool keys);

}  // namespace pannier::http
