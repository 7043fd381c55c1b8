#include "bench/queue_bench.h"
#include "runtime/store/store.h"

#include <algorithm>
#include <array>
#include <chrono>

namespace pannier::bench {

namespace {

constexpr std::size_t kPayloadBytes = 256;
constexpr std::uint64_t kGroup = 8192;
constexpr std::uint64_t kKeys = 1024;

struct Producer : Actor<Producer> {
  Producer(const Work* work, Tally* tally, AtEnd at_end) : work_(*work), tally_(*tally), at_end_(at_end) {}
  void on_start() {
    for (std::uint32_t i = 0; i < work_.outstanding; ++i) next();
  }

 private:
  void next() {
    const std::uint64_t number = tally_.started.fetch_add(1, std::memory_order_relaxed);
    if (number >= work_.warm_up + work_.count) return;
    enqueue(work_.address, key_of(number), parcel()).then([this](Result<Receipt> receipt) {
      must(std::move(receipt));
      const std::uint64_t accepted = tally_.accepted.fetch_add(1, std::memory_order_relaxed) + 1;
      if (accepted == work_.warm_up) tally_.begun_ns = now_ns();
      if (accepted == work_.warm_up + work_.count) {
        tally_.ended_ns = now_ns();
        if (at_end_ == AtEnd::stop_node) stop_node();
      }
      next();
    });
  }

  const Work& work_;
  Tally& tally_;
  AtEnd at_end_;
};

}  // namespace

std::uint64_t now_ns() noexcept {
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

Table<Parcel> parcel(std::uint64_t sent_ns) {
  static const std::array<std::uint8_t, 216> kBody{};
  auto made = build<Parcel>([sent_ns](flatbuffers::FlatBufferBuilder& builder) {
    builder.ForceDefaults(true);  // as long without a time
    return CreateParcel(builder, sent_ns, builder.CreateVector(kBody.data(), kBody.size()));
  });
  if (made.bytes().size() != kPayloadBytes) give_up("a parcel has " + std::to_string(made.bytes().size()) + " bytes");
  return made;
}

std::string key_of(std::uint64_t number) { return "order-" + std::to_string(1000 + number % kKeys); }

std::string fresh(const std::string& name) { return name + "-" + std::to_string(now_ns()); }

StorePtr open_store(posix::Process& process, const std::string& folder, const std::string& name) {
  return must(open_sqlite_store({.path = folder + "/" + name + ".db", .entropy = process.platform().entropy}));
}

void fill(Store& store, Box box, const std::string& node, const std::string& lane, std::uint64_t rows) {
  must(store.begin());
  const StreamId id = must(store.stream(box, node, lane));
  must(store.commit(Durability::fsynced));
  const auto payload = parcel();
  for (std::uint64_t put = 0; put < rows;) {
    must(store.begin());
    for (const std::uint64_t end = std::min(rows, put + kGroup); put < end; ++put) {
      const std::string key = key_of(put);
      Row row;
      row.stream = id;
      row.sequence = must(store.next_sequence());
      row.key = key;
      row.type = type_info<Parcel>().id;
      row.payload = payload.bytes();
      must(store.put(row));
    }
    must(store.commit(Durability::fsynced));
  }
}

std::uint64_t waiting(Store& store, Box box, const std::string& node, const std::string& lane) {
  std::uint64_t rows = 0;
  must(store.read(must(store.stream(box, node, lane)), RowState::ready, 0, ~std::size_t{0}, [&](const Row&) {
    ++rows;
    return true;
  }));
  return rows;
}

LaneOptions roomy_lane(const std::string& name, std::uint32_t priority) {
  return {.name = name, .priority = priority, .max_messages = 1'000'000'000, .max_bytes = 1ULL << 40};
}

void spawn_producers(Node& node, const Work& work, Tally& tally, AtEnd at_end) {
  if (work.warm_up == 0) tally.begun_ns = now_ns();
  for (std::uint32_t i = 0; i < work.producers; ++i) must(node.spawn<Producer>({}, &work, &tally, at_end));
}

}  // namespace pannier::bench
