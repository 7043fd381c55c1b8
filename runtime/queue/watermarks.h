#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "runtime/message/row_records.h"
#include "runtime/queue/group.h"

namespace pannier {

/// Which rows of other nodes have been stored here. A row at or below the watermark of its (producer, incarnation,
/// lane) is a duplicate; one whose predecessor in flight is missing is refused. One thread, the queue's.
class Watermarks {
 public:
  /// Both outlive this.
  Watermarks(Store& store, Group& group) : store_(store), group_(group) {}
  [[nodiscard]] Result<void> load();

  struct Mark {
    Watermark watermark;  // what is on disk
    Sequence staged = 0;
    Charge charge = {};
  };
  /// The mark of the row's stream, or null. Valid until forget_others.
  [[nodiscard]] Mark* find(const IncomingRow& row);
  enum class Verdict : std::uint8_t { fresh, duplicate, gap };
  /// `mark` is the row's, or null.
  [[nodiscard]] static Verdict judge(const IncomingRow& row, const Mark* mark) noexcept;
  /// Makes the mark of the row's stream. Null: there are too many, of the producer, its peer or all.
  [[nodiscard]] Mark* open(const IncomingRow& row);
  /// Adds the row to the group; later rows are judged as if it were committed. True for the first row of a group: add
  /// an effect::Received.
  [[nodiscard]] bool stage(const IncomingRow& row, Mark& mark);
  /// Writes the watermarks that the group's rows raise.
  [[nodiscard]] Result<void> write();
  /// What to tell the producers, now that the group is committed or has failed. After a failure each is told to send
  /// again.
  [[nodiscard]] std::vector<StreamAck> settle(const Result<void>& fate);
  /// The committed watermark of a stream; 0 without one.
  [[nodiscard]] Sequence committed(const std::string& producer, std::uint64_t incarnation,
                                   const std::string& lane) const;
  /// Stages the removal of watermarks of incarnations that no row of `producer` bears any more.
  [[nodiscard]] Result<void> forget_others(std::string_view producer, const std::vector<std::uint64_t>& incarnations);

 private:
  using Name = std::tuple<std::string, std::uint64_t, std::string>;  // producer, incarnation, lane

  Store& store_;
  Group& group_;
  std::map<Name, Mark> marks_;
  std::map<std::string, std::size_t, std::less<>> producers_;  // how many marks each has
  std::vector<Mark*> changed_;
};

}  // namespace pannier
