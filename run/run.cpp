#include <pannier/run.h>

#include <cstdio>
#include <exception>
#include <span>
#include <string_view>

#include "run/owner.h"

namespace pannier {

namespace {

constexpr int kExitRefused = 1;
constexpr int kExitUsage = 2;

std::string_view program_of(int argc, const char* const* argv) {
  const std::string_view path = argc > 0 ? argv[0] : "";
  return path.substr(path.rfind('/') + 1);
}

int fail(std::string_view program, int status, std::string_view text) {
  std::string line{text};
  for (char& c : line) {
    if (c == '\n') c = ' ';
  }
  std::fprintf(stderr, "%.*s: %s\n", static_cast<int>(program.size()), program.data(), line.c_str());
  return status;
}

int status_of(const Error& error) {
  return error.code == ErrorCode::storage_full || error.code == ErrorCode::storage_io ? kExitRefused : kExitUsage;
}

std::string sentence_of(const Error& error) { return error.detail.empty() ? error.text() : error.detail; }

std::string help(std::string_view program) {
  return "Usage: " + std::string{program} +
         " [--config FILE] [--version] [--help]\n\n"
         "  --config FILE  The node's configuration (docs/cli.md, Configuration); SIGHUP reads peers and lanes again\n"
         "  --version      Print the version\n\n"
         "Exit status: 0 stopped, 1 the disk is full or failed, 2 wrong input, 70 the top supervisor gave up.";
}

/// What the arguments say. `ended`: they were answered, with `status`.
struct Arguments {
  std::string config;
  bool ended = false;
  int status = 0;
};

Arguments read(std::string_view program, std::span<const char* const> words, const RunOptions& options) {
  Arguments read;
  const auto end = [&](int status) {
    read.ended = true;
    read.status = status;
    return read;
  };
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (word == "--help" || word == "-h") {
      std::puts(help(program).c_str());
      return end(0);
    }
    if (word == "--version") {
      const std::string own = options.version.empty() ? "" : " " + options.version;
      std::printf("%.*s%s (pannier %s)\n", static_cast<int>(program.size()), program.data(), own.c_str(), version());
      return end(0);
    }
    const bool joined = word.starts_with("--config=");
    if ((!joined && word != "--config") || !read.config.empty()) {
      return end(fail(program, kExitUsage, "'" + std::string{word} + "' is one word too many; see --help"));
    }
    if (!joined && i + 1 == words.size())
      return end(fail(program, kExitUsage, "--config: the name of the file is missing"));
    read.config = joined ? word.substr(9) : std::string_view{words[++i]};
    if (read.config.empty()) return end(fail(program, kExitUsage, "--config: the name of the file is missing"));
  }
  return read;
}

int run_program(std::string_view program, RunOptions options, const std::string& file, const detail::SetUp& set_up) {
  auto made = tools::Owner::make(std::move(options), file);
  if (!made) return fail(program, status_of(made.error()), sentence_of(made.error()));
  tools::Owner& owner = **made;
  try {
    if (auto done = set_up(owner.node(), owner.options(), owner.process()); !done) {
      return fail(program, status_of(done.error()), sentence_of(done.error()));
    }
  } catch (const std::exception& thrown) {
    return fail(program, Node::kExitFailed, thrown.what());
  }
  const int status = owner.run();
  if (status == 0) return 0;
  return fail(program, status, owner.options().name + ": its top supervisor gave up; see the log above");
}

}  // namespace

const char* version() noexcept { return PANNIER_VERSION; }

namespace detail {

int run(int argc, const char* const* argv, RunOptions options, const SetUp& set_up) {
  const std::string_view program = program_of(argc, argv);
  const Arguments arguments =
      read(program, std::span{argv, static_cast<std::size_t>(argc)}.subspan(argc > 0 ? 1 : 0), options);
  if (arguments.ended) return arguments.status;
  if (arguments.config.empty()) {
    if (options.name.empty()) return fail(program, kExitUsage, "which configuration? Say --config FILE");
    return run_program(program, std::move(options), {}, set_up);
  }
  auto read = load_options(arguments.config);
  if (!read) return fail(program, kExitUsage, sentence_of(read.error()));
  read->version = options.version;
  return run_program(program, std::move(*read), arguments.config, set_up);
}

int run(RunOptions options, const SetUp& set_up) {
  const std::string program = options.name;
  return run_program(program, std::move(options), {}, set_up);
}

}  // namespace detail

}  // namespace pannier
