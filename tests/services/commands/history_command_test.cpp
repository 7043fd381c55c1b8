// `pannier events` and `pannier saga`, against a running program.

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "tests/tools/command_runner.h"

namespace pannier::testing {
namespace {

struct HistoryHub {
  HistoryHub() {
    write_file(folder / "hub.toml",
               "[node]\nname = \"hub\"\ninsecure_plaintext = true\nstore = \"hub.db\"\nlisten = [\"ipc://" +
                   folder / "hub.sock" + "\"]\n");
    hub.emplace(folder.path(), std::vector<std::string>{"--config", "hub.toml"}, "hub.log", PANNIER_HISTORY_HUB);
    const std::string line = hub->line();
    INFO(hub->errors());
    REQUIRE(line == "filled");
  }
  [[nodiscard]] Ran say(std::vector<std::string> arguments) const {
    for (const char* each : {"--config", "hub.toml", "--timeout", "20"}) arguments.emplace_back(each);
    return run(folder.path(), arguments);
  }
  /// Until the saga is in that state.
  [[nodiscard]] std::string saga_once(const std::string& id, const std::string& state) const {
    for (;;) {
      Ran ran = say({"saga", "show", id});
      if (ran.out.find("is " + state) != std::string::npos) return ran.out;
    }
  }
  TempFolder folder;
  std::optional<RunningCommand> hub;
};

TEST_CASE("a history is listed, shown as it was at a time, and exported by its schema") {
  const HistoryHub hub;
  const Ran list = hub.say({"events", "list"});
  CHECK(list.status == 0);
  CHECK(list.out.find("cart-3 ") == 0);
  CHECK(hub.say({"events", "list", "order-"}).out.find("order-17") == 0);

  const Ran all = hub.say({"events", "show", "order-17", "--schema", PANNIER_HISTORY_SCHEMA});
  INFO(all.errors);
  CHECK(all.status == 0);
  CHECK(all.out ==
        "    1  2026-12-01T08:00:00.000Z  history.Priced  {\"minor\": 1250}\n"
        "    2  2026-12-01T12:30:00.000Z  history.Priced  {\"minor\": 990}\n"
        "    3  2026-12-01T13:00:00.000Z  history.Sold  {\"to\": \"Ada\"}\n");
  for (const auto& [as_of, lines] : {std::pair{"2026-12-01T12:29", 1}, std::pair{"2026-12-01T12:30", 2},
                                     std::pair{"2026-12-01T12:59:59Z", 2}, std::pair{"2026-12-01", 3}}) {
    const Ran then = hub.say({"events", "show", "order-17", "--as-of", as_of});
    CAPTURE(as_of);
    CHECK(std::count(then.out.begin(), then.out.end(), '\n') == lines);
    CHECK(then.out.find("bytes; see --schema") != std::string::npos);
  }
  const Ran exported =
      hub.say({"events", "export", "--prefix", "order-", "--after", "2", "--schema", PANNIER_HISTORY_SCHEMA});
  CHECK(exported.out ==
        "{\"position\":3,\"stream\":\"order-17\",\"version\":3,\"type\":\"history.Sold\",\"schema\":1,"
        "\"at\":\"2026-12-01T13:00:00.000Z\",\"data\":{\"to\": \"Ada\"}}\n");
}

TEST_CASE("a history that is replayed twice is in the lane once") {
  const HistoryHub hub;
  const Ran first = hub.say({"events", "replay", "order-17", "--to", "audit"});
  INFO(first.errors);
  CHECK(first.status == 0);
  CHECK(trimmed(first.out) == "3 events are in audit, 0 of them since an earlier replay");
  CHECK(trimmed(hub.say({"events", "replay", "order-17", "--to", "audit"}).out) ==
        "3 events are in audit, 3 of them since an earlier replay");
  const Ran queue = hub.say({"queue", "--key", "order-17"});
  CHECK(std::count(queue.out.begin(), queue.out.end(), '\n') == 3);
}

TEST_CASE("sagas are listed, shown, ordered about, and purged") {
  const HistoryHub hub;
  const std::string bad = hub.saga_once("job-bad", "dead-lettered");
  CHECK(bad.find("the other side refuses") != std::string::npos);
  CHECK(bad.find("order") != std::string::npos);
  CHECK(hub.saga_once("job-good", "completed").find("wait                 done") != std::string::npos);
  CHECK(hub.say({"saga", "show", "job-waits", "--mermaid"}).out.find("flowchart TD") == 0);
  const Ran dead = hub.say({"saga", "list", "--status", "dead-lettered", "--json"});
  CHECK(std::count(dead.out.begin(), dead.out.end(), '\n') == 1);
  CHECK(dead.out.find(R"("id":"job-bad","saga":"job","version":1,"status":"dead-lettered")") != std::string::npos);

  CHECK(trimmed(hub.say({"saga", "skip", "job-bad"}).out) == "job-bad was dead-lettered; the order is stored");
  CHECK(hub.saga_once("job-bad", "compensated").find("job-bad") == 0);
  CHECK(hub.say({"saga", "cancel", "job-waits"}).status == 0);
  CHECK(!hub.saga_once("job-waits", "dead-lettered").empty());

  CHECK(trimmed(hub.say({"saga", "purge", "--older-than", "3600"}).out) == "0 sagas are removed");
  CHECK(trimmed(hub.say({"saga", "purge", "--older-than", "0.001"}).out) == "2 sagas are removed");
  CHECK(trimmed(hub.say({"saga", "purge", "--older-than", "0.001", "--status", "dead-lettered"}).out) ==
        "1 sagas are removed");
  CHECK(hub.say({"saga", "show", "job-good"}).status == 1);
}

TEST_CASE("what cannot be shown, replayed or ordered is one line that says why") {
  const HistoryHub hub;
  for (const auto& [arguments, status, says] :
       std::initializer_list<std::tuple<std::vector<std::string>, int, std::string>>{
           {{"events", "show"}, 2, "which stream?"},
           {{"events", "show", "order-9"}, 1, "stream order-9 has no events"},
           {{"events", "show", "order-17", "--as-of", "noon"}, 2, "'noon' is no time"},
           {{"events", "show", "order-17", "--as-of", "2026-02-30"}, 2, "is no time"},
           {{"events", "show", "order-17", "--actor", "nobody"}, 1, "no actor 'nobody' runs at hub"},
           {{"events", "show", "order-17", "--actor", "sagas"}, 1, "has no answer to this question"},
           {{"events", "replay", "order-17"}, 2, "--to"},
           {{"events", "rewind"}, 2, "list|show|export|replay"},
           {{"saga", "show", "job-9"}, 1, "there is no saga job-9"},
           {{"saga", "retry", "job-9"}, 1, "there is no saga job-9"},
           {{"saga", "cancel"}, 2, "which saga?"},
           {{"saga", "purge"}, 2, "--older-than"},
           {{"saga", "purge", "--older-than", "1", "--status", "running"}, 1, "can be purged"}}) {
    const Ran ran = hub.say(arguments);
    CAPTURE(arguments.back());
    CAPTURE(ran.errors);
    CHECK(ran.status == status);
    CHECK(ran.errors.find(says) != std::string::npos);
    CHECK(std::count(ran.errors.begin(), ran.errors.end(), '\n') == 1);
  }
}

}  // namespace
}  // namespace pannier::testing
