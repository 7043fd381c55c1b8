#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include <pannier/sim.h>
#include <pannier/sqlite_store.h>
#include "platform/sim/disk.h"
#include "runtime/store/sim/sqlite_disk.h"
#include "runtime/store/store.h"
#include "testkit/memory_store.h"
#include "tests/support/temp_folder.h"

/// The one file that knows how each implementation is built for tests (tigerbeetle
/// `src/testing/fixtures.zig`).
namespace pannier::testing {

/// Copies of all streams of a store, ordered by box, node and lane.
inline std::vector<Stream> streams_of(const Store& store) {
  std::vector<Stream> all;
  store.visit_streams({}, {}, [&](const Stream& stream) {
    all.push_back(stream);
    return true;
  });
  return all;
}

/// A store in memory. It forgets: not for the tests of persistence.
class MemoryStoreFixture {
 public:
  [[nodiscard]] Store& store() { return store_; }

 private:
  sim::SeededEntropy entropy_{7};
  testkit::MemoryStore store_{entropy_};
};

/// A store in a fresh SQLite file.
class SqliteStoreFixture {
 public:
  SqliteStoreFixture() { reopen(); }

  [[nodiscard]] Store& store() { return *store_; }
  /// Closes in an orderly way and opens the same file again. References to the old store are invalid.
  void reopen() {
    store_.reset();
    Result<StorePtr> opened = open_sqlite_store({.path = folder_.file("node.db"), .entropy = entropy_});
    INFO((opened ? std::string() : opened.error().text()));
    REQUIRE(opened.ok());
    store_ = std::move(*opened);
  }

 private:
  TempFolder folder_;
  sim::SeededEntropy entropy_{7};
  StorePtr store_;
};

/// The same on a simulated disk, with batches of as little as there is.
class SimulatedDiskFixture {
 public:
  SimulatedDiskFixture() { reopen(); }

  [[nodiscard]] Store& store() { return *store_; }
  void reopen() {
    store_.reset();
    auto opened = open_sqlite_store({.path = "node.db", .entropy = entropy_, .batch_bytes = 1, .vfs = vfs_.name()});
    INFO((opened ? std::string() : opened.error().text()));
    REQUIRE(opened.ok());
    store_ = std::move(*opened);
  }

 private:
  sim::Disk disk_{7};
  sim::SqliteDisk vfs_{disk_};
  sim::SeededEntropy entropy_{7};
  StorePtr store_;
};

}  // namespace pannier::testing
