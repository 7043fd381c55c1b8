#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/tidy/source_text.h"

/// The rules of the house, each a pure function from a file to what is wrong in it. A finding is one line,
/// "path:line: what, and what to do".
namespace pannier::tidy {

using Findings = std::vector<std::string>;

/// Includes point to layers before their own, in the order of docs/design.md, runtime's folders one by one; tests see
/// everything, and what is built on the library sees its public headers.
Findings check_include_direction(const SourceFile& file);

/// No header includes itself by way of others.
Findings check_no_include_cycles(const std::vector<SourceFile>& tree);

/// Headers that belong to a few folders: ZeroMQ, SQLite, libsodium, the operating system, threads,
/// randomness.
Findings check_only_here_headers(const SourceFile& file);

/// Calls that the core receives from outside: clocks, sleeping, randomness, the environment; and type
/// information.
Findings check_only_here_calls(const SourceFile& file);

/// 120 columns, no tabs, no trailing spaces, one line end at the end.
Findings check_text_form(const SourceFile& file);

/// #pragma once first, no using namespace (literals aside).
Findings check_header_form(const SourceFile& file);

/// snake_case for sources and folders, lower-case-with-hyphens for documents.
Findings check_file_name(const SourceFile& file);

/// What is left to do stands in an issue, not in a source.
Findings check_markers(const SourceFile& file);

/// Relative links in Markdown lead somewhere. `exists` answers for a path from the project's root.
Findings check_links(const SourceFile& file, const std::function<bool(const std::string&)>& exists);

}  // namespace pannier::tidy
