#pragma once

namespace pannier {

/// Ways in which the runtime would break its promises. A test build may switch one of them on (tests/mutants); a suite
/// that still passes does not check that promise. Every other build has `none`, and compiles nothing of it.
enum class Mutant {
  none,
  ack_before_commit,          ///< Receipts are given when a group is staged.
  ack_row_before_commit,      ///< A peer's row is acknowledged when it is staged.
  synchronous_normal,         ///< The log is not synced before a commit counts.
  failed_group_stays,         ///< A group that was reported as failed stays in the log.
  lease_not_kept,             ///< Sequence numbers are given out without a lease on disk.
  lease_raised_early,         ///< A lease counts although the transaction that writes it fails.
  no_duplicate_marks,         ///< A row that comes again is taken again.
  watermark_not_persisted,    ///< What was taken is remembered in memory only.
  gap_not_seen,               ///< A row is taken although the one before it was lost.
  erase_when_sent,            ///< A row is removed when it is sent, not when it is acknowledged.
  effect_apart,               ///< An effect and the end of its message are two transactions.
  keys_not_ordered,           ///< A message is handed out while an older one of its key is not done.
  note_not_taken_back,        ///< The note about a log outlives the log.
  pages_not_noted,            ///< What checkpoints write to the database is not noted.
  ended_deliveries_counted,   ///< Deliveries that an ended state gave back still take room in its mailbox.
  failed_delivery_counted,    ///< A failed delivery uses up the supervisor's restarts.
  lost_link_keeps_asks,       ///< Questions from a link that went down keep their places.
  stale_name_resolves,        ///< A reference to a forgotten name leads to whoever has its place now.
  withdrawn_row_sent,         ///< A row that was removed in the group that added it is sent all the same.
  failed_dead_letter_passed,  ///< A row whose dead-lettering failed counts as gone.
  acks_of_any_incarnation,    ///< An acknowledgement counts whichever life of the producer it belongs to.
  reader_not_reset,           ///< After a failed group a reader goes on as if its cursor had moved.
  failed_sync_forgotten,      ///< After a sync that failed the next one is believed.
  found_log_not_emptied,      ///< What an earlier process left in the log is taken for synced.
  reserve_not_synced,         ///< The room that is held for a full disk may be gone after a power cut.
  frame_dropped_when_full,    ///< A frame that the transport has no room for is forgotten.
  full_mailbox_drops,         ///< What comes over a link and finds a full mailbox is forgotten.
  credit_not_taken,           ///< A sender is never told that it outruns the path.
  ack_dropped_when_full,      ///< An acknowledgement that finds no room is forgotten, and the link goes on.
};

#ifndef PANNIER_MUTANT
#define PANNIER_MUTANT none
#endif
inline constexpr Mutant active_mutant = Mutant::PANNIER_MUTANT;
[[nodiscard]] constexpr bool is_mutant(Mutant mutant) noexcept {
  return mutant != Mutant::none && mutant == active_mutant;
}

}  // namespace pannier
