#include "run/schema/inspect.fbs.h"
#include "tools/client.h"
#include "tools/commands.h"
#include "tools/output.h"

namespace pannier::tools {

namespace {

std::string line_of(const RouteStatus& route) {
  std::string line = route.node()->str() + "  ";
  if (route.hops() == 1) return line + "linked";
  if (route.hops() == 0) return line + "behind " + route.via()->str() + ", if it is there at all";
  return line + std::to_string(route.hops()) + " links, by " + route.via()->str();
}

}  // namespace

int run_route(const RouteCommand& command) {
  auto client = Client::connect(command.target);
  if (!client) return fail_with(client.error());
  const auto request = build<AskRoutes>(
      [&](flatbuffers::FlatBufferBuilder& builder) { return CreateAskRoutesDirect(builder, command.node.c_str()); });
  const auto list = client->ask<RouteList>(request, command.target.timeout);
  if (!list) return fail_with(list.error());
  const std::string here = (*list)->node()->str();
  const auto* routes = (*list)->routes();
  if (routes == nullptr || routes->size() == 0) {
    return command.node.empty() ? fail(kExitRefused, here + " has no link to any node now")
                                : fail(kExitRefused, "no way leads from " + here + " to " + command.node + " now");
  }
  for (const RouteStatus* route : *routes) {
    if (command.json) {
      print(JsonObject{}
                .text("node", route->node()->str())
                .text("via", route->via()->str())
                .number("hops", route->hops())
                .str());
    } else {
      print(line_of(*route));
    }
  }
  return 0;
}

}  // namespace pannier::tools
