#include <algorithm>
#include <cctype>
#include <functional>
#include <map>

#include "tests/tidy/rules.h"

namespace pannier::tidy {
namespace {

bool is_source(const SourceFile& file) { return file.path.ends_with(".h") || file.path.ends_with(".cpp"); }

bool is_under(std::string_view path, const std::vector<std::string_view>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](std::string_view prefix) { return path.starts_with(prefix); });
}

/// A layer may include those before it. Layers of one rank do not see each other.
struct Layer {
  std::string_view name;
  int rank;
  std::vector<std::string_view> places;  ///< Beginnings of paths, and public headers that belong to the layer.
};

const std::vector<Layer>& layers() {
  static const std::vector<Layer> kLayers = {
      // The simulation of the platform goes with that of the network.
      {"sim", 8, {"platform/sim/", "transports/sim/", "runtime/store/sim/", "pannier/sim.h"}},
      {"platform",
       0,
       {"platform/", "pannier/result.h", "pannier/platform.h", "pannier/process.h", "pannier/subject_keys.h"}},
      {"message", 1, {"runtime/message/", "runtime/mutants.h", "pannier/limits.h", "pannier/message.h"}},
      {"actor", 2, {"runtime/actor/", "pannier/actor_base.h", "pannier/observer.h"}},
      {"link", 3, {"runtime/link/", "pannier/link.h", "pannier/topic.h", "pannier/transport.h"}},
      {"store", 4, {"runtime/store/", "pannier/store.h", "pannier/sqlite_store.h"}},
      {"queue", 5, {"runtime/queue/", "pannier/lane.h", "pannier/queue.h"}},
      {"node", 6, {"runtime/node/", "pannier/actor.h", "pannier/node.h", "pannier/pannier.h"}},
      {"transports", 7, {"transports/", "pannier/zmq.h", "pannier/inproc.h"}},
      {"testkit", 9, {"testkit/", "pannier/probe.h", "pannier/simulation.h"}},
      {"run", 9, {"run/", "pannier/run.h"}},
      {"gateways", 11, {"gateways/", "pannier/http.h"}},
      {"services", 10, {"services/", "pannier/"}},  // Their public headers: all that no layer above claims.
      {"tools", 12, {"tools/"}},
      {"examples", 12, {"examples/"}},
      {"bench", 12, {"bench/"}},
      {"tests", 13, {"tests/"}},
  };
  return kLayers;
}

/// Of a path from the project's root, or of an include; null where the project has no such layer.
const Layer* layer_of(std::string_view path) {
  if (path.starts_with("include/")) path.remove_prefix(8);
  for (const Layer& layer : layers()) {
    if (is_under(path, layer.places)) return &layer;
  }
  return nullptr;
}

/// Pairs that the ranks allow and the design does not: the queue and the store know neither actors nor links.
bool must_not_see(std::string_view from, std::string_view to) {
  const bool durable = from == "queue" || from == "store";
  return durable && (to == "actor" || to == "link");
}

/// Who is built on the public headers, as applications are, and what else it may see of the inside.
const std::map<std::string_view, std::vector<std::string_view>>& outsiders() {
  static const std::map<std::string_view, std::vector<std::string_view>> kOutsiders = {
      {"services", {"services/"}},
      // A server's sockets are the system's.
      {"gateways", {"gateways/", "services/", "platform/posix/"}},
      // The demonstration starts and kills processes.
      {"examples", {"examples/", "platform/posix/signals.h"}},
      // The command checks a device and a link from below.
      {"tools", {"tools/", "services/", "run/", "platform/", "runtime/"}},
      // A store and a probe stand in the place of the real ones.
      {"testkit", {"testkit/", "platform/", "runtime/store/", "runtime/actor/"}},
  };
  return kOutsiders;
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
      {{"microhttpd"}, {"gateways/http/"}, "libmicrohttpd stays in gateways/http"},
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
      // A transport is where threads meet: the two ends of a channel in one process, ZeroMQ's own threads. So is a
      // gateway: its own thread and the actors that answer.
      {{"mutex", "shared_mutex"},
       {PANNIER_OUTSIDE_THE_LIBRARY, "transports/", "gateways/"},
       "the core takes no locks; threads stay in platform/posix"},
      {{"random"}, {PANNIER_OUTSIDE_THE_LIBRARY}, "randomness comes in through <pannier/platform.h>"},
      {{"filesystem", "fstream"}, {PANNIER_OUTSIDE_THE_LIBRARY}, "files come in through <pannier/platform.h>"},
  };
  return kHeaders;
}

