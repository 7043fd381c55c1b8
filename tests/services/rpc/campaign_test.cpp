// Calls and streams under loss, cuts and restarts, from many seeds: each has exactly one end.

#include <doctest/doctest.h>

#include "tests/services/rpc/shop.h"
#include "tests/support/campaign.h"

namespace pannier::rpc::testing {
namespace {

/// A call or a stream that was begun.
struct Track {
  std::string what;
  int ends = 0;
  Status status = Status::ok;
  std::vector<int> numbers;
};

struct World {
  explicit World(std::uint64_t seed) : shop(true, seed, 5ms), random(seed) {}

  Track& begin(std::string what) {
    tracks.push_back(std::make_unique<Track>());
    tracks.back()->what = std::move(what);
    return *tracks.back();
  }
  template <class R>
  static auto end(Track& track) {
    return [&track](const Response<R>& response) {
      ++track.ends;
      track.status = response.status();
    };
  }
  std::uint64_t roll(std::uint64_t sides) { return random.below(sides); }

  /// One thing that a caller does.
  void work(Asker& asker) {
    const auto deadline = std::chrono::milliseconds{50 + roll(4000)};
    switch (roll(6)) {
      case 0: {
        Track& track = begin("get");
        asker.orders.get_order(make<GetOrder>("7", 0), {.deadline = deadline}).then(end<Order>(track));
        break;
      }
      case 1: {
        Track& track = begin("await");
        const InFlight call =
            asker.orders.await(make<GetOrder>("1", 0), {.deadline = deadline}).then(end<Order>(track));
        if (roll(2) == 0) asker.after(std::chrono::milliseconds{roll(500)}, [call] { call.cancel(); });
        break;
      }
      case 2: {
        Track& track = begin("watch");
        auto stream = asker.orders.watch(make<GetOrder>(roll(2) == 0 ? "stay" : "go", static_cast<int>(roll(400))),
                                         {.deadline = deadline});
        stream.each([&track](const Table<Chunk>& chunk) { track.numbers.push_back(chunk->number()); });
        stream.then(end<void>(track));
        if (roll(3) == 0) asker.after(std::chrono::milliseconds{roll(500)}, [stream]() mutable { stream.cancel(); });
        break;
      }
      case 3: {
        Track& track = begin("upload");
        auto stream = asker.orders.upload({.deadline = deadline});
        for (std::uint64_t i = roll(300); i > 0; --i) static_cast<void>(stream.write(make<Chunk>("x", 1)).ok());
        if (roll(4) != 0) stream.close();
        stream.then(end<Summary>(track));
        break;
      }
      case 4: {
        Track& track = begin("chat");
        auto stream = asker.orders.chat({.deadline = deadline});
        stream.each([&track](const Table<Chunk>& chunk) { track.numbers.push_back(chunk->number()); });
        for (int i = 0; i < 5; ++i) static_cast<void>(stream.write(make<Chunk>("x", i)).ok());
        asker.after(std::chrono::milliseconds{roll(300)}, [stream]() mutable { stream.close(); });
        stream.then(end<void>(track));
        break;
      }
      default: {
        Track& first = begin("kept");
        Track& second = begin("dependent");
        const auto order = asker.orders.get_order(make<GetOrder>("7", 0), {.deadline = deadline, .keep_result = true})
                               .then(end<Order>(first));
        asker.orders.plan_route(make<RouteRequest>(1, "?", 3), {.deadline = deadline})
            .with<RouteRequest::VT_TO, Order::VT_ADDRESS>(order)
            .then(end<Route>(second));
        break;
      }
    }
  }

  /// One thing that goes wrong, or right again.
  void trouble() {
    auto& network = shop.sim.network();
    switch (roll(10)) {
      case 0: network.cut("hub", "van", sim::Cut::silent); break;
      case 1: network.cut("hub", "van", sim::Cut::reported); break;
      case 2: network.set_path("hub", "van", {.delay_min = 5ms, .delay_mean = 20ms, .loss = 0.05}); break;
      case 3: network.set_path("hub", "van", {.delay_min = 5ms, .delay_mean = {}}); break;
      case 4:
        shop.hub->crash();
        shop.ledger.waiting.clear();
        shop.ledger.writers.clear();
        break;
      case 5:
        if (shop.hub->up()) shop.at_server([&] { throw std::runtime_error("the oven is out"); });
        break;
      case 6:
        if (!shop.hub->up()) break;
        shop.at_server([&] {
          for (Reply<Order>& reply : std::exchange(shop.ledger.waiting, {})) reply.finish(make<Order>("1", 1, "here"));
        });
        break;
      default: network.heal_all();
    }
    if (!shop.hub->up() && roll(2) == 0) {
      REQUIRE(shop.hub->start());
      shop.server = shop.hub->spawn<Orders>({.name = "orders"}, &shop.ledger);
    }
  }

  /// What went wrong.
  std::string run() {
    for (int turn = 0; turn < 40; ++turn) {
      if (roll(3) == 0) trouble();
      shop.act([this](Asker& asker) { work(asker); });
      shop.sim.advance(std::chrono::milliseconds{roll(300)});
    }
    shop.sim.network().heal_all();
    shop.sim.advance(20s);  // past every deadline, at both ends
    std::string wrong;
    for (const auto& track : tracks) {
      const std::string what = track->what + " (" + std::string{to_string(track->status)} + ")";
      if (track->ends != 1) wrong += what + " ended " + std::to_string(track->ends) + " times; ";
      for (std::size_t i = 0; i < track->numbers.size(); ++i) {
        if (track->numbers[i] != static_cast<int>(i)) wrong += what + " is out of order; ";
      }
      if (track->what == "chat" && track->status == Status::ok && track->numbers.size() != 5) wrong += what + " lost; ";
    }
    if (!shop.hub->up()) return wrong;
    shop.at_server([] {});
    if (shop.ledger.in_hand != 0) wrong += "the server still has " + std::to_string(shop.ledger.in_hand) + " in hand; ";
    return wrong;
  }

  Shop shop;
  sim::SeededEntropy random;
  std::vector<std::unique_ptr<Track>> tracks;
};

TEST_CASE("whatever happens to the link and to the server, each call and each stream ends exactly once") {
  pannier::testing::run_seeds(2'000, "whatever happens to the link*",
                              [](std::uint64_t seed) { return std::make_unique<World>(seed)->run(); });
}

}  // namespace
}  // namespace pannier::rpc::testing
