// A node with a service and reflection, for tests of `pannier call`.

#include <pannier/run.h>

#include "tests/services/rpc/schema/shop.fbs.rpc.h"

namespace {

using pannier::rpc::Response;
using pannier::rpc::Status;
using shop::Chunk;
using shop::GetOrder;
using shop::Order;

struct Orders : shop::OrderServiceServer<Orders> {
  Response<Order> get_order(const GetOrder& request) {
    const std::string_view id = request.order_id() == nullptr ? "" : request.order_id()->string_view();
    if (id.empty()) return {Status::invalid_argument, "which order?"};
    return pannier::make<Order>(id, 42, "Lindenweg 3");
  }
  Response<Order> await(const GetOrder&) { return Status::unavailable; }
  void watch(const GetOrder& request, pannier::rpc::Writer<Chunk> out) {
    for (int i = 0; i < request.wait_ms(); ++i) out.write(pannier::make<Chunk>("chunk", i)).ignore();
    out.finish();
  }
  void upload(pannier::rpc::Reader<Chunk, shop::Summary>) {}
  void chat(pannier::rpc::Exchange<Chunk, Chunk>) {}
  Response<shop::Route> plan_route(const shop::RouteRequest&) { return Status::unimplemented; }
  Response<Order> reprice(const Order&) { return Status::unimplemented; }
};

}  // namespace

int main(int argc, char** argv) {
  return pannier::run(argc, argv, [](pannier::Node& node) -> pannier::Result<void> {
    if (auto orders = node.spawn<Orders>({.name = "orders"}); !orders) return orders.error();
    if (auto told = pannier::rpc::spawn_reflection(node, {&shop::OrderService::reflected()}); !told)
      return told.error();
    return {};
  });
}
