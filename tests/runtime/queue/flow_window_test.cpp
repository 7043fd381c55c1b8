#include <doctest/doctest.h>

#include "runtime/queue/flow_window.h"

namespace pannier {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kRow = 1024;

TEST_CASE("on a fast link the window opens to its most") {
  FlowWindow window;
  MonoTime now{1s};
  for (int row = 0; row < 4096; ++row) window.acknowledged(kRow, 1ms, now += 1ms);
  CHECK(window.bytes() == FlowWindow::kMost);
}

TEST_CASE("a link that is constantly slow, a satellite say, is no reason to send less") {
  FlowWindow window;
  MonoTime now{1s};
  for (int row = 0; row < 4096; ++row) window.acknowledged(kRow, 700ms, now += 1ms);
  CHECK(window.bytes() == FlowWindow::kMost);
}

TEST_CASE("a link that holds rows back in its buffers is given one frame at a time") {
  FlowWindow window;
  MonoTime now{1s};
  window.acknowledged(kRow, 20ms, now);
  for (int row = 0; row < 100; ++row) window.acknowledged(kRow, 5s, now += 5s);
  CHECK(window.bytes() == FlowWindow::kLeast);
}

TEST_CASE("late acknowledgements of one round shrink the window once") {
  FlowWindow window;
  MonoTime now{10s};
  window.acknowledged(kRow, 20ms, now);
  const std::size_t before = window.bytes();
  for (int row = 0; row < 10; ++row) window.acknowledged(kRow, 300ms, now += 1ms);
  CHECK(window.bytes() == before - before / 4);
}

}  // namespace
}  // namespace pannier
