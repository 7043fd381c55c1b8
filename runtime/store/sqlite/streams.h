#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <tuple>
#include <vector>

#include "runtime/store/sqlite/schema.h"
#include "runtime/store/store.h"

namespace pannier {

/// The streams of a store and their loads, kept in memory: stored counters that change in every transaction would add a
/// page to every commit. Follows the transaction: a rollback restores names and loads. Does no I/O.
///
/// After an unclean end the loads are estimates. A count visits all rows by position, in bounded steps while the store
/// works, and replaces the estimates when it is done. Until then, a change at or below the position reached also
/// updates the count; the count will see changes above it later.
class SqliteStreams {
 public:
  [[nodiscard]] const Stream* find(StreamId id) const noexcept;
  [[nodiscard]] const Stream* find(Box box, std::string_view node, std::string_view lane) const noexcept;
  void visit(std::optional<Box> box, std::optional<std::string_view> node, Store::StreamVisitor visit) const;
  [[nodiscard]] std::size_t size() const noexcept { return names_.size(); }
  [[nodiscard]] Load total(RowState state) const noexcept { return totals_[static_cast<std::size_t>(state)]; }
  /// True if no row can be in this state.
  [[nodiscard]] static bool empty(const Stream& stream, RowState state) noexcept {
    return stream.exact && stream[state].messages == 0;
  }

  void clear();
  /// Adds a stream read from the file. False if its id or name is taken or out of range.
  [[nodiscard]] bool load(Stream stream);
  /// Uses the loads of `known` as estimates for the stream with the same id and name.
  void estimate(const Stream& known);
  /// Creates a stream with the lowest free id. There must be fewer than limits::kStreams. Undone by a rollback.
  const Stream& make(Box box, std::string_view node, std::string_view lane);
  /// Removes a stream. Undone by a rollback.
  void erase(StreamId id);
  /// A row was added at, or removed from, this position.
  void put(std::int64_t position, std::uint64_t payload_bytes) { change(position, payload_bytes, true); }
  void take(std::int64_t position, std::uint64_t payload_bytes) { change(position, payload_bytes, false); }
  /// Records the sequence of a row that is put. True if it is at or above `first` and higher than all others put into
  /// its stream since the file was opened.
  [[nodiscard]] bool is_fresh(StreamId id, Sequence sequence, Sequence first);

  void commit() noexcept;
  void rollback() noexcept;
  void begin_part() noexcept;
  void end_part(bool keep) noexcept;

  /// Streams whose loads differ from the file's, in no order. From here on they count as written, unless the
  /// transaction is rolled back.
  [[nodiscard]] std::vector<StreamId> take_changed();

  /// All loads are estimates from here on.
  void start_count();
  [[nodiscard]] bool exact() const noexcept { return !counted_through_; }
  /// Rows up to this position have been counted; nullopt once all are.
  [[nodiscard]] std::optional<std::int64_t> counted_through() const noexcept { return counted_through_; }
  void count(std::int64_t position, std::uint64_t payload_bytes);
  /// All rows at or below `position` have been counted.
  void count_reached(std::int64_t position) { counted_through_ = position; }
  void end_count();

 private:
  using Loads = std::array<Load, kRowStates>;
  struct Slot {
    std::unique_ptr<Stream> stream;  ///< Null: the id is free.
    Loads counted{};
    Sequence highest = 0;     ///< Highest sequence put since the file was opened.
    std::uint64_t noted = 0;  ///< The undo epoch in which its loads were last saved.
    bool changed = false;     ///< Is in changed_.
  };
  struct Undo {
    enum class Kind : std::uint8_t { loads, made, erased } kind;
    StreamId id;
    Loads loads{};
    Loads counted{};
    std::unique_ptr<Stream> stream = nullptr;
  };
  using Name = std::tuple<Box, std::string_view, std::string_view>;
  static Name name_of(const Stream* stream) noexcept { return {stream->box, stream->node, stream->lane}; }
  struct ByName {
    using is_transparent = void;
    static Name name(const Stream* stream) noexcept { return name_of(stream); }
    static const Name& name(const Name& name) noexcept { return name; }
    template <class Left, class Right>
    bool operator()(const Left& left, const Right& right) const noexcept {
      return name(left) < name(right);
    }
  };

  [[nodiscard]] Slot& slot(StreamId id) noexcept { return slots_[static_cast<std::size_t>(id) - 1]; }
  Stream& place(StreamId id, std::unique_ptr<Stream> stream);
  [[nodiscard]] std::unique_ptr<Stream> displace(StreamId id);
  void change(std::int64_t position, std::uint64_t payload_bytes, bool more);
  void mark_changed(StreamId id);
  void undo_to(std::size_t size) noexcept;

  std::vector<Slot> slots_;  ///< Stream n + 1 is at index n.
  std::set<const Stream*, ByName> names_;
  std::set<std::uint32_t> free_;  ///< Ids below slots_.size() that no stream has.
  Loads totals_{};
  std::optional<std::int64_t> counted_through_;
  std::vector<StreamId> changed_;
  std::vector<StreamId> told_;  ///< Streams taken by take_changed() in the open transaction.
  std::vector<Undo> undo_;      ///< For the open transaction.
  std::uint64_t epoch_ = 1;
  std::size_t part_ = 0;  ///< undo_.size() when the open part began.
  std::size_t told_before_part_ = 0;
};

}  // namespace pannier
