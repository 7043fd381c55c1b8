#include <pannier/sim.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace pannier::sim {
namespace {

/// FNV-1a over the eight bytes of `value`.
void mix(std::uint64_t& digest, std::uint64_t value) noexcept {
  for (int shift = 0; shift < 64; shift += 8) {
    digest ^= (value >> shift) & 0xff;
    digest *= 0x100000001b3ULL;
  }
}

}  // namespace

FlagWakeup::FlagWakeup(Simulator& simulator) : simulator_(simulator) { simulator_.wakeups_.push_back(this); }

FlagWakeup::~FlagWakeup() { std::erase(simulator_.wakeups_, this); }

void Simulator::add(Loop& loop) {
  const Wakeup* wanted = &loop.wakeup();
  const auto found =
      std::find_if(wakeups_.begin(), wakeups_.end(), [wanted](const FlagWakeup* wakeup) { return wakeup == wanted; });
  if (found == wakeups_.end()) {
    std::fputs("pannier: a simulated loop must use a sim::FlagWakeup of its simulator\n", stderr);
    std::abort();
  }
  entries_.push_back({&loop, *found, clock_.now(), next_id_++});
}

void Simulator::remove(Loop& loop) noexcept {
  std::erase_if(entries_, [&loop](const Entry& entry) { return entry.loop == &loop; });
}

void Simulator::run_for(Duration span) { run(nullptr, clock_.now() + span); }

bool Simulator::run_until(const std::function<bool()>& predicate, Duration limit) {
  if (predicate()) return true;
  return run(&predicate, clock_.now() + limit);
}

bool Simulator::run(const std::function<bool()>* predicate, MonoTime end) {
  std::uint64_t steps_here = 0;
  for (;;) {
    if (step()) {
      if (predicate != nullptr && (*predicate)()) return true;
      if (++steps_here < kStepsPerInstant) continue;
      ++busy_instants_;
      steps_here = 0;
      clock_.advance_to(std::min(end, clock_.now() + kBusyAdvance));
    } else {
      steps_here = 0;
      clock_.advance_to(std::min(end, earliest_due()));
      // What is due at the very end still runs, unless the time was up already and all is quiet.
      if (clock_.now() < end || earliest_due() <= end) continue;
      break;
    }
    if (clock_.now() >= end) break;
  }
  return predicate != nullptr && (*predicate)();
}

bool Simulator::step() {
  const MonoTime now = clock_.now();
  ready_.clear();
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].wakeup->notified() || entries_[i].due <= now) ready_.push_back(i);
  }
  if (ready_.empty()) return false;
  const std::size_t index = ready_[static_cast<std::size_t>(entropy_.below(ready_.size()))];
  Entry& chosen = entries_[index];
  const std::uint64_t id = chosen.id;
  chosen.wakeup->wait_until(now);
  ++steps_;
  mix(digest_, static_cast<std::uint64_t>(now.time_since_epoch().count()));
  mix(digest_, id);
  const MonoTime due = chosen.loop->step(now);
  // The step may have added or removed loops, itself included, so look up the entry again.
  const auto found =
      std::find_if(entries_.begin(), entries_.end(), [id](const Entry& entry) { return entry.id == id; });
  if (found != entries_.end()) found->due = due;
  return true;
}

MonoTime Simulator::earliest_due() const noexcept {
  MonoTime earliest = kNever;
  for (const Entry& entry : entries_) earliest = std::min(earliest, entry.due);
  return earliest;
}

}  // namespace pannier::sim
