#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pannier::rpcgen {

/// One method of a service, as the schema says it, checked.
struct Method {
  std::string name;      ///< "GetOrder"
  std::string function;  ///< "get_order"
  std::string request;   ///< "shop.GetOrder"
  std::string response;
  std::string kind;  ///< Enumerator of pannier::rpc::Kind.
  bool idempotent = false;
  unsigned deadline_ms = 0;
  std::vector<std::string> documentation;
};

struct Service {
  std::string package;  ///< "shop"; empty: none.
  std::string name;     ///< "OrderService"
  std::vector<Method> methods;
  std::vector<std::string> documentation;
};

struct Input {
  std::string path;    ///< Of the .fbs file, for messages.
  std::string text;    ///< Of the .fbs file.
  std::string schema;  ///< Its binary schema, of `flatc -b --schema --bfbs-comments --bfbs-builtins`.
};

/// The services that the file itself declares. Where `errors` is not empty, they are wrong: "orders.fbs:12: error:
/// ...".
[[nodiscard]] std::vector<Service> read_services(const Input& input, std::vector<std::string>& errors);

/// The line, from 1, at which the service stands in the text, or one of its methods; 0: not in this file.
[[nodiscard]] unsigned line_of(std::string_view text, std::string_view service, std::string_view method = {});

/// "GetOrder": "get_order"; "HTTPStatus": "http_status". A word of the language gets an underscore.
[[nodiscard]] std::string function_name(std::string_view method);

}  // namespace pannier::rpcgen
