#include <flatbuffers/reflection.h>

#include <map>
#include <set>

#include "gateways/http/resources.h"
#include "services/json/json_text.h"

/// OpenAPI 3.1 of what a gateway offers.
namespace pannier::http {

namespace {

using json::json_text;
using json::JsonObject;

std::string list_of(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : ",") + item;
  return "[" + text + "]";
}

std::string ref_to(const std::string& name) { return JsonObject{}.text("$ref", "#/components/schemas/" + name).str(); }

std::string of_type(const char* type) { return JsonObject{}.text("type", type).str(); }

/// The schemas of tables and structs as JSON Schema, each with what it refers to.
class Tables {
 public:
  explicit Tables(const reflection::Schema& schema) : schema_(schema) {}

  void add(const reflection::Object& table, std::map<std::string, std::string>& out) {
    const std::string name = table.name()->str();
    if (out.contains(name)) return;
    out[name] = "";  // it may refer to itself
    JsonObject properties;
    std::vector<std::string> required;
    for (const auto* field : *table.fields()) {
      if (field->deprecated()) continue;
      properties.raw(field->name()->str(), schema_of(*field->type(), out));
      if (field->required()) required.push_back(json_text(field->name()->str()));
    }
    JsonObject object;
    object.text("type", "object").raw("properties", properties.str());
    if (!required.empty()) object.raw("required", list_of(required));
    out[name] = object.flag("additionalProperties", false).str();
  }

