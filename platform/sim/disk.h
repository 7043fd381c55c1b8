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

/// What a power cut leaves of the changes that were not synced.
enum class Loss : std::uint8_t {
  none,      ///< All of them: only the process died.
  all,       ///< None of them.
  tail,      ///< Those up to some moment, whatever file they went to; the write of that moment is torn.
  any,       ///< Each write or none of it, whatever came after it: writes reordered by a cache.
  torn,      ///< Each sector of each write or not; what was never written may be garbage.
  one_file,  ///< All of some files, none of others.
};
inline constexpr Loss kLosses[] = {Loss::none, Loss::all, Loss::tail, Loss::any, Loss::torn, Loss::one_file};

/// Files in memory, in one folder, that know what of them has reached the platter: each file's bytes and the folder's
/// entries exist twice, as programs see them and as a power cut would leave them. A sync carries over the first to the
/// second; nothing else does. Syncing a file does not sync its entry (POSIX promises no more): sync_folder() does.
///
/// Faults come on demand and from the seed; the same seed and the same calls give the same disk. The model of losses is
/// that of SQLite's crash tests (sqlite.org/testing.html, 3.3) and of ALICE (Pillai et al., OSDI 2014): a cut keeps any
/// subset of the unsynced writes, whole sectors of them.
///
/// One thread. Copying a disk is not offered; after_power_cut() gives what one would find.
class Disk {
 public:
  static constexpr std::size_t kSectorBytes = 512;

  explicit Disk(std::uint64_t seed) : dice_(seed) {}
  Disk(Disk&&) = default;
  Disk& operator=(Disk&&) = default;

 private:
  struct Inode;

 public:
  /// An open file. Valid until the power fails or its process dies: after that every call gives storage_io. Must not
  /// outlive its disk. Removing a file leaves its open handles as they are.
  class File {
   public:
    /// Bytes read, fewer at the end of the file.
    [[nodiscard]] Result<std::size_t> read(std::span<std::byte> out, std::uint64_t offset);
    /// storage_full past the capacity: nothing is written then.
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

  /// not_found where there is none and none shall be made.
  [[nodiscard]] Result<std::unique_ptr<File>> open(const std::string& name, bool create);
  [[nodiscard]] bool exists(const std::string& name) const { return entries_.contains(name); }
  [[nodiscard]] Result<void> remove(const std::string& name);
  [[nodiscard]] Result<void> sync_folder();

  // --- Crashes
  /// The process is gone, the machine goes on: open files are invalid, nothing is lost.
  void kill_process() noexcept { ++life_; }
  /// The power fails now. Until restore_power() every call gives storage_io.
  void cut_power(Loss loss);
  /// The power fails in place of operation number `index` (as operations() counts), with the loss drawn from the seed.
  void cut_power_at(std::uint64_t index) noexcept { cut_at_ = index; }
  [[nodiscard]] bool has_power() const noexcept { return power_; }
  void restore_power() noexcept;
  /// The disk that one would find had the power failed now; this one goes on. `seed`: of what is lost, and of the new
  /// disk.
  [[nodiscard]] Disk after_power_cut(Loss loss, std::uint64_t seed) const;

  // --- Faults. Counts: so many more calls fail, then the disk is well again.
  /// A failed sync leaves an unknown part of the file's unsynced changes on the platter; the others are read back until
  /// the power fails, and no later sync writes them (Linux: "fsyncgate", LWN 752063).
  void fail_syncs(std::uint64_t count) noexcept { failing_syncs_ = count; }
  void fail_writes(std::uint64_t count) noexcept { failing_writes_ = count; }
  void fail_reads(std::uint64_t count) noexcept { failing_reads_ = count; }
  /// Writes that find no room, as past the capacity.
  void refuse_writes(std::uint64_t count) noexcept { refused_writes_ = count; }
  /// In bytes of all files together, whatever was written already; 0 for no bound.
  void set_capacity(std::uint64_t bytes) noexcept { capacity_ = bytes; }
  /// The part of syncs, 0 to 1, that are reported as done and do nothing.
  void lie_about_syncs(double part) noexcept { lies_ = part; }
  /// Each sync takes `a_sync`, handed to `pass`, which lets the time pass.
  void set_slow(Duration a_sync, std::function<void(Duration)> pass);
  /// Takes one file over from `other` as programs see it there: it was written back in time.
  void keep_as_seen(const std::string& name, const Disk& other);
  /// Flips one bit of the file at `offset`, seen at once and after a power cut. not_found: no such byte.
  [[nodiscard]] Result<void> flip_bit(const std::string& name, std::uint64_t offset, unsigned bit);

  /// Called before each operation with its number, while all that came before it has been done.
  void on_operation(std::function<void(std::uint64_t index)> watcher) { watcher_ = std::move(watcher); }

  // --- Counters, over all lives of the disk
  /// Changes and syncs asked for, the points where a power cut can fall: writes, truncations, syncs, entries made and
  /// removed, syncs of the folder.
  [[nodiscard]] std::uint64_t operations() const noexcept { return operations_; }
  [[nodiscard]] std::uint64_t bytes_written() const noexcept { return bytes_written_; }
  [[nodiscard]] std::uint64_t syncs() const noexcept { return syncs_; }
  [[nodiscard]] std::uint64_t power_cuts() const noexcept { return power_cuts_; }
  [[nodiscard]] std::uint64_t syncs_lied_about() const noexcept { return lied_; }
  /// A random number of the disk's own seed, for what is built on it.
  [[nodiscard]] std::uint64_t draw() noexcept { return dice_.next(); }
  /// What all files hold, as programs see them.
  [[nodiscard]] std::uint64_t bytes_used() const noexcept;
  /// The names there are, in byte order.
  [[nodiscard]] std::vector<std::string> names() const;

 private:
  struct Change {
    std::uint64_t number;  ///< Order over the whole disk.
    bool is_write;         ///< Else it sets the size.
    std::uint64_t offset;  ///< The new size where it sets that.
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

  /// Counts an operation; an error where there is no power (any more).
  [[nodiscard]] Result<void> operate();
  [[nodiscard]] bool lies();
  void wait_for_sync() const;
  static void apply(const Change& change, std::string& content);
  static void apply_sectors(const Change& change, std::string& content, SeededEntropy& dice);
  [[nodiscard]] static std::string left_of(const Inode& inode, Loss loss, std::uint64_t moment, SeededEntropy& dice);
  /// The entries and content that a power cut leaves.
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
