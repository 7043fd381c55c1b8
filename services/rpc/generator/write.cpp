#include "services/rpc/generator/write.h"

#include <cctype>
#include <cstdio>

namespace pannier::rpcgen {

namespace {

std::string cpp_name(const std::string& full) {
  std::string name = "::";
  for (const char c : full) name += c == '.' ? std::string{"::"} : std::string{c};
  return name;
}

std::string documentation(const std::vector<std::string>& lines, const std::string& indent) {
  std::string text;
  for (const std::string& line : lines) text += indent + "///" + line + "\n";
  return text;
}

std::string full_name(const Service& service) {
  return service.package.empty() ? service.name : service.package + "." + service.name;
}

std::string describe(const Method& method) {
  std::string text = method.kind == "unary" ? "Unary" : "Stream: " + method.kind;
  if (method.idempotent) text += ", idempotent";
  text += method.deadline_ms == 0 ? "." : ", deadline " + std::to_string(method.deadline_ms) + " ms.";
  return text;
}

/// The binary schema as a string literal: octal, since a hexadecimal escape has no end.
std::string literal(const std::string& bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i % 28 == 0) text += i == 0 ? "    \"" : "\"\n    \"";
    char octal[5];
    std::snprintf(octal, sizeof octal, "\\%03o", static_cast<unsigned>(static_cast<unsigned char>(bytes[i])));
    text += octal;
  }
  return text + "\"";
}

std::string contract(const Service& service, const std::string& schema) {
  std::string text = documentation(service.documentation, "");
  text += "struct " + service.name + " {\n";
  text += "  static constexpr std::string_view kName = \"" + full_name(service) + "\";\n";
  for (const Method& method : service.methods) {
    text += "\n" + documentation(method.documentation, "  ");
    text += "  struct " + method.name + " : pannier::rpc::detail::Contract<" + cpp_name(method.request) + ", " +
            cpp_name(method.response) + ", pannier::rpc::Kind::" + method.kind + "> {\n";
    text += "    static constexpr pannier::rpc::Method kMethod = describe(\"" + full_name(service) + "." + method.name +
            "\", " + (method.idempotent ? "true" : "false") + ", " + std::to_string(method.deadline_ms) + ");\n";
    text += "    template <class Self, class... Args>\n";
    text += "    static auto invoke(Self& self, Args&&... args)\n";
    text += "        -> decltype(self." + method.function + "(std::forward<Args>(args)...)) {\n";
    text += "      return self." + method.function + "(std::forward<Args>(args)...);\n    }\n  };\n";
  }
  text += "\n  /// For pannier::rpc::Reflection; a program that does not name it has none of these bytes.\n";
  text += "  static const pannier::rpc::Service& reflected() {\n";
  text += "    static constexpr const pannier::rpc::Method* kMethods[] = {";
  for (const Method& method : service.methods) text += "\n        &" + method.name + "::kMethod,";
  text += "};\n    static constexpr pannier::rpc::Service kService{kName, kMethods, " + schema + "()};\n";
  text += "    return kService;\n  }\n};\n\n";
  return text;
}

std::string client(const Service& service) {
  const std::string name = service.name + "Client";
  std::string text = "/// Calls " + full_name(service) + ". A member of the actor that calls:\n";
  text += "///     " + name + " service_{*this, \"hub/name\"};\n";
  text += "class " + name + " : public pannier::rpc::Client {\n public:\n  using Client::Client;\n";
  for (const Method& method : service.methods) {
    const std::string contract = service.name + "::" + method.name;
    text += "\n" + documentation(method.documentation, "  ") + "  /// " + describe(method) + "\n";
    const bool takes_request = method.kind == "unary" || method.kind == "server_stream";
    if (takes_request) {
      text +=
          "  auto " + method.function + "(const pannier::Table<" + cpp_name(method.request) +
          ">& request,\n      const pannier::rpc::CallOptions& options = pannier::rpc::CallOptions::none()) const {\n";
      text += "    return call<" + contract + ">(request, options);\n  }\n";
    } else {
      text += "  auto " + method.function +
              "(const pannier::rpc::CallOptions& options = pannier::rpc::CallOptions::none()) const {\n";
      text += "    return call<" + contract + ">(options);\n  }\n";
    }
  }
  return text + "};\n\n";
}

std::string signature(const Method& method) {
  const std::string request = cpp_name(method.request).substr(2);
  const std::string response = cpp_name(method.response).substr(2);
  if (method.kind == "unary") {
    return "pannier::rpc::Response<" + response + "> " + method.function + "(const " + request + "&);";
  }
  if (method.kind == "server_stream") {
    return "void " + method.function + "(const " + request + "&, pannier::rpc::Writer<" + response + ">);";
  }
  const std::string end = method.kind == "client_stream" ? "Reader" : "Exchange";
  return "void " + method.function + "(pannier::rpc::" + end + "<" + request + ", " + response + ">);";
}

std::string server(const Service& service) {
  const std::string name = service.name + "Server";
  std::string text =
      "/// Serves " + full_name(service) + ". Derive an actor from it, with the other messages that it\n";
  text += "/// handles in `Types`, and write\n";
  for (const Method& method : service.methods) text += "///     " + signature(method) + "\n";
  text += "/// A unary method may be answered later: void method(const Q&, pannier::rpc::Reply<R>).\n";
  text += "template <class Self, class... Types>\n";
  text += "class " + name + " : public pannier::rpc::Server<Self, Types...> {\n public:\n";
  text += "  /// Internal.\n";
  text += "  static std::span<const pannier::rpc::detail::Served> served() noexcept {\n";
  text += "    static constexpr pannier::rpc::detail::Served kServed[] = {\n";
  for (const Method& method : service.methods) {
    const std::string contract = service.name + "::" + method.name;
    text += "        {&" + contract + "::kMethod, &pannier::rpc::detail::serve<Self, " + contract + ">},\n";
  }
  text += "    };\n    return kServed;\n  }\n};\n\n";
  return text;
}

}  // namespace

std::string header_of(const std::vector<Service>& services, const Input& input, const std::string& include) {
  std::string text = "// Made from " + include.substr(0, include.size() - 2) + " by pannier_rpcgen. Do not edit.\n";
  text += "#pragma once\n\n#include <pannier/rpc.h>\n\n#include \"" + include + "\"\n\n";
  std::string schema = "schema_of";
  for (const char c : "_" + include.substr(0, include.size() - 2)) {
    if (c != '\0') schema += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  }
  if (!services.empty()) {
    text += "namespace pannier::rpc::generated {\n\n/// flatc's binary schema of the file.\n";
    text += "constexpr std::string_view " + schema + "() {\n  return {\n" + literal(input.schema) + ",\n      " +
            std::to_string(input.schema.size()) + "};\n}\n\n}  // namespace pannier::rpc::generated\n\n";
  }
  for (const Service& service : services) {
    const std::string space = service.package.empty() ? "" : cpp_name(service.package).substr(2);
    if (!space.empty()) text += "namespace " + space + " {\n\n";
    text += contract(service, "::pannier::rpc::generated::" + schema) + client(service) + server(service);
    if (!space.empty()) text += "}  // namespace " + space + "\n\n";
  }
  while (text.ends_with("\n\n")) text.pop_back();
  return text;
}

}  // namespace pannier::rpcgen
