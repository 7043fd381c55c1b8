#include "examples/delivery/order/scenario.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <map>
#include <utility>

#include <pannier/pannier.h>
#include <pannier/projection.h>

#include "examples/delivery/day/processes.h"
#include "examples/delivery/day/socket.h"
#include "examples/delivery/order/place_order.h"
#include "examples/delivery/order/setup.h"

namespace pannier::delivery {
namespace {

using namespace std::chrono_literals;
using namespace ::delivery::order;

constexpr auto kScenarioLimit = 60s;

// --- What happens in which order ------------------------------------------------------------------------------------

/// What to do once each of `after` was told of its order.
struct Beat {
  std::vector<std::pair<std::uint32_t, NoticeKind>> after;
  std::string say;
  std::string kill = {};
  std::string start = {};
  std::vector<std::uint32_t> place = {};
  Duration promised_in = 30s;
};

/// What an order must have come to in the end.
struct Expected {
  std::uint32_t order;
  std::vector<std::string> history;  ///< Types of events.
  std::int64_t charged;
  std::int64_t refunded;
};

struct Scenario {
  std::vector<Beat> beats;
  std::vector<Expected> expected;
};

const std::vector<std::string> kGoodOrder{"OrderCreated", "OrderPaid", "OrderCooked", "CourierAssigned",
                                          "OrderHandedOver"};

Scenario payment_down() {
  const std::vector<std::string> late_payment{"OrderCreated", "PaymentPending",  "OrderPaid",
                                              "OrderCooked",  "CourierAssigned", "OrderHandedOver"};
  return {
      {{{}, "A good evening: payment answers at once.", {}, {}, {1}},
       {{{1, NoticeKind::completed}}, "The payment service is killed. Two more orders come in.", "payment", {}, {2, 3}},
       {{{2, NoticeKind::pending}, {3, NoticeKind::pending}},
        "Both charges wait in the hub's lane, on disk. Payment is started again.",
        {},
        "payment",
        {}},
       {{{2, NoticeKind::completed}, {3, NoticeKind::completed}},
        "It is killed once more, and this time stays away for longer than an order waits.",
        "payment",
        {},
        {4}},
       {{{4, NoticeKind::cancelled}},
        "Payment comes back, to the charge of an order that is cancelled, and behind it the refund.",
        {},
        "payment",
        {}},
       {{{4, NoticeKind::charged}}, "", {}, {}, {}}},
      {{1, kGoodOrder, 1850, 0},
       {2, late_payment, 1850, 0},
       {3, late_payment, 1850, 0},
       {4, {"OrderCreated", "PaymentPending", "OrderCancelled"}, 1850, 1850}}};
}

Scenario courier_lost() {
  return {
      {{{}, "A good evening: courier-1 is quick.", {}, {}, {1}},
       {{{1, NoticeKind::completed}}, "Another order, promised within two seconds.", {}, {}, {2}, 2s},
       {{{2, NoticeKind::assigned}}, "The battery of courier-1 is dead (its process is killed).", "courier-1", {}, {}},
       {{{2, NoticeKind::completed}, {2, NoticeKind::charged}},
        "courier-1 is at a socket again, with the order still in its bag.",
        {},
        "courier-1",
        {}},
       {{{2, NoticeKind::put_down}}, "", {}, {}, {}}},
      {{1, kGoodOrder, 1850, 0},
       {2,
        {"OrderCreated", "OrderPaid", "OrderCooked", "CourierAssigned", "CourierLost", "CourierAssigned",
         "OrderHandedOver", "OrderRefunded"},
        1850,
        kLateMinor}}};
}

const std::map<std::string, Scenario (*)()>& scenarios() {
  static const std::map<std::string, Scenario (*)()> all{{"payment-down", &payment_down},
                                                         {"courier-lost", &courier_lost}};
  return all;
}

// --- The evening ----------------------------------------------------------------------------------------------------

/// What came of it.
struct Evening {
  std::map<std::string, std::vector<std::uint32_t>> notices;  ///< Their numbers, by order, as they came.
  std::optional<std::string> trouble;
};

/// The customer, who also pulls the plugs: starts and kills the other processes from the worker's thread, which
/// outlives them.
class Customer : public Actor<Customer, Notice> {
 public:
  Customer(const ScenarioOptions* options, const Scenario* scenario, std::uint16_t port, Evening* evening)
      : options_(*options), scenario_(*scenario), port_(port), evening_(*evening) {}

