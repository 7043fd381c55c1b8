#include <pannier/message.h>

#include <doctest/doctest.h>

#include <cstring>
#include <thread>
#include <vector>

#include <pannier/sim.h>

namespace pannier::testing {
namespace {

TEST_CASE("memory is as large as asked, aligned to 16, and nobody else's") {
  Pool::Owner pool = Pool::create();
  Pool::Scope scope{*pool};
  sim::SeededEntropy dice{9};
  struct Piece {
    unsigned char* memory;
    std::size_t bytes;
    unsigned char fill;
  };
  std::vector<Piece> pieces;
  for (int round = 0; round < 20'000; ++round) {
    if (pieces.empty() || dice.chance(0.52)) {
      const std::size_t bytes = dice.chance(0.02) ? dice.below(3'000'000) : dice.below(2000);
      auto* memory = static_cast<unsigned char*>(Pool::allocate(bytes));
      REQUIRE(reinterpret_cast<std::uintptr_t>(memory) % 16 == 0);
      REQUIRE(Pool::usable_bytes(memory) >= bytes);
      const auto fill = static_cast<unsigned char>(dice.next());
      std::memset(memory, fill, bytes);
      pieces.push_back({memory, bytes, fill});
    } else {
      const std::size_t index = dice.below(pieces.size());
      const Piece piece = pieces[index];
      bool whole = true;
      for (std::size_t i = 0; i < piece.bytes; ++i) whole = whole && piece.memory[i] == piece.fill;
      REQUIRE(whole);
      Pool::release(piece.memory);
      pieces[index] = pieces.back();
      pieces.pop_back();
    }
  }
  for (const Piece& piece : pieces) Pool::release(piece.memory);
}

TEST_CASE("in a steady state the system is not asked for memory, also when another thread gives it back") {
  Pool::Owner pool = Pool::create();
  const auto round = [&] {
    std::vector<void*> pieces;
    {
      Pool::Scope scope{*pool};
      for (int i = 0; i < 1000; ++i) pieces.push_back(Pool::allocate(100));
    }
    std::thread{[&] {
      for (void* piece : pieces) Pool::release(piece);
    }}.join();
  };
  round();
  round();
  const std::uint64_t before = pool->system_allocations();
  for (int i = 0; i < 20; ++i) round();
  CHECK(pool->system_allocations() == before);
}

TEST_CASE("memory outlives its pool until the last piece comes back, from whatever thread") {
  for (int round = 0; round < 50; ++round) {
    std::vector<void*> pieces;
    {
      Pool::Owner pool = Pool::create();
      Pool::Scope scope{*pool};
      for (std::size_t i = 0; i < 64; ++i) {
        pieces.push_back(Pool::allocate(10 + i * 50));
        std::memset(pieces.back(), 7, 10 + i * 50);
      }
      for (std::size_t i = 0; i < 16; ++i) Pool::release(pieces[i]);
    }
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < 3; ++t) {
      threads.emplace_back([&pieces, t] {
        for (std::size_t i = 16 + t; i < pieces.size(); i += 3) Pool::release(pieces[i]);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
}

TEST_CASE("a pool may be let go while others give its memory back") {
  for (int round = 0; round < 100; ++round) {
    Pool::Owner pool = Pool::create();
    std::vector<void*> pieces;
    {
      Pool::Scope scope{*pool};
      for (int i = 0; i < 200; ++i) pieces.push_back(Pool::allocate(64));
    }
    std::thread other{[&] {
      for (void* piece : pieces) Pool::release(piece);
    }};
    pool.reset();
    other.join();
  }
}

TEST_CASE("without a pool memory comes from the heap") {
  void* memory = Pool::allocate(100);
  std::memset(memory, 1, 100);
  CHECK(Pool::usable_bytes(memory) >= 100);
  Pool::Owner pool = Pool::create();
  Pool::Scope scope{*pool};
  Pool::release(memory);
  Pool::release(nullptr);
}

}  // namespace
}  // namespace pannier::testing
