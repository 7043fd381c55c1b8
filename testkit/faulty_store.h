#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/store/store.h"

namespace pannier::testkit {

/// Forwards to a real store, which outlives it, and makes its disk fail or its process die as the test says. Keeps the
/// contract of runtime/store/store.h: a failed commit has stored nothing, except when the process dies in it and nobody
/// sees the result. One thread.
class FaultyStore final : public Store {
 public:
  explicit FaultyStore(Store& real) : real_(&real) {}

  /// The next `count` commits fail with `code`. Each stores nothing.
  void fail_commits(std::uint32_t count, ErrorCode code = ErrorCode::storage_io) {
    failing_commits_ = count;
    commit_error_ = code;
  }
  /// Makes put fail with storage_full from now on. Everything else works.
  void fill_disk(bool full) { full_ = full; }
  /// The next `count` reads of rows fail.
  void fail_reads(std::uint32_t count) { failing_reads_ = count; }
  /// next_sequence succeeds `count` more times, then fails once.
  void fail_sequence_after(std::uint32_t count) { sequences_left_ = count + 1; }
  /// Kills the process at the `calls`-th call from now that begins, changes or commits; in a commit either before
  /// anything is stored or after everything is. `died` is called at that moment, within the call.
  void die_after(std::uint32_t calls, bool commit_is_stored, std::function<void()> died) {
    calls_left_ = calls;
    commit_is_stored_ = commit_is_stored;
    died_ = std::move(died);
  }
  [[nodiscard]] bool dead() const noexcept { return dead_; }
  /// Drops what was not committed, as the end of a process does.
  void lose_transaction() noexcept { rollback(); }
  /// Starts the next life on `real`. A full disk stays full; a planned death is cancelled.
  void revive(Store& real) noexcept {
    real_ = &real;
    dead_ = false;
    failed_ = false;
    calls_left_ = 0;
  }

