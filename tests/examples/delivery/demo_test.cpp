#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "examples/delivery/config.h"
#include "tests/examples/delivery/temp_folder.h"

namespace pannier::delivery {
namespace {

/// What a program said on both outputs, and how it ended.
struct Run {
  int status = -1;
  std::string said;
};

Run run(const std::string& command) {
  Run run;
  std::FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  char chunk[4096];
  for (std::size_t n = 0; (n = std::fread(chunk, 1, sizeof chunk, pipe)) > 0;) run.said.append(chunk, n);
  const int ended = ::pclose(pipe);
  run.status = WIFEXITED(ended) ? WEXITSTATUS(ended) : -1;
  return run;
}

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>{file}, {}};
}

/// The number under this key of a report; -1 where there is none.
double number(const std::string& json, const std::string& key) {
  const auto at = json.find("\"" + key + "\": ");
  return at == std::string::npos ? -1 : std::strtod(json.c_str() + at + key.size() + 4, nullptr);
}

bool is_one_line(const std::string& text) { return !text.empty() && text.find('\n') == text.size() - 1; }

std::string program(const char* name) { return std::string{PANNIER_DELIVERY_PROGRAMS} + "/" + name; }

TEST_CASE("a short day survives cut links and killed processes, and the ledger proves it") {
  const TempFolder folder;
  const std::string json_path = folder.path() + "/report.json";
  const Run demo = run(program("demo") + " --quick --orders 40 --json " + json_path);
  CAPTURE(demo.said);
  CHECK(demo.status == 0);
  const std::string json = text_of(json_path);
  CHECK(number(json, "orders") == 40);
  CHECK(number(json, "orders_delivered") == 40);
  CHECK(number(json, "events_accepted") + number(json, "unclaimed") == 240);
  CHECK(number(json, "lost") == 0);
  CHECK(number(json, "twice") == 0);
  CHECK(number(json, "out_of_order") == 0);
  CHECK(number(json, "kills") >= 3);
  CHECK(number(json, "cuts") >= 2);
  CHECK(number(json, "heal_s_max") > 0);
  CHECK(number(json, "backlog_max") > 0);
  CHECK(number(json, "wire_bytes_per_event") > 0);
  CHECK(number(json, "disk_bytes_per_event") > 0);
  CHECK(number(json, "seconds") < 60);
}

TEST_CASE("an evening on which payment is down, and one on which a courier is lost, end as they must") {
  const Run payment = run(program("demo") + " --scenario payment-down");
  CAPTURE(payment.said);
  CHECK(payment.status == 0);
  CHECK(payment.said.find("circuit breaker is open") != std::string::npos);
  CHECK(payment.said.find("order-4 is cancelled: payment stayed away") != std::string::npos);
  CHECK(payment.said.find("lost, doubled or out of order: 0") != std::string::npos);
  const Run courier = run(program("demo") + " --scenario courier-lost");
  CAPTURE(courier.said);
  CHECK(courier.status == 0);
  CHECK(courier.said.find("order-2 is delivered by courier-2") != std::string::npos);
  CHECK(courier.said.find("order-2 came late: 2.00 are paid back") != std::string::npos);
  CHECK(courier.said.find("lost, doubled or out of order: 0") != std::string::npos);
}

TEST_CASE("a demo that cannot run says why in one line, and ends with 2") {
  const TempFolder folder;
  for (const std::string& arguments : {std::string{"--no-such-option"}, std::string{"--scenario no-such-evening"},
                                       std::string{"--instance "} + folder.path() + "/nowhere",
                                       std::string{"--trace "} + folder.path() + "/nowhere.up",
                                       std::string{"--json "} + folder.path() + "/no/where"}) {
    const Run demo = run(program("demo") + " " + arguments);
    CAPTURE(demo.said);
    CHECK(demo.status == 2);
    CHECK(is_one_line(demo.said));
  }
}

TEST_CASE("a folder that holds something is not overwritten") {
  const TempFolder folder;
  std::ofstream(folder.path() + "/mine") << "keep me";
  const Run demo = run(program("demo") + " --quick --keep " + folder.path());
  CHECK(demo.status == 2);
  CHECK(is_one_line(demo.said));
  CHECK(demo.said.find("not empty") != std::string::npos);
}

TEST_CASE("a device program names what is wrong with its configuration, and ends with 2") {
  const TempFolder folder;
  const std::string path = folder.path() + "/tablet.toml";
  for (const auto& [text, expected] :
       {std::pair{"name = \"t\"\nkey = nonsense\n", ":2"}, std::pair{"name = \"t\"\n", "key = \"...\" is missing"}}) {
    std::ofstream(path, std::ios::trunc) << text;
    const Run tablet = run(program("tablet") + " --config " + path);
    CAPTURE(tablet.said);
    CHECK(tablet.status == 2);
    CHECK(is_one_line(tablet.said));
    CHECK(tablet.said.find(path) != std::string::npos);
    CHECK(tablet.said.find(expected) != std::string::npos);
  }
  const Run missing = run(program("tablet") + " --config " + folder.path() + "/nowhere.toml");
  CHECK(missing.status == 2);
  CHECK(is_one_line(missing.said));
}

TEST_CASE("a configuration that was written reads back as it was") {
  const TempFolder folder;
  Config config;
  config.name = "hub";
  config.key_file = "hub.key";
  config.store_file = "a \"quoted\" name.db";
  config.ledger_folder = "ledgers";
  config.instance = "day";
  config.seed = 7;
  config.every_nth = 3;
  config.start_ms = 1'790'000'000'123;
  config.speed = 622.5;
  config.listen = "tcp://127.0.0.1:7400";
  for (std::size_t i = 0; i < 2; ++i) {
    Config::Peer peer{"tablet" + std::to_string(i), {}, {"r1", "r2"}};
    peer.key.fill(std::byte{static_cast<unsigned char>(i * 37 + 1)});
    config.peers.push_back(peer);
  }
  const std::string path = folder.path() + "/hub.toml";
  std::ofstream(path) << config.text();
  const auto read = Config::read_file(path);
  REQUIRE(read.ok());
  CHECK(read->text() == config.text());
  CHECK(read->store_file == config.store_file);
  CHECK(read->start_ms == config.start_ms);
  CHECK(read->peers.at(1).key == config.peers.at(1).key);
  CHECK(read->peers.at(1).serves == config.peers.at(1).serves);
}

}  // namespace
}  // namespace pannier::delivery
