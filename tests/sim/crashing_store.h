#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <doctest/doctest.h>

#include <pannier/sim.h>
#include <pannier/sqlite_store.h>
#include "platform/sim/disk.h"
#include "runtime/store/sim/sqlite_disk.h"

namespace pannier::testing {

/// A store on a simulated disk, for a node that dies at random: by a kill, or with the machine's power.
class CrashingStore {
 public:
  /// `dice` outlives it. The store is opened by open().
  CrashingStore(std::uint64_t seed, sim::SeededEntropy& dice) : dice_(dice), disk_(seed), vfs_(disk_) {}

  void open() {
    disk_.restore_power();
    auto opened = open_sqlite_store({.path = "node.db",
                                     .entropy = dice_,
                                     .checkpoint_pages = 8,
                                     .reserve_bytes = 65536,
                                     .batch_bytes = 1,
                                     .vfs = vfs_.name()});
    INFO((opened ? std::string() : opened.error().text()));
    REQUIRE(opened.ok());
    store_ = std::move(*opened);
    CHECK(store_->findings().empty());
  }
  /// From here on nothing reaches the disk; what works on the store is to be destroyed, then close().
  void crash() {
    if (dice_.chance(0.3)) {
      disk_.kill_process();
    } else {
      disk_.cut_power(sim::kLosses[dice_.below(std::size(sim::kLosses))]);
    }
  }
  void close() { store_.reset(); }
  [[nodiscard]] Store* get() const noexcept { return store_.get(); }

 private:
  sim::SeededEntropy& dice_;
  sim::Disk disk_;
  sim::SqliteDisk vfs_;
  StorePtr store_;
};

}  // namespace pannier::testing
