#include <algorithm>
#include <cctype>

#include "tests/tidy/rules.h"

namespace pannier::tidy {
namespace {

constexpr std::size_t kColumns = 120;

bool is_header(const SourceFile& file) { return file.path.ends_with(".h"); }

bool is_code(const SourceFile& file) {
  return is_header(file) || file.path.ends_with(".cpp") || file.path.ends_with(".fbs") ||
         file.path.ends_with(".cmake") || file.path.ends_with("CMakeLists.txt");
}

/// Code points, not bytes: a name in a comment may have an accent.
std::size_t columns(std::string_view line) {
  return static_cast<std::size_t>(
      std::count_if(line.begin(), line.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

bool consists_of(std::string_view name, std::string_view extra) {
  return std::all_of(name.begin(), name.end(), [extra](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || extra.find(c) != std::string_view::npos;
  });
}

}  // namespace

Findings check_text_form(const SourceFile& file) {
  Findings findings;
  std::size_t number = 0;
  for (std::string_view line : lines_of(file.text)) {
    ++number;
    if (is_code(file) && columns(line) > kColumns) {
      findings.push_back(at(file, number) + std::to_string(columns(line)) + " columns, at most 120");
    }
    if (line.find('\t') != std::string_view::npos) findings.push_back(at(file, number) + "a tab: use spaces");
    if (!line.empty() && (line.back() == ' ' || line.back() == '\r')) {
      findings.push_back(at(file, number) + "white space at the end of the line");
    }
  }
  if (!file.text.empty() && (!file.text.ends_with("\n") || file.text.ends_with("\n\n"))) {
    findings.push_back(at(file, number) + "the file must end with one line end");
  }
  return findings;
}

Findings check_header_form(const SourceFile& file) {
  Findings findings;
  if (!is_header(file)) return findings;
  const std::string code = code_only(file.text);
  const std::vector<std::string_view> lines = lines_of(code);
  const auto first = std::find_if(lines.begin(), lines.end(), [](std::string_view line) {
    return line.find_first_not_of(' ') != std::string_view::npos;
  });
  if (first == lines.end() || !first->starts_with("#pragma once")) {
    findings.push_back(at(file, 1) + "a header starts with #pragma once");
  }
  for (std::size_t i = 0; i < lines.size(); ++i) {
    // Indented, it is within a function and harms nobody. Literals cannot be named one by one.
    if (lines[i].starts_with("using namespace ") && lines[i].find("literals;") == std::string_view::npos) {
      findings.push_back(at(file, i + 1) + "no using namespace in a header");
    }
  }
  return findings;
}

Findings check_file_name(const SourceFile& file) {
  const std::size_t slash = file.path.rfind('/');
  const std::string folder = slash == std::string::npos ? "" : file.path.substr(0, slash);
  const std::string name = slash == std::string::npos ? file.path : file.path.substr(slash + 1);
  if (!consists_of(folder, "_/")) return {at(file, 1) + "folders are named in snake_case"};
  if (is_code(file) && name != "CMakeLists.txt" && !consists_of(name, "_.")) {
    return {at(file, 1) + "sources are named in snake_case"};
  }
  const bool document = name.ends_with(".md") && folder.starts_with("docs");
  if (document && name != "README.md" && !consists_of(name, "-.")) {
    return {at(file, 1) + "documents are named in lower case with hyphens"};
  }
  return {};
}

Findings check_markers(const SourceFile& file) {
  Findings findings;
  std::size_t number = 0;
  for (std::string_view line : lines_of(file.text)) {
    ++number;
    // In two halves, so that this file does not find itself.
    for (std::string_view marker : {"TO"
                                    "DO",
                                    "FIX"
                                    "ME",
                                    "X"
                                    "XX:"}) {
      if (line.find(marker) != std::string_view::npos) {
        findings.push_back(at(file, number) + std::string(marker) + ": open an issue instead");
      }
    }
  }
  return findings;
}

Findings check_links(const SourceFile& file, const std::function<bool(const std::string&)>& exists) {
  Findings findings;
  if (!file.path.ends_with(".md")) return findings;
  bool in_code = false;
  std::size_t number = 0;
  for (std::string_view line : lines_of(file.text)) {
    ++number;
    if (line.starts_with("```")) in_code = !in_code;
    if (in_code || line.starts_with("    ")) continue;
    for (std::size_t open = line.find("]("); open != std::string_view::npos; open = line.find("](", open + 2)) {
      const std::size_t close = line.find(')', open);
      if (close == std::string_view::npos) break;
      std::string target(line.substr(open + 2, close - open - 2));
      target = target.substr(0, target.find_first_of("# "));
      if (target.empty() || target.find(':') != std::string::npos) continue;
      const std::filesystem::path from_root = std::filesystem::path(file.path).parent_path() / target;
      if (!exists(from_root.lexically_normal().generic_string())) {
        findings.push_back(at(file, number) + "the link to " + target + " leads nowhere");
      }
    }
  }
  return findings;
}

}  // namespace pannier::tidy
