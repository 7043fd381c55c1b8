// A disk without room, real and simulated: new messages are refused with an error, acknowledgements go through, what is
// there drains, and a start on the full disk works.

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <pannier/sim.h>
#include <pannier/sqlite_store.h>
#include "platform/sim/disk.h"
#include "runtime/actor/system.h"
#include "runtime/store/sim/sqlite_disk.h"
#include "runtime/store/store.h"
#include "tests/contract/store_support.h"
#include "tests/runtime/store/sqlite_support.h"
#include "tests/support/fixtures.h"

namespace pannier::testing {
namespace {

using namespace pannier::contract;

constexpr std::uint64_t kDiskBytes = std::uint64_t{3} * 1024 * 1024;
constexpr std::uint32_t kLogPages = 64;
/// More than twice the log and the largest group, as docs/storage.md asks for.
constexpr std::uint64_t kReserveBytes = std::uint64_t{768} * 1024;

/// A file system of 3 MB in memory, seen by this process alone and gone with it. Needs root.
class SmallFileSystem {
 public:
  /// Null, with the reason said, where it cannot be had.
  static std::unique_ptr<SmallFileSystem> create() {
    std::unique_ptr<SmallFileSystem> made(new SmallFileSystem);
    const std::string size = "size=" + std::to_string(kDiskBytes);
    const bool mounted = unshare(CLONE_NEWNS) == 0 && mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                         mount("none", made->folder_.file("").c_str(), "tmpfs", 0, size.c_str()) == 0;
    if (!mounted) {
      MESSAGE("skipped: a small file system can be mounted by root only; the simulated disk stands in for it");
      return nullptr;
    }
    made->mounted_ = true;
    return made;
  }
  ~SmallFileSystem() {
    if (mounted_) umount(folder_.file("").c_str());
  }
  SmallFileSystem(const SmallFileSystem&) = delete;
  SmallFileSystem& operator=(const SmallFileSystem&) = delete;

  [[nodiscard]] SqliteOptions options(Entropy& entropy) const {
    return {.path = folder_.file("node.db"),
            .entropy = entropy,
            .checkpoint_pages = kLogPages,
            .reserve_bytes = kReserveBytes};
  }
  /// Somebody else takes what room there is, to the last page.
  void fill_up() {
    std::ofstream file(folder_.file("else"), std::ios::binary | std::ios::app);
    const std::string page(4096, 'e');
    while (file.write(page.data(), static_cast<std::streamsize>(page.size())).flush()) {
    }
  }
  void make_room() { std::remove(folder_.file("else").c_str()); }

 private:
  SmallFileSystem() = default;
  TempFolder folder_;
  bool mounted_ = false;
};

class SmallSimDisk {
 public:
  SmallSimDisk() { disk_.set_capacity(kDiskBytes); }
  [[nodiscard]] SqliteOptions options(Entropy& entropy) const {
    return {.path = "node.db",
            .entropy = entropy,
            .checkpoint_pages = kLogPages,
            .reserve_bytes = kReserveBytes,
            .vfs = vfs_.name()};
  }
  void fill_up() {
    const auto file = disk_.open("else", true);
    REQUIRE(file.ok());
    const std::string page(512, 'e');
    while ((*file)->write(std::as_bytes(std::span{page}), (*file)->size().value_or(0)).ok()) {
    }
  }
  void make_room() { REQUIRE(disk_.remove("else").ok()); }

