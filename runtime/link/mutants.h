#pragma once

namespace pannier {

/// Ways in which links would break their promises, one of which a test build may switch on (tests/mutants); as
/// runtime/store/mutants.h for the queue. In every other build this is `none`, and nothing of it is compiled.
enum class LinkMutant {
  none,
  frame_dropped_when_full,  ///< A frame that the transport has no room for is forgotten.
  ack_dropped_when_full,    ///< An acknowledgement that finds no room is forgotten, and the link goes on.
};

#ifndef PANNIER_MUTANT
#define PANNIER_MUTANT none
#endif
[[nodiscard]] constexpr bool is_mutant(LinkMutant mutant) noexcept {
  return mutant == LinkMutant::PANNIER_MUTANT && mutant != LinkMutant::none;
}

}  // namespace pannier
