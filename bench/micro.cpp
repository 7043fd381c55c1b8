// The parts that the figures of docs/benchmarks.md stand on, one by one: `./dev bench --micro`. Google Benchmark's own
// options apply.

#include <benchmark/benchmark.h>

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include <pannier/message.h>
#include "bench/schema/sample.fbs.h"
#include "runtime/actor/cell.h"
#include "runtime/actor/timers.h"
#include "runtime/link/topics.h"
#include "runtime/link/wire.h"
#include "runtime/store/crc32c.h"

namespace pannier::bench {
namespace {

constexpr auto kHour = std::chrono::hours{1};

/// One timer, beside so many that are armed.
void timers_arm_and_cancel(benchmark::State& state) {
  Cell cell;
  Timers timers;
  const MonoTime start{kHour};
  for (std::int64_t i = 0; i < state.range(0); ++i)
    timers.arm(cell, start + Duration{i * 7919 % 1'000'003}, {}, [](Message*) {});
  std::int64_t next = 0;
  for (auto _ : state) {
    next = (next + 104'729) % 1'000'003;
    timers.cancel(timers.arm(cell, start + Duration{next}, {}, [](Message*) {}));
  }
  timers.cancel_all(cell);
}
BENCHMARK(timers_arm_and_cancel)->Arg(0)->Arg(1000)->Arg(100'000);

/// One timer armed and, in its turn, fired.
void timers_arm_and_fire(benchmark::State& state) {
  Cell cell;
  Timers timers;
  MonoTime now{kHour};
  for (std::int64_t i = 0; i < state.range(0); ++i) timers.arm(cell, now + Duration{i}, {}, [](Message*) {});
  for (auto _ : state) {
    now += Duration{1};
    timers.arm(cell, now + Duration{state.range(0)}, {}, [](Message*) {});
    benchmark::DoNotOptimize(timers.pop_due(now));
  }
  timers.cancel_all(cell);
}
BENCHMARK(timers_arm_and_fire)->Arg(0)->Arg(1000)->Arg(100'000);

/// Sixteen pieces taken and given back on their own worker.
void pool_allocate_and_free(benchmark::State& state) {
  const auto pool = Pool::create();
  const Pool::Scope scope{*pool};
  const auto bytes = static_cast<std::size_t>(state.range(0));
  std::array<void*, 16> pieces{};
  for (auto _ : state) {
    for (void*& piece : pieces) piece = Pool::allocate(bytes);
    benchmark::DoNotOptimize(pieces.data());
    for (void* piece : pieces) Pool::release(piece);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(pieces.size()));
}
BENCHMARK(pool_allocate_and_free)->Arg(100)->Arg(4000)->Arg(200'000);

/// The subscribers of one topic, among so many filters: one per vehicle, and a few with wildcards.
void topics_match(benchmark::State& state) {
  FilterTree tree;
  std::vector<Subscriber> subscribers(static_cast<std::size_t>(state.range(0)) + 3);
  auto add = [&, next = std::size_t{0}](const std::string& filter) mutable {
    static_cast<void>(tree.open(filter).subscriptions.add(subscribers[next++], 1));
  };
  for (std::int64_t i = 0; i < state.range(0); ++i) add("fleet/" + std::to_string(i) + "/position");
  for (const char* filter : {"fleet/+/position", "fleet/#", "+/7/position"}) add(filter);
  std::uint64_t found = 0;
  for (auto _ : state) {
    tree.match("fleet/7/position", [&found](const Filter& filter) { found += filter.subscriptions.entries().size(); });
  }
  benchmark::DoNotOptimize(found);
}
BENCHMARK(topics_match)->Arg(10)->Arg(1000)->Arg(100'000);

Table<Sample> sample(std::uint64_t turn) { return make<Sample>(turn, turn + 1, 48.137, 11.575, 7.5F, 90.0F); }

void table_build(benchmark::State& state) {
  const auto pool = Pool::create();
  const Pool::Scope scope{*pool};
  std::uint64_t turn = 0;
  for (auto _ : state) benchmark::DoNotOptimize(sample(++turn));
}
BENCHMARK(table_build);

void table_verify(benchmark::State& state) {
  const Table<Sample> table = sample(7);
  for (auto _ : state) benchmark::DoNotOptimize(verify_table<Sample>(table.bytes()));
}
BENCHMARK(table_verify);

wire::Record record(std::span<const std::byte> payload) {
  return {.kind = wire::Kind::row,
          .type = TypeId{7},
          .id = 1,
          .number = 2,
          .first = "hub/orders",
          .second = "order-7",
          .payload = payload};
}

/// A frame of sixteen rows with a payload of so many bytes each.
void wire_encode(benchmark::State& state) {
  const std::vector<std::byte> payload(static_cast<std::size_t>(state.range(0)));
  wire::FrameWriter writer;
  for (auto _ : state) {
    writer.clear();
    for (int i = 0; i < 16; ++i) benchmark::DoNotOptimize(writer.add(record(payload)).ok());
    benchmark::DoNotOptimize(writer.frame().data());
  }
  state.SetItemsProcessed(state.iterations() * 16);
}
BENCHMARK(wire_encode)->Arg(64)->Arg(1024);

void wire_decode(benchmark::State& state) {
  const std::vector<std::byte> payload(static_cast<std::size_t>(state.range(0)));
  wire::FrameWriter writer;
  for (int i = 0; i < 16; ++i) {
    if (!writer.add(record(payload))) state.SkipWithError("the frame is full");
  }
  const auto frame = writer.frame();
  for (auto _ : state) {
    auto reader = wire::FrameReader::open(frame);
    while (reader && !reader->at_end()) benchmark::DoNotOptimize(reader->next().ok());
  }
  state.SetItemsProcessed(state.iterations() * 16);
}
BENCHMARK(wire_decode)->Arg(64)->Arg(1024);

void crc32c_of(benchmark::State& state) {
  const std::vector<std::byte> bytes(static_cast<std::size_t>(state.range(0)), std::byte{42});
  for (auto _ : state) benchmark::DoNotOptimize(crc32c(0, bytes));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(crc32c_of)->Arg(64)->Arg(4096);

}  // namespace
}  // namespace pannier::bench

BENCHMARK_MAIN();