 private:
  sim::Disk disk_{8};
  sim::SqliteDisk vfs_{disk_};
};

/// The error of a group of messages that found no room; none: they are stored, and in `rows`.
std::optional<ErrorCode> put_group(Store& store, StreamId stream, std::vector<Sequence>& rows) {
  if (const Result<void> begun = store.begin(); !begun) return begun.error().code;
  std::vector<Sequence> group;
  Result<void> done;
  for (int i = 0; i < 8 && done; ++i) {
    const Result<Sequence> sequence = store.next_sequence();
    if (!sequence) {
      done = sequence.error();
      break;
    }
    group.push_back(*sequence);
    const std::string payload = written_payload(*sequence);
    done = store.put(row_of(stream, *sequence, payload));
  }
  if (done) done = store.commit(Durability::fsynced);
  if (!done) {
    store.rollback();
    return done.error().code;
  }
  rows.insert(rows.end(), group.begin(), group.end());
  return std::nullopt;
}

/// The first removal that meets the full disk may fail: it gives up the reserve, and whoever acknowledges tries again,
/// as the queue does. True where it took that second try.
bool acknowledge(Store& store, StreamId stream, Sequence sequence) {
  Result<void> done;
  for (int tries = 0; tries < 2; ++tries) {
    done = store.begin();
    if (done) done = store.erase(stream, sequence);
    if (done) done = store.commit(Durability::fsynced);
    if (done) return tries > 0;
    CHECK(done.error().code == ErrorCode::storage_full);
    store.rollback();
  }
  INFO(done.error().text());
  REQUIRE(done.ok());
  return true;
}

template <class SmallDisk>
void live_through_a_full_disk(SmallDisk& disk) {
  sim::SeededEntropy random(4);
  const SqliteOptions options = disk.options(random);
  StorePtr store = open_or_fail(options);
  const StreamId stream = make_stream(*store);
  std::vector<Sequence> rows;
  for (int i = 0; i < 40; ++i) REQUIRE_FALSE(put_group(*store, stream, rows).has_value());
  bool by_others = false;
  SUBCASE("filled by its own messages") {}
  SUBCASE("filled by somebody else") { by_others = true; }
  if (by_others) disk.fill_up();
  int refused = 0;
  for (int i = 0; i < 2000 && refused < 100; ++i) {
    const std::optional<ErrorCode> error = put_group(*store, stream, rows);
    if (!error) continue;
    CHECK(*error == ErrorCode::storage_full);
    ++refused;
  }
  REQUIRE(refused == 100);
  CHECK(read_sequences(*store, stream) == rows);

  int second_tries = 0;
  while (rows.size() > 200) {
    second_tries += acknowledge(*store, stream, rows.front()) ? 1 : 0;
    rows.erase(rows.begin());
  }
  CHECK(second_tries <= 1);
  // What was given up of the reserve, or became free, is anybody's: here the file has grown to its size by then.
  if (!by_others) disk.fill_up();
  store.reset();
  store = open_or_fail(options);
  CHECK(read_sequences(*store, stream) == rows);
  while (!rows.empty()) {
    second_tries += acknowledge(*store, stream, rows.back()) ? 1 : 0;
    rows.pop_back();
  }
  CHECK(second_tries <= 2);
  CHECK(read_sequences(*store, stream).empty());

  disk.make_room();
  int tries = 0;
  while (rows.empty() && ++tries < 100) static_cast<void>(put_group(*store, stream, rows));
  CHECK_FALSE(rows.empty());
  store.reset();
  store = open_or_fail(options);
  CHECK(read_sequences(*store, stream) == rows);
}

}  // namespace

TEST_CASE("the reserve for a full disk is there after a power cut") {
  for (const sim::Loss loss : sim::kLosses) {
    sim::Disk disk(3);
    const sim::SqliteDisk vfs(disk);
    sim::SeededEntropy random(4);
    const StorePtr store =
        open_or_fail({.path = "node.db", .entropy = random, .reserve_bytes = kReserveBytes, .vfs = vfs.name()});
    sim::Disk left = disk.after_power_cut(loss, 1);
    const auto reserve = left.open("node.db-reserve", false);
    REQUIRE(reserve.ok());
    CHECK((*reserve)->size().value_or(0) == kReserveBytes);
  }
}

TEST_CASE("a full file system of 3 MB: refused with an error, drained to the last message, restarted meanwhile") {
  const std::unique_ptr<SmallFileSystem> disk = SmallFileSystem::create();
  if (disk != nullptr) live_through_a_full_disk(*disk);
}

TEST_CASE("a full simulated disk of 3 MB: refused with an error, drained to the last message, restarted meanwhile") {
  SmallSimDisk disk;
  live_through_a_full_disk(disk);
}

}  // namespace pannier::testing
