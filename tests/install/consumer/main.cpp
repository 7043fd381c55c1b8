#include <pannier/pannier.h>
#include <pannier/process.h>

struct Once : pannier::Actor<Once, int> {
  void on_start() {
    if (!tell(pannier::LocalRef{self().id()}, 7)) fail("an actor cannot tell itself");
  }
  void on(int number) { number == 7 ? stop_node() : fail("not what was told"); }
};

int main() {
  pannier::posix::Process process;
  auto node = pannier::Node::create({.name = "consumer"}, {process.platform(), process.wakeups()});
  return node && (*node)->spawn<Once>() ? process.run(**node) : 2;
}
