#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "platform/result.h"
#include "runtime/store/row.h"
#include "runtime/store/sqlite/image.h"
#include "runtime/store/sqlite/salvage_report.h"
#include "runtime/store/sqlite/session.h"
#include "runtime/store/sqlite/tree.h"
#include "runtime/store/sqlite/twin.h"

namespace pannier {

/// Takes over into a new file what is sound in a damaged one. Nothing that was removed comes back, nothing whose
/// checksum does not hold goes on, and what may have had its effect already waits for a person (docs/storage.md,
/// Damage). One thread; once.
class SqliteSalvage {
 public:
  /// All outlive it. `to`: of a new file. `new_incarnation`: should that of the damaged one be lost.
  SqliteSalvage(const SqliteImage& from, SqliteSession& to, std::uint64_t new_incarnation);

  /// In transactions of bounded size. An error: the new file could not be written.
  [[nodiscard]] Result<SalvageReport> run();

 private:
  using Table = sqlite_twin::Table;

  [[nodiscard]] sqlite_twin::Roots find_roots();
  /// `holes`: pages and entries that could not be read.
  void walk_records(Table table, void (SqliteSalvage::*take)(const SqliteRecord&), std::uint64_t* holes = nullptr);
  void take_meta(const SqliteRecord& record);
  void take_stream(const SqliteRecord& record);
  void take_row(RowState state, const SqliteRecord& record);
  [[nodiscard]] bool take_sound_row(RowState state, const SqliteRecord& record);
  /// False where it does not hold. `may_have_left`: whether it still waits is lost.
  [[nodiscard]] bool take_stored(RowState state, const StoredRow& stored, bool may_have_left);
  void take_batch(const SqliteRecord& record);
  void take_found_rows(std::span<const std::byte> bytes, bool in_place);
  void take_damaged(const SqliteRecord& record);
  void take_watermark(const SqliteRecord& record);
  void take_state(const SqliteRecord& record);
  void take_cursor(const SqliteRecord& record);
  void take_token(const SqliteRecord& record);
  void take_clock(const SqliteRecord& record);
  void take_rows();
  void put_clock(const ClockAnchor& anchor);
  void finish();

  [[nodiscard]] bool keep_watermark(const SqliteRecord& record);
  [[nodiscard]] bool keep_state(const SqliteRecord& record);
  [[nodiscard]] bool keep_cursor(const SqliteRecord& record);
  [[nodiscard]] bool keep_token(const SqliteRecord& record);
  void put_aside(std::int64_t position, std::span<const std::byte> head, std::span<const std::byte> payload);
  void put(RowState state, const Row& row);
  void put_stream(StreamId id, Box box, std::string_view node, std::string_view lane);
  /// A stream that a row names and no entry tells of.
  void stand_in_for(StreamId id);
  /// Runs a statement of the new file; a position that is taken already is no error. Commits now and then.
  void write(Statement& statement);

  const SqliteImage& image_;
  SqliteTrees trees_;
  SqliteSession& to_;
  std::uint64_t new_incarnation_;
  Statement raise_watermark_;  ///< as the session's put_watermark; never to a lower one
  Statement name_file_;        ///< incarnation, lease, crc
  std::optional<sqlite_twin::Twin> twin_;
  sqlite_twin::Roots roots_;
  std::map<StreamId, Box> streams_;
  std::set<StreamId> stand_ins_;
  std::optional<std::uint64_t> incarnation_;
  Sequence lease_ = 1;
  std::map<std::int64_t, SqliteBatch> incomplete_;  ///< By position: heads of batches that are not whole.
  std::size_t found_in_incomplete_ = 0;
  StoreTime latest_{};  ///< A moment that has passed.
  std::uint64_t clock_holes_ = 0;
  std::uint64_t clock_entries_ = 0;
  bool clock_found_ = false;
  std::string head_;
  int failed_ = SQLITE_OK;
  std::size_t in_transaction_ = 0;
  SalvageReport report_;
};

}  // namespace pannier
