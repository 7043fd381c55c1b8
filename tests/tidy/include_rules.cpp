#include <algorithm>
#include <cctype>
#include <map>

#include "tests/tidy/rules.h"

namespace pannier::tidy {
namespace {

bool is_source(const SourceFile& file) { return file.path.ends_with(".h") || file.path.ends_with(".cpp"); }

std::string first_folder(std::string_view path) { return std::string(path.substr(0, path.find('/'))); }

bool is_under(std::string_view path, const std::vector<std::string_view>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](std::string_view prefix) { return path.starts_with(prefix); });
}

/// From left to right. Folders of one rank do not see each other.
const std::map<std::string, int>& ranks() {
  static const std::map<std::string, int> kRanks = {{"platform", 0},   {"runtime", 1}, {"pannier.h", 2},
                                                    {"transports", 3}, {"testkit", 4}, {"tools", 4},
                                                    {"examples", 4},   {"bench", 4},   {"tests", 5}};
  return kRanks;
}

struct OnlyHere {
  std::vector<std::string_view> what;   ///< Beginnings of header names, or of calls.
  std::vector<std::string_view> where;  ///< Beginnings of paths.
  std::string_view why;
};

/// Programs, measurements and tests meet the system as it is; the library meets it in platform/posix alone.
#define PANNIER_OUTSIDE_THE_LIBRARY "platform/posix/", "examples/", "tools/", "bench/", "tests/"

const std::vector<OnlyHere>& headers() {
  static const std::vector<OnlyHere> kHeaders = {
      {{"zmq"}, {"transports/zmq/", "tests/transports/zmq/", "bench/"}, "ZeroMQ stays in transports/zmq"},
      {{"sqlite3"},
       {"runtime/store/sqlite/", "runtime/store/sim/sqlite_", "tests/runtime/store/", "bench/"},
       "SQLite stays in runtime/store/sqlite/"},
      {{"sodium"},
       {"transports/zmq/", "platform/posix/", "tools/", "tests/transports/zmq/"},
       "cryptography stays in transports/zmq and platform/posix"},
      {{"unistd.h", "sys/", "poll.h", "fcntl.h", "pthread.h", "signal.h", "csignal", "netinet/", "arpa/", "netdb.h",
        "dlfcn.h", "sched.h", "termios.h", "linux/", "time.h", "ctime"},
       {PANNIER_OUTSIDE_THE_LIBRARY},
       "the operating system stays in platform/posix"},
      {{"thread", "condition_variable", "future", "stop_token", "semaphore", "latch", "barrier"},
       {PANNIER_OUTSIDE_THE_LIBRARY},
       "threads stay in platform/posix"},
      // A transport is where threads meet: the two ends of a channel in one process, ZeroMQ's own threads.
      {{"mutex", "shared_mutex"},
       {PANNIER_OUTSIDE_THE_LIBRARY, "transports/"},
       "the core takes no locks; threads stay in platform/posix"},
      {{"random"}, {PANNIER_OUTSIDE_THE_LIBRARY}, "randomness comes in through platform/entropy.h"},
      {{"filesystem", "fstream"}, {PANNIER_OUTSIDE_THE_LIBRARY}, "files come in through platform/files.h"},
  };
  return kHeaders;
}

const std::vector<OnlyHere>& calls() {
  static const std::vector<OnlyHere> kCalls = {
      {{"system_clock::now", "steady_clock::now", "high_resolution_clock", "clock_gettime", "gettimeofday"},
       {PANNIER_OUTSIDE_THE_LIBRARY},
       "time comes in through platform/clock.h"},
      {{"sleep_for", "sleep_until", "usleep", "nanosleep"},
       {"platform/posix/", "examples/", "tools/", "bench/", "tests/tidy/", "tests/system/"},
       "nothing sleeps for time: wait on a Wakeup, and in a test for the event itself"},
      {{"random_device", "rand(", "srand(", "getrandom(", "arc4random"},
       {PANNIER_OUTSIDE_THE_LIBRARY},
       "randomness comes in through platform/entropy.h"},
      {{"getenv("}, {PANNIER_OUTSIDE_THE_LIBRARY, "testkit/"}, "settings come in as options"},
      {{"dynamic_cast", "typeid("}, {}, "there is no type information at run time"},
  };
  return kCalls;
}

/// `name` as a word of its own in `code`, so that "rand(" is not found in "operand(".
bool mentions(std::string_view code, std::string_view name) {
  for (std::size_t from = code.find(name); from != std::string_view::npos; from = code.find(name, from + 1)) {
    const char before = from == 0 ? ' ' : code[from - 1];
    if (!std::isalnum(static_cast<unsigned char>(before)) && before != '_') return true;
  }
  return false;
}

/// "thread" means <thread>; "sys/" and "zmq" mean all that begins so.
bool names_header(std::string_view header, std::string_view what) {
  const bool family = what.ends_with("/") || what == "zmq" || what == "sqlite3" || what == "sodium";
  return family ? header.starts_with(what) : header == what;
}

}  // namespace

Findings check_include_direction(const SourceFile& file) {
  Findings findings;
  const std::string own = first_folder(file.path);
  if (!is_source(file) || !ranks().contains(own)) return findings;
  for (const Include& include : includes_of(file.text)) {
    if (!include.quoted) continue;
    const std::string other = first_folder(include.header);
    if (!ranks().contains(other)) {
      findings.push_back(at(file, include.line) + "\"" + include.header +
                         "\": from the project's root, or a library in <>");
      continue;
    }
    if (other != own && ranks().at(other) >= ranks().at(own)) {
      findings.push_back(at(file, include.line) + own + " must not include from " + other);
    }
    const bool into_sim = include.header.find("/sim/") != std::string::npos;
    const bool library = ranks().at(own) <= ranks().at("transports") && file.path.find("/sim/") == std::string::npos;
    if (into_sim && library) {
      findings.push_back(at(file, include.line) + "the simulation is for tests: a device's code must not include it");
    }
    if (own == "runtime" && include.header.starts_with("platform/posix/")) {
      findings.push_back(at(file, include.line) + "runtime takes clocks, threads and files as platform's interfaces");
    }
  }
  return findings;
}

Findings check_only_here_headers(const SourceFile& file) {
  Findings findings;
  if (!is_source(file)) return findings;
  for (const Include& include : includes_of(file.text)) {
    if (include.quoted) continue;
    for (const OnlyHere& rule : headers()) {
      const bool named = std::any_of(rule.what.begin(), rule.what.end(),
                                     [&](std::string_view what) { return names_header(include.header, what); });
      if (named && !is_under(file.path, rule.where)) {
        findings.push_back(at(file, include.line) + "<" + include.header + ">: " + std::string(rule.why));
      }
    }
  }
  return findings;
}

Findings check_only_here_calls(const SourceFile& file) {
  Findings findings;
  if (!is_source(file)) return findings;
  const std::string code = code_only(file.text);
  std::size_t number = 0;
  for (std::string_view line : lines_of(code)) {
    ++number;
    for (const OnlyHere& rule : calls()) {
      if (is_under(file.path, rule.where)) continue;
      for (std::string_view what : rule.what) {
        if (mentions(line, what)) {
          findings.push_back(at(file, number) + std::string(what) + ": " + std::string(rule.why));
        }
      }
    }
  }
  return findings;
}

}  // namespace pannier::tidy
