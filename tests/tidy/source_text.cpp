#include "tests/tidy/source_text.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iterator>

namespace pannier::tidy {
namespace {

bool is_text(const std::filesystem::path& path) {
  static constexpr std::string_view kEndings[] = {".h",  ".cpp", ".fbs",  ".cmake", ".in",
                                                  ".md", ".txt", ".json", ".supp",  ".toml"};
  const std::string ending = path.extension().string();
  return path.filename() == "dev" || std::find(std::begin(kEndings), std::end(kEndings), ending) != std::end(kEndings);
}

bool is_left_out(const std::filesystem::path& folder) {
  const std::string name = folder.filename().string();
  return name.starts_with(".") || name == "build" || name.starts_with("build-") || name.starts_with("cmake-build");
}

}  // namespace

std::string at(const SourceFile& file, std::size_t line) { return file.path + ":" + std::to_string(line) + ": "; }

std::vector<SourceFile> read_tree(const std::filesystem::path& root) {
  std::vector<SourceFile> files;
  for (auto entry = std::filesystem::recursive_directory_iterator(root);
       entry != std::filesystem::recursive_directory_iterator(); ++entry) {
    if (entry->is_directory()) {
      if (is_left_out(entry->path())) entry.disable_recursion_pending();
    } else if (entry->is_regular_file() && is_text(entry->path())) {
      std::ifstream in(entry->path(), std::ios::binary);
      files.push_back({entry->path().lexically_relative(root).generic_string(),
                       std::string(std::istreambuf_iterator<char>(in), {})});
    }
  }
  std::sort(files.begin(), files.end(), [](const SourceFile& a, const SourceFile& b) { return a.path < b.path; });
  return files;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return lines;
}

std::string code_only(std::string_view text) {
  std::string code(text);
  const auto blank = [&code](std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < std::min(to, code.size()); ++i) {
      if (code[i] != '\n') code[i] = ' ';
    }
  };
  const auto find_end = [&text](std::string_view mark, std::size_t from) {
    const std::size_t at = text.find(mark, from);
    return at == std::string_view::npos ? text.size() : at + mark.size();
  };

  std::size_t i = 0;
  while (i < text.size()) {
    const std::string_view rest = text.substr(i);
    std::size_t end = i + 1;
    // 10'000 separates digits; 'x' is a character.
    const bool follows_digit = i > 0 && std::isalnum(static_cast<unsigned char>(text[i - 1])) != 0;
    if (rest.starts_with("//")) {
      end = std::min(text.find('\n', i), text.size());
      blank(i, end);
    } else if (rest.starts_with("/*")) {
      end = find_end("*/", i + 2);
      blank(i, end);
    } else if (rest.starts_with("R\"")) {
      const std::string_view delimiter = rest.substr(2, rest.find('(') - 2);
      end = find_end(")" + std::string(delimiter) + "\"", i + 2);
      blank(i + 2, end - 1);
    } else if (rest[0] == '"' || (rest[0] == '\'' && !follows_digit)) {
      while (end < text.size() && text[end] != rest[0] && text[end] != '\n') end += text[end] == '\\' ? 2U : 1U;
      blank(i + 1, end);
      ++end;
    }
    i = end;
  }
  return code;
}

std::vector<Include> includes_of(std::string_view text) {
  std::vector<Include> includes;
  std::size_t number = 0;
  for (std::string_view line : lines_of(text)) {
    ++number;
    const std::size_t start = line.find_first_not_of(" \t");
    if (start == std::string_view::npos || !line.substr(start).starts_with("#include")) continue;
    const std::size_t open = line.find_first_of("<\"", start);
    if (open == std::string_view::npos) continue;
    const bool quoted = line[open] == '"';
    const std::size_t close = line.find(quoted ? '"' : '>', open + 1);
    if (close == std::string_view::npos) continue;
    includes.push_back({std::string(line.substr(open + 1, close - open - 1)), quoted, number});
  }
  return includes;
}

}  // namespace pannier::tidy
