#include "platform/sim/disk.h"

#include <algorithm>
#include <cstring>

namespace pannier::sim {

// Files are in memory, so an offset fits into size_t. The platform's offsets have 64 bits everywhere.
static std::size_t index(std::uint64_t offset) { return static_cast<std::size_t>(offset); }

// --- Files -------------------------------------------------------------------------------------------------

Result<std::size_t> Disk::File::read(std::span<std::byte> out, std::uint64_t offset) {
  if (!disk_.power_ || life_ != disk_.life_ || take(disk_.failing_reads_)) return ErrorCode::storage_io;
  const std::string& content = inode_->seen;
  if (offset >= content.size()) return std::size_t{0};
  const std::size_t size = std::min(out.size(), content.size() - index(offset));
  std::memcpy(out.data(), content.data() + index(offset), size);
  return size;
}

Result<void> Disk::File::write(std::span<const std::byte> bytes, std::uint64_t offset) {
  if (life_ != disk_.life_) return ErrorCode::storage_io;
  if (Result<void> powered = disk_.operate(); !powered) return powered;
  if (take(disk_.failing_writes_)) return ErrorCode::storage_io;
  const std::uint64_t end = offset + bytes.size();
  const std::uint64_t growth = end > inode_->seen.size() ? end - inode_->seen.size() : 0;
  const bool fits = disk_.capacity_ == 0 || growth == 0 || disk_.bytes_used() + growth <= disk_.capacity_;
  if (take(disk_.refused_writes_) || !fits) return ErrorCode::storage_full;
  Change change{++disk_.changes_, true, offset, std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size())};
  apply(change, inode_->seen);
  inode_->unsynced.push_back(std::move(change));
  disk_.bytes_written_ += bytes.size();
  return {};
}

Result<void> Disk::File::truncate(std::uint64_t size) {
  if (life_ != disk_.life_) return ErrorCode::storage_io;
  if (Result<void> powered = disk_.operate(); !powered) return powered;
  Change change{++disk_.changes_, false, size, {}};
  apply(change, inode_->seen);
  inode_->unsynced.push_back(std::move(change));
  return {};
}

Result<void> Disk::File::sync() {
  if (life_ != disk_.life_) return ErrorCode::storage_io;
  if (Result<void> powered = disk_.operate(); !powered) return powered;
  ++disk_.syncs_;
  disk_.wait_for_sync();
  if (take(disk_.failing_syncs_)) {
    inode_->synced = left_of(*inode_, Loss::any, 0, disk_.dice_);
    inode_->unsynced.clear();
    return ErrorCode::storage_io;
  }
  if (disk_.lies()) return {};
  for (const Change& change : inode_->unsynced) apply(change, inode_->synced);
  inode_->unsynced.clear();
  return {};
}

Result<std::uint64_t> Disk::File::size() {
  if (!disk_.power_ || life_ != disk_.life_) return ErrorCode::storage_io;
  return std::uint64_t{inode_->seen.size()};
}

// --- The folder --------------------------------------------------------------------------------------------

Result<std::unique_ptr<Disk::File>> Disk::open(const std::string& name, bool create) {
  if (!power_) return ErrorCode::storage_io;
  auto found = entries_.find(name);
  if (found == entries_.end()) {
    if (!create) return ErrorCode::not_found;
    if (Result<void> powered = operate(); !powered) return powered.error();
    found = entries_.emplace(name, std::make_shared<Inode>()).first;
    unsynced_entries_.push_back({++changes_, name, found->second});
  }
  return std::unique_ptr<File>(new File(*this, found->second, life_));
}

Result<void> Disk::remove(const std::string& name) {
  if (!power_) return ErrorCode::storage_io;
  if (!entries_.contains(name)) return ErrorCode::not_found;
  if (Result<void> powered = operate(); !powered) return powered;
  entries_.erase(name);
  unsynced_entries_.push_back({++changes_, name, nullptr});
  return {};
}

Result<void> Disk::sync_folder() {
  if (Result<void> powered = operate(); !powered) return powered;
  ++syncs_;
  wait_for_sync();
  if (take(failing_syncs_)) return ErrorCode::storage_io;
  if (lies()) return {};
  synced_entries_ = entries_;
  unsynced_entries_.clear();
  return {};
}

std::vector<std::string> Disk::names() const {
  std::vector<std::string> names;
  for (const auto& [name, inode] : entries_) names.push_back(name);
  return names;
}

std::uint64_t Disk::bytes_used() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& [name, inode] : entries_) sum += inode->seen.size();
  return sum;
}

// --- What a power cut leaves ---------------------------------------------------------------------------------

void Disk::apply(const Change& change, std::string& content) {
  if (!change.is_write) {
    content.resize(index(change.offset));
    return;
  }
  const std::size_t from = index(change.offset);
  content.resize(std::max(content.size(), from + change.bytes.size()));
  std::memcpy(content.data() + from, change.bytes.data(), change.bytes.size());
}