  [[nodiscard]] std::uint64_t incarnation() const noexcept override { return real_->incarnation(); }
  [[nodiscard]] std::uint64_t incarnation_of(Sequence sequence) const noexcept override {
    return real_->incarnation_of(sequence);
  }
  [[nodiscard]] std::vector<std::uint64_t> incarnations() const override { return real_->incarnations(); }
  [[nodiscard]] Durability strongest() const noexcept override { return real_->strongest(); }
  [[nodiscard]] Result<Sequence> next_sequence() override {
    if (dead_ || (sequences_left_ > 0 && --sequences_left_ == 0)) return ErrorCode::storage_io;
    return real_->next_sequence();
  }
  [[nodiscard]] bool has_room() override { return !full_ && real_->has_room(); }
  [[nodiscard]] Result<void> begin() override {
    if (dies()) return ErrorCode::storage_io;
    failed_ = false;
    return real_->begin();
  }
  [[nodiscard]] Result<void> commit(Durability durability) override {
    if (dead_) return ErrorCode::storage_io;
    if (dies()) {
      if (commit_is_stored_ && !failed_) real_->commit(durability).ignore();
      return ErrorCode::storage_io;
    }
    if (failed_) return commit_error_;
    if (failing_commits_ > 0) {
      --failing_commits_;
      real_->rollback();
      return commit_error_;
    }
    last_commit_ = durability;
    return real_->commit(durability);
  }
  /// The durability requested by the last commit that reached the store.
  [[nodiscard]] Durability last_commit() const noexcept { return last_commit_; }
  void rollback() noexcept override {
    failed_ = false;
    real_->rollback();
  }
  [[nodiscard]] Result<void> begin_part() override {
    return change([&] { return real_->begin_part(); });
  }
  [[nodiscard]] Result<void> end_part(bool keep) override {
    return change([&] { return real_->end_part(keep); });
  }
  [[nodiscard]] Result<StreamId> stream(Box box, std::string_view node, std::string_view lane) override {
    if (dead_) return ErrorCode::storage_io;
    return real_->stream(box, node, lane);
  }
  [[nodiscard]] Result<void> put(const Row& row) override {
    if (full_) {
      failed_ = true;
      commit_error_ = ErrorCode::storage_full;
    }
    return change([&] { return real_->put(row); });
  }
  [[nodiscard]] Result<void> erase(StreamId stream, Sequence sequence) override {
    return change([&] { return real_->erase(stream, sequence); });
  }
  [[nodiscard]] Result<void> erase_through(StreamId stream, Sequence sequence) override {
    return change([&] { return real_->erase_through(stream, sequence); });
  }
  [[nodiscard]] Result<void> mark(StreamId stream, Sequence sequence, const Mark& mark) override {
    return change([&] { return real_->mark(stream, sequence, mark); });
  }
  [[nodiscard]] Result<void> requeue(StreamId stream, Sequence sequence, Sequence next) override {
    return change([&] { return real_->requeue(stream, sequence, next); });
  }
  [[nodiscard]] Result<void> put_watermark(const Watermark& watermark) override {
    return change([&] { return real_->put_watermark(watermark); });
  }
  [[nodiscard]] Result<void> erase_watermark(const Watermark& watermark) override {
    return change([&] { return real_->erase_watermark(watermark); });
  }
  [[nodiscard]] Result<void> put_anchor(const ClockAnchor& anchor) override {
    return change([&] { return real_->put_anchor(anchor); });
  }
  [[nodiscard]] Result<void> read(StreamId stream, RowState state, Sequence after, std::size_t limit,
                                  RowVisitor visit) override {
    return look([&] { return real_->read(stream, state, after, limit, visit); });
  }
  [[nodiscard]] Result<bool> find(Sequence id, RowVisitor visit) override {
    return look([&] { return real_->find(id, visit); });
  }
  [[nodiscard]] Result<void> read_due(StoreTime now, std::size_t limit, RowVisitor visit) override {
    return look([&] { return real_->read_due(now, limit, visit); });
  }
  [[nodiscard]] Result<std::optional<StoreTime>> next_due() override { return real_->next_due(); }
  [[nodiscard]] Result<Sequence> first_of_key(StreamId stream, RowState state, std::string_view key) override {
    return look([&] { return real_->first_of_key(stream, state, key); });
  }
  [[nodiscard]] const Stream* find_stream(StreamId id) const noexcept override { return real_->find_stream(id); }
  [[nodiscard]] const Stream* find_stream(Box box, std::string_view node,
                                          std::string_view lane) const noexcept override {
    return real_->find_stream(box, node, lane);
  }
  void visit_streams(std::optional<Box> box, std::optional<std::string_view> node, StreamVisitor visit) const override {
    real_->visit_streams(box, node, visit);
  }
  [[nodiscard]] Load total(RowState state) const noexcept override { return real_->total(state); }
  [[nodiscard]] Result<bool> erase_stream(StreamId id) override {
    return change([&] { return real_->erase_stream(id); });
  }
  [[nodiscard]] Result<bool> count_some() override { return real_->count_some(); }
  [[nodiscard]] Result<std::vector<Watermark>> watermarks() override { return real_->watermarks(); }
  [[nodiscard]] Result<std::optional<ClockAnchor>> anchor() override { return real_->anchor(); }
  [[nodiscard]] bool note_in_flight(StreamId stream, Sequence sequence) noexcept override {
    return dead_ || real_->note_in_flight(stream, sequence);
  }
  void clear_in_flight(StreamId stream, Sequence sequence) noexcept override {
    if (!dead_) real_->clear_in_flight(stream, sequence);
  }
  [[nodiscard]] std::vector<InFlight> take_in_flight() override { return real_->take_in_flight(); }
  [[nodiscard]] Retention* retention() noexcept override { return real_->retention() == nullptr ? nullptr : &parts_; }
  [[nodiscard]] TokenTable* tokens() noexcept override { return real_->tokens() == nullptr ? nullptr : &parts_; }
  [[nodiscard]] StateTable* state() noexcept override { return real_->state() == nullptr ? nullptr : &parts_; }
  [[nodiscard]] SqlTables* sql() noexcept override { return real_->sql() == nullptr ? nullptr : &parts_; }
  [[nodiscard]] std::vector<std::string> findings() const override { return real_->findings(); }
  [[nodiscard]] Counters counters() const noexcept override { return real_->counters(); }

