#include "runtime/link/link_window.h"

#include <doctest/doctest.h>

namespace pannier {
namespace {

using namespace std::chrono_literals;

struct Run {
  LinkWindow window;
  double per_second = 0;  ///< Bytes that were sent.
};

/// A line of some speed and delay each way, that is kept as full as the window allows for `span`. The far end reads
/// once in `reads_every`.
Run after(double bytes_per_second, Duration one_way, Duration span, Duration reads_every = 1ms) {
  struct Due {
    MonoTime at;
    std::uint64_t position;
    Duration transit;
  };
  constexpr Duration kClocksDiffer = -7h;
  Run run;
  LinkWindow& window = run.window;
  std::deque<Due> echoes;
  const MonoTime begin{1h};
  MonoTime line_free = begin;
  const auto send = [&](MonoTime now, std::size_t bytes) {
    const Duration takes{static_cast<std::int64_t>(static_cast<double>(bytes + 48) * 1e9 / bytes_per_second)};
    line_free = std::max(line_free, now) + takes;
    const bool mark = bytes == 0 || window.wants_mark(bytes);
    window.handed_over(bytes);
    if (!mark) return;
    window.marked(bytes, now);
    const MonoTime arrives = line_free + one_way;
    const MonoTime read{(arrives.time_since_epoch() / reads_every + 1) * reads_every};
    echoes.push_back({read + one_way, window.sent(), read - now + kClocksDiffer});
  };
  send(begin, 0);  // as after hello
  for (MonoTime now = begin; now < begin + span; now += 1ms) {
    while (!echoes.empty() && echoes.front().at <= now) {
      window.echo(echoes.front().position, echoes.front().transit, now);
      echoes.pop_front();
    }
    while (window.takes(window.piece())) send(now, window.piece());
    if (!window.awaits_echo()) send(now, 0);
  }
  run.per_second = static_cast<double>(window.echoed()) / std::chrono::duration<double>(span).count();
  return run;
}

TEST_CASE("a window holds what its line carries in a quarter of a second and a round trip") {
  for (const double rate : {16e3, 64e3, 250e3, 1e6}) {
    for (const Duration delay : {1ms, 30ms, 300ms}) {
      CAPTURE(rate);
      CAPTURE(delay.count());
      const auto window = static_cast<double>(after(rate, delay, 1min).window.bytes());
      const double wanted = rate * (0.25 + 2 * std::chrono::duration<double>(delay).count());
      CHECK(window > wanted * 0.6);
      CHECK(window < wanted * 1.7);
    }
  }
}

TEST_CASE("a line is kept busy, whatever its delay, and though the far end looks at it now and then only") {
  CHECK(after(16e3, 30ms, 1min).per_second > 16e3 * 0.85);
  CHECK(after(1e6, 300ms, 1min).per_second > 1e6 * 0.8);  // 4 s of it until the window is open
  CHECK(after(1e6, 1ms, 1min, 100ms).per_second > 1e6 * 0.85);
  CHECK(after(1e6, 1ms, 1min, 400ms).per_second > 1e6 * 0.85);
}

TEST_CASE("little traffic on a fast line neither opens the window nor closes it") {
  LinkWindow window;
  const auto tell = [&](MonoTime now, std::size_t bytes) {
    const bool mark = window.wants_mark(bytes);
    window.handed_over(bytes);
    if (!mark) return;
    window.marked(bytes, now);
    window.echo(window.sent(), 50ms, now + 100ms);
  };
  for (int i = 0; i < 1000; ++i) tell(MonoTime{i * 1s}, 700);
  CHECK(window.bytes() == LinkWindow::kStart);
}

TEST_CASE("bytes that arrived long ago, too few for a mark, do not make a slow line look fast") {
  LinkWindow window;
  MonoTime now{1s};
  const auto send = [&](std::size_t bytes) {  // alone on a line of 2,000 B/s
    const bool mark = window.wants_mark(bytes);
    window.handed_over(bytes);
    const Duration transit = std::chrono::microseconds{bytes * 500};
    if (mark) window.marked(bytes, now);
    if (mark) window.echo(window.sent(), transit, now + transit);
    now += 5s;
  };
  window.marked(0, now);
  window.echo(0, 0s, now);
  for (int i = 0; i < 20; ++i) send(8000);
  CHECK(window.bytes() == LinkWindow::kLeast);
  for (int i = 0; i < 100; ++i) {
    send(500);
    send(600);
  }
  CHECK(window.bytes() <= LinkWindow::kLeast * 5 / 4);
}

TEST_CASE("a window never falls below one small piece, nor grows beyond what a link holds") {
  CHECK(after(500, 30ms, 1min).window.bytes() == LinkWindow::kLeast);
  CHECK(after(1e9, 1ms, 10s).window.bytes() == LinkWindow::kMost);
  CHECK(LinkWindow{}.piece() >= LinkWindow::kLeast);
}

TEST_CASE("an echo of a mark that was never sent changes nothing") {
  LinkWindow window;
  window.handed_over(5000);
  window.marked(5000, MonoTime{1s});
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