 private:
  std::string schema_of(const reflection::Type& type, std::map<std::string, std::string>& out) {
    if (type.base_type() == reflection::Vector || type.base_type() == reflection::Array) {
      return JsonObject{}.text("type", "array").raw("items", item(type.element(), type.index(), out)).str();
    }
    return item(type.base_type(), type.index(), out);
  }
  std::string item(reflection::BaseType base, int index, std::map<std::string, std::string>& out) {
    const auto at = static_cast<flatbuffers::uoffset_t>(index);
    if (base == reflection::Obj && index >= 0) {
      const reflection::Object& object = *schema_.objects()->Get(at);
      add(object, out);
      return ref_to(object.name()->str());
    }
    if (flatbuffers::IsInteger(base) && index >= 0 && schema_.enums() != nullptr) {
      std::vector<std::string> names;
      for (const auto* value : *schema_.enums()->Get(at)->values()) names.push_back(json_text(value->name()->str()));
      return JsonObject{}.text("type", "string").raw("enum", list_of(names)).str();
    }
    if (base == reflection::Bool) return of_type("boolean");
    if (flatbuffers::IsInteger(base)) return of_type("integer");
    if (flatbuffers::IsFloat(base)) return of_type("number");
    if (base == reflection::String) return of_type("string");
    return "{}";  // a union: any of its members
  }
  const reflection::Schema& schema_;
};

std::string parameter(const std::string& name, const char* place, bool required, const std::string& schema,
                      const char* description = nullptr) {
  JsonObject object;
  object.text("name", name).text("in", place).flag("required", required).raw("schema", schema);
  if (description != nullptr) object.text("description", description);
  return object.str();
}

std::string content(const char* type, const std::string& schema) {
  return JsonObject{}.raw(type, JsonObject{}.raw("schema", schema).str()).str();
}

std::string described(const char* text, const std::string& content_of = {}) {
  JsonObject object;
  object.text("description", text);
  if (!content_of.empty()) object.raw("content", content_of);
  return object.str();
}

std::string error_answer() {
  return described("What went wrong (RFC 9457).", content("application/problem+json", ref_to("Problem")));
}

struct Operation {
  const char* method;
  const char* path;
  const char* id;
  const char* summary;
  std::vector<std::string> parameters;
  const char* body;  // null: none
  const char* status;
  std::string answer;
  bool open = false;
};

std::string operation_text(const Operation& operation, bool keys) {
  JsonObject object;
  object.text("operationId", operation.id).text("summary", operation.summary).raw("tags", "[\"node\"]");
  if (!operation.parameters.empty()) object.raw("parameters", list_of(operation.parameters));
  if (operation.body != nullptr) {
    object.raw("requestBody", JsonObject{}.flag("required", true).raw("content", content(operation.body, "{}")).str());
  }
  object.raw("responses", JsonObject{}.raw(operation.status, operation.answer).raw("4XX", error_answer()).str());
  if (operation.open || !keys) object.raw("security", "[]");
  return object.str();
}

const char* kind_name(Parameter::Kind kind) {
  switch (kind) {
    case Parameter::Kind::flag: return "boolean";
    case Parameter::Kind::whole: return "integer";
    case Parameter::Kind::real: return "number";
    default: return "string";
  }
}

std::string resource_text(const Resource& resource, bool keys) {
  JsonObject object;
  std::string id{resource.call->info.name};
  std::string summary;
  for (const std::string& line : resource.documentation) summary += (summary.empty() ? "" : " ") + line;
  while (summary.starts_with(' ')) summary.erase(0, 1);
  object.text("operationId", id).text("summary", summary.empty() ? id : summary);
  object.raw("tags", "[" + json_text(resource.service) + "]");
  std::vector<std::string> parameters;
  std::set<std::string> in_path;
  for (const std::string& segment : resource.segments) {
    if (segment.starts_with('{')) in_path.insert(segment.substr(1, segment.size() - 2));
  }
  for (const Parameter& each : resource.parameters) {
    const bool path = in_path.contains(each.name);
    if (!path && resource.has_body()) continue;
    parameters.push_back(parameter(each.name, path ? "path" : "query", path, of_type(kind_name(each.kind))));
  }
  parameters.push_back(parameter("fields", "query", false, of_type("string"), "Only these members, with commas."));
  if (resource.has_body()) {
    object.raw("requestBody",
               JsonObject{}
                   .flag("required", true)
                   .raw("content", content("application/json", ref_to(std::string{resource.call->request->name})))
                   .str());
  }
  if (resource.method != "GET" && !resource.call->idempotent) {
    parameters.push_back(parameter("Idempotency-Key", "header", true, of_type("string")));
  }
  object.raw("parameters", list_of(parameters));
  object.raw("responses",
             JsonObject{}
                 .raw("200", described("Done.",
                                       content("application/json", ref_to(std::string{resource.call->response->name}))))
                 .raw("4XX", error_answer())
                 .str());
  if (!keys) object.raw("security", "[]");
  return object.str();
}

std::vector<Operation> own_operations() {
  const std::string text = of_type("string");
  const std::string lane = parameter("lane", "path", true, text);
  const std::string type = parameter("type", "query", true, text, "Full name of the table.");
  const std::string topic = parameter("topic", "path", true, text, "Levels are further segments.");
  const std::string json = content("application/json", "{}");
  const std::string events = content("text/event-stream", text);
  return {
      {"get",
       "/healthz",
       "health",
       "Whether the gateway and its actor answer.",
       {},
       nullptr,
       "200",
       described("It does.", json),
       true},
      {"get",
       "/readyz",
       "ready",
       "Whether the node can do its work, and why not.",
       {},
       nullptr,
       "200",
       described("It can.", json),
       true},
      {"get",
       "/metrics",
       "metrics",
       "Counters, as Prometheus reads them.",
       {},
       nullptr,
       "200",
       described("Text format 0.0.4.", content("text/plain", text))},
      {"get", "/openapi.json", "openapi", "This description.", {}, nullptr, "200", described("OpenAPI.", json)},
      {"get",
       "/v1/node",
       "node",
       "The node as its live page shows it.",
       {},
       nullptr,
       "200",
       described("Health, links, lanes, dead letters, store, actors.", json)},
      {"post",
       "/v1/dead-letters/redrive",
       "redrive",
       "Make dead letters of a lane ready again.",
       {parameter("lane", "query", true, text), parameter("id", "query", false, of_type("integer")),
        parameter("key", "query", false, text), parameter("box", "query", false, text),
        parameter("node", "query", false, text)},
       nullptr,
       "200",
       described("How many.", json)},
      {"post",
       "/v1/lanes/{lane}",
       "enqueue",
       "Store a message until it has taken effect.",
       {lane, type, parameter("key", "query", false, text),
        parameter("delay", "query", false, of_type("number"), "Seconds."),
        parameter("expires", "query", false, of_type("number"), "Seconds."),
        parameter("durability", "query", false, text), parameter("Idempotency-Key", "header", false, text)},
       "application/json",
       "201",
       described("The receipt.", json)},
      {"get",
       "/v1/lanes/{lane}",
       "fetch",
       "Take messages, to settle each before its visibility ends.",
       {lane, parameter("max", "query", false, of_type("integer")),
        parameter("visibility", "query", false, of_type("number"), "Seconds."),
        parameter("wait", "query", false, of_type("number"), "Seconds.")},
       nullptr,
       "200",
       described("Messages.", json)},
      {"post",
       "/v1/lanes/{lane}/deliveries/{delivery}/{outcome}",
       "settle",
       "Settle a delivery.",
       {lane, parameter("delivery", "path", true, text),
        parameter("outcome", "path", true,
                  JsonObject{}.text("type", "string").raw("enum", "[\"ack\",\"retry\",\"dead-letter\"]").str()),
        parameter("cause", "query", false, text)},
       nullptr,
       "204",
       described("Acknowledged; gone from disk.")},
      {"post",
       "/v1/ask/{actor}",
       "ask",
       "Ask an actor of this node.",
       {parameter("actor", "path", true, text), type},
       "application/json",
       "200",
       described("Its reply.", json)},
      {"post",
       "/v1/ask/{node}/{actor}",
       "askThere",
       "Ask an actor of a linked node.",
       {parameter("node", "path", true, text), parameter("actor", "path", true, text), type},
       "application/json",
       "200",
       described("Its reply.", json)},
      {"post",
       "/v1/topics/{topic}",
       "publish",
       "Publish to a topic.",
       {topic, type, parameter("retain", "query", false, of_type("boolean"))},
       "application/json",
       "202",
       described("Published.")},
      {"get",
       "/v1/topics/{topic}",
       "subscribe",
       "Follow topics, by a filter.",
       {topic},
       nullptr,
       "200",
       described("Server-sent events.", events)},
      {"get",
       "/v1/events",
       "allEvents",
       "All histories of the node.",
       {parameter("after", "query", false, of_type("integer")), parameter("limit", "query", false, of_type("integer"))},
       nullptr,
       "200",
       described("Events.", json)},
      {"get",
       "/v1/events/{stream}",
       "events",
       "The history of a stream.",
       {parameter("stream", "path", true, text), parameter("after", "query", false, of_type("integer")),
        parameter("limit", "query", false, of_type("integer"))},
       nullptr,
       "200",
       described("Events.", json)},
  };
}

}  // namespace

