// Streams: what one side says, the other hears in order and once; neither holds more than its credit; one end.

#include <doctest/doctest.h>

#include "tests/services/rpc/shop.h"

namespace pannier::rpc::testing {
namespace {

/// What a caller of a stream has heard.
template <class Final>
struct Heard {
  std::vector<int> numbers;
  int ends = 0;
  std::optional<Response<Final>> end;
  auto item() {
    return [this](const Table<Chunk>& chunk) { numbers.push_back(chunk->number()); };
  }
  auto last() {
    return [this](Response<Final> response) {
      ++ends;
      end.emplace(std::move(response));
    };
  }
};

std::vector<int> up_to(int count) {
  std::vector<int> numbers;
  for (int i = 0; i < count; ++i) numbers.push_back(i);
  return numbers;
}

TEST_CASE("a server stream arrives in order, and then its end") {
  for (const bool linked : {false, true}) {
    Shop shop{linked};
    Heard<void> heard;
    shop.act(
        [&](Asker& asker) { asker.orders.watch(make<GetOrder>("go", 700)).each(heard.item()).then(heard.last()); });
    shop.sim.advance(1s);
    CHECK(heard.numbers == up_to(700));
    REQUIRE(heard.ends == 1);
    CHECK(heard.end->ok());
  }
}

TEST_CASE("what is written later arrives when it is written, and the server says how the stream ended") {
  Shop shop{true};
  Heard<void> heard;
  shop.act([&](Asker& asker) { asker.orders.watch(make<GetOrder>("stay", 1)).each(heard.item()).then(heard.last()); });
  shop.sim.advance(1s);
  CHECK(heard.numbers == up_to(1));
  shop.at_server([&] { REQUIRE(shop.ledger.writers[0].write(make<Chunk>("late", 1))); });
  shop.sim.advance(11ms);
  CHECK(heard.numbers == up_to(2));
  CHECK(heard.ends == 0);
  shop.at_server([&] {
    REQUIRE(shop.ledger.writers[0].write(make<Chunk>("last", 2)));
    shop.ledger.writers[0].finish(Failure{Status::out_of_range, "no more"});
    CHECK_FALSE(shop.ledger.writers[0].write(make<Chunk>("after", 3)));
  });
  shop.sim.advance(1s);
  CHECK(heard.numbers == up_to(3));
  REQUIRE(heard.ends == 1);
  CHECK(heard.end->status() == Status::out_of_range);
  CHECK(heard.end->failure().message == "no more");
}

TEST_CASE("a caller that does not read stalls the server, which holds 64 KiB and no more; reading lets it go on") {
  for (const bool linked : {false, true}) {
    Shop shop{linked};
    Heard<void> heard;
    std::optional<Stream<void, Chunk, void>> stream;
    shop.act([&](Asker& asker) {
      stream.emplace(asker.orders.watch(make<GetOrder>("stay", 0)));
      stream->then(heard.last());
    });
    shop.sim.advance(100ms);
    // The server writes without end, as fast as it is let.
    int written = 0;
    const std::string kilobyte(1000, 'x');
    std::function<void()> fill = [&] {
      while (shop.ledger.writers[0].write(make<Chunk>(kilobyte, written))) ++written;
    };
    shop.at_server([&] {
      shop.ledger.writers[0].on_ready([&] { fill(); });
      fill();
    });
    shop.sim.advance(1s);
    const int stalled = written;
    shop.sim.advance(1s);
    CHECK(written == stalled);
    CHECK(stalled <= 128);  // 64 KiB there, and as many here
    CHECK(stalled >= 60);
    int read = 0;
    std::function<void(std::optional<Table<Chunk>>)> reader = [&](std::optional<Table<Chunk>> chunk) {
      REQUIRE(chunk);
      CHECK((*chunk)->number() == read);
      if (++read < 500) stream->read(reader);
    };
    shop.act([&](Asker&) { stream->read(reader); });
    shop.sim.advance(5s);
    CHECK(read == 500);
    CHECK(written <= read + 128);
    CHECK(heard.ends == 0);
  }
}

TEST_CASE("a message larger than the credit of a stream is refused, not cut") {
  Shop shop{true};
  Result<void> written;
  shop.act([&](Asker& asker) {
    auto stream = asker.orders.upload();
    written = stream.write(make<Chunk>(std::string(70'000, 'x'), 0));
  });
  CHECK(written.error().code == ErrorCode::invalid_argument);
}

TEST_CASE("a client stream is heard in order and answered once") {
  for (const bool linked : {false, true}) {
    Shop shop{linked};
    Heard<Summary> heard;
    shop.act([&](Asker& asker) {
      auto stream = asker.orders.upload();
      for (int i = 0; i < 400; ++i) REQUIRE(stream.write(make<Chunk>("1234567890", i)));
      stream.close();
      CHECK_FALSE(stream.write(make<Chunk>("late", 0)));
      stream.then(heard.last());
    });
    shop.sim.advance(1s);
    REQUIRE(heard.ends == 1);
    REQUIRE(heard.end->ok());
    CHECK((*heard.end)->chunks() == 400);
    CHECK((*heard.end)->bytes() == 4000);
  }
}

TEST_CASE("a server that does not read stalls the caller, which holds 64 KiB and no more") {
  Shop shop{true};
  shop.ledger.hold_uploads = true;
  Heard<Summary> heard;
  int written = 0;
  const std::string kilobyte(1000, 'x');
  std::optional<Stream<Chunk, void, Summary>> stream;
  std::function<void()> fill = [&] {
    while (stream->write(make<Chunk>(kilobyte, written))) ++written;
  };
  shop.act([&](Asker& asker) {
    stream.emplace(asker.orders.upload({.deadline = 60s}));
    stream->then(heard.last());
    stream->on_ready([&] { fill(); });
    fill();
  });
  shop.sim.advance(5s);
  const int stalled = written;
  CHECK(stalled <= 192);
  shop.sim.advance(5s);
  CHECK(written == stalled);
  int read = 0;
  shop.at_server([&] {
    shop.ledger.readers[0].each(
        [&](const Table<Chunk>& chunk) {
          CHECK(chunk->number() == read);
          ++read;
        },
        [] {});
  });
  shop.sim.advance(1s);
  CHECK(read > 500);
  CHECK(written <= read + 192);
  shop.at_server([&] { shop.ledger.readers[0].finish(make<Summary>(read, 0)); });
  shop.sim.advance(1s);
  REQUIRE(heard.ends == 1);
  CHECK(heard.end->ok());
}

TEST_CASE("both sides of a bidirectional stream talk at their own pace") {
  for (const bool linked : {false, true}) {
    Shop shop{linked};
    Heard<void> heard;
    std::optional<Stream<Chunk, Chunk, void>> stream;
    shop.act([&](Asker& asker) {
      stream.emplace(asker.orders.chat());
      stream->each(heard.item()).then(heard.last());
      for (int i = 0; i < 3; ++i) REQUIRE(stream->write(make<Chunk>("hello", i)));
    });
    shop.sim.advance(1s);
    CHECK(heard.numbers == up_to(3));
    shop.act([&](Asker&) {
      REQUIRE(stream->write(make<Chunk>("bye", 3)));
      stream->close();
    });
    shop.sim.advance(1s);
    CHECK(heard.numbers == up_to(4));
    REQUIRE(heard.ends == 1);
    CHECK(heard.end->ok());
  }
}

TEST_CASE("a cancelled stream ends for its caller at once, and for its handler after one way") {
  for (const bool linked : {false, true}) {
    Shop shop{linked};
    Heard<void> heard;
    std::optional<Stream<void, Chunk, void>> stream;
    shop.act([&](Asker& asker) {
      stream.emplace(asker.orders.watch(make<GetOrder>("stay", 2)));
      stream->each(heard.item()).then(heard.last());
    });
    shop.sim.advance(1s);
    shop.act([&](Asker&) { stream->cancel(); });
    REQUIRE(heard.ends == 1);
    CHECK(heard.end->status() == Status::cancelled);
    shop.sim.advance(linked ? 10ms : 0ms);
    CHECK(shop.ledger.has("cancelled watch"));
    shop.at_server([&] { CHECK_FALSE(shop.ledger.writers[0].write(make<Chunk>("late", 9))); });
    shop.sim.advance(1s);
    CHECK(heard.numbers == up_to(2));
  }
}

TEST_CASE("the deadline ends a stream on both sides, also one that nobody reads") {
  Shop shop{true};
  Heard<void> heard;
  shop.act([&](Asker& asker) { asker.orders.watch(make<GetOrder>("stay", 5), {.deadline = 3s}).then(heard.last()); });
  shop.sim.advance(2900ms);
  CHECK(heard.ends == 0);
  shop.sim.advance(200ms);
  REQUIRE(heard.ends == 1);
  CHECK(heard.end->status() == Status::deadline_exceeded);
  CHECK(shop.ledger.has("cancelled watch"));
}

TEST_CASE("a server that restarts ends its streams: unavailable or internal, once") {
  Shop shop{true};
  Heard<void> heard;
  shop.act([&](Asker& asker) { asker.orders.watch(make<GetOrder>("stay", 2)).each(heard.item()).then(heard.last()); });
  shop.sim.advance(1s);
  CHECK(heard.numbers == up_to(2));
  shop.hub->crash();
  shop.sim.advance(10s);
  REQUIRE(heard.ends == 1);
  CHECK(heard.end->status() == Status::unavailable);
}

TEST_CASE("a method that streams is unimplemented where no such method is served") {
  Shop shop{true};
  Heard<void> heard;
  static constexpr Method kUnknown =
      detail::Contract<GetOrder, Chunk, Kind::server_stream>::describe("shop.OrderService.Tail", false, 0);
  shop.act([&](Asker& asker) {
    Stream<void, Chunk, void>{
        detail::start_stream({&asker, asker.orders.server(), &kUnknown, make<GetOrder>("x", 0).block(), {}})}
        .then(heard.last());
  });
  shop.sim.advance(25ms);
  REQUIRE(heard.ends == 1);
  CHECK(heard.end->status() == Status::unimplemented);
}

}  // namespace
}  // namespace pannier::rpc::testing
