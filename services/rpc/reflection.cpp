#include <pannier/node.h>

#include "services/rpc/schema/reflection.fbs.rpc.h"

namespace pannier::rpc {

namespace {

class ReflectionActor : public ReflectionServiceServer<ReflectionActor> {
 public:
  explicit ReflectionActor(std::vector<const Service*> services) : services_(std::move(services)) {}

  Response<ServiceDescription> describe(const DescribeRequest& request) {
    const std::string_view wanted = request.service() == nullptr ? "" : request.service()->string_view();
    const Service* found = nullptr;
    for (const Service* each : services_) {
      const bool last_part = each->name.ends_with(wanted) && each->name.size() > wanted.size() &&
                             each->name[each->name.size() - wanted.size() - 1] == '.';
      if (wanted.empty() || (each->name != wanted && !last_part)) continue;
      if (found != nullptr) {
        return {Status::invalid_argument, "'" + std::string{wanted} + "' is " + std::string{found->name} + " and " +
                                              std::string{each->name} + ": say which"};
      }
      found = each;
    }
    if (found == nullptr && !wanted.empty()) {
      return {Status::not_found, "no service '" + std::string{wanted} + "' is offered here; " + offered()};
    }
    return build<ServiceDescription>([&](flatbuffers::FlatBufferBuilder& builder) {
      std::vector<flatbuffers::Offset<flatbuffers::String>> names;
      for (const Service* each : services_) names.push_back(builder.CreateString(each->name));
      const auto all = builder.CreateVector(names);
      if (found == nullptr) return CreateServiceDescription(builder, all);
      const auto name = builder.CreateString(found->name);
      std::vector<flatbuffers::Offset<MethodDescription>> methods;
      for (const Method* each : found->methods) {
        const auto method = builder.CreateString(each->info.name.substr(found->name.size() + 1));
        const auto asked = builder.CreateString(each->request->name);
        const auto answered = builder.CreateString(each->response->name);
        methods.push_back(CreateMethodDescription(builder, method, static_cast<std::uint64_t>(each->info.id), asked,
                                                  answered, static_cast<std::uint8_t>(each->kind), each->idempotent,
                                                  each->deadline_ms));
      }
      const auto described = builder.CreateVector(methods);
      const auto schema =
          builder.CreateVector(reinterpret_cast<const std::uint8_t*>(found->schema.data()), found->schema.size());
      return CreateServiceDescription(builder, all, name, described, schema);
    });
  }

 private:
  [[nodiscard]] std::string offered() const {
    std::string text = "there are";
    for (const Service* each : services_) text.append(" ").append(each->name);
    return services_.empty() ? "there is none" : text;
  }
  std::vector<const Service*> services_;
};

}  // namespace

Result<Ref> spawn_reflection(Node& node, std::vector<const Service*> services, std::string name) {
  auto actor = node.spawn<ReflectionActor>({.name = std::move(name)}, std::move(services));
  if (!actor) return actor.error();
  return Ref{actor->id()};
}

}  // namespace pannier::rpc