const std::vector<OnlyHere>& calls() {
  static const std::vector<OnlyHere> kCalls = {
      {{"system_clock::now", "steady_clock::now", "high_resolution_clock", "clock_gettime", "gettimeofday"},
       {PANNIER_OUTSIDE_THE_LIBRARY},
       "time comes in through <pannier/platform.h>"},
      {{"sleep_for", "sleep_until", "usleep", "nanosleep"},
       {"platform/posix/", "examples/", "tools/", "bench/", "tests/tidy/", "tests/system/"},
       "nothing sleeps for time: wait on a Wakeup, and in a test for the event itself"},
      {{"random_device", "rand(", "srand(", "getrandom(", "arc4random"},
       {PANNIER_OUTSIDE_THE_LIBRARY},
       "randomness comes in through <pannier/platform.h>"},
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
  const bool family =
      what.ends_with("/") || what == "zmq" || what == "microhttpd" || what == "sqlite3" || what == "sodium";
  return family ? header.starts_with(what) : header == what;
}

}  // namespace

Findings check_include_direction(const SourceFile& file) {
  Findings findings;
  const Layer* const own = layer_of(file.path);
  if (!is_source(file) || own == nullptr) return findings;
  const auto outsider = outsiders().find(own->name);
  for (const Include& include : includes_of(file.text)) {
    const bool generated = include.header.ends_with(".fbs.h");
    if (!include.quoted && !include.header.starts_with("pannier/")) continue;
    const Layer* const other = layer_of(include.header);
    if (other == nullptr || include.quoted == include.header.starts_with("pannier/")) {
      findings.push_back(at(file, include.line) + "\"" + include.header +
                         "\": from the project's root, a public header as <pannier/...>, or a library in <>");
      continue;
    }
    if ((other != own && other->rank >= own->rank) || must_not_see(own->name, other->name)) {
      findings.push_back(at(file, include.line) + std::string(own->name) + " must not include from " +
                         std::string(other->name));
    }
    if (own->name != "platform" && own->rank < 7 && include.header.starts_with("platform/posix/")) {
      findings.push_back(at(file, include.line) + "runtime takes clocks, threads and files as platform's interfaces");
    }
    if (file.path.starts_with("include/") && include.quoted && !generated) {
      findings.push_back(at(file, include.line) + "a public header includes public headers only");
    }
    if (include.quoted && !generated && outsider != outsiders().end() && !is_under(include.header, outsider->second)) {
      findings.push_back(at(file, include.line) + std::string(own->name) + " sees public headers only");
    }
  }
  return findings;
}

Findings check_no_include_cycles(const std::vector<SourceFile>& tree) {
  std::map<std::string, std::vector<std::string>, std::less<>> includes;
  for (const SourceFile& file : tree) {
    if (!file.path.ends_with(".h")) continue;
    std::string name = file.path.starts_with("include/") ? file.path.substr(8) : file.path;
    for (const Include& include : includes_of(file.text)) includes[name].push_back(include.header);
  }
  Findings findings;
  enum class Colour : std::uint8_t { white, grey, black };
  std::map<std::string, Colour, std::less<>> colours;
  const std::function<void(const std::string&)> visit = [&](const std::string& name) {
    colours[name] = Colour::grey;
    for (const std::string& next : includes[name]) {
      if (!includes.contains(next)) continue;
      if (colours[next] == Colour::grey) findings.push_back(name + ": includes " + next + ", which leads back to it");
      if (colours[next] == Colour::white) visit(next);
    }
    colours[name] = Colour::black;
  };
  for (const SourceFile& file : tree) {
    const std::string name = file.path.starts_with("include/") ? file.path.substr(8) : file.path;
    if (includes.contains(name) && colours[name] == Colour::white) visit(name);
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
