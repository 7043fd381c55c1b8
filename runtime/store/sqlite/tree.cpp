#include "runtime/store/sqlite/tree.h"

#include <algorithm>
#include <bitset>
#include <utility>

#include "runtime/limits.h"
#include "runtime/store/sqlite/log.h"

namespace pannier {

namespace {

using sqlite_log::big;

// Kinds of pages (sqlite.org/fileformat2.html, 1.6).
constexpr unsigned kIndexInterior = 2;
constexpr unsigned kTableInterior = 5;
constexpr unsigned kIndexLeaf = 10;
constexpr unsigned kTableLeaf = 13;

constexpr std::size_t kFileHeader = 100;  // Before the tree of the schema, on page 1.
constexpr unsigned kMaxDepth = 20;
constexpr std::size_t kMaxPayload = limits::kSqlBytes + 65536;
constexpr std::size_t kUsable = SqliteImage::kPageBytes;
constexpr std::size_t kMaxGaps = 1024;
constexpr std::size_t kMaxChain = 65536;  // More than a batch has.

std::size_t big16(std::span<const std::byte> bytes, std::size_t at) noexcept {
  return std::to_integer<std::size_t>(bytes[at]) << 8U | std::to_integer<std::size_t>(bytes[at + 1]);
}

}  // namespace

/// The head of a page of a tree, and where its cells are.
struct SqliteTrees::Cells {
  SqliteImage::Page page{};
  std::size_t start = 0;
  unsigned kind = 0;
  std::size_t count = 0;
  std::size_t pointers = 0;
  std::bitset<kUsable> unused;  ///< What was removed may still stand there.

