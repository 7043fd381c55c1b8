// A hybrid: a saga pays from an event-sourced account and books the courier; what happened feeds a read model, which is
// asked in the end. Each part is used for what it is good at.

#include <cstdio>
#include <string>
#include <utility>

#include <pannier/entity.h>
#include <pannier/pannier.h>
#include <pannier/projection.h>
#include <pannier/run.h>
#include <pannier/saga.h>

#include "examples/patterns/patterns.fbs.h"

using namespace std::chrono_literals;
using namespace patterns;

// --- The account: commands by lane, which take effect once; state from its events
struct Account : pannier::EventSourced<Account, Deposited, Withdrawn> {
  template <class Command>
  static std::string_view entity_of(const Command& command) {
    return pannier::text_of(command.account());
  }
  void apply(const Deposited& event) { balance += event.amount(); }
  void apply(const Withdrawn& event) { balance -= event.amount(); }
  pannier::Decision on(const Deposit& command) { return accept(pannier::make<Deposited>(command.amount())); }
  /// The answer is stored with the event. A refusal is an answer as well: the saga need not wait for its deadline.
  pannier::Decision on(const Debit& command) {
    const bool covered = command.cents() <= balance;
    pannier::Batch answer;
    answer.enqueue("sagas", pannier::text_of(command.reply_to()), pannier::make<Charged>(covered));
    auto decision = covered ? accept(pannier::make<Withdrawn>(command.cents())) : accept();
    return std::move(decision).with(std::move(answer));
  }
  std::int64_t balance = 0;
};

// --- The saga: withdraw, then find a courier, or pay back
void withdraw(PlaceOrderT& order, pannier::Step& step) {
  step.enqueue("accounts", "Ada", pannier::make<Debit>("Ada", order.cents, step.ticket()));
}
void withdrawn(PlaceOrderT&, const Charged& result, pannier::Step& step) {
  result.ok() ? step.done() : step.fail("insufficient funds");
}
void deposit_back(PlaceOrderT& order, pannier::Step& step) {
  step.enqueue("accounts", "Ada", pannier::make<Deposit>("Ada", order.cents));
}
void find_courier(PlaceOrderT& order, pannier::Step& step) {
  if (order.order == "order-2") return step.fail("no courier is free");
  order.courier = "Ben";
}
std::shared_ptr<const pannier::SagaTable> place_order() {
  return pannier::saga<PlaceOrder>("place-order", 1)
      .step("withdraw", &withdraw, &deposit_back)
      .on<Charged>(&withdrawn)
      .with({.deadline = 30s})
      .step("find courier", &find_courier);
}

// --- The read model: what went out of the accounts, and came back
struct Turnover : pannier::Projection<Turnover, Deposited, Withdrawn> {
  static constexpr std::string_view kName = "turnover";
  static constexpr std::uint32_t kVersion = 1;
  static void create(pannier::ReadModel& model) { model.table("turnover", "kind TEXT PRIMARY KEY, cents INTEGER"); }
  static void add(std::string_view kind, std::int64_t cents, pannier::ReadModel& model) {
    model.execute("INSERT INTO {turnover} VALUES (?1, ?2) ON CONFLICT (kind) DO UPDATE SET cents=cents+excluded.cents",
                  kind, cents);
  }
  static void apply(const Deposited& e, const pannier::RecordedEvent&, pannier::ReadModel& model) {
    add("in", e.amount(), model);
  }
  static void apply(const Withdrawn& e, const pannier::RecordedEvent&, pannier::ReadModel& model) {
    add("out", e.amount(), model);
  }
  static pannier::ReadQuery on(const PriceReport&) {
    return {"SELECT group_concat(kind || ' ' || cents, ', ') FROM (SELECT * FROM {turnover} ORDER BY kind)",
            [](const std::vector<pannier::SqlRow>& rows) -> pannier::AnyTable {
              const auto* text = std::get_if<std::string>(&rows.at(0)[0]);
              return pannier::make<Answer>(text == nullptr ? "" : *text);
            }};
  }
};

struct Customer : pannier::Actor<Customer> {
  void on_start() {
    ask<pannier::events::Accepted>(ref("accounts"), pannier::make<Deposit>("Ada", 5000), 10s).then([this](const auto&) {
      pannier::Batch batch;
      for (const char* id : {"order-1", "order-2"}) {
        pannier::start_saga(batch, "sagas", "place-order", id, pannier::make<PlaceOrder>(id, 1200, ""));
      }
      commit(std::move(batch)).forget();
      look();
    });
  }
  /// Reads lag: until both orders are in the tables.
  void look() {
    ask<Answer>(ref("turnover"), pannier::make<PriceReport>(false), 10s).then([this](const auto& answer) {
      const std::string text = answer ? (*answer)->text()->str() : "";
      if (text != "in 6200, out 2400") return static_cast<void>(after(50ms, &Customer::look));
      std::printf("turnover: %s\n", text.c_str());
      ask<pannier::sagas::Status>(ref("sagas"), pannier::make<pannier::sagas::StatusQuestion>("order-2"), 10s)
          .then([this](const auto& saga) {
            if (saga) std::printf("order-2: %s: %s\n", (*saga)->status()->c_str(), (*saga)->cause()->c_str());
            stop_node();
          });
    });
  }
};

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: pattern_hybrid STORE\n"), 2;
  return pannier::run({.name = "shop", .store = argv[1]}, [](pannier::Node& node) -> pannier::Result<void> {
    auto accounts =
        node.spawn<pannier::EntityHost>({.name = "accounts"}, pannier::entity_kind<Account, Deposit, Debit>(),
                                        pannier::EntityOptions{.stream_prefix = "account-", .lane = "accounts"});
    if (!accounts) return accounts.error();
    auto turnover = node.spawn<pannier::ProjectionHost>(
        {.name = "turnover"}, pannier::projection_kind<Turnover, PriceReport>(), pannier::ProjectionOptions{});
    if (!turnover) return turnover.error();
    auto sagas = node.spawn<pannier::SagaHost>({.name = "sagas"}, std::vector{place_order()}, pannier::SagaOptions{});
    if (!sagas) return sagas.error();
    auto customer = node.spawn<Customer>();
    return customer ? pannier::Result<void>{} : customer.error();
  });
}
