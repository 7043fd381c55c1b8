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
  CHECK(window.bytes(0, now) == FlowWindow::kMost);
}

TEST_CASE("a link that is constantly slow, a satellite say, is no reason to send less") {
  FlowWindow window;
  MonoTime now{1s};
  for (int row = 0; row < 4096; ++row) window.acknowledged(kRow, 700ms, now += 1ms);
  CHECK(window.bytes(0, now) == FlowWindow::kMost);
}

TEST_CASE("a link that holds rows back in its buffers is given one frame at a time") {
  FlowWindow window;
  MonoTime now{1s};
  window.acknowledged(kRow, 20ms, now);
  for (int row = 0; row < 100; ++row) window.acknowledged(kRow, 5s, now += 5s);
  CHECK(window.bytes(0, now) == FlowWindow::kLeast);
}

TEST_CASE("late acknowledgements of one round shrink the window once") {
  FlowWindow window;
  MonoTime now{10s};
  window.acknowledged(kRow, 20ms, now);
  const std::size_t before = window.bytes(0, now);
  for (int row = 0; row < 10; ++row) window.acknowledged(kRow, 300ms, now += 1ms);
  CHECK(window.bytes(0, now) == before - before / 4);
}

TEST_CASE("while rows of a higher lane come by, and for a second after, lower ones have little on their way") {
  FlowWindow window;
  MonoTime now{10s};
  for (int row = 0; row < 4096; ++row) window.acknowledged(kRow, 20ms, now += 1ms);
  window.passed(7, now);
  CHECK(window.bytes(6, now) == FlowWindow::kLeast);
  CHECK(window.bytes(7, now) == FlowWindow::kMost);
  CHECK(window.bytes(6, now + 999ms) == FlowWindow::kLeast);
  CHECK(window.bytes(6, now + 1s) == FlowWindow::kMost);
  window.passed(3, now + 500ms);  // the higher one still counts
  CHECK(window.bytes(6, now + 1s) == FlowWindow::kLeast);
  window.passed(3, now + 2s);
  CHECK(window.bytes(6, now + 2s) == FlowWindow::kMost);

  window.acknowledged(kRow, 1ms, now + 2s);  // as near as that a few rows are enough
  CHECK(window.bytes(2, now + 2s) == FlowWindow::kLeast / 8);
}

}  // namespace
}  // namespace pannier