  void on_start() {
    began_ = now();
    for (const std::string& name : service_names()) start(name);
    after(Duration{kScenarioLimit}, [this] { end("the evening has not come to its end in a minute"); });
    require(consume<Notice>("notices"));
  }

  void on(const Notice& notice, Delivery delivery) {
    const std::string order{text_of(notice.order())};
    const std::string text{text_of(notice.text())};
    say(notice.number() != 0 || notice.kind() == NoticeKind::up ? order + " " + text : text + " (" + order + ")");
    if (notice.kind() == NoticeKind::up) ++up_;
    if (notice.number() != 0) evening_.notices[order].push_back(notice.number());
    seen_.emplace_back(order, notice.kind());
    delivery.ack();
    go_on();
  }

 private:
  void go_on() {
    if (up_ < service_names().size()) return;
    for (; next_ < scenario_.beats.size(); ++next_) {
      const Beat& beat = scenario_.beats[next_];
      const bool ready = std::all_of(beat.after.begin(), beat.after.end(), [&](const auto& each) {
        const std::pair wanted{"order-" + std::to_string(each.first), each.second};
        return std::find(seen_.begin(), seen_.end(), wanted) != seen_.end();
      });
      if (!ready) return;
      if (!beat.say.empty()) say("-- " + beat.say);
      if (!beat.kill.empty()) processes_.at(beat.kill).kill_now();
      if (!beat.start.empty()) start(beat.start);
      for (const std::uint32_t number : beat.place) place(number, beat.promised_in);
    }
    end({});
  }

  void place(std::uint32_t number, Duration promised_in) {
    Batch batch;
    start_saga(batch, kSagas, "place-order", "order-" + std::to_string(number),
               sample_order(number, wall_now(), promised_in));
    commit(std::move(batch)).then([this](const Result<Receipt>& stored) {
      if (!stored) end(stored.error().text());
    });
  }

  void start(const std::string& name) {
    const auto found = processes_.find(name);
    Result<void> done;
    if (found != processes_.end()) {
      done = found->second.restart();
    } else {
      auto process =
          Process::start({name,
                          {options_.programs + "/order_service", name, options_.folder, std::to_string(port_)},
                          options_.folder + "/" + name + ".log"});
      if (process) {
        processes_.emplace(name, std::move(*process));
      } else {
        done = process.error();
      }
    }
    if (!done) end(done.error().text());
  }

  void end(const std::string& trouble) {
    if (!trouble.empty()) evening_.trouble = trouble;
    for (auto& [name, process] : processes_) process.terminate();
    for (auto& [name, process] : processes_) {
      const auto exit = process.wait(10s);
      if (!evening_.trouble && (!exit || !exit->clean())) evening_.trouble = name + " did not end well; see its log";
    }
    processes_.clear();
    stop_node();
  }

  void say(const std::string& line) const {
    std::printf("%5.1f s  %s\n", std::chrono::duration<double>(now() - began_).count(), line.c_str());
    std::fflush(stdout);
  }

  const ScenarioOptions& options_;
  const Scenario& scenario_;
  const std::uint16_t port_;
  Evening& evening_;
  std::map<std::string, Process> processes_;
  std::vector<std::pair<std::string, NoticeKind>> seen_;
  std::size_t up_ = 0;  // services that have started, and started again
  std::size_t next_ = 0;
  MonoTime began_{};
};

// --- The audit ------------------------------------------------------------------------------------------------------

/// Reads one database with a node of its own without links, then stops it.
class Reader : public Actor<Reader> {
 public:
  using Read = std::function<void(Reader& self)>;
  explicit Reader(Read read) : read_(std::move(read)) {}
  void on_start() { read_(*this); }
  void done() { stop_node(); }

