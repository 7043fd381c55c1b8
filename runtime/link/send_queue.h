#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/link/wire.h"
#include "runtime/message/account.h"

namespace pannier {

/// Records that wait to be sent over one link. They leave in the order of docs/protocol.md, Pieces. A record too large
/// for a frame leaves in pieces, with other records in between. Bounds: limits::kLinkQueueBytes and
/// limits::kLinkAdmittedBytes for this node's own tells; limits::kLinkQueueBytes for all other records, and
/// limits::kLinkReserveBytes on top for those that must not be lost while the link is up. One thread.
class SendQueue {
 public:
  /// Copies the record. `priority` is used for rows only. `charge` is held until the record has left. full: the record
  /// does not fit; nothing was taken. invalid_argument: a part of it is too long.
  [[nodiscard]] Result<void> add(const wire::Record& record, std::uint32_t priority, Charge charge = {});

  [[nodiscard]] bool empty() const noexcept { return flows_.empty(); }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  /// Records that wait, including those sent in part.
  [[nodiscard]] std::size_t records() const noexcept { return records_; }
  [[nodiscard]] std::size_t tells() const noexcept { return tells_; }

  enum class Moved : std::uint8_t {
    nothing,  ///< The next record, or its next piece, does not fit.
    record,   ///< A whole record; more may follow in the same frame.
    piece,    ///< A piece. It must be the last in its frame.
  };
  struct Step {
    Moved moved = Moved::nothing;
    std::size_t bytes = 0;  ///< What the frame grew by.
    bool row = false;       ///< The bytes belong to a row.
  };
  /// The limits of the frame to fill.
  struct Room {
    std::size_t bytes = 0;       ///< Bytes that may be added.
    std::size_t piece = 0;       ///< The largest frame; a larger record leaves in pieces.
    std::uint64_t position = 0;  ///< A piece is also a mark. Bytes sent before it,
    std::uint64_t clock = 0;     ///< and the time.
  };
  /// Moves the next record, or its next piece, into `frame`.
  Step move_into(wire::FrameWriter& frame, const Room& room);
  void clear();

 private:
  /// Records that leave in order: the urgent ones, the rows of one lane, or all others.
  struct Flow {
    enum class Band : std::uint8_t { urgent, rows, others } band;
    std::string lane;
    std::uint32_t priority = 0;
    std::uint64_t turn = 0;
    std::vector<std::byte> bytes;  // whole records, as in a frame, from `head` on
    std::size_t head = 0;
    std::size_t left = 0;                        // bytes of the first record already sent in pieces
    std::uint16_t assembly = wire::kAssemblies;  // the assembly of those pieces
    struct Charged {
      std::uint64_t end;  // where the record ends, in bytes of the flow
      Charge charge;
    };
    std::vector<Charged> charged;  // from `uncharged` on
    std::size_t uncharged = 0;
    std::uint64_t added = 0;  // bytes of the flow so far
    std::uint64_t gone = 0;
  };

  Flow& flow_of(const wire::Record& record);
  /// The flow whose turn it is; null if each would start a further record in pieces and all assemblies are in use.
  Flow* next(std::size_t piece);
  [[nodiscard]] bool may_leave(const Flow& flow, std::size_t piece) const noexcept;
  void pop(Flow& flow);

  std::vector<Flow> flows_;  // none is empty
  std::size_t bytes_ = 0;
  std::size_t admitted_ = 0;  // bytes of admitted records, part of bytes_
  std::size_t records_ = 0;
  std::size_t tells_ = 0;  // part of records_
  std::uint64_t turns_ = 0;
  bool in_use_[wire::kAssemblies] = {};
};

/// Reassembles one record from a peer's pieces, in bounded memory. One thread.
class Assembly {
 public:
  /// Adds the next piece. True when the record is complete: read bytes(), then call clear(). malformed: the piece does
  /// not follow the last one.
  [[nodiscard]] Result<bool> add(const wire::Record& piece);
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }
  void clear() noexcept {
    bytes_ = {};
    whole_ = 0;
  }

 private:
  std::vector<std::byte> bytes_;  // grows as bytes arrive, not by the announced length, which costs a peer nothing
  std::size_t whole_ = 0;
};

}  // namespace pannier
