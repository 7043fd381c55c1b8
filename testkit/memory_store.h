#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include <pannier/platform.h>
#include "runtime/store/store.h"

namespace pannier::testkit {

/// A store in memory. Behaves as the SQLite store, including transactions and rollback; one contract suite checks both.
/// Nothing survives the object, and commits cost nothing. No SQL. One thread.
class MemoryStore final : public Store, private Retention, private TokenTable, private StateTable {
 public:
  /// Draws the incarnation from `entropy`, which is used in this call only.
  explicit MemoryStore(Entropy& entropy);
  /// With a limit on the payload bytes of all rows; beyond it put fails with storage_full.
  MemoryStore(Entropy& entropy, std::uint64_t max_bytes);

  [[nodiscard]] std::uint64_t incarnation() const noexcept override { return incarnation_; }
  [[nodiscard]] std::uint64_t incarnation_of(Sequence /*sequence*/) const noexcept override { return incarnation_; }
  [[nodiscard]] std::vector<std::uint64_t> incarnations() const override { return {incarnation_}; }
  [[nodiscard]] Durability strongest() const noexcept override { return Durability::memory; }
  [[nodiscard]] Result<Sequence> next_sequence() override;
  [[nodiscard]] Result<void> begin() override;
  [[nodiscard]] Result<void> commit(Durability durability) override;
  void rollback() noexcept override;
  [[nodiscard]] Result<void> begin_part() override;
  [[nodiscard]] Result<void> end_part(bool keep) override;
  [[nodiscard]] Result<StreamId> stream(Box box, std::string_view node, std::string_view lane) override;
  [[nodiscard]] Result<void> put(const Row& row) override;
  [[nodiscard]] Result<void> erase(StreamId stream, Sequence sequence) override;
  [[nodiscard]] Result<void> erase_through(StreamId stream, Sequence sequence) override;
  [[nodiscard]] Result<void> mark(StreamId stream, Sequence sequence, const Mark& mark) override;
  [[nodiscard]] Result<void> requeue(StreamId stream, Sequence sequence, Sequence next) override;
  [[nodiscard]] Result<void> put_watermark(const Watermark& watermark) override;
  [[nodiscard]] Result<void> erase_watermark(const Watermark& watermark) override;
  [[nodiscard]] Result<void> put_anchor(const ClockAnchor& anchor) override;
  [[nodiscard]] Result<void> read(StreamId stream, RowState state, Sequence after, std::size_t limit,
                                  RowVisitor visit) override;
  [[nodiscard]] Result<bool> find(Sequence id, RowVisitor visit) override;
  [[nodiscard]] Result<void> read_due(StoreTime now, std::size_t limit, RowVisitor visit) override;
  [[nodiscard]] Result<std::optional<StoreTime>> next_due() override;
  [[nodiscard]] Result<Sequence> first_of_key(StreamId stream, RowState state, std::string_view key) override;
  [[nodiscard]] const Stream* find_stream(StreamId id) const noexcept override;
  [[nodiscard]] const Stream* find_stream(Box box, std::string_view node,
                                          std::string_view lane) const noexcept override;
  void visit_streams(std::optional<Box> box, std::optional<std::string_view> node, StreamVisitor visit) const override;
  [[nodiscard]] Load total(RowState state) const noexcept override;
  [[nodiscard]] Result<bool> erase_stream(StreamId id) override;
  [[nodiscard]] Result<bool> count_some() override { return false; }
  [[nodiscard]] Result<std::vector<Watermark>> watermarks() override;
  [[nodiscard]] Result<std::optional<ClockAnchor>> anchor() override { return anchor_; }
  [[nodiscard]] bool note_in_flight(StreamId stream, Sequence sequence) noexcept override;
  void clear_in_flight(StreamId stream, Sequence sequence) noexcept override { in_flight_.erase({stream, sequence}); }
  [[nodiscard]] std::vector<InFlight> take_in_flight() override;
  [[nodiscard]] Retention* retention() noexcept override { return this; }
  [[nodiscard]] TokenTable* tokens() noexcept override { return this; }
  [[nodiscard]] StateTable* state() noexcept override { return this; }
  [[nodiscard]] SqlTables* sql() noexcept override { return nullptr; }
  [[nodiscard]] Counters counters() const noexcept override { return counters_; }

