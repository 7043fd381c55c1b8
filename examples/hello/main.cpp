#include <string>

#include <pannier/pannier.h>
#include <pannier/process.h>

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

int main() {
  pannier::posix::Process process;  // this process's clock, threads, log and signals
  auto node = pannier::Node::create({.name = "hello"}, {process.platform(), process.wakeups()});
  return node && (*node)->spawn<Driver>() ? process.run(**node) : 2;
}
