// A child process for sqlite_store_test.cpp: holds a store, and works on it until it is killed.
//
//   store_writer hold FILE               opens, prints "ready", waits for its input to end
//   store_writer write FILE PAGES SEED   commits groups for ever; PAGES: checkpoint_pages. After each commit
//   it prints
//                                        "+ SEQUENCE" for each row; before it erases one, "- SEQUENCE"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <pannier/sim.h>
#include <pannier/sqlite_store.h>

#include "runtime/store/store.h"

namespace {

using namespace pannier;

/// The parent knows it too: a row must not come back with other bytes.
std::string payload_of(Sequence sequence) {
  std::string payload = std::to_string(sequence);
  payload.append(100 + sequence % 700, static_cast<char>('a' + sequence % 26));
  return payload;
}

template <class T>
T must(Result<T> result) {
  if (!result) {
    std::printf("! %s\n", result.error().text().c_str());
    std::fflush(stdout);
    std::exit(3);
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

void write_for_ever(Store& store, sim::SeededEntropy& random) {
  must(store.begin());
  const StreamId stream = must(store.stream(Box::outbox, "hub", "orders"));
  must(store.commit(Durability::fsynced));
  std::deque<Sequence> live;
  while (true) {
    must(store.begin());
    std::vector<Sequence> group;
    for (std::uint64_t rows = 1 + random.below(20); rows > 0; --rows) {
      const Sequence sequence = must(store.next_sequence());
      const std::string payload = payload_of(sequence);
      Row row;
      row.stream = stream;
      row.sequence = sequence;
      row.key = "order";
      row.payload = std::as_bytes(std::span{payload});
      must(store.put(row));
      group.push_back(sequence);
    }
    for (std::uint64_t rows = random.below(20); rows > 0 && !live.empty(); --rows) {
      std::printf("- %llu\n", static_cast<unsigned long long>(live.front()));
      must(store.erase(stream, live.front()));
      live.pop_front();
    }
    std::fflush(stdout);
    must(store.commit(Durability::fsynced));
    for (const Sequence sequence : group) {
      std::printf("+ %llu\n", static_cast<unsigned long long>(sequence));
      live.push_back(sequence);
    }
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::span<char*> arguments(argv, static_cast<std::size_t>(argc));
  if (argc < 3) return 2;
  const std::string_view mode = arguments[1];
  sim::SeededEntropy random(argc > 4 ? std::strtoull(arguments[4], nullptr, 10) : 1);
  SqliteOptions options{.path = arguments[2], .entropy = random};
  if (argc > 3) options.checkpoint_pages = static_cast<std::uint32_t>(std::strtoul(arguments[3], nullptr, 10));
  const StorePtr store = must(open_sqlite_store(options));
  std::printf("ready\n");
  std::fflush(stdout);
  if (mode == "hold") {
    while (std::getchar() != EOF) {
    }
    return 0;
  }
  write_for_ever(*store, random);
}
