// Sender and receiver, real processes on real files and a real socket, killed again and again in mid-work. What was
// promised stands in a ledger that no kill reaches: this test's memory.

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <pannier/message.h>
#include <pannier/sim.h>
#include <pannier/sqlite_store.h>
#include "tests/runtime/schema/messages.fbs.h"
#include "tests/support/campaign.h"
#include "tests/support/child_process.h"
#include "tests/support/fixtures.h"

namespace pannier::testing {
namespace {

class Pair {
 public:
  void start_sender(const char* mode) { start(sender_, mode); }
  void start_receiver(const char* mode) { start(receiver_, mode); }

  /// Lets both work until they have said `lines` more.
  void work(std::uint64_t lines) {
    while (lines > 0 && ChildProcess::wait({sender_.get(), receiver_.get()})) lines -= std::min(lines, hear());
  }
  void kill_sender() { kill(sender_); }
  void kill_receiver() { kill(receiver_); }
  void wait_until_idle() {
    idle_ = false;
    while (!idle_ && ChildProcess::wait({sender_.get(), receiver_.get()})) hear();
    REQUIRE(idle_);
  }

  [[nodiscard]] const std::set<std::int64_t>& acknowledged() const noexcept { return acknowledged_; }
  [[nodiscard]] std::string store_of_receiver() const { return folder_.file("receiver.db"); }

 private:
  using Child = std::unique_ptr<ChildProcess>;
  void start(Child& child, const char* mode) {
    child = std::make_unique<ChildProcess>(
        std::vector<std::string>{PANNIER_DELIVERY_PROCESS, mode, folder_.file(""), std::to_string(++lives_)});
  }
  void kill(Child& child) {
    child->kill_and_wait();
    while (ChildProcess::wait({child.get()})) hear();  // What it said before it died counts.
    hear();
    child.reset();
  }
  std::uint64_t hear() {
    std::uint64_t heard = 0;
    std::string line;
    for (ChildProcess* child : {sender_.get(), receiver_.get()}) {
      while (child != nullptr && child->take_line(line)) {
        INFO(line);
        CHECK(line.front() != '!');
        if (line == "idle") idle_ = true;
        if (line.front() == '+') acknowledged_.insert(std::stoll(line.substr(2)));
        ++heard;
      }
    }
    return heard;
  }

  TempFolder folder_;
  Child sender_;
  Child receiver_;
  std::int64_t lives_ = 0;
  bool idle_ = false;
  std::set<std::int64_t> acknowledged_;
};

}  // namespace

TEST_CASE("sender and receiver killed again and again: nothing acknowledged is lost, no effect comes twice, in order") {
  const std::uint64_t kills = number_from("PANNIER_KILLS", campaign_share(200));
  sim::SeededEntropy dice(number_from("PANNIER_SIM_SEED", 1));
  Pair pair;
  pair.start_receiver("receive");
  pair.start_sender("send");
  for (std::uint64_t i = 0; i < kills; ++i) {
    pair.work(1 + dice.below(60));
    const std::uint64_t victim = dice.below(10);
    if (victim < 7) pair.kill_sender();
    if (victim >= 4) pair.kill_receiver();
    if (victim >= 4) pair.start_receiver("receive");
    if (victim < 7) pair.start_sender("send");
  }
  pair.kill_sender();
  pair.start_sender("drain-send");
  pair.wait_until_idle();
  pair.kill_sender();
  pair.kill_receiver();
  pair.start_receiver("drain-receive");
  pair.wait_until_idle();
  pair.kill_receiver();

  sim::SeededEntropy random(1);
  auto store = open_sqlite_store({.path = pair.store_of_receiver(), .entropy = random});
  REQUIRE(store.ok());
  std::map<std::int64_t, std::vector<std::int64_t>> effects;  // By number: when each happened.
  REQUIRE((*store)
              ->state()
              ->read_state("e/",
                           [&](std::string_view key, std::span<const std::byte> value) {
                             REQUIRE(verify_table<Number>(value));
                             effects[std::stoll(std::string(key.substr(2)))].push_back(
                                 flatbuffers::GetRoot<Number>(value.data())->value());
                             return true;
                           })
              .ok());
  std::uint64_t lost = 0;
  std::uint64_t twice = 0;
  std::uint64_t out_of_order = 0;
  for (const std::int64_t number : pair.acknowledged()) lost += effects.contains(number) ? 0U : 1U;
  std::map<std::int64_t, std::int64_t> last_of_key;
  for (const auto& [number, when] : effects) {
    twice += when.size() > 1 ? 1U : 0U;
    std::int64_t& last = last_of_key[number % 4];
    out_of_order += when.front() < last ? 1U : 0U;
    last = when.front();
  }
  MESSAGE(kills << " kills, " << pair.acknowledged().size() << " acknowledged, " << effects.size() << " effects; lost "
                << lost << ", twice " << twice << ", out of order " << out_of_order);
  CHECK(pair.acknowledged().size() > kills);
  CHECK(lost == 0);
  CHECK(twice == 0);
  CHECK(out_of_order == 0);
}

}  // namespace pannier::testing
