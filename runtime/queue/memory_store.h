#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "platform/entropy.h"
#include "runtime/queue/store.h"

namespace pannier {

/// A store that forgets with its object: for tests, for the simulation, and for nodes that have no disk. The
/// same answers as the SQLite store, transactions and rollback included; commits cost nothing and promise
/// nothing. One thread.
class MemoryStore final : public Store {
 public:
  /// Draws the incarnation from `entropy`, which is needed for the call only.
  explicit MemoryStore(Entropy& entropy);
  /// With a cap on the payload bytes of all rows: put answers storage_full above it.
  MemoryStore(Entropy& entropy, std::uint64_t max_bytes);

  [[nodiscard]] std::uint64_t incarnation() const noexcept override { return incarnation_; }
  [[nodiscard]] Durability strongest() const noexcept override { return Durability::memory; }
  [[nodiscard]] Result<Sequence> next_sequence() override;
  [[nodiscard]] Result<void> begin() override;
  [[nodiscard]] Result<void> commit(Durability durability) override;
  void rollback() noexcept override;
  [[nodiscard]] Result<StreamId> stream(Box box, std::string_view node, std::string_view lane) override;
  [[nodiscard]] Result<void> put(const Row& row) override;
  [[nodiscard]] Result<void> erase(StreamId stream, Sequence sequence) override;
  [[nodiscard]] Result<void> erase_through(StreamId stream, Sequence sequence) override;
  [[nodiscard]] Result<void> mark(StreamId stream, Sequence sequence, RowState state, std::uint32_t attempts,
                                  std::string_view cause) override;
  [[nodiscard]] Result<void> put_watermark(const Watermark& watermark) override;
  [[nodiscard]] Result<void> put_state(std::string_view key, std::span<const std::byte> value) override;
  [[nodiscard]] Result<void> erase_state(std::string_view key) override;
  [[nodiscard]] Result<void> read(StreamId stream, RowState state, Sequence after, std::size_t limit,
                                  const RowVisitor& visit) override;
  [[nodiscard]] Result<std::vector<Stream>> streams() override;
  [[nodiscard]] Result<std::vector<Watermark>> watermarks() override;
  [[nodiscard]] Result<void> read_state(std::string_view prefix, const StateVisitor& visit) override;
  [[nodiscard]] Counters counters() const noexcept override { return counters_; }

 private:
  /// Never changed once made, so that undoing a change is putting the old pointer back.
  struct KeptRow {
    std::string key;
    TypeId type{};
    std::vector<std::byte> payload;
    WallTime enqueued_at{};
    std::string producer;
    std::uint32_t attempts = 0;
    std::string cause;
  };
  using Rows = std::map<Sequence, std::shared_ptr<const KeptRow>>;
  struct KeptStream {
    Stream stream;
    Rows ready;
    Rows parked;
  };
  using WatermarkKey = std::tuple<std::string, std::uint64_t, std::string>;
  using StateValue = std::vector<std::byte>;

  [[nodiscard]] Result<void> check_change();
  Result<void> fail(Error error);
  KeptStream* find(StreamId stream);
  /// Sets or, with null, removes one row, keeps the counts, and notes how to undo it.
  void set_row(KeptStream& stream, RowState state, Sequence sequence, std::shared_ptr<const KeptRow> row);
  void apply(KeptStream& stream, RowState state, Sequence sequence, std::shared_ptr<const KeptRow> row);

  std::uint64_t incarnation_;
  std::uint64_t max_bytes_;
  std::uint64_t bytes_ = 0;  ///< Of payload, ready and parked.
  Sequence next_ = 1;
  std::vector<std::unique_ptr<KeptStream>> streams_;  ///< Stream n + 1 at n.
  std::map<WatermarkKey, Sequence> watermarks_;
  std::map<std::string, StateValue, std::less<>> state_;

  bool open_ = false;                        ///< Within a transaction.
  std::optional<Error> failed_;              ///< What ended the open transaction.
  std::vector<std::function<void()>> undo_;  ///< Last change last.
  std::uint64_t rows_put_before_ = 0;
  Counters counters_;
};

}  // namespace pannier
