// What the rows compile/20-handlers compile: an actor of twenty handlers, ten of tables and ten of native values, in
// the forms that programs write. Only compiled, never run.

#include <string>

#include <pannier/pannier.h>
#include "bench/schema/twenty.fbs.h"

namespace pannier::bench {

struct Native0 {
  int number;
  std::string text;
};
struct Native1 {
  int number;
  std::string text;
};
struct Native2 {
  int number;
  std::string text;
};
struct Native3 {
  int number;
  std::string text;
};
struct Native4 {
  int number;
  std::string text;
};
struct Native5 {
  int number;
  std::string text;
};
struct Native6 {
  int number;
  std::string text;
};
struct Native7 {
  int number;
  std::string text;
};
struct Native8 {
  int number;
  std::string text;
};
struct Native9 {
  int number;
  std::string text;
};

struct Twenty : Actor<Twenty, Native0, Native1, Native2, Native3, Native4, Native5, Native6, Native7, Native8, Native9,
                      Table0, Table1, Table2, Table3, Table4, Table5, Table6, Table7, Table8, Table9> {
  void on_start() {
    if (!subscribe<Table0>("fleet/+/position") || !consume<Table1>("jobs")) fail("it cannot begin");
    every(std::chrono::seconds{1}, &Twenty::report);
  }

  void on(const Native0& value) { sum_ += value.number; }
  int on(const Native1& value) { return value.number + sum_; }
  Result<int> on(const Native2& value) {
    if (value.number < 0) return ErrorCode::rejected;
    return value.number;
  }
  void on(const Native3& value, const Responder& responder) { responder.reply(value.number); }
  void on(Native4&& value) {
    if (!tell(LocalRef{sender().id()}, Native5{value.number, std::move(value.text)})) ++sum_;
  }
  void on(const Native5& value) { sum_ += value.number; }
  int on(const Native6& value) { return value.number + sum_; }
  Result<int> on(const Native7& value) {
    if (value.number < 0) return ErrorCode::rejected;
    return value.number;
  }
  void on(const Native8& value, const Responder& responder) { responder.reply(value.number); }
  void on(Native9&& value) {
    if (!tell(LocalRef{sender().id()}, Native0{value.number, std::move(value.text)})) ++sum_;
  }
  void on(const Table0& value) { sum_ += value.number(); }
  void on(const Table1& value, const Delivery& delivery) {
    sum_ += value.number();
    delivery.ack();
  }
  Table<Table3> on(const Table2& value) { return make<Table3>(value.number(), value.text()->str()); }
  void on(const Table3& value, const Responder& responder) {
    ask<Table4>(sender(), make<Table3>(value.number(), "?"), std::chrono::seconds{2})
        .then([responder](Result<Table<Table4>> answer) {
          answer ? responder.reply(*answer) : responder.refuse(answer.error().code);
        });
  }
  void on(const Table<Table4>& value) {
    if (!publish("fleet/7/route", value)) ++sum_;
  }
  void on(const Table5& value) { sum_ += value.number(); }
  void on(const Table6& value, const Delivery& delivery) {
    sum_ += value.number();
    delivery.ack();
  }
  Table<Table8> on(const Table7& value) { return make<Table8>(value.number(), value.text()->str()); }
  void on(const Table8& value, const Responder& responder) {
    ask<Table9>(sender(), make<Table8>(value.number(), "?"), std::chrono::seconds{2})
        .then([responder](Result<Table<Table9>> answer) {
          answer ? responder.reply(*answer) : responder.refuse(answer.error().code);
        });
  }
  void on(const Table<Table9>& value) {
    if (!publish("fleet/7/route", value)) ++sum_;
  }

 private:
  void report() { log(std::to_string(sum_)); }
  int sum_ = 0;
};

Result<ActorRef<Twenty>> start(Node& node) { return node.spawn<Twenty>({.name = "twenty"}); }

}  // namespace pannier::bench
