#include <string>

#include <pannier/pannier.h>
#include <pannier/run.h>

struct Kitchen : pannier::Actor<Kitchen, std::string> {
  std::string on(const std::string& order) { return order + " is ready"; }
};

struct Driver : pannier::Actor<Driver> {
  void on_start() {
    const auto kitchen = *spawn<Kitchen>({.name = "kitchen"});
    ask<std::string>(kitchen, std::string{"order 7"}, std::chrono::seconds{1}).then([this](auto answer) {
      log(answer ? *answer : answer.error().text());  // exactly one outcome: an answer or an error
      stop_node();
    });
  }
};

int main(int argc, char** argv) {
  return pannier::run(argc, argv, {.name = "hello"}, [](pannier::Node& node) { return node.spawn<Driver>(); });
}
