#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/link/wire.h"

namespace pannier {

/// Records that wait until their link takes more. They leave in the order of docs/protocol.md, Pieces; one that is too
/// large for a frame leaves in pieces, and others pass between them. At most limits::kLinkQueueBytes, and
/// limits::kLinkReserveBytes on top for records that the link cannot do without. One thread.
class SendQueue {
 public:
  /// Copies the record. `priority` counts for rows. full: it does not fit; nothing was taken. invalid_argument: it is
  /// no record.
  [[nodiscard]] Result<void> add(const wire::Record& record, std::uint32_t priority);

  [[nodiscard]] bool empty() const noexcept { return flows_.empty(); }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  /// Records that wait, one that has left in part included.
  [[nodiscard]] std::size_t records() const noexcept { return records_; }
  [[nodiscard]] std::size_t tells() const noexcept { return tells_; }

  enum class Moved : std::uint8_t {
    nothing,  ///< The next record, or its next piece, does not fit.
    record,   ///< A whole record; more may follow in the same frame.
    piece,    ///< A piece: it ends its frame.
  };
  struct Step {
    Moved moved = Moved::nothing;
    std::size_t bytes = 0;  ///< That the frame grew by.
    bool row = false;       ///< They belong to a row.
  };
  /// What a frame may take now.
  struct Room {
    std::size_t bytes = 0;       ///< More than are there.
    std::size_t piece = 0;       ///< A record that fills a larger frame leaves in pieces.
    std::uint64_t position = 0;  ///< A piece is a mark: what was sent before it,
    std::uint64_t clock = 0;     ///< and the time.
  };
  /// Moves the next record into `frame`, or its next piece.
  Step move_into(wire::FrameWriter& frame, const Room& room);
  void clear();

 private:
  /// Records that keep their order: urgent ones, the rows of one lane, all others.
  struct Flow {
    enum class Band : std::uint8_t { urgent, rows, others } band;
    std::string lane;
    std::uint32_t priority = 0;
    std::uint64_t turn = 0;
    std::vector<std::byte> bytes;  // whole records, as in a frame, from `head` on
    std::size_t head = 0;
    std::size_t left = 0;                        // of the first record, bytes that have left in pieces
    std::uint16_t assembly = wire::kAssemblies;  // that they go to
  };

  Flow& flow_of(const wire::Record& record);
  /// The flow whose turn it is; null when all that could leave now would start a third record in pieces.
  Flow* next(std::size_t piece);
  [[nodiscard]] bool may_leave(const Flow& flow, std::size_t piece) const noexcept;
  void pop(Flow& flow);

  std::vector<Flow> flows_;  // none is empty
  std::size_t bytes_ = 0;
  std::size_t admitted_ = 0;  // of the bytes
  std::size_t records_ = 0;
  std::size_t tells_ = 0;  // of the records
  std::uint64_t turns_ = 0;
  bool in_use_[wire::kAssemblies] = {};
};

/// Puts a peer's pieces together, in bounded memory. One of these for each assembly of a link. One thread.
class Assembly {
 public:
  /// Takes the next piece. True when the record is whole: read it from bytes(), then clear(). malformed.
  [[nodiscard]] Result<bool> add(const wire::Record& piece);
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }
  void clear() noexcept {
    bytes_ = {};
    whole_ = 0;
  }

 private:
  std::vector<std::byte> bytes_;  // grows as bytes arrive: a length alone costs a peer nothing, and so it gets nothing
  std::size_t whole_ = 0;
};

}  // namespace pannier
