#include "examples/delivery/day/ledger.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <fstream>
#include <utility>

namespace pannier::delivery {
namespace {

// Marks a line that its writer did not finish.
constexpr std::string_view kTorn = " !torn";

template <class... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};
template <class... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;

bool is_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

bool has_names(const LedgerLine& line) {
  return std::visit(
      Overloaded{[](const Accepted& a) { return is_name(a.event) && is_name(a.order) && is_name(a.type); },
                 [](const Applied& a) { return is_name(a.event) && is_name(a.order) && is_name(a.type); },
                 [](const End&) { return true; }, [](const Status& s) { return is_name(s.name); }},
      line);
}

Error io_error(const std::string& path, const char* what) {
  const int cause = errno;
  const bool full = cause == ENOSPC || cause == EDQUOT;
  return {full ? ErrorCode::storage_full : ErrorCode::storage_io, path + ": " + what + ": " + std::strerror(cause)};
}

// Reads a line word by word; the first error fails the line.
class Words {
 public:
  explicit Words(std::string_view text) : rest_(text) {}

  std::string word() {
    const std::size_t end = rest_.find(' ');
    const std::string_view word = rest_.substr(0, end);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    if (!is_name(word)) good_ = false;
    return std::string(word);
  }

  template <class Number>
  Number number() {
    const std::string text = word();
    Number value = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code != std::errc{} || end != text.data() + text.size()) good_ = false;
    return value;
  }

  [[nodiscard]] bool done() const { return good_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool good_ = true;
};

}  // namespace

std::string format(const LedgerLine& line) {
  const auto n = [](auto value) { return " " + std::to_string(value); };
  return std::visit(
             Overloaded{[&](const Accepted& a) {
                          return "accepted " + a.event + " " + a.order + " " + a.type + n(a.sequence) + n(a.t_ms);
                        },
                        [&](const Applied& a) {
                          return "applied " + a.event + " " + a.order + " " + a.type + n(a.times) + n(a.position);
                        },
                        [&](const End& e) { return "end" + n(e.rows); },
                        [&](const Status& s) { return "status " + s.name + n(s.value) + n(s.t_ms); }},
             line) +
         "\n";
}

Result<LedgerLine> parse_line(std::string_view text) {
  Words words(text);
  const std::string kind = words.word();
  LedgerLine line = End{0};
  // Braces: the words are read in order.
  if (kind == "accepted") {
    line =
        Accepted{words.word(), words.word(), words.word(), words.number<std::uint64_t>(), words.number<std::int64_t>()};
  } else if (kind == "applied") {
    line =
        Applied{words.word(), words.word(), words.word(), words.number<std::uint64_t>(), words.number<std::uint64_t>()};
  } else if (kind == "end") {
    line = End{words.number<std::uint64_t>()};
  } else if (kind == "status") {
    line = Status{words.word(), words.number<std::int64_t>(), words.number<std::int64_t>()};
  } else {
    return Error{ErrorCode::invalid_argument, "not a ledger line, expected accepted, applied, end or status"};
  }
  if (!words.done()) {
    return Error{ErrorCode::invalid_argument, "a broken line of kind " + kind + ", expected its words and numbers"};
  }
  return line;
}

Result<LedgerWriter> LedgerWriter::open(const std::string& directory, const std::string& process) {
  const std::string path = directory + "/" + process + ".ledger";
  const int file = ::open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) return io_error(path, "cannot open the ledger");
  LedgerWriter writer(file, path);

  struct stat status {};
  if (::fstat(file, &status) != 0) return io_error(path, "cannot examine the ledger");
  if (status.st_size > 0) {
    char last = '\n';
    if (::pread(file, &last, 1, status.st_size - 1) != 1) return io_error(path, "cannot read the ledger");
    if (last != '\n') {
      const std::string mark = std::string(kTorn) + "\n";
      if (::write(file, mark.data(), mark.size()) != static_cast<ssize_t>(mark.size())) {
        return io_error(path, "cannot write the ledger");
      }
    }
  }
  return writer;
}

LedgerWriter::LedgerWriter(LedgerWriter&& other) noexcept
    : file_(std::exchange(other.file_, -1)), path_(std::move(other.path_)) {}

LedgerWriter& LedgerWriter::operator=(LedgerWriter&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(path_, other.path_);
  return *this;
}

LedgerWriter::~LedgerWriter() {
  if (file_ >= 0) ::close(file_);
}

Result<void> LedgerWriter::append(const LedgerLine& line) {
  if (!has_names(line)) {
    return Error{ErrorCode::invalid_argument, path_ + ": a name in the ledger is empty or contains white space"};
  }
  const std::string text = format(line);
  ssize_t written = 0;
  do written = ::write(file_, text.data(), text.size());
  while (written < 0 && errno == EINTR);
  if (written < 0) return io_error(path_, "cannot write the ledger");
  if (written != static_cast<ssize_t>(text.size())) {
    errno = ENOSPC;
    return io_error(path_, "the ledger took a part of a line only");
  }
  return {};
}

Result<std::vector<LedgerLine>> LedgerReader::read_more() {
  std::vector<LedgerLine> lines;
  std::ifstream file(path_, std::ios::binary);
  if (!file) return lines;
  file.seekg(static_cast<std::streamoff>(offset_));
  std::string text;
  while (std::getline(file, text)) {
    if (file.eof()) break;  // no line end yet: next time, from its beginning
    offset_ += text.size() + 1;
    ++line_;
    if (text.ends_with(kTorn)) {
      ++torn_;
      continue;
    }
    Result<LedgerLine> line = parse_line(text);
    if (!line) {
      return Error{ErrorCode::invalid_argument, path_ + ":" + std::to_string(line_) + ": " + line.error().detail};
    }
    lines.push_back(std::move(line).value());
  }
  return lines;
}

std::int64_t ledger_now_ms() noexcept {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace pannier::delivery
