#include <cstdio>
#include <string>

#include <pannier/entity.h>
#include <pannier/gather.h>
#include <pannier/saga.h>
#include <pannier/simulation.h>

#include <shop/orders.fbs.rpc.h>

namespace {

struct Orders : shop::OrderServiceServer<Orders> {
  pannier::rpc::Response<shop::Order> get_order(const shop::GetOrder& request) {
    if (pannier::text_of(request.order_id()) != "17")
      return {pannier::rpc::Status::not_found, "there is no such order"};
    return pannier::make<shop::Order>("17", 42);
  }
};

struct Caller : pannier::Actor<Caller, int> {
  void on(int, pannier::Responder responder) {
    destination_.call(client_.get_order(pannier::make<shop::GetOrder>("17")))
        .then([responder](pannier::Result<pannier::Answer<pannier::Table<shop::Order>>> order) {
          responder.reply(order ? static_cast<int>((**order)->total()) : -1);
        });
  }
  shop::OrderServiceClient client_{*this, "orders"};
  pannier::Destination destination_{*this, {.name = "orders"}};
};

struct Account : pannier::EventSourced<Account, shop::Deposited> {
  static std::string_view entity_of(const shop::Deposit& c) { return pannier::text_of(c.account()); }
  void apply(const shop::Deposited& e) { balance += e.amount(); }
  pannier::Decision on(const shop::Deposit& c) { return accept(pannier::make<shop::Deposited>(c.amount())); }
  int balance = 0;
};

struct Bank : pannier::Actor<Bank, shop::Charge> {
  void on_start() { require(consume<shop::Charge>("charges")); }
  void on(const shop::Charge& charge, pannier::Delivery delivery) {
    pannier::Batch batch;
    batch.enqueue("sagas", charge.ticket()->str(), pannier::make<shop::Charged>(true));
    delivery.ack(std::move(batch));
  }
};

void pay(shop::PlaceOrderT& order, pannier::Step& step) {
  step.enqueue("charges", order.order_id, pannier::make<shop::Charge>(order.order_id, step.ticket()));
}
void charged(shop::PlaceOrderT& order, const shop::Charged& result, pannier::Step& step) {
  order.paid = result.ok();
  step.done();
}

struct Starter : pannier::Actor<Starter> {
  void on_start() {
    pannier::Batch batch;
    pannier::start_saga(batch, "sagas", "place-order", "17", pannier::make<shop::PlaceOrder>("17", false));
    commit(std::move(batch)).forget();
  }
};

#define EXPECT(what) \
  if (!(what)) return std::puts("not so: " #what), 1

}  // namespace

int main() {
  namespace testkit = pannier::testkit;
  for (const char* part : {"", "-wal", "-notes", "-reserve"}) std::remove(("services.db" + std::string{part}).c_str());
  testkit::Simulation sim{1};
  testkit::SimNode& node = sim.add({.name = "shop"}, {.file = "services.db"});  // entities and sagas keep SQL tables
  node.spawn<Orders>({.name = "orders"});
  const auto caller = node.spawn<Caller>({});
  const auto accounts =
      node.spawn<pannier::EntityHost>({.name = "accounts"}, pannier::entity_kind<Account, shop::Deposit>(),
                                      pannier::EntityOptions{.stream_prefix = "account-"});
  const std::shared_ptr<const pannier::SagaTable> table =
      pannier::saga<shop::PlaceOrder>("place-order", 1).step("pay", &pay).on<shop::Charged>(&charged);
  const auto sagas = node.spawn<pannier::SagaHost>(
      {.name = "sagas"}, std::vector<std::shared_ptr<const pannier::SagaTable>>{table}, pannier::SagaOptions{});
  node.spawn<Bank>({});
  node.spawn<Starter>({});
  sim.advance(std::chrono::seconds{5});

  auto probe = node.probe();
  const auto total = probe.ask<int>(caller, 1);
  EXPECT(total && *total == 42);
  const auto accepted = probe.ask<pannier::events::Accepted>(accounts, pannier::make<shop::Deposit>("ada", 5));
  EXPECT(accepted && (*accepted)->version() == 1);
  const auto status = probe.ask<pannier::sagas::Status>(sagas, pannier::make<pannier::sagas::StatusQuestion>("17"));
  EXPECT(status && pannier::text_of((*status)->status()) == "completed");
  return 0;
}