 private:
  /// The parts of the real store, which fail and die with it.
  class Parts final : public Retention, public TokenTable, public StateTable, public SqlTables {
   public:
    explicit Parts(FaultyStore& store) : store_(store) {}
    [[nodiscard]] Result<void> trim(StreamId stream, const Load& most, StoreTime before) override {
      return store_.change([&] { return real().retention()->trim(stream, most, before); });
    }
    [[nodiscard]] Result<void> put_cursor(const Cursor& cursor) override {
      return store_.change([&] { return real().retention()->put_cursor(cursor); });
    }
    [[nodiscard]] Result<void> erase_cursor(StreamId stream, std::string_view reader) override {
      return store_.change([&] { return real().retention()->erase_cursor(stream, reader); });
    }
    [[nodiscard]] Result<std::vector<Cursor>> cursors() override { return real().retention()->cursors(); }
    [[nodiscard]] Result<void> put_token(StreamId stream, std::string_view token, Sequence sequence,
                                         StoreTime expires_at) override {
      return store_.change([&] { return real().tokens()->put_token(stream, token, sequence, expires_at); });
    }
    [[nodiscard]] Result<void> erase_tokens(StoreTime now, std::size_t limit) override {
      return store_.change([&] { return real().tokens()->erase_tokens(now, limit); });
    }
    [[nodiscard]] Result<Sequence> token(StreamId stream, std::string_view token, StoreTime now) override {
      return real().tokens()->token(stream, token, now);
    }
    [[nodiscard]] Result<void> put_state(std::string_view key, std::span<const std::byte> value) override {
      return store_.change([&] { return real().state()->put_state(key, value); });
    }
    [[nodiscard]] Result<void> erase_state(std::string_view key) override {
      return store_.change([&] { return real().state()->erase_state(key); });
    }
    [[nodiscard]] Result<void> read_state(std::string_view prefix, StateVisitor visit) override {
      return real().state()->read_state(prefix, visit);
    }
    [[nodiscard]] Result<void> execute(const SqlStatement& statement) override {
      return store_.change([&] { return real().sql()->execute(statement); });
    }
    [[nodiscard]] Result<void> query(const SqlStatement& statement, SqlVisitor visit) override {
      return real().sql()->query(statement, visit);
    }

   private:
    [[nodiscard]] Store& real() noexcept { return *store_.real_; }
    FaultyStore& store_;
  };

  template <class Change>
  [[nodiscard]] auto change(Change&& change) -> decltype(change()) {
    if (dies()) return ErrorCode::storage_io;
    if (failed_) return commit_error_;
    return change();
  }
  template <class Look>
  [[nodiscard]] auto look(Look&& look) -> decltype(look()) {
    if (dead_) return ErrorCode::storage_io;
    if (failing_reads_ > 0) {
      --failing_reads_;
      return ErrorCode::storage_io;
    }
    return look();
  }
  [[nodiscard]] bool dies() {
    if (!dead_ && calls_left_ > 0 && --calls_left_ == 0) {
      dead_ = true;
      died_();
    }
    return dead_;
  }

  Store* real_;
  Parts parts_{*this};
  std::uint32_t failing_commits_ = 0;
  std::uint32_t failing_reads_ = 0;
  std::uint32_t sequences_left_ = 0;
  Durability last_commit_ = Durability::memory;
  ErrorCode commit_error_ = ErrorCode::storage_io;
  bool full_ = false;
  bool failed_ = false;  // this transaction
  std::uint32_t calls_left_ = 0;
  bool commit_is_stored_ = false;
  bool dead_ = false;
  std::function<void()> died_;
};

}  // namespace pannier::testkit
