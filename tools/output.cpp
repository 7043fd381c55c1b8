#include "tools/output.h"

#include <algorithm>
#include <cstdarg>
#include <cstdint>
#include <cstdio>

namespace pannier::tools {

int fail(int status, std::string_view text) {
  std::string line{text};
  std::replace(line.begin(), line.end(), '\n', ' ');
  std::fprintf(stderr, "pannier: %s\n", line.c_str());
  return status;
}

std::string sentence(const Error& error) {
  return error.detail.empty() ? std::string{to_string(error.code)} : error.detail;
}

int fail(int status, const Error& error) { return fail(status, sentence(error)); }

std::string format(const char* pattern, ...) {
  std::va_list arguments;
  va_start(arguments, pattern);
  std::va_list again;
  va_copy(again, arguments);
  const int size = std::vsnprintf(nullptr, 0, pattern, arguments);
  va_end(arguments);
  std::string text(static_cast<std::size_t>(std::max(size, 0)), '\0');
  std::vsnprintf(text.data(), text.size() + 1, pattern, again);
  va_end(again);
  return text;
}

bool print(std::string_view line) {
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
  return std::fflush(stdout) == 0;
}

std::string shown_key(std::string_view text) {
  if (is_text(text) && text.find_first_of("\t\n") == std::string_view::npos) return std::string{text};
  const std::string escaped = json_text(text);
  return escaped.substr(1, escaped.size() - 2);
}

}  // namespace pannier::tools
