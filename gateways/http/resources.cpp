#include "gateways/http/resources.h"

#include <flatbuffers/reflection.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

namespace pannier::http {

namespace {

constexpr std::array<std::pair<std::string_view, const char*>, 5> kMethods = {{
    {"http_get", "GET"},
    {"http_post", "POST"},
    {"http_put", "PUT"},
    {"http_patch", "PATCH"},
    {"http_delete", "DELETE"},
}};

/// What the gateway itself has below /v1/.
constexpr std::array<std::string_view, 6> kOwn = {"lanes", "ask", "topics", "events", "node", "dead-letters"};

std::vector<Parameter> parameters_of(const reflection::Object& table) {
  std::vector<Parameter> parameters;
  for (const auto* field : *table.fields()) {
    if (field->deprecated()) continue;
    const reflection::BaseType type = field->type()->base_type();
    const bool enumerator = field->type()->index() >= 0;
    Parameter parameter{field->name()->str(), Parameter::Kind::text};
    if (type == reflection::String || (flatbuffers::IsInteger(type) && enumerator)) {
      parameter.kind = Parameter::Kind::text;
    } else if (type == reflection::Bool) {
      parameter.kind = Parameter::Kind::flag;
    } else if (flatbuffers::IsInteger(type)) {
      parameter.kind = Parameter::Kind::whole;
    } else if (flatbuffers::IsFloat(type)) {
      parameter.kind = Parameter::Kind::real;
    } else {
      continue;
    }
    parameters.push_back(std::move(parameter));
  }
  return parameters;
}

/// Not every vector with a key is sorted by it in what flatc writes.
template <class T>
const T* find_named(const flatbuffers::Vector<flatbuffers::Offset<T>>* all, std::string_view name) {
  if (all == nullptr) return nullptr;
  for (const T* each : *all) {
    if constexpr (requires { each->name(); }) {
      if (each->name()->string_view() == name) return each;
    } else {
      if (each->key()->string_view() == name) return each;
    }
  }
  return nullptr;
}

bool is_variable(std::string_view segment) { return segment.starts_with('{') && segment.ends_with('}'); }

std::string_view name_in(std::string_view segment) { return segment.substr(1, segment.size() - 2); }

}  // namespace

std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> segments;
  while (path.starts_with('/') && path.size() > 1) {
    path.remove_prefix(1);
    const std::size_t end = path.find('/');
    segments.emplace_back(path.substr(0, end));
    path.remove_prefix(std::min(end, path.size()));
  }
  return segments;
}

bool fits(const std::vector<std::string>& pattern, const std::vector<std::string>& path,
          std::vector<std::string>& values) {
  values.clear();
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const bool rest = pattern[i].ends_with("...}");
    if (i >= path.size()) return false;
    if (rest) {
      std::string all = path[i];
      for (std::size_t j = i + 1; j < path.size(); ++j) all += "/" + path[j];
      values.push_back(std::move(all));
      return true;
    }
    if (is_variable(pattern[i])) {
      values.push_back(path[i]);
    } else if (pattern[i] != path[i]) {
      return false;
    }
  }
  return pattern.size() == path.size();
}

Result<Resources> Resources::make(const std::vector<Mount>& mounts) {
  Resources resources;
  std::set<std::string> seen;
  for (const Mount& mount : mounts) {
    const auto wrong = [&](std::string_view method, std::string why) {
      return Error{ErrorCode::malformed, std::string{method} + ": " + std::move(why)};
    };
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(mount.service->schema.data());
    flatbuffers::Verifier verifier{bytes, mount.service->schema.size()};
    if (!reflection::VerifySchemaBuffer(verifier)) return wrong(mount.service->name, "its schema does not verify");
    const reflection::Schema& schema = *reflection::GetSchema(bytes);
    const reflection::Service* service = find_named(schema.services(), mount.service->name);
    if (service == nullptr || service->calls() == nullptr) return wrong(mount.service->name, "not in its schema");
    for (const rpc::Method* method : mount.service->methods) {
      const std::string_view full = method->info.name;
      const auto* call = find_named(service->calls(), full.substr(mount.service->name.size() + 1));
      if (call == nullptr || call->attributes() == nullptr) continue;
      for (const auto& [attribute, verb] : kMethods) {
        const auto* found = find_named(call->attributes(), attribute);
        if (found == nullptr) continue;
        Resource resource;
        resource.method = verb;
        resource.path = found->value() == nullptr ? "" : found->value()->str();
        resource.segments = split_path(resource.path);
        resource.call = method;
        resource.server = mount.server;
        resource.service = mount.service->name;
        resource.keeps_answer = find_named(call->attributes(), "keeps_answer") != nullptr;
        resource.parameters = parameters_of(*call->request());
        if (call->documentation() != nullptr) {
          for (const auto* line : *call->documentation()) resource.documentation.push_back(line->str());
        }
        if (method->kind != rpc::Kind::unary) return wrong(full, "a stream has no resource");
        if (resource.segments.size() < 2 || resource.segments[0].size() < 2 || resource.segments[0][0] != 'v') {
          return wrong(full, "'" + resource.path + "' is no path of a resource: say /v1/...");
        }
        if (resource.segments[0] == "v1" && std::find(kOwn.begin(), kOwn.end(), resource.segments[1]) != kOwn.end()) {
          return wrong(full, "'" + resource.path + "' is the gateway's own");
        }
        std::string shape = resource.method;
        for (const std::string& segment : resource.segments) {
          shape += "/" + (is_variable(segment) ? std::string{"{}"} : segment);
          const bool known = !is_variable(segment) ||
                             std::any_of(resource.parameters.begin(), resource.parameters.end(),
                                         [&](const Parameter& each) { return each.name == name_in(segment); });
          if (!known) return wrong(full, segment + " in '" + resource.path + "' is no simple field of the request");
        }
        if (!seen.insert(shape).second) return wrong(full, "'" + resource.path + "' is there twice");
        resources.all_.push_back(std::move(resource));
      }
    }
  }
  return resources;
}

}  // namespace pannier::http
