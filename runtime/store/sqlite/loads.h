#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/store/row.h"
#include "runtime/store/store_checks.h"

namespace pannier {

/// The streams of a store and how much each holds, kept in memory: a row of counters changed in each transaction would
/// add a page to each commit. Knows of a transaction, so that a rollback brings back what was. Touches no file.
///
/// After an unclean end the loads are estimates. They are replaced, one stream and state after the other, by a count
/// that goes through the rows in bounded steps while the store works: a row that comes or goes at or below the place
/// that the count has come to changes what was counted, one beyond it will be met, or not, later.
class SqliteLoads {
 public:
  [[nodiscard]] const std::vector<Stream>& all() const noexcept { return streams_; }
  [[nodiscard]] const Stream* find(StreamId stream) const noexcept;
  [[nodiscard]] std::optional<StreamId> find(Box box, std::string_view node, std::string_view lane) const;
  /// True where no row can be in this state.
  [[nodiscard]] bool empty(const Stream& stream, RowState state) const noexcept {
    return stream.exact && stream[state].messages == 0;
  }

  void clear();
  /// Gives it the next id. Taken back by a rollback.
  const Stream& add(Box box, std::string_view node, std::string_view lane);
  void set(StreamId stream, const std::array<Load, kRowStates>& loads, bool exact);

  /// Its loads are not to be trusted any more: they are counted anew. A rollback brings back what was in doubt, and the
  /// count, which meets it, begins once more.
  void recount(StreamId stream) {
    if (find(stream) != nullptr) set(stream, find(stream)->loads, false);
  }

  void put(StreamId stream, RowState state, Sequence sequence, const Load& load) {
    change(stream, state, sequence, load, true);
  }
  /// Rows that were removed, all of them on one side of boundary().
  void take(StreamId stream, RowState state, Sequence sequence, const Load& load) {
    change(stream, state, sequence, load, false);
  }
  /// The last sequence that is counted. Removals of a range are to be told apart there.
  [[nodiscard]] Sequence boundary(StreamId stream, RowState state) const noexcept;

  void commit();
  void rollback();
  /// A part of the transaction (Store::begin_part).
  void begin_part();
  void end_part(bool keep);

  struct Piece {
    StreamId stream{};
    RowState state{};
    Sequence after = 0;
  };
  /// What is to be counted next; nothing where all is exact.
  [[nodiscard]] std::optional<Piece> uncounted() const noexcept;
  /// That rows after piece.after up to and including `through` are `load`; kMaxSequence for the end.
  void counted(const Piece& piece, Sequence through, const Load& load);
  [[nodiscard]] bool exact() const noexcept { return counts_.empty(); }

 private:
  /// How far the count of a stream has come.
  struct Count {
    std::size_t state = 0;  ///< Those before it are done.
    Sequence through = 0;
    Load so_far{};
  };
  struct Before {
    StreamId stream{};
    std::array<Load, kRowStates> loads{};
    Load so_far{};
  };
  static std::string name_of(Box box, std::string_view node, std::string_view lane);
  void note(std::vector<Before>& before, const Stream& stream);
  void restore(const std::vector<Before>& before, std::size_t streams);
  void change(StreamId stream, RowState state, Sequence sequence, const Load& load, bool more);

  std::vector<Stream> streams_;  ///< Stream n + 1 at n.
  std::map<std::string, StreamId, std::less<>> ids_;
  std::map<StreamId, Count> counts_;  ///< Of streams that are not exact.
  std::vector<Before> before_;        ///< Of what the open transaction changed.
  std::size_t streams_before_ = 0;
  bool in_part_ = false;
  std::vector<Before> part_before_;  ///< Of what the open part changed.
  std::size_t streams_before_part_ = 0;
};

}  // namespace pannier