 private:
  Read read_;
};

Result<void> read_store(const std::string& path, const Reader::Read& read) {
  const int status = pannier::run({.name = "audit", .store = path, .log = LogLevel::error, .tools = "off"},
                                  [&](Node& node) { return node.spawn<Reader>(SpawnOptions{}, read); });
  if (status == 0) return {};
  return Error{ErrorCode::failed, path + " cannot be read"};
}

struct Found {
  std::map<std::string, std::vector<std::string>> histories;
  std::map<std::string, std::pair<std::int64_t, std::int64_t>> accounts;
};

Result<Found> read_books(const std::string& folder) {
  Found found;
  Result<void> events;
  auto done = read_store(folder + "/hub.db", [&](Reader& self) {
    read_events(self, {.stream_prefix = "order-"}, [&](const Result<std::vector<RecordedEvent>>& all) {
      if (!all) events = all.error();
      if (all) {
        for (const RecordedEvent& event : *all) {
          found.histories[event.stream].push_back(event.type.substr(event.type.rfind('.') + 1));
        }
      }
      self.done();
    });
  });
  if (done && events) {
    done = read_store(folder + "/payment.db", [&](Reader& self) {
      QueueControl{self}
          .query("SELECT order_id, charged, refunded FROM account")
          .then([&](const Result<std::vector<SqlRow>>& rows) {
            if (!rows) events = rows.error();
            if (rows) {
              for (const SqlRow& row : *rows) {
                found.accounts[std::get<std::string>(row[0])] = {std::get<std::int64_t>(row[1]),
                                                                 std::get<std::int64_t>(row[2])};
              }
            }
            self.done();
          });
    });
  }
  if (!done) return done.error();
  if (!events) return events.error();
  return found;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

/// Prints each order's end, and what is wrong with it. The number of faults.
int audit(const Scenario& scenario, const Evening& evening, const Found& found) {
  int faults = 0;
  const auto fault = [&](const std::string& order, const std::string& what) {
    std::printf("FAILED: %s: %s\n", order.c_str(), what.c_str());
    ++faults;
  };
  std::printf("\n%-8s %8s %9s  %s\n", "order", "charged", "refunded", "history");
  for (const Expected& expected : scenario.expected) {
    const std::string order = "order-" + std::to_string(expected.order);
    const auto history = found.histories.find(stream_of(order));
    const auto types = history == found.histories.end() ? std::vector<std::string>{} : history->second;
    const auto account = found.accounts.find(order);
    const auto [charged, refunded] =
        account == found.accounts.end() ? std::pair<std::int64_t, std::int64_t>{} : account->second;
    std::printf("%-8s %8.2f %9.2f  %s\n", order.c_str(), static_cast<double>(charged) / 100,
                static_cast<double>(refunded) / 100, joined(types).c_str());
    if (types != expected.history) fault(order, "its history should be " + joined(expected.history));
    if (charged != expected.charged || refunded != expected.refunded) {
      fault(order, std::to_string(expected.charged) + " should be charged, and " + std::to_string(expected.refunded) +
                       " refunded");
    }
    const auto notices = evening.notices.find(order);
    std::uint32_t number = 0;
    for (const std::uint32_t each : notices == evening.notices.end() ? std::vector<std::uint32_t>{} : notices->second) {
      if (each != ++number)
        fault(order, "notice " + std::to_string(each) + " came in place of " + std::to_string(number));
    }
    if (number == 0) fault(order, "no notice came");
  }
  std::printf("\nnotices and events lost, doubled or out of order: %d\n", faults);
  return faults;
}

}  // namespace

std::vector<std::string> scenario_names() {
  std::vector<std::string> names;
  for (const auto& [name, make] : scenarios()) names.push_back(name);
  return names;
}

Result<int> run_scenario(const ScenarioOptions& options) {
  const Scenario scenario = scenarios().at(options.name)();
  if (auto made = make_keys(options.folder); !made) return made.error();
  std::uint16_t port = 0;
  {
    const auto socket = bound_socket("hub", 0);
    if (!socket) return socket.error();
    port = port_of(*socket);
  }
  auto customer = service_options(kCustomer, options.folder, port);
  if (!customer) return customer.error();
  std::printf("%s\n", place_order()->mermaid().c_str());
  Evening evening;
  const int status = pannier::run(*customer, [&](Node& node) {
    return node.spawn<Customer>(SpawnOptions{.restart = Restart::temporary}, &options, &scenario, port, &evening);
  });
  if (status != 0) return status;
  if (evening.trouble) return Error{ErrorCode::failed, *evening.trouble};
  const auto found = read_books(options.folder);
  if (!found) return found.error();
  return audit(scenario, evening, *found) == 0 ? 0 : 1;
}

}  // namespace pannier::delivery
