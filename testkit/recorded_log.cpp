#include <pannier/simulation.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace pannier::testkit {

class RecordedLog::Hold {
 public:
  explicit Hold(std::atomic_flag& busy) noexcept : busy_(busy) {
    while (busy_.test_and_set(std::memory_order_acquire)) {
    }
  }
  ~Hold() { busy_.clear(std::memory_order_release); }
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;

 private:
  std::atomic_flag& busy_;
};

RecordedLog::RecordedLog(std::string prefix)
    : prefix_(std::move(prefix)), show_(std::getenv("PANNIER_TEST_LOG") != nullptr) {}

void RecordedLog::write(LogLevel level, std::string_view line) noexcept {
  if (level == LogLevel::error) errors_.fetch_add(1, std::memory_order_relaxed);
  if (level == LogLevel::warning) warnings_.fetch_add(1, std::memory_order_relaxed);
  if (show_) {
    std::fprintf(stderr, "%s%s%.*s\n", prefix_.c_str(), prefix_.empty() ? "" : ": ", static_cast<int>(line.size()),
                 line.data());
  }
  const Hold hold{busy_};
  if (level == LogLevel::error) last_error_ = line;
  if (lines_.size() == kLines) lines_.pop_front();
  lines_.emplace_back(line);
}

std::string RecordedLog::last_error() const {
  const Hold hold{busy_};
  return last_error_;
}

bool RecordedLog::has(std::string_view part) const {
  const Hold hold{busy_};
  return std::any_of(lines_.begin(), lines_.end(),
                     [part](const std::string& line) { return line.find(part) != std::string::npos; });
}

}  // namespace pannier::testkit