std::string openapi_text(const Resources& resources, const std::vector<Mount>& mounts, bool keys) {
  std::map<std::string, JsonObject> paths;
  for (const Operation& operation : own_operations()) {
    paths[operation.path].raw(operation.method, operation_text(operation, keys));
  }
  for (const Resource& resource : resources.all()) {
    std::string method = resource.method;
    for (char& c : method) c = static_cast<char>(c - 'A' + 'a');
    paths[resource.path].raw(method, resource_text(resource, keys));
  }
  std::map<std::string, std::string> tables;
  for (const Mount& mount : mounts) {
    const reflection::Schema& schema = *reflection::GetSchema(mount.service->schema.data());
    Tables needed{schema};
    for (const Resource& resource : resources.all()) {
      if (resource.service != mount.service->name) continue;
      for (const TypeInfo* info : {resource.has_body() ? resource.call->request : nullptr, resource.call->response}) {
        if (info == nullptr) continue;
        const auto* object = schema.objects()->LookupByKey(std::string{info->name}.c_str());
        if (object != nullptr) needed.add(*object, tables);
      }
    }
  }
  const std::string text = of_type("string");
  tables["Problem"] = JsonObject{}
                          .text("type", "object")
                          .raw("properties", JsonObject{}
                                                 .raw("type", text)
                                                 .raw("title", text)
                                                 .raw("status", of_type("integer"))
                                                 .raw("detail", text)
                                                 .raw("code", text)
                                                 .str())
                          .str();
  JsonObject all;
  for (const auto& [path, operations] : paths) all.raw(path, operations.str());
  JsonObject schemas;
  for (const auto& [name, schema] : tables) schemas.raw(name, schema);
  JsonObject components;
  components.raw("schemas", schemas.str());
  if (keys) {
    components.raw("securitySchemes",
                   JsonObject{}.raw("key", JsonObject{}.text("type", "http").text("scheme", "bearer").str()).str());
  }
  JsonObject document;
  document.text("openapi", "3.1.0");
  document.raw("info",
               JsonObject{}
                   .text("title", "Pannier node")
                   .text("version", "1")
                   .text("summary", "A node of a messaging runtime over HTTP.")
                   .raw("license", JsonObject{}.text("name", "Apache 2.0").text("identifier", "Apache-2.0").str())
                   .str());
  document.raw("servers", "[" + JsonObject{}.text("url", "/").str() + "]");
  if (keys) document.raw("security", "[{\"key\":[]}]");
  document.raw("paths", all.str()).raw("components", components.str());
  return document.str();
}

}  // namespace pannier::http