void Disk::apply_sectors(const Change& change, std::string& content, SeededEntropy& dice) {
  if (!change.is_write) {
    if (dice.chance(0.5)) apply(change, content);
    return;
  }
  const std::uint64_t end = change.offset + change.bytes.size();
  for (std::uint64_t from = change.offset; from < end;) {
    const std::uint64_t to = std::min(end, (from / kSectorBytes + 1) * kSectorBytes);
    if (dice.chance(0.5)) {
      const std::size_t before = content.size();
      apply({0, true, from, change.bytes.substr(index(from - change.offset), index(to - from))}, content);
      // The size may reach the disk before the bytes do: zeros, or old content.
      if (before < from && dice.chance(0.25)) {
        for (std::size_t i = before; i < from; ++i) content[i] = static_cast<char>(dice.below(256));
      }
    }
    from = to;
  }
}

std::string Disk::left_of(const Inode& inode, Loss loss, std::uint64_t moment, SeededEntropy& dice) {
  if (loss == Loss::none) return inode.seen;
  std::string content = inode.synced;
  const bool whole_file = loss == Loss::one_file && dice.chance(0.5);
  for (const Change& change : inode.unsynced) {
    switch (loss) {
      case Loss::none:
      case Loss::all: break;
      case Loss::tail:
        if (change.number < moment) apply(change, content);
        if (change.number == moment) apply_sectors(change, content, dice);
        break;
      case Loss::any:
        if (dice.chance(0.5)) apply(change, content);
        break;
      case Loss::torn: apply_sectors(change, content, dice); break;
      case Loss::one_file:
        if (whole_file) apply(change, content);
        break;
    }
  }
  return content;
}

Disk::Entries Disk::left(Loss loss, SeededEntropy& dice) const {
  // The moment lies among the last changes, which matter most.
  const std::uint64_t moment = changes_ - std::min(changes_, dice.below(40));
  Entries kept = synced_entries_;
  std::map<std::string, bool> lost;  // A name's changes keep their order: once one is lost, so are those after it.
  for (const EntryChange& change : unsynced_entries_) {
    bool& gone = lost[change.name];
    if (loss == Loss::all) gone = true;
    if (loss == Loss::tail && change.number > moment) gone = true;
    if (loss != Loss::none && loss != Loss::tail && dice.chance(0.5)) gone = true;
    if (gone) continue;
    if (change.inode != nullptr) {
      kept[change.name] = change.inode;
    } else {
      kept.erase(change.name);
    }
  }
  for (auto& [name, inode] : kept) {
    auto survivor = std::make_shared<Inode>();
    survivor->seen = left_of(*inode, loss, moment, dice);
    survivor->synced = survivor->seen;
    inode = std::move(survivor);
  }
  return kept;
}

Disk Disk::after_power_cut(Loss loss, std::uint64_t seed) const {
  Disk after(seed);
  after.entries_ = left(loss, after.dice_);
  after.synced_entries_ = after.entries_;
  after.capacity_ = capacity_;
  return after;
}

void Disk::cut_power(Loss loss) {
  entries_ = left(loss, dice_);
  synced_entries_ = entries_;
  unsynced_entries_.clear();
  ++life_;
  power_ = false;
  ++power_cuts_;
  cut_at_ = ~std::uint64_t{0};
}

void Disk::restore_power() noexcept { power_ = true; }

// --- Faults ------------------------------------------------------------------------------------------------

Result<void> Disk::operate() {
  if (!power_) return ErrorCode::storage_io;
  const std::uint64_t index = operations_++;
  if (watcher_) watcher_(index);
  if (index >= cut_at_) cut_power(kLosses[dice_.below(std::size(kLosses))]);
  return power_ ? Result<void>{} : ErrorCode::storage_io;
}

bool Disk::lies() {
  if (lies_ <= 0 || !dice_.chance(lies_)) return false;
  ++lied_;
  return true;
}

void Disk::wait_for_sync() const {
  if (pass_) pass_(sync_time_);
}

void Disk::set_slow(Duration a_sync, std::function<void(Duration)> pass) {
  sync_time_ = a_sync;
  pass_ = std::move(pass);
}

void Disk::keep_as_seen(const std::string& name, const Disk& other) {
  const auto found = other.entries_.find(name);
  if (found == other.entries_.end()) return;
  entries_[name] = std::make_shared<Inode>(Inode{found->second->seen, found->second->seen, {}});
  synced_entries_[name] = entries_[name];
}

Result<void> Disk::flip_bit(const std::string& name, std::uint64_t offset, unsigned bit) {
  const auto found = entries_.find(name);
  if (found == entries_.end() || offset >= found->second->seen.size()) return ErrorCode::not_found;
  const auto flip = [&](std::string& content) {
    if (offset < content.size()) content[index(offset)] ^= static_cast<char>(1U << bit);
  };
  flip(found->second->seen);
  flip(found->second->synced);
  for (Change& change : found->second->unsynced) {
    if (change.is_write && offset >= change.offset && offset - change.offset < change.bytes.size()) {
      change.bytes[index(offset - change.offset)] ^= static_cast<char>(1U << bit);
    }
  }
  return {};
}

}  // namespace pannier::sim
