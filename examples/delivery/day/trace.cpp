#include "examples/delivery/day/trace.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

#include <pannier/platform.h>
#include "examples/delivery/day/random.h"

namespace pannier::delivery {
namespace {

constexpr std::uint64_t kMaxFileBytes = 64ULL * 1024 * 1024;
constexpr std::uint32_t kMaxMs = 24U * 60 * 60 * 1'000;
constexpr std::size_t kUnlimitedBytes = std::numeric_limits<std::size_t>::max() / 4;

Error broken(std::string_view name, std::size_t line, const std::string& what) {
  return {ErrorCode::invalid_argument, std::string(name) + ":" + std::to_string(line) + ": " + what};
}

}  // namespace

Result<Trace> Trace::parse(std::string_view name, std::string_view text) {
  std::vector<std::uint32_t> at_ms;
  std::size_t number = 0;
  while (!text.empty()) {
    ++number;
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty()) continue;
    std::uint32_t ms = 0;
    const auto [stop, code] = std::from_chars(line.data(), line.data() + line.size(), ms);
    if (code != std::errc{} || stop != line.data() + line.size() || ms > kMaxMs) {
      return broken(name, number,
                    "not a time, expected a whole number of milliseconds up to " + std::to_string(kMaxMs));
    }
    if (!at_ms.empty() && ms < at_ms.back()) {
      return broken(name, number,
                    std::to_string(ms) + " ms is before " + std::to_string(at_ms.back()) +
                        " ms of the line above, expected rising times");
    }
    at_ms.push_back(ms);
  }
  if (at_ms.empty()) return broken(name, number, "the trace is empty, expected a time in ms on each line");
  if (at_ms.back() == 0) return broken(name, number, "the trace lasts 0 ms, expected a last time above 0");
  return Trace(std::move(at_ms));
}

Result<Trace> Trace::read(const std::string& path) {
  const Result<std::string> text = read_file(path, kMaxFileBytes);
  if (!text) return text.error();
  return parse(path, *text);
}

Trace Trace::generate(std::uint64_t seed, std::uint32_t kbit_per_s, std::uint32_t length_ms) {
  // The rate is a mean-reverting random walk, and chance decides on top of it when the link serves: a doubly stochastic
  // process, as Sprout models cellular links (Winstein et al., NSDI 2013). Outages come on top.
  Random random = Random::for_part(seed, kbit_per_s);
  const std::int64_t length = std::max<std::int64_t>(length_ms, 10'000);
  constexpr std::int64_t kMicro = 1'000'000;  // of one opportunity
  const std::int64_t mean = std::max<std::int64_t>(1, std::int64_t{kbit_per_s} * kMicro / 12'000);  // per ms
  std::int64_t rate = mean;
  std::int64_t credit = 0;
  std::int64_t silent_until = 0;
  std::vector<std::uint32_t> at_ms;
  for (std::int64_t ms = 0; ms <= length; ++ms) {
    if (ms % 100 == 0) {  // every 100 ms the rate moves by up to a fifth, and a fiftieth of the way back
      rate += rate * random.between(-200, 200) / 1'000 + (mean - rate) / 50;
      rate = std::clamp(rate, mean / 10, mean * 3);
    }
    if (ms >= silent_until) {
      if (random.below(30'000) == 0) silent_until = ms + random.between(1'000, 5'000);
      if (random.below(5'000) == 0) silent_until = ms + random.between(50, 400);
    }
    if (ms < silent_until) continue;
    credit += random.below(2 * rate + 1);
    for (; credit >= kMicro; credit -= kMicro) at_ms.push_back(static_cast<std::uint32_t>(ms));
  }
  // The round ends at its length in any case.
  if (at_ms.empty() || at_ms.back() < length) at_ms.push_back(static_cast<std::uint32_t>(length));
  return Trace(std::move(at_ms));
}

std::uint32_t Trace::longest_gap_ms() const noexcept {
  std::uint32_t longest = at_ms_.empty() ? 0 : at_ms_.front();
  for (std::size_t i = 1; i < at_ms_.size(); ++i) longest = std::max(longest, at_ms_[i] - at_ms_[i - 1]);
  return longest;
}

Result<TracePair> read_trace_pair(const std::string& path) {
  const std::string_view up = ".up";
  const std::string_view down = ".down";
  const bool is_down = path.ends_with(down);
  Result<Trace> one = Trace::read(path);
  if (!one) return one.error();
  if (!is_down && !path.ends_with(up)) return TracePair{*one, *one};

  std::string other_path = path.substr(0, path.size() - (is_down ? down : up).size());
  other_path += is_down ? up : down;
  Result<Trace> other = Trace::read(other_path);
  if (!other && other.error().code == ErrorCode::not_found) return TracePair{*one, *one};
  if (!other) return other.error();
  return is_down ? TracePair{std::move(*other), std::move(*one)} : TracePair{std::move(*one), std::move(*other)};
}

void TraceCursor::skip_to(std::int64_t now_ms) noexcept {
  if (trace_->unlimited() || now_ms <= next_ms()) return;
  const std::int64_t period = trace_->period_ms();
  const auto& at = trace_->opportunities();
  round_ = now_ms / period;
  const auto within = static_cast<std::uint32_t>(now_ms % period);
  index_ = static_cast<std::size_t>(std::lower_bound(at.begin(), at.end(), within) - at.begin());
}

std::size_t TraceCursor::take_until(std::int64_t now_ms) noexcept {
  if (trace_->unlimited()) return kUnlimitedBytes;
  std::size_t bytes = 0;
  while (next_ms() <= now_ms && bytes < kUnlimitedBytes) {
    bytes += Trace::kOpportunityBytes;
    if (++index_ == trace_->opportunities().size()) {
      index_ = 0;
      ++round_;
    }
  }
  return bytes;
}

std::int64_t TraceCursor::next_ms() const noexcept {
  if (trace_->unlimited()) return std::numeric_limits<std::int64_t>::min();
  return round_ * trace_->period_ms() + trace_->opportunities()[index_];
}

}  // namespace pannier::delivery
