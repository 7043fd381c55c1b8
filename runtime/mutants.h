#pragma once

namespace pannier {

/// Ways to break the runtime's promises. A test build may switch one on (tests/mutants); a suite that still passes does
/// not check that promise. Other builds have `none` and compile nothing of it.
enum class Mutant {
  none,
  ack_before_commit,           ///< Receipts are given when a group is staged.
  ack_row_before_commit,       ///< A peer's row is acknowledged when it is staged.
  synchronous_normal,          ///< The log is not synced before a commit counts.
  failed_group_stays,          ///< A group reported as failed stays in the log.
  lease_not_kept,              ///< Sequence numbers are given out without a lease on disk.
  lease_raised_early,          ///< A lease counts although the transaction that writes it fails.
  no_duplicate_marks,          ///< A duplicate row is taken again.
  watermark_not_persisted,     ///< Watermarks are kept in memory only.
  gap_not_seen,                ///< A row is taken although its predecessor was lost.
  erase_when_sent,             ///< A row is erased when sent, not when acknowledged.
  effect_apart,                ///< An effect and the end of its message are two transactions.
  keys_not_ordered,            ///< A message is dispatched while an older one of its key is unsettled.
  note_not_taken_back,         ///< The note about a log outlives the log.
  pages_not_noted,             ///< Checkpoints do not note what they write to the database.
  ended_deliveries_counted,    ///< Deliveries returned by an ended state still count against its mailbox.
  failed_delivery_counted,     ///< A failed delivery counts against the supervisor's restarts.
  lost_link_keeps_asks,        ///< Questions from a lost link keep their places.
  stale_name_resolves,         ///< A reference to a forgotten name leads to the name now in its place.
  withdrawn_row_sent,          ///< A row removed in the group that added it is sent anyway.
  failed_dead_letter_passed,   ///< A row whose dead-lettering failed counts as gone.
  acks_of_any_incarnation,     ///< An acknowledgement counts for any incarnation of the producer.
  reader_not_reset,            ///< After a failed group a reader goes on as if its cursor had moved.
  failed_part_not_undone,      ///< Changes of a refused part of a group stay in memory.
  acknowledged_row_cancelled,  ///< A row that is acknowledged but not erased yet may be cancelled.
  unknown_boots_equal,         ///< Boots without ids count as one.
  no_reopen,                   ///< After a failed write or sync the store goes on with its state in memory.
  failed_sync_forgotten,       ///< After a failed sync the next one is believed.
  found_log_not_emptied,       ///< Data an earlier process left in the log is taken for synced.
  reserve_not_synced,          ///< The reserve for a full disk may be lost in a power cut.
  frame_dropped_when_full,     ///< A frame that does not fit into the transport is dropped.
  full_mailbox_drops,          ///< What a full mailbox refuses of a link is forgotten.
  credit_not_taken,            ///< A sender is never told that it outruns the path.
  ack_dropped_when_full,       ///< An acknowledgement that does not fit is dropped, and the link goes on.
};

#ifndef PANNIER_MUTANT
#define PANNIER_MUTANT none
#endif
inline constexpr Mutant active_mutant = Mutant::PANNIER_MUTANT;
[[nodiscard]] constexpr bool is_mutant(Mutant mutant) noexcept {
  return mutant != Mutant::none && mutant == active_mutant;
}

}  // namespace pannier