 private:
  [[nodiscard]] Result<void> trim(StreamId stream, const Load& most, StoreTime before) override;
  [[nodiscard]] Result<void> put_cursor(const Cursor& cursor) override;
  [[nodiscard]] Result<void> erase_cursor(StreamId stream, std::string_view reader) override;
  [[nodiscard]] Result<std::vector<Cursor>> cursors() override;
  [[nodiscard]] Result<void> put_token(StreamId stream, std::string_view token, Sequence sequence,
                                       StoreTime expires_at) override;
  [[nodiscard]] Result<void> erase_tokens(StoreTime now, std::size_t limit) override;
  [[nodiscard]] Result<Sequence> token(StreamId stream, std::string_view token, StoreTime now) override;
  [[nodiscard]] Result<void> put_state(std::string_view key, std::span<const std::byte> value) override;
  [[nodiscard]] Result<void> erase_state(std::string_view key) override;
  [[nodiscard]] Result<void> read_state(std::string_view prefix, StateVisitor visit) override;

  /// Never modified, so that undoing a change restores the old pointer.
  struct KeptRow {
    Sequence origin = 0;
    std::string key;
    TypeId type{};
    std::vector<std::byte> payload;
    WallTime enqueued_at{};
    StoreTime expires_at{};
    StoreTime moment{};
    std::string producer;
    std::uint32_t attempts = 0;
    std::string cause;
    Trace trace;
  };
  using RowPointer = std::shared_ptr<const KeptRow>;
  using Rows = std::map<Sequence, RowPointer>;
  struct KeptStream {
    Stream stream;
    std::array<Rows, kRowStates> rows;  // by state
    [[nodiscard]] Rows& operator[](RowState state) noexcept { return rows[static_cast<std::size_t>(state)]; }
  };
  using WatermarkKey = std::tuple<std::string, std::uint64_t, std::string>;
  using StateValue = std::vector<std::byte>;
  struct Token {
    Sequence sequence = 0;
    StoreTime expires_at{};
  };

  [[nodiscard]] Result<void> check_change();
  Result<void> fail(Error error);
  [[nodiscard]] KeptStream* kept_stream(StreamId stream) const;
  /// The row's state, if it exists.
  [[nodiscard]] static std::optional<RowState> state_of(KeptStream& stream, Sequence sequence);
  /// Sets or, with null, removes one row, updates the counts, and records the undo.
  void set_row(KeptStream& stream, RowState state, Sequence sequence, RowPointer row);
  void apply(KeptStream& stream, RowState state, Sequence sequence, RowPointer row);
  static Row row_of(StreamId stream, RowState state, Sequence sequence, const KeptRow& kept) noexcept;
  /// Sets or removes one entry of a map, and records the undo.
  void undo_to(std::size_t changes) noexcept;
  template <class Map>
  void set(Map& map, const typename Map::key_type& key, std::optional<typename Map::mapped_type> value);

  std::uint64_t incarnation_;
  std::uint64_t max_bytes_;
  std::uint64_t bytes_ = 0;  ///< Of payload, in every state.
  Sequence next_ = 1;
  using StreamName = std::tuple<Box, std::string, std::string>;
  std::vector<std::shared_ptr<KeptStream>> streams_;  ///< Stream n + 1 at n; null: the id is free.
  std::map<StreamName, StreamId> names_;
  std::map<WatermarkKey, Sequence> watermarks_;
  std::map<std::string, StateValue, std::less<>> state_;
  std::map<std::pair<StreamId, std::string>, Sequence> cursors_;
  std::map<std::pair<StreamId, std::string>, Token> tokens_;
  std::optional<ClockAnchor> anchor_;
  std::set<std::pair<StreamId, Sequence>> in_flight_;

  bool open_ = false;                        ///< Within a transaction.
  std::optional<Error> failed_;              ///< What ended the open transaction.
  std::vector<std::function<void()>> undo_;  ///< Last change last.
  std::optional<std::size_t> part_;          ///< Number of changes before the open part.
  std::uint64_t rows_put_before_ = 0;
  std::uint64_t rows_put_before_part_ = 0;
  Counters counters_;
};

}  // namespace pannier::testkit
