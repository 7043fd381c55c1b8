#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace pannier::tidy {

/// One file of the tree. `path` is relative to the project's root and uses '/'.
struct SourceFile {
  std::string path;
  std::string text;
};

/// The start of a finding: "path:line: ".
std::string at(const SourceFile& file, std::size_t line);

/// Every text file of the project under `root`, sorted by path; build folders and hidden ones are left out.
std::vector<SourceFile> read_tree(const std::filesystem::path& root);

/// Lines without their ends. Views into `text`.
std::vector<std::string_view> lines_of(std::string_view text);

/// `text` with comments, and with the contents of string and character literals, blanked; lines stay where
/// they are.
std::string code_only(std::string_view text);

/// An #include: what stands between the quotes or angle brackets, and the line it is on, from 1.
struct Include {
  std::string header;
  bool quoted = false;
  std::size_t line = 0;
};
std::vector<Include> includes_of(std::string_view text);

}  // namespace pannier::tidy
