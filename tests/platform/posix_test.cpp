#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <pannier/platform.h>
#include "platform/posix/event_wakeup.h"
#include "platform/posix/local_socket.h"
#include "platform/posix/signals.h"
#include "platform/posix/stderr_log.h"
#include "platform/posix/system_clock.h"
#include "platform/posix/system_entropy.h"

namespace pannier::posix {
namespace {

using std::chrono::seconds;

/// A folder that goes with the test.
class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "pannier-platform-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

TEST_CASE("a notification before the wait ends it at once, and is used up by it") {
  EventWakeup wakeup;
  wakeup.notify();
  wakeup.notify();
  wakeup.wait_until(kNever);
  // Used up: only the deadline, which has passed, ends this one.
  wakeup.wait_until(mono_now());
  CHECK(wakeup.arm());
  wakeup.disarm();
}

TEST_CASE("no notification is lost between a waiting and a notifying thread") {
  constexpr int kRounds = 20'000;
  EventWakeup there;
  EventWakeup back;
  std::atomic<int> sent{0};
  std::atomic<int> answered{0};
  std::thread other{[&] {
    for (int seen = 0; seen < kRounds;) {
      there.wait_until(kNever);
      seen = sent.load();
      answered.store(seen);
      back.notify();
    }
  }};
  for (int round = 1; round <= kRounds; ++round) {
    sent.store(round);
    there.notify();
    while (answered.load() < round) back.wait_until(kNever);
  }
  other.join();
  CHECK(answered.load() == kRounds);
}

TEST_CASE("monotonic time does not go back, and the wall clock is in this century") {
  const SystemClock clock;
  const MonoTime first = clock.now();
  CHECK(clock.now() >= first);
  CHECK(clock.wall_now() > WallTime{seconds{1'700'000'000}});
}

TEST_CASE("the system's randomness does not repeat") {
  SystemEntropy entropy;
  CHECK(entropy.next_u64() != entropy.next_u64());
}

TEST_CASE("a private file is written once, for its owner alone, and read back") {
  const Folder folder;
  const std::string path = folder.file("node.key");
  REQUIRE(write_private_file(path, "secret").ok());
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  CHECK(read_private_file(path, 100).value() == "secret");

  const Result<void> again = write_private_file(path, "other");
  REQUIRE(!again.ok());
  CHECK(again.error().code == ErrorCode::in_use);
  CHECK(read_file(path, 100).value() == "secret");
}

TEST_CASE("a secret that others may read is refused, with the command that mends it") {
  const Folder folder;
  const std::string path = folder.file("node.key");
  REQUIRE(write_private_file(path, "secret").ok());
  for (const mode_t mode : {0640U, 0604U, 0660U, 0610U}) {
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    const Result<std::string> content = read_private_file(path, 100);
    REQUIRE(!content.ok());
    CHECK(content.error().code == ErrorCode::permission);
    CHECK(content.error().detail.find("chmod 600 " + path) != std::string::npos);
  }
  REQUIRE(::chmod(path.c_str(), 0400) == 0);
  CHECK(read_private_file(path, 100).ok());
}

TEST_CASE("whether a file lies in memory is known before it is made") {
  std::ifstream mounts("/proc/mounts");
  const std::string all{std::istreambuf_iterator<char>(mounts), {}};
  const Folder folder;
  for (const auto& [place, type] : {std::pair{"/dev/shm/", " /dev/shm tmpfs "}, {"/proc/", " /proc tmpfs "}}) {
    CHECK(lies_in_memory(place + std::string{"none"}) == (all.find(type) != std::string::npos));
  }
  CHECK_FALSE(lies_in_memory(folder.file("none/none")));  // cannot be told
}

TEST_CASE("a file that is missing, too large, or no file is an error that names it") {
  const Folder folder;
  const Result<std::string> missing = read_file(folder.file("none"), 100);
  REQUIRE(!missing.ok());
  CHECK(missing.error().code == ErrorCode::not_found);
  CHECK(missing.error().detail.find(folder.file("none")) != std::string::npos);

  std::ofstream{folder.file("large")} << std::string(101, 'x');
  const Result<std::string> large = read_file(folder.file("large"), 100);
  REQUIRE(!large.ok());
  CHECK(large.error().code == ErrorCode::invalid_argument);
  CHECK(read_file(folder.file("large"), 101).ok());

  const Result<std::string> folder_as_file = read_file(folder.file(""), 100);
  REQUIRE(!folder_as_file.ok());
  CHECK(folder_as_file.error().code == ErrorCode::storage_io);

  REQUIRE(::mkfifo(folder.file("pipe").c_str(), 0600) == 0);
  const Result<std::string> pipe = read_file(folder.file("pipe"), 100);  // and does not wait for a writer
  REQUIRE(!pipe.ok());
  CHECK(pipe.error().detail.find("no regular file") != std::string::npos);

  const Result<void> nowhere = write_private_file(folder.file("none/deep"), "x");
  REQUIRE(!nowhere.ok());
  CHECK(nowhere.error().code == ErrorCode::not_found);
}

TEST_CASE("nobody serves a socket file that is not there") {
  const Folder folder;
  CHECK(!local_socket_is_served(folder.file("none.sock")));
  CHECK(!local_socket_is_served(std::string(200, 'x')));
}

TEST_CASE("a stop signal waits for whoever waits for it") {
  StopSignals signals;
  CHECK(!signals.wait_for(Duration::zero()).has_value());
  REQUIRE(std::raise(SIGTERM) == 0);
  CHECK(signals.wait_for(seconds{60}) == SIGTERM);
  REQUIRE(std::raise(SIGINT) == 0);
  CHECK(signals.wait() == SIGINT);
  for (const int without_meaning : {SIGUSR1, SIGUSR2, SIGPIPE}) REQUIRE(std::raise(without_meaning) == 0);
  REQUIRE(std::raise(SIGHUP) == 0);
  CHECK(signals.wait() == SIGHUP);
}

TEST_CASE("a stop signal that nobody waited for does not kill the process when it has ended already") {
  {
    StopSignals signals;
    REQUIRE(std::raise(SIGTERM) == 0);
    CHECK(signals.wait() == SIGTERM);
    REQUIRE(std::raise(SIGTERM) == 0);
    REQUIRE(std::raise(SIGINT) == 0);
  }
  CHECK(true);  // still here
}

TEST_CASE("a log line is one line, whatever is in it") {
  const Folder folder;
  const std::string path = folder.file("log");
  const int saved = ::dup(STDERR_FILENO);
  std::FILE* file = std::fopen(path.c_str(), "w");
  REQUIRE(file != nullptr);
  REQUIRE(::dup2(::fileno(file), STDERR_FILENO) >= 0);
  StderrLog log{LogLevel::info};
  log.write(LogLevel::debug, "not shown");
  log.write(LogLevel::warning, "a\nforged\x1b[31m line");
  log.write(LogLevel::error, std::string(5000, 'x'));
  ::dup2(saved, STDERR_FILENO);
  ::close(saved);
  std::fclose(file);

  const std::string text = read_file(path, 100'000).value();
  CHECK(std::count(text.begin(), text.end(), '\n') == 2);
  CHECK(text.find(" warning a forged [31m line\n") != std::string::npos);
  CHECK(text.find("xxx...\n") != std::string::npos);
  CHECK(text.find("not shown") == std::string::npos);
}

/// Stderr leads into a pipe, or one end of a socket pair, while this lives.
struct StderrInto {
  explicit StderrInto(int fd) : saved(::dup(STDERR_FILENO)) { REQUIRE(::dup2(fd, STDERR_FILENO) >= 0); }
  ~StderrInto() {
    ::dup2(saved, STDERR_FILENO);
    ::close(saved);
  }
  int saved;
};

TEST_CASE("a log that nobody reads drops lines, and says how many once it is read again") {
  for (const bool socket : {false, true}) {
    std::array<int, 2> ends{};
    REQUIRE((socket ? ::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) : ::pipe(ends.data())) == 0);
    StderrLog log{LogLevel::info};
    std::string text(std::size_t{1} << 20, '\0');
    {
      StderrInto into(ends[1]);
      for (int i = 0; i < 1000; ++i) log.write(LogLevel::info, std::string(900, 'x'));  // more than either takes
      const ssize_t got = ::read(ends[0], text.data(), text.size());
      REQUIRE(got > 0);
      CHECK(got < 900'000);
      log.write(LogLevel::info, "read again");
    }
    ::close(ends[1]);
    std::string rest;
    for (ssize_t got = 1; got > 0;) {
      got = ::read(ends[0], text.data(), text.size());
      rest.append(text.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
    }
    ::close(ends[0]);
    CHECK(rest.find(" lines of this log were dropped because its reader was stuck\n") != std::string::npos);
    CHECK(rest.ends_with(" info read again\n"));
  }
}

}  // namespace
}  // namespace pannier::posix
