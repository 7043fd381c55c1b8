#pragma once

namespace pannier {

/// Ways in which the queue would break its promises, one of which a test build may switch on (tests/mutants): a suite
/// that passes all the same does not hold that promise. In every other build this is `none`, and nothing of it is
/// compiled.
enum class Mutant {
  none,
  ack_before_commit,        ///< Receipts are given when a group is staged.
  ack_row_before_commit,    ///< A peer's row is acknowledged when it is staged.
  synchronous_normal,       ///< The log is not synced before a commit counts.
  failed_group_stays,       ///< A group that was reported as failed stays in the log.
  lease_not_kept,           ///< Sequences are given out without a lease on disk.
  lease_raised_early,       ///< A lease counts although the transaction that writes it fails.
  no_duplicate_marks,       ///< A row that comes again is taken again.
  watermark_not_persisted,  ///< What was taken is remembered in memory only.
  gap_not_seen,             ///< A row is taken although the one before it was lost.
  erase_when_sent,          ///< A row is removed when it is sent, not when it is acknowledged.
  effect_apart,             ///< An effect and the end of its message are two transactions.
  keys_not_ordered,         ///< A message is handed out while an older one of its key is not done.
  note_not_taken_back,      ///< The note about a log outlives the log.
  failed_sync_forgotten,    ///< After a sync that failed the next one is believed.
  found_log_not_emptied,    ///< What an earlier process left in the log is taken for synced.
  reserve_not_synced,       ///< The room that is held for a full disk may be gone after a power cut.
  pages_not_noted,          ///< What checkpoints write to the database is not noted.
};

#ifndef PANNIER_MUTANT
#define PANNIER_MUTANT none
#endif
[[nodiscard]] constexpr bool is_mutant(Mutant mutant) noexcept {
  return mutant == Mutant::PANNIER_MUTANT && mutant != Mutant::none;
}

}  // namespace pannier
