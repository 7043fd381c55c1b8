#pragma once

#include <atomic>
#include <memory>
#include <string>

#include <pannier/pannier.h>
#include <pannier/process.h>
#include <pannier/sqlite_store.h>
#include "bench/measure.h"
#include "bench/schema/parcel.fbs.h"
#include "runtime/store/store.h"

/// What the rows about the queue share: messages of 256 bytes, stores on disk, and producers that keep a queue busy.
namespace pannier::bench {

template <class T>
T must(Result<T> result) {
  if (!result) give_up(result.error().text());
  return std::move(*result);
}
inline void must(const Result<void>& result) {
  if (!result) give_up(result.error().text());
}

/// Nanoseconds of the monotonic clock, which all processes of one machine share.
[[nodiscard]] std::uint64_t now_ns() noexcept;

/// A message of 256 bytes.
[[nodiscard]] Table<Parcel> parcel(std::uint64_t sent_ns = 0);
/// One key of 1,024, as orders have them.
[[nodiscard]] std::string key_of(std::uint64_t number);

/// `name` made unique, for a file that only this measurement uses.
[[nodiscard]] std::string fresh(const std::string& name);
/// The store at `folder`/`name`.db, with the options of any program.
[[nodiscard]] StorePtr open_store(posix::Process& process, const std::string& folder, const std::string& name);
/// Puts rows straight into a stream of a store that no node runs on, in large groups.
void fill(Store& store, Box box, const std::string& node, const std::string& lane, std::uint64_t rows);

/// The rows of a stream that are ready, counted one by one, on a store that no node runs on.
[[nodiscard]] std::uint64_t waiting(Store& store, Box box, const std::string& node, const std::string& lane);

/// A lane that refuses nothing that a row does.
[[nodiscard]] LaneOptions roomy_lane(const std::string& name, std::uint32_t priority = 0);

/// What many producers enqueue together. Each has some messages without a receipt, never more.
struct Work {
  std::string address;
  std::uint64_t warm_up = 0;
  std::uint64_t count = 0;
  std::uint32_t producers = 256;
  std::uint32_t outstanding = 16;  ///< Of each producer.
};

/// What the producers of one work have done, on whichever workers they are.
struct Tally {
  std::atomic<std::uint64_t> started{0};
  std::atomic<std::uint64_t> accepted{0};
  std::atomic<std::uint64_t> begun_ns{0};  ///< When the last receipt of the warm-up came.
  std::atomic<std::uint64_t> ended_ns{0};  ///< When the last receipt came.

  [[nodiscard]] double seconds() const noexcept { return static_cast<double>(ended_ns.load() - begun_ns.load()) / 1e9; }
};

enum class AtEnd : std::uint8_t { stop_node, go_on };

/// Starts the producers of `work`; both arguments outlive the node.
void spawn_producers(Node& node, const Work& work, Tally& tally, AtEnd at_end);

// --- The rows, each in a file named for it ---------------------------------------------------------------------------

[[nodiscard]] Answer enqueue_fsynced(const Call& call);
[[nodiscard]] Answer enqueue_one_at_a_time(const Call& call, std::uint32_t workers);
/// Bytes or fsyncs a message, from its enqueue to its end.
[[nodiscard]] Answer flash(const Call& call);
[[nodiscard]] Answer backlog_growth(const Call& call);
[[nodiscard]] Answer backlog_memory(const Call& call);
[[nodiscard]] Answer backlog_start_up(const Call& call);
[[nodiscard]] Answer end_to_end(const Call& call);
[[nodiscard]] Answer urgent_behind_backlog(const Call& call);

}  // namespace pannier::bench
