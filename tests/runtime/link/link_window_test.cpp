#include "runtime/link/link_window.h"

#include <doctest/doctest.h>

namespace pannier {
namespace {

using namespace std::chrono_literals;

/// A line of some speed and delay each way, that is kept as full as the window allows for `span`.
LinkWindow after(double bytes_per_second, Duration one_way, Duration span, Duration receiver_is_busy = {}) {
  struct Due {
    MonoTime at;
    std::uint64_t position;
    Duration transit;
  };
  constexpr Duration kClocksDiffer = -7h;
  LinkWindow window;
  std::deque<Due> echoes;
  const MonoTime begin{1h};
  MonoTime line_free = begin;
  const auto send = [&](MonoTime now, std::size_t bytes) {
    const Duration takes{static_cast<std::int64_t>(static_cast<double>(bytes + 48) * 1e9 / bytes_per_second)};
    line_free = std::max(line_free, now) + takes;
    const bool mark = bytes == 0 || window.wants_mark(bytes);
    window.handed_over(bytes);
    if (!mark) return;
    window.marked(now);
    const Duration transit = line_free - now + one_way + receiver_is_busy;
    echoes.push_back({now + transit + one_way, window.sent(), transit + kClocksDiffer});
  };
  send(begin, 0);  // as after hello
  for (MonoTime now = begin; now < begin + span; now += 1ms) {
    while (!echoes.empty() && echoes.front().at <= now) {
      window.echo(echoes.front().position, echoes.front().transit, now);
      echoes.pop_front();
    }
    while (window.takes(window.piece())) send(now, window.piece());
  }
  return window;
}

TEST_CASE("a window holds what its line carries in a quarter of a second and a round trip") {
  for (const double rate : {16e3, 64e3, 250e3, 1e6}) {
    for (const Duration delay : {1ms, 30ms, 300ms}) {
      CAPTURE(rate);
      CAPTURE(delay.count());
      const auto window = static_cast<double>(after(rate, delay, 1min).bytes());
      const double wanted = rate * (0.25 + 2 * std::chrono::duration<double>(delay).count());
      CHECK(window > wanted * 0.5);
      CHECK(window < wanted * 1.7);
    }
  }
}

TEST_CASE("a window never falls below one small piece, nor grows beyond what a link holds") {
  CHECK(after(500, 30ms, 1min).bytes() == LinkWindow::kLeast);
  CHECK(after(1e9, 1ms, 10s).bytes() == LinkWindow::kMost);
  CHECK(LinkWindow{}.piece() >= LinkWindow::kLeast);
}

TEST_CASE("an echo of a mark that was never sent changes nothing") {
  LinkWindow window;
  window.handed_over(5000);
  window.marked(MonoTime{1s});
  window.echo(1, -1h, MonoTime{2s});
  window.echo(99999, 1h, MonoTime{2s});
  CHECK(window.in_flight() == 5000);
  CHECK(window.bytes() == LinkWindow::kStart);
  CHECK_FALSE(window.takes(LinkWindow::kStart));
  window.echo(5000, 1h, MonoTime{2s});
  CHECK(window.in_flight() == 0);
}

TEST_CASE("a link with nothing on its way takes a record of any size") {
  LinkWindow window;
  CHECK(window.takes(limits::kPayloadBytes));
  window.handed_over(1);
  CHECK_FALSE(window.takes(limits::kPayloadBytes));
}

}  // namespace
}  // namespace pannier
