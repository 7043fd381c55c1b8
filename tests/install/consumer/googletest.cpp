#include <gtest/gtest.h>

#include <pannier/simulation.h>

struct Doubler : pannier::Actor<Doubler, int> {
  int on(int number) { return 2 * number; }
};

TEST(Doubler, DoublesWhatItIsAsked) {
  pannier::testkit::Simulation sim{1};
  const auto doubler = sim.spawn<Doubler>();
  auto probe = sim.probe();
  const auto answer = probe.ask<int>(doubler, 21);
  ASSERT_TRUE(answer) << answer.error().text();
  EXPECT_EQ(*answer, 42);
}

TEST(Doubler, SaysNothingByItself) {
  pannier::testkit::Simulation sim{1};
  sim.spawn<Doubler>();
  auto probe = sim.probe();
  const auto quiet = probe.expect_nothing(std::chrono::hours{1});
  EXPECT_TRUE(quiet) << quiet.error().text();
}
