#pragma once

#include <optional>

#include "runtime/queue/inbox.h"
#include "runtime/queue/outbox.h"

namespace pannier {

/// Both boxes behind one face, for what treats their rows alike. Refers; the boxes outlive it.
class Boxes {
 public:
  Boxes(Store& store, Outbox& outbox, Inbox& inbox) : store_(store), outbox_(outbox), inbox_(inbox) {}

  /// A row of `stream` shall be erased, or moved, within the open group: whoever holds it in memory lets go of it.
  /// False where it is on its way, or in somebody's hands; then it stays.
  [[nodiscard]] bool withdraw(const Stream& stream, Sequence sequence) {
    return stream.box == Box::outbox ? outbox_.withdraw(stream.node, stream.lane, sequence)
                                     : inbox_.withdraw(stream.lane, sequence);
  }
  /// Rows have come to the end of `stream` by another way than put, and are committed.
  void grew(const Stream& stream) {
    if (stream.box == Box::outbox) {
      outbox_.grew(stream.node, stream.lane);
    } else {
      inbox_.grew(stream.lane);
    }
  }
  [[nodiscard]] std::string why_waiting(const Stream& stream, const Row& row) const {
    return stream.box == Box::outbox ? outbox_.why_waiting(stream, row) : inbox_.why_waiting(stream.lane, row);
  }
  /// How long a row that is ready still waits for its next attempt.
  [[nodiscard]] std::optional<Duration> next_try_in(const Stream& stream, const Row& row) const {
    return stream.box == Box::outbox ? std::nullopt : inbox_.next_try_in(stream.lane, row);
  }
  /// Parked rows of `stream` have been made ready or erased, and that is committed.
  void parked_changed(const Stream& stream) {
    grew(stream);
    if (stream.box == Box::inbox) inbox_.parked_changed(stream.lane);
  }
  void grew(StreamId id) {
    if (const Stream* stream = store_.find_stream(id); stream != nullptr) grew(Stream{*stream});
  }

 private:
  Store& store_;
  Outbox& outbox_;
  Inbox& inbox_;
};

}  // namespace pannier
