#include "examples/delivery/day/processes.h"

#include <doctest/doctest.h>
#include <signal.h>

#include <fstream>
#include <string>
#include <thread>

#include "tests/examples/delivery/temp_folder.h"

namespace pannier::delivery {
namespace {

using namespace std::chrono_literals;

// Long enough that reaching it is a failure, whatever the machine does besides.
constexpr auto kLimit = 30s;

ProcessSpec shell(const std::string& script, const std::string& log = "") {
  return {"child", {"/bin/sh", "-c", script}, log};
}

}  // namespace

TEST_CASE("a child's status and output come back") {
  const TempFolder folder;
  const std::string log = folder.path() + "/child.log";
  auto child = Process::start(shell("echo out; echo error >&2; exit 3", log));
  REQUIRE(child);
  const auto end = child->wait(kLimit);
  REQUIRE(end);
  CHECK(end->status == 3);
  CHECK(end->signal == 0);
  CHECK(!end->clean());
  CHECK(!child->running());
  std::ifstream file(log);
  CHECK(std::string(std::istreambuf_iterator<char>(file), {}) == "out\nerror\n");
}

TEST_CASE("a killed child is gone at once and can be started again on its files") {
  const TempFolder folder;
  const std::string lives = folder.path() + "/lives";
  auto child =
      Process::start(shell("echo life >> " + lives + "; [ $(wc -l < " + lives + ") -gt 1 ] || exec sleep 1000"));
  REQUIRE(child);
  // Not only the file: the shell makes it before it writes the line that tells the second life from the first.
  for (std::string line; !std::getline(std::ifstream(lives), line);) std::this_thread::yield();
  CHECK(!child->restart());  // it still runs
  child->kill_now();
  CHECK(!child->running());
  CHECK(child->wait(0ms)->signal == SIGKILL);
  REQUIRE(child->restart());
  std::this_thread::yield();
  const auto end = child->wait(kLimit);
  REQUIRE(end);
  CHECK(end->signal == 0);
}

TEST_CASE("a child that is asked to end ends, and looking at a running one does not wait") {
  auto child = Process::start(shell("exec sleep 1000"));
  REQUIRE(child);
  CHECK(!child->wait(0ms));
  child->terminate();
  const auto end = child->wait(kLimit);
  REQUIRE(end);
  CHECK(end->signal == SIGTERM);
}

TEST_CASE("a child hears signals that the one who started it has blocked") {
  sigset_t blocked;
  sigset_t before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  REQUIRE(::pthread_sigmask(SIG_BLOCK, &blocked, &before) == 0);
  auto child = Process::start(shell("exec sleep 1000"));
  REQUIRE(::pthread_sigmask(SIG_SETMASK, &before, nullptr) == 0);
  REQUIRE(child);
  child->terminate();
  const auto end = child->wait(kLimit);
  REQUIRE(end);
  CHECK(end->signal == SIGTERM);
}

TEST_CASE("a program that is not there is an error at the start") {
  const auto child = Process::start({"ghost", {"/no/such/program"}, ""});
  REQUIRE(!child);
  CHECK(child.error().code == ErrorCode::not_found);
  CHECK(child.error().detail.find("/no/such/program") != std::string::npos);
  CHECK(Process::start({"nothing", {}, ""}).error().code == ErrorCode::invalid_argument);
}

TEST_CASE("a child dies with the one who started it") {
  Result<Process> child = ErrorCode::failed;
  std::thread starter([&child] { child = Process::start(shell("exec sleep 1000")); });
  starter.join();
  REQUIRE(child);
  const auto end = child->wait(kLimit);
  REQUIRE(end);
  CHECK(end->signal == SIGKILL);
}

TEST_CASE("the bytes on disk of all lives of a child add up") {
  auto child = Process::start(shell("exit 0"));
  REQUIRE(child);
  REQUIRE(child->wait(kLimit));
  const auto first = child->disk_bytes();
  REQUIRE(child->restart());
  REQUIRE(child->wait(kLimit));
  const auto second = child->disk_bytes();
  CHECK(first.has_value() == second.has_value());  // the system tells, or it does not
  if (first && second) CHECK(*second >= *first);
}

}  // namespace pannier::delivery
