#include <cstdio>

#include <pannier/simulation.h>

struct Doubler : pannier::Actor<Doubler, int> {
  int on(int number) { return 2 * number; }
};

int main() {
  pannier::testkit::Simulation sim{1};
  const auto doubler = sim.spawn<Doubler>();
  auto probe = sim.probe();
  const auto answer = probe.ask<int>(doubler, 21);
  if (answer && *answer == 42) return 0;
  std::puts(answer ? "not what was asked for" : answer.error().text().c_str());
  return 1;
}
