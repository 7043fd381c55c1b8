#include "examples/delivery/day/shaper.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace pannier::delivery {
namespace {

std::int64_t first_due(std::span<Flow* const> flows) noexcept {
  std::int64_t first = kNeverMs;
  for (const Flow* flow : flows) first = std::min(first, flow->first_due_ms());
  return first;
}

ShaperOptions with_trace(ShaperOptions options) {
  if (options.trace == nullptr) options.trace = std::make_shared<const Trace>();
  if (!(options.speed > 0)) options.speed = 1.0;
  return options;
}

}  // namespace

void Flow::push(std::int64_t due_ms, std::string_view bytes) {
  if (bytes.empty()) return;
  waiting_bytes_ += bytes.size();
  if (!waiting_.empty() && waiting_.back().due_ms >= due_ms) {
    waiting_.back().bytes.append(bytes);
  } else {
    waiting_.push_back({due_ms, std::string(bytes)});
  }
}

std::size_t Flow::grant(std::int64_t now_ms, std::size_t budget) {
  std::size_t taken = 0;
  while (taken < budget && first_due_ms() <= now_ms) {
    std::string& front = waiting_.front().bytes;
    const std::size_t part = std::min(budget - taken, front.size());
    granted_.append(front, 0, part);
    taken += part;
    if (part == front.size()) {
      waiting_.pop_front();
    } else {
      front.erase(0, part);
    }
  }
  waiting_bytes_ -= taken;
  return taken;
}

void Flow::sent(std::size_t bytes) {
  sent_ += bytes;
  if (sent_ < granted_.size()) return;
  granted_.clear();
  sent_ = 0;
}

Shaper::Shaper(ShaperOptions options) : options_(with_trace(std::move(options))), cursor_(*options_.trace) {}

std::int64_t Shaper::trace_ms(std::int64_t wall_ms) const noexcept {
  return options_.offset_ms + static_cast<std::int64_t>(std::floor(static_cast<double>(wall_ms) * options_.speed));
}

std::int64_t Shaper::wall_ms(std::int64_t trace_ms) const noexcept {
  return static_cast<std::int64_t>(std::ceil(static_cast<double>(trace_ms - options_.offset_ms) / options_.speed));
}

void Shaper::grant(std::span<Flow* const> flows, std::int64_t now_ms) {
  const std::int64_t first = first_due(flows);
  if (first > now_ms) return;
  cursor_.skip_to(trace_ms(first));
  std::size_t budget = cursor_.take_until(trace_ms(now_ms));
  for (std::size_t i = 0; i < flows.size() && budget > 0; ++i) {
    budget -= flows[(turn_ + i) % flows.size()]->grant(now_ms, budget);
  }
  ++turn_;
}

std::int64_t Shaper::next_ms(std::span<Flow* const> flows) const noexcept {
  const std::int64_t first = first_due(flows);
  if (first == kNeverMs || options_.trace->unlimited()) return first;
  TraceCursor ahead = cursor_;
  ahead.skip_to(trace_ms(first));
  return std::max(first, wall_ms(ahead.next_ms()));
}

}  // namespace pannier::delivery
