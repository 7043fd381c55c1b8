#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <pannier/platform.h>
#include <pannier/result.h>
#include <pannier/sim.h>

namespace pannier::sim {

/// What a power cut does to unsynced changes.
enum class Loss : std::uint8_t {
  none,      ///< Keeps all: only the process died.
  all,       ///< Loses all.
  tail,      ///< Keeps those up to some moment, across files. The write at that moment is torn.
  any,       ///< Keeps each write or not, independently: a cache reordered them.
  torn,      ///< Keeps each sector of each write or not. What was never written may be garbage.
  one_file,  ///< Keeps all of some files and nothing of others.
};
inline constexpr Loss kLosses[] = {Loss::none, Loss::all, Loss::tail, Loss::any, Loss::torn, Loss::one_file};

/// Files in memory, in one folder, that track what has reached the platter. Each file's bytes and the folder's entries
/// exist twice: as programs see them, and as a power cut would leave them. Only a sync copies from the first to the
/// second. Syncing a file does not sync its entry (POSIX promises no more); sync_folder() does.
///
/// Faults come on request and from the seed; the same seed and calls give the same disk. The loss model is that of
/// SQLite's crash tests (sqlite.org/testing.html, 3.3) and of ALICE (Pillai et al., OSDI 2014): a cut keeps any subset
/// of the unsynced writes, in whole sectors.
///
/// One thread. Not copyable; after_power_cut() gives what one would find.
class Disk {
 public:
  static constexpr std::size_t kSectorBytes = 512;

  explicit Disk(std::uint64_t seed) : dice_(seed) {}
  Disk(Disk&&) = default;
  Disk& operator=(Disk&&) = default;

 private:
  struct Inode;

 public:
  /// An open file. After a power failure or the death of its process every call fails with storage_io. Must not outlive
  /// its disk. Removing a file leaves open handles valid.
  class File {
   public:
    /// Returns the bytes read; fewer at the end of the file.
    [[nodiscard]] Result<std::size_t> read(std::span<std::byte> out, std::uint64_t offset);
    /// storage_full beyond the capacity; nothing is written then.
    [[nodiscard]] Result<void> write(std::span<const std::byte> bytes, std::uint64_t offset);
    [[nodiscard]] Result<void> truncate(std::uint64_t size);
    [[nodiscard]] Result<void> sync();
    [[nodiscard]] Result<std::uint64_t> size();

   private:
    friend class Disk;
    File(Disk& disk, std::shared_ptr<Inode> inode, std::uint64_t life)
        : disk_(disk), inode_(std::move(inode)), life_(life) {}
    Disk& disk_;
    std::shared_ptr<Inode> inode_;
    std::uint64_t life_;
  };

  /// not_found if the file is missing and `create` is false.
  [[nodiscard]] Result<std::unique_ptr<File>> open(const std::string& name, bool create);
  [[nodiscard]] bool exists(const std::string& name) const { return entries_.contains(name); }
  [[nodiscard]] Result<void> remove(const std::string& name);
  [[nodiscard]] Result<void> sync_folder();

  // --- Crashes
  /// Ends the process but not the machine: open files become invalid, nothing is lost.
  void kill_process() noexcept { ++life_; }
  /// Cuts the power. Until restore_power() every call fails with storage_io.
  void cut_power(Loss loss);
  /// Cuts the power in place of operation number `index` (see operations()), with the loss drawn from the seed.
  void cut_power_at(std::uint64_t index) noexcept { cut_at_ = index; }
  [[nodiscard]] bool has_power() const noexcept { return power_; }
  void restore_power() noexcept;
  /// The disk left by a power cut now, while this one goes on. `seed` decides what is lost and seeds the new disk.
  [[nodiscard]] Disk after_power_cut(Loss loss, std::uint64_t seed) const;