  [[nodiscard]] bool load(const SqliteImage& image, std::uint32_t number) {
    if (!image.read(number, page)) return false;
    start = number == 1 ? kFileHeader : 0;
    kind = std::to_integer<unsigned>(page[start]);
    if (kind != kIndexInterior && kind != kTableInterior && kind != kIndexLeaf && kind != kTableLeaf) return false;
    count = big16(page, start + 3);
    pointers = start + (is_interior() ? 12 : 8);
    if (pointers + 2 * count > kUsable) return false;
    unused.reset();
    const std::size_t content = big16(page, start + 5);
    for (std::size_t i = 0; i < (content == 0 ? kUsable : std::min(content, kUsable)); ++i) unused.set(i);
    // Free blocks: each names the next one, further back, and its own size.
    for (std::size_t at = big16(page, start + 1), last = 0; at > last && at + 4 <= kUsable; at = big16(page, at)) {
      const std::size_t end = std::min(at + big16(page, at + 2), kUsable);
      for (std::size_t i = at; i < end; ++i) unused.set(i);
      last = at;
    }
    return true;
  }
  [[nodiscard]] bool is_interior() const noexcept { return kind == kIndexInterior || kind == kTableInterior; }
  [[nodiscard]] bool is_table() const noexcept { return kind == kTableInterior || kind == kTableLeaf; }
  /// The bytes of a cell and all behind it; empty where it lies outside.
  [[nodiscard]] std::span<const std::byte> at(std::size_t cell) const noexcept {
    const std::size_t offset = big16(page, pointers + 2 * cell);
    const bool inside = offset >= pointers + 2 * count && offset + 4 <= kUsable && !unused[offset];
    return inside ? std::span(page).subspan(offset) : std::span<const std::byte>{};
  }
  /// Of an interior page: the page below a cell, or below all of them at `count`.
  [[nodiscard]] std::uint32_t child(std::size_t cell) const noexcept {
    if (cell == count) return big(page, start + 8);
    const std::span<const std::byte> bytes = at(cell);
    return bytes.empty() ? 0 : big(bytes, 0);
  }
  /// The row number of a cell of a table.
  [[nodiscard]] std::optional<std::int64_t> rowid(std::size_t cell) const noexcept {
    std::span<const std::byte> bytes = at(cell);
    if (bytes.empty() || !is_table()) return std::nullopt;
    if (is_interior()) {
      bytes = bytes.subspan(4);
    } else if (!take_varint(bytes)) {
      return std::nullopt;
    }
    const std::optional<std::uint64_t> number = take_varint(bytes);
    return number ? std::optional(static_cast<std::int64_t>(*number)) : std::nullopt;
  }
};

SqliteTrees::SqliteTrees(const SqliteImage& image)
    : image_(image), seen_(std::size_t{image.pages()} + 1), chained_(seen_.size()) {
  read_free_list();
}

bool SqliteTrees::mark(std::uint32_t page) {
  if (page == 0 || page > image_.pages() || seen_[page]) return false;
  seen_[page] = true;
  return true;
}

void SqliteTrees::read_free_list() {
  SqliteImage::Page page{};
  // A page of zeros would be an empty list.
  if (!image_.read(1, page) || big(page, 0) != 0x53514c69 /* "SQLi" */ || big(page, 28) == 0) return;
  std::uint32_t left = big(page, 36);
  for (std::uint32_t trunk = big(page, 32); trunk != 0; trunk = big(page, 0)) {
    if (left == 0 || !mark(trunk) || !image_.read(trunk, page)) return;
    const std::uint32_t leaves = big(page, 4);
    --left;
    if (leaves > left || leaves > kUsable / 4 - 2) return;
    for (std::uint32_t i = 0; i < leaves; ++i) {
      if (!mark(big(page, 8 + std::size_t{4} * i))) return;
    }
    left -= leaves;
  }
  free_list_sound_ = left == 0;
}

std::vector<SqliteTrees::Gap> SqliteTrees::walk(std::uint32_t root, bool numbered, Visit visit) {
  Walk walk{numbered, visit};
  descend(root, {}, {}, 0, walk);
  return std::move(walk.gaps);
}

void SqliteTrees::descend(std::uint32_t number, const Gap& bounds, const Gap& missing, unsigned depth, Walk& walk) {
  Cells cells;
  const bool fresh = number != 0 && number < seen_.size() && !seen_[number];
  const bool fits = fresh && depth <= kMaxDepth && cells.load(image_, number) && cells.is_table() == walk.numbered &&
                    lies_within(cells, bounds);
  if (!fits) {  // What is on it is left for lost_leaves(): it may be what another tree misses.
    ++unreadable_pages_;
    const bool noted = !walk.gaps.empty() && walk.gaps.back() == missing;
    if (!noted && walk.gaps.size() < kMaxGaps) walk.gaps.push_back(missing);
    return;
  }
  seen_[number] = true;
  if (cells.kind != kTableInterior) visit_cells(cells, walk.visit);
  if (!cells.is_interior()) return;
  Gap part{bounds.low, bounds.high};
  for (std::size_t i = 0; i <= cells.count; ++i) {
    const std::optional<std::int64_t> key = i < cells.count ? cells.rowid(i) : std::optional(bounds.high);
    part.high = key && *key > part.low && *key <= bounds.high ? *key : bounds.high;
    // What the keys of one page say may be damage, too: where a page below is missing, all of this one's range is.
    descend(cells.child(i), part, bounds, depth + 1, walk);
    part.low = part.high < bounds.high ? part.high : part.low;
  }
}

/// Most of what is on a page is where the tree says: else it is another's, or one that was given up.
bool SqliteTrees::lies_within(const Cells& cells, const Gap& bounds) {
  if (!cells.is_table() || bounds == Gap{} || cells.count == 0) return true;
  std::size_t within = 0;
  for (std::size_t i = 0; i < cells.count; ++i) {
    const std::optional<std::int64_t> rowid = cells.rowid(i);
    if (rowid && *rowid > bounds.low && *rowid <= bounds.high) ++within;
  }
  return 2 * within > cells.count;
}

void SqliteTrees::visit_cells(const Cells& cells, Visit visit) {
  for (std::size_t i = 0; i < cells.count; ++i) {
    std::int64_t rowid = 0;
    if (read_payload(cells, i, rowid) && record_.parse(rowid, payload_)) {
      visit(record_);
    } else {
      ++unreadable_entries_;
    }
  }
}

bool SqliteTrees::read_payload(const Cells& cells, std::size_t cell, std::int64_t& rowid) {
  std::span<const std::byte> bytes = cells.at(cell);
  if (bytes.empty()) return false;
  if (cells.is_interior()) bytes = bytes.subspan(4);
  const std::optional<std::uint64_t> total = take_varint(bytes);
  if (!total || *total > kMaxPayload) return false;
  if (cells.is_table()) {
    const std::optional<std::uint64_t> number = take_varint(bytes);
    if (!number) return false;
    rowid = static_cast<std::int64_t>(*number);
  }
  // How much of it lies in the cell (fileformat2.html, 1.6, "payload").
  const auto size = static_cast<std::size_t>(*total);
  const std::size_t most = cells.is_table() ? kUsable - 35 : (kUsable - 12) * 64 / 255 - 23;
  const std::size_t least = (kUsable - 12) * 32 / 255 - 23;
  const std::size_t fitted = least + (size - std::min(size, least)) % (kUsable - 4);
  const std::size_t local = size <= most ? size : (fitted <= most ? fitted : least);
  if (local + (local < size ? 4 : 0) > bytes.size()) return false;
  payload_.assign(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(local));
  SqliteImage::Page page{};
  for (std::uint32_t next = local < size ? big(bytes, local) : 0; payload_.size() < size; next = big(page, 0)) {
    if (!image_.read(next, page)) {
      // What follows is lost with it. Zeros in its place: what stands before may still be of use to somebody.
      ++unreadable_pages_;
      payload_.resize(size);
      return true;
    }
    chained_[next] = true;
    const std::size_t piece = std::min(size - payload_.size(), kUsable - 4);
    payload_.insert(payload_.end(), page.begin() + 4, page.begin() + 4 + static_cast<std::ptrdiff_t>(piece));
  }
  return true;
}

void SqliteTrees::lost_leaves(Owner owner, FunctionRef<void(std::size_t whose, const SqliteRecord&)> visit) {
  if (!free_list_sound_) return;
  Cells cells;
  for (std::uint32_t number = 2; number < seen_.size(); ++number) {
    if (seen_[number] || !cells.load(image_, number) || cells.kind != kTableLeaf || cells.count == 0) continue;
    // The middle one: the numbers at the ends may be what is damaged.
    const std::optional<std::int64_t> middle = cells.rowid(cells.count / 2);
    const std::optional<std::size_t> whose = middle ? owner(*middle) : std::nullopt;
    if (!whose) continue;
    seen_[number] = true;
    visit_cells(cells, [&](const SqliteRecord& record) { visit(*whose, record); });
  }
}

void SqliteTrees::lost_overflow(FunctionRef<void(std::span<const std::byte>)> visit) {
  if (!free_list_sound_) return;
  const auto lost = [this](std::uint32_t number) {
    return number >= 2 && number < seen_.size() && !seen_[number] && !chained_[number];
  };
  SqliteImage::Page page{};
  // A page of a tree begins with its kind, which as the number of a page is beyond the file.
  const auto load = [&](std::uint32_t number) {
    return lost(number) && image_.read(number, page) && big(page, 0) < seen_.size();
  };
  std::vector<bool> led_to(seen_.size());
  for (std::uint32_t number = 2; number < seen_.size(); ++number) {
    if (load(number)) led_to[big(page, 0)] = true;
  }
  for (std::uint32_t first = 2; first < seen_.size(); ++first) {
    if (led_to[first]) continue;
    payload_.clear();
    for (std::uint32_t next = first; payload_.size() < kMaxChain && load(next); next = big(page, 0)) {
      chained_[next] = true;
      payload_.insert(payload_.end(), page.begin() + 4, page.end());
    }
    if (!payload_.empty()) visit(payload_);
  }
}

void SqliteTrees::single_entries(Visit visit) {
  Cells cells;
  for (std::uint32_t number = 2; number < seen_.size(); ++number) {
    const bool single = cells.load(image_, number) && cells.kind == kTableLeaf && cells.count == 1;
    if (single && cells.rowid(0) == 1) visit_cells(cells, visit);
  }
}

void SqliteTrees::lost_index_pages(Visit visit) {
  Cells cells;
  for (std::uint32_t number = 2; number < seen_.size(); ++number) {
    if (seen_[number] || !cells.load(image_, number) || cells.is_table()) continue;
    seen_[number] = true;
    visit_cells(cells, visit);
  }
}

}  // namespace pannier
