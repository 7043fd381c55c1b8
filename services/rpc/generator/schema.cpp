#include "services/rpc/generator/schema.h"

#include <flatbuffers/reflection.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <map>

namespace pannier::rpcgen {

namespace {

constexpr unsigned kLongestDeadlineMs = 24 * 3600 * 1000;

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

/// The text with comments and strings blanked out, so that positions stay.
std::string without_comments(std::string_view text) {
  std::string code{text};
  for (std::size_t i = 0; i < code.size(); ++i) {
    const bool line = code.compare(i, 2, "//") == 0;
    const bool block = code.compare(i, 2, "/*") == 0;
    if (!line && !block && code[i] != '"') continue;
    std::size_t end = line ? code.find('\n', i) : block ? code.find("*/", i + 2) : code.find('"', i + 1);
    if (end == std::string::npos) end = code.size();
    for (; i < end; ++i) {
      if (code[i] != '\n') code[i] = ' ';
    }
  }
  return code;
}

/// Where `word` stands as a word of its own from `from` on.
std::size_t find_word(std::string_view code, std::string_view word, std::size_t from) {
  for (std::size_t at = code.find(word, from); at != std::string_view::npos; at = code.find(word, at + 1)) {
    const bool begins = at == 0 || !is_word(code[at - 1]);
    const bool ends = at + word.size() >= code.size() || !is_word(code[at + word.size()]);
    if (begins && ends) return at;
  }
  return std::string_view::npos;
}

std::vector<std::string> lines_of(const flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>>* documentation) {
  std::vector<std::string> lines;
  if (documentation == nullptr) return lines;
  for (const auto* line : *documentation) lines.push_back(line->str());
  return lines;
}

/// An attribute of the HTTP gateway (docs/http.md, Resources): what is wrong with its path; empty: nothing.
std::string complaint_about_path(const std::string& path, const reflection::RPCCall& call) {
  if (path.size() < 5 || path[0] != '/' || path[1] != 'v' || std::isdigit(static_cast<unsigned char>(path[2])) == 0 ||
      path.find('/', 1) == std::string::npos || path.back() == '/') {
    return "say a path such as \"/v1/orders/{order_id}\"";
  }
  for (std::size_t at = path.find('{'); at != std::string::npos; at = path.find('{', at + 1)) {
    const std::size_t end = path.find('}', at);
    if (end == std::string::npos || path[at - 1] != '/' || (end + 1 < path.size() && path[end + 1] != '/')) {
      return "a variable is a whole segment: {order_id}";
    }
    const std::string name = path.substr(at + 1, end - at - 1);
    const auto* fields = call.request()->fields();
    const auto* field = fields == nullptr ? nullptr : fields->LookupByKey(name.c_str());
    if (field == nullptr) return "{" + name + "} is no field of " + call.request()->name()->str();
    const auto type = field->type()->base_type();
    if (type != reflection::String && !(type >= reflection::Bool && type <= reflection::Double)) {
      return "{" + name + "} is neither a text nor a number";
    }
  }
  return {};
}

bool is_http(const std::string& attribute) {
  static constexpr std::array<std::string_view, 5> kMethods = {"http_get", "http_post", "http_put", "http_patch",
                                                               "http_delete"};
  return std::find(kMethods.begin(), kMethods.end(), attribute) != kMethods.end();
}

struct Where {
  const Input& input;
  std::vector<std::string>& errors;
  void complain(unsigned line, const std::string& text) const {
    errors.push_back(input.path + ":" + std::to_string(line) + ": error: " + text);
  }
};

std::string kind_of(std::string_view streaming) {
  if (streaming.empty() || streaming == "none") return "unary";
  if (streaming == "client") return "client_stream";
  if (streaming == "server") return "server_stream";
  if (streaming == "bidi") return "bidi";
  return {};
}

Method read_method(const reflection::RPCCall& call, const std::string& service, unsigned line, const Where& where) {
  Method method;
  method.name = call.name()->str();
  method.function = function_name(method.name);
  method.request = call.request()->name()->str();
  method.response = call.response()->name()->str();
  method.kind = "unary";
  method.documentation = lines_of(call.documentation());
  const std::string full = service + "." + method.name;
  if (call.attributes() == nullptr) return method;
  for (const auto* attribute : *call.attributes()) {
    const std::string key = attribute->key()->str();
    const std::string value = attribute->value() == nullptr ? "" : attribute->value()->str();
    if (key == "streaming") {
      method.kind = kind_of(value);
      if (method.kind.empty()) {
        where.complain(line, "streaming of " + full + " is \"" + value + "\": say \"client\", \"server\" or \"bidi\"");
      }
    } else if (key == "deadline_ms") {
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), method.deadline_ms);
      const bool whole = error == std::errc{} && end == value.data() + value.size();
      if (!whole || method.deadline_ms == 0 || method.deadline_ms > kLongestDeadlineMs) {
        where.complain(line, "deadline_ms of " + full + " is '" + value + "': say a number from 1 to " +
                                 std::to_string(kLongestDeadlineMs));
      }
    } else if (is_http(key)) {
      if (const std::string why = complaint_about_path(value, call); !why.empty()) {
        where.complain(line, key + " of " + full + " is \"" + value + "\": " + why);
      }
    } else if (key.starts_with("http_")) {
      where.complain(line, key + " of " + full + ": there is http_get, http_post, http_put, http_patch, http_delete");
    } else if (key == "idempotent") {
      method.idempotent = true;
      if (!value.empty() && value != "0") {
        where.complain(line, "idempotent of " + full + " takes no value; leave it out where the method is not");
      }
    }
  }
  return method;
}

}  // namespace

