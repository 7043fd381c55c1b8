#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "platform/function_ref.h"
#include "runtime/store/sqlite/image.h"
#include "runtime/store/sqlite/record.h"

namespace pannier {

/// Reads what can be read of the trees in a damaged database file: each page is looked at by itself, and one that does
/// not read takes along neither its neighbours nor, where the list of free pages is sound, what hangs below it. No
/// entry that was removed comes back: what lies on free pages or in the unused part of a page is never read.
///
/// Bounded memory: a bit a page, a page a level, and one entry. One thread.
class SqliteTrees {
 public:
  /// Each borrowed for the visit.
  using Visit = FunctionRef<void(const SqliteRecord&)>;

  /// Row numbers above `low`, up to and including `high`, whose page could not be found.
  struct Gap {
    std::int64_t low = std::numeric_limits<std::int64_t>::min();
    std::int64_t high = std::numeric_limits<std::int64_t>::max();
    bool operator==(const Gap&) const = default;
  };
  /// Reads the list of free pages.
  explicit SqliteTrees(const SqliteImage& image);

  /// All entries below `root`, in no certain order. `numbered`: the tree of a table with row numbers. What is missing.
  std::vector<Gap> walk(std::uint32_t root, bool numbered, Visit visit);

  /// Whether what no tree leads to may be taken for the lost part of one.
  [[nodiscard]] bool free_list_sound() const noexcept { return free_list_sound_; }
  /// After the walks, and where the list of free pages is sound: leaves with numbered rows that no tree led to. `owner`
  /// says whose the rows of a leaf are, as the caller counts, by the number of one of them; nothing: it stays unread.
  using Owner = FunctionRef<std::optional<std::size_t>(std::int64_t rowid)>;
  void lost_leaves(Owner owner, FunctionRef<void(std::size_t whose, const SqliteRecord&)> visit);
  /// And chains of overflow pages that no entry leads to; what stood in each, borrowed for the visit.
  void lost_overflow(FunctionRef<void(std::span<const std::byte>)> visit);
  /// And pages of trees without row numbers. Which tree an entry is of, its content has to tell.
  void lost_index_pages(Visit visit);
  /// Before any walk: the entry of each table that has the one entry number 1 on one page, whatever leads there.
  void single_entries(Visit visit);
  /// Pages that a tree leads to and that are not what they must be, and entries on sound ones.
  [[nodiscard]] std::uint64_t unreadable_pages() const noexcept { return unreadable_pages_; }
  [[nodiscard]] std::uint64_t unreadable_entries() const noexcept { return unreadable_entries_; }

 private:
  struct Cells;
  /// One walk.
  struct Walk {
    bool numbered;
    Visit visit;
    std::vector<Gap> gaps{};
  };
  void read_free_list();
  [[nodiscard]] bool mark(std::uint32_t page);
  /// `missing`: what is, should this page not be there.
  void descend(std::uint32_t number, const Gap& bounds, const Gap& missing, unsigned depth, Walk& walk);
  [[nodiscard]] static bool lies_within(const Cells& cells, const Gap& bounds);
  void visit_cells(const Cells& cells, Visit visit);
  [[nodiscard]] bool read_payload(const Cells& cells, std::size_t cell, std::int64_t& rowid);

  const SqliteImage& image_;
  std::vector<bool> seen_;
  std::vector<bool> chained_;  ///< Overflow pages that an entry led to.
  bool free_list_sound_ = false;
  std::uint64_t unreadable_pages_ = 0;
  std::uint64_t unreadable_entries_ = 0;
  std::vector<std::byte> payload_;
  SqliteRecord record_;
};

}  // namespace pannier
