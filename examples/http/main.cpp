// A hub that is reached over HTTP: lanes, topics and one service as resources, with its live page at /.
//   build/dev/examples/http/pannier_http_example --config examples/http/hub.toml
//   curl -d '{"seats": 4}' -H 'Content-Type: application/json' -H 'Idempotency-Key: 1' http://127.0.0.1:8080/v1/orders
//   curl http://127.0.0.1:8080/v1/orders/1

#include <pannier/http.h>
#include <pannier/run.h>

#include <memory>
#include <string>

#include "examples/http/schema/kitchen.fbs.rpc.h"

namespace {

using kitchen::Order;
namespace http = pannier::http;

/// Orders are rows of a table in the node's own store.
struct Cook : kitchen::KitchenServer<Cook> {
  void on_start() {
    pannier::Batch batch;
    batch.execute("CREATE TABLE IF NOT EXISTS kitchen_orders (id INTEGER PRIMARY KEY, seats INTEGER)");
    commit(std::move(batch)).forget();
    queue().query("SELECT coalesce(max(id), 0) FROM kitchen_orders").then([this](const auto& rows) {
      if (!rows || rows->empty()) return;
      if (const auto row = rows->front().template as<int>()) last_ = std::get<0>(*row);
    });
  }

  void place(const kitchen::PlaceOrder& request, pannier::rpc::Reply<Order> reply) {
    const auto answer = pannier::make<Order>(++last_, request.seats());
    pannier::Batch batch;
    batch.execute("INSERT INTO kitchen_orders VALUES (?1, ?2)", last_, request.seats());
    // The same request again gets the same answer, whatever happens in between.
    if (auto kept = http::keep_answer(batch, caller(), answer, wall_now()); !kept) {
      return reply.finish(pannier::rpc::Response<Order>{kept.error()});
    }
    commit(std::move(batch)).then([reply, answer](const pannier::Result<pannier::Receipt>& stored) mutable {
      if (!stored) return reply.finish(pannier::rpc::Response<Order>{stored.error()});
      reply.finish(answer);
    });
  }

  void get(const kitchen::GetOrder& request, pannier::rpc::Reply<Order> reply) {
    queue()
        .query("SELECT id, seats FROM kitchen_orders WHERE id = ?1", request.id())
        .then([reply](const auto& rows) mutable {
          if (!rows) return reply.finish(pannier::rpc::Response<Order>{rows.error()});
          if (rows->empty()) return reply.finish(pannier::rpc::Status::not_found);
          const auto row = rows->front().template as<int, int>();
          if (!row) return reply.finish(pannier::rpc::Response<Order>{row.error()});
          reply.finish(pannier::make<Order>(std::get<0>(*row), std::get<1>(*row)));
        });
  }

 private:
  int last_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  std::unique_ptr<http::Gateway> gateway;
  return pannier::run(argc, argv,
                      [&](pannier::Node& node, const pannier::RunOptions& options,
                          pannier::posix::Process& process) -> pannier::Result<void> {
                        if (auto kitchen = node.spawn<Cook>({.name = "kitchen"}); !kitchen) return kitchen.error();
                        http::Options defaults;
                        defaults.mounts = {{&kitchen::Kitchen::reflected(), "kitchen"}};
                        auto settings = http::options_from(options.app, "http.", defaults);
                        if (!settings) return settings.error();
                        auto made = http::Gateway::create(node, process.platform(), *settings);
                        if (!made) return made.error();
                        gateway = std::move(*made);
                        process.drive(gateway->loop());
                        return {};
                      });
}