std::string function_name(std::string_view method) {
  static constexpr std::array<std::string_view, 40> kTaken = {
      "and",     "auto",   "bool",   "break",  "case", "catch", "char",     "class", "const",   "continue",
      "default", "delete", "do",     "double", "else", "enum",  "export",   "false", "float",   "for",
      "goto",    "if",     "int",    "long",   "new",  "not",   "operator", "or",    "private", "public",
      "return",  "short",  "struct", "switch", "this", "throw", "true",     "union", "using",   "while"};
  // What an actor, or the client class, has already.
  static constexpr std::array<std::string_view, 36> kMembers = {
      "after",   "ask",    "become",   "call",    "caller",    "cancel", "clear_retained", "commit", "consume",
      "enqueue", "every",  "fail",     "fetch",   "intercept", "is",     "label",          "local",  "log",
      "now",     "on",     "on_start", "on_stop", "publish",   "queue",  "random",         "ref",    "reply",
      "require", "replay", "self",     "sender",  "server",    "served", "spawn",          "stop",   "tell"};
  std::string name;
  for (std::size_t i = 0; i < method.size(); ++i) {
    const auto upper = [&](std::size_t at) {
      return at < method.size() && std::isupper(static_cast<unsigned char>(method[at])) != 0;
    };
    const auto lower = [&](std::size_t at) {
      return at < method.size() && std::islower(static_cast<unsigned char>(method[at])) != 0;
    };
    if (i > 0 && upper(i) && method[i - 1] != '_' && (!upper(i - 1) || lower(i + 1))) name += '_';
    name += static_cast<char>(std::tolower(static_cast<unsigned char>(method[i])));
  }
  const bool taken = std::find(kTaken.begin(), kTaken.end(), name) != kTaken.end() ||
                     std::find(kMembers.begin(), kMembers.end(), name) != kMembers.end();
  return taken ? name + "_" : name;
}

unsigned line_of(std::string_view text, std::string_view service, std::string_view method) {
  const std::string code = without_comments(text);
  for (std::size_t at = find_word(code, "rpc_service", 0); at != std::string::npos;
       at = find_word(code, "rpc_service", at + 1)) {
    const std::size_t name = code.find_first_not_of(" \t\r\n", at + std::string_view{"rpc_service"}.size());
    if (name == std::string::npos || find_word(code, service, name) != name) continue;
    std::size_t found = at;
    if (!method.empty()) {
      found = find_word(code, method, code.find('{', name));
      if (found == std::string::npos) found = at;
    }
    return static_cast<unsigned>(1 + std::count(code.begin(), code.begin() + static_cast<std::ptrdiff_t>(found), '\n'));
  }
  return 0;
}

std::vector<Service> read_services(const Input& input, std::vector<std::string>& errors) {
  const Where where{input, errors};
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(input.schema.data());
  flatbuffers::Verifier verifier{bytes, input.schema.size()};
  if (!reflection::VerifySchemaBuffer(verifier)) {
    errors.push_back(input.path + ": error: its binary schema is none: is flatc of the version of this program?");
    return {};
  }
  const reflection::Schema& schema = *reflection::GetSchema(bytes);
  std::vector<Service> services;
  if (schema.services() == nullptr) return services;
  for (const auto* each : *schema.services()) {
    const std::string full = each->name()->str();
    Service service;
    const std::size_t dot = full.rfind('.');
    service.package = dot == std::string::npos ? "" : full.substr(0, dot);
    service.name = dot == std::string::npos ? full : full.substr(dot + 1);
    const unsigned line = line_of(input.text, service.name);
    if (line == 0) continue;  // of an included file
    service.documentation = lines_of(each->documentation());
    for (const char* suffix : {"", "Client", "Server"}) {
      if (schema.objects()->LookupByKey((full + suffix).c_str()) != nullptr) {
        where.complain(line, "the service " + full + " makes a class " + full + suffix +
                                 ", and there is a table of that name: rename one");
      }
    }
    std::map<std::string, std::string> functions;
    if (each->calls() != nullptr) {
      for (const auto* call : *each->calls()) {
        const unsigned at = line_of(input.text, service.name, call->name()->str());
        Method method = read_method(*call, service.name, at, where);
        const auto [other, fresh] = functions.emplace(method.function, method.name);
        if (!fresh) {
          where.complain(at, service.name + "." + method.name + " and " + service.name + "." + other->second +
                                 " both make a function " + method.function + "(): rename one");
        }
        service.methods.push_back(std::move(method));
      }
    }
    // As they stand in the file; the schema has them by name.
    std::stable_sort(service.methods.begin(), service.methods.end(), [&](const Method& left, const Method& right) {
      return line_of(input.text, service.name, left.name) < line_of(input.text, service.name, right.name);
    });
    services.push_back(std::move(service));
  }
  return services;
}

}  // namespace pannier::rpcgen