  // --- Faults. A count is the number of calls that fail before the disk recovers.
  /// A failed sync puts an unknown part of the file's unsynced changes on the platter. The rest is read back until the
  /// power fails, but no later sync writes it (Linux: "fsyncgate", LWN 752063).
  void fail_syncs(std::uint64_t count) noexcept { failing_syncs_ = count; }
  void fail_writes(std::uint64_t count) noexcept { failing_writes_ = count; }
  void fail_reads(std::uint64_t count) noexcept { failing_reads_ = count; }
  /// Writes that fail as if beyond the capacity.
  void refuse_writes(std::uint64_t count) noexcept { refused_writes_ = count; }
  /// Bytes of all files together; 0: unlimited. Existing bytes stay.
  void set_capacity(std::uint64_t bytes) noexcept { capacity_ = bytes; }
  /// The share of syncs, 0 to 1, that do nothing but report success.
  void lie_about_syncs(double part) noexcept { lies_ = part; }
  /// Each sync takes `a_sync`: `pass` is called to let that time pass.
  void set_slow(Duration a_sync, std::function<void(Duration)> pass);
  /// Takes one file as programs see it on `other`: it was written back in time.
  void keep_as_seen(const std::string& name, const Disk& other);
  /// Flips one bit of the file at `offset`, visible at once and after a power cut. not_found: no such byte.
  [[nodiscard]] Result<void> flip_bit(const std::string& name, std::uint64_t offset, unsigned bit);

  /// Called before each operation with its number, after all earlier ones are done.
  void on_operation(std::function<void(std::uint64_t index)> watcher) { watcher_ = std::move(watcher); }

  // --- Counters, over all lives of the disk
  /// Requested changes and syncs, the points where a power cut can fall: writes, truncations, syncs, entries created
  /// and removed, folder syncs.
  [[nodiscard]] std::uint64_t operations() const noexcept { return operations_; }
  [[nodiscard]] std::uint64_t bytes_written() const noexcept { return bytes_written_; }
  [[nodiscard]] std::uint64_t syncs() const noexcept { return syncs_; }
  [[nodiscard]] std::uint64_t power_cuts() const noexcept { return power_cuts_; }
  [[nodiscard]] std::uint64_t syncs_lied_about() const noexcept { return lied_; }
  /// A random number from the disk's seed, for code built on it.
  [[nodiscard]] std::uint64_t draw() noexcept { return dice_.next(); }
  /// Bytes of all files, as programs see them.
  [[nodiscard]] std::uint64_t bytes_used() const noexcept;
  /// File names in byte order.
  [[nodiscard]] std::vector<std::string> names() const;

 private:
  struct Change {
    std::uint64_t number;  ///< Order over the whole disk.
    bool is_write;         ///< Otherwise it sets the size.
    std::uint64_t offset;  ///< Or the new size.
    std::string bytes;
  };
  struct Inode {
    std::string seen;
    std::string synced;
    std::vector<Change> unsynced;  ///< In order.
  };
  using Entries = std::map<std::string, std::shared_ptr<Inode>>;
  struct EntryChange {
    std::uint64_t number;
    std::string name;
    std::shared_ptr<Inode> inode;  ///< Null: removed.
  };

  /// Counts an operation. Fails without power.
  [[nodiscard]] Result<void> operate();
  [[nodiscard]] bool lies();
  void wait_for_sync() const;
  static void apply(const Change& change, std::string& content);
  static void apply_sectors(const Change& change, std::string& content, SeededEntropy& dice);
  [[nodiscard]] static std::string left_of(const Inode& inode, Loss loss, std::uint64_t moment, SeededEntropy& dice);
  /// The entries and content left by a power cut.
  [[nodiscard]] Entries left(Loss loss, SeededEntropy& dice) const;
  static bool take(std::uint64_t& count) noexcept { return count > 0 && count-- > 0; }

  SeededEntropy dice_;
  Entries entries_;
  Entries synced_entries_;
  std::vector<EntryChange> unsynced_entries_;
  std::uint64_t life_ = 1;
  bool power_ = true;
  std::uint64_t cut_at_ = ~std::uint64_t{0};
  std::uint64_t changes_ = 0;

  std::uint64_t failing_syncs_ = 0;
  std::uint64_t failing_writes_ = 0;
  std::uint64_t failing_reads_ = 0;
  std::uint64_t refused_writes_ = 0;
  std::uint64_t capacity_ = 0;
  double lies_ = 0;
  Duration sync_time_{};
  std::function<void(Duration)> pass_;
  std::function<void(std::uint64_t)> watcher_;

  std::uint64_t operations_ = 0;
  std::uint64_t bytes_written_ = 0;
  std::uint64_t syncs_ = 0;
  std::uint64_t lied_ = 0;
  std::uint64_t power_cuts_ = 0;
};

}  // namespace pannier::sim
