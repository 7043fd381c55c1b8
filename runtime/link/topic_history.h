#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <pannier/result.h>
#include <pannier/topic.h>

namespace pannier {

/// Numbers this node's publications of a topic and type, and keeps the last of them (docs/protocol.md, Topics). Memory
/// is bounded by limits::kHistoryBytes: the oldest of the topic that is published go first. A part of TopicService.
class TopicHistory {
 public:
  /// `series`: not used by an earlier life of this node.
  explicit TopicHistory(std::uint64_t series) noexcept : series_(series) {}
  [[nodiscard]] std::uint64_t series() const noexcept { return series_; }

  /// The number of a publication, which is kept behind the `most` - 1 before it. 0: limits::kHistoryTopics are numbered
  /// already.
  [[nodiscard]] std::uint64_t add(std::string_view topic, const AnyTable& message, std::uint32_t most);
  /// What is kept of a gap, oldest first, up to limits::kPayloadBytes as `encode` writes them.
  [[nodiscard]] std::vector<MissedPublication> find(const PublicationGap& gap) const;

 private:
  struct Kept {
    std::uint64_t next = 1;  ///< Number of the next publication.
    std::deque<AnyTable> last;
  };
  void drop_first(Kept& kept);

  std::uint64_t series_;
  std::map<std::pair<std::string, TypeId>, Kept> topics_;
  std::size_t bytes_ = 0;
};

/// The payload of a request for a history, and of its answer.
[[nodiscard]] BlockRef encode(const PublicationGap& gap);
[[nodiscard]] Result<PublicationGap> decode_gap(std::string_view topic, TypeId type,
                                                std::span<const std::byte> payload);
[[nodiscard]] BlockRef encode(const std::vector<MissedPublication>& missed);
[[nodiscard]] Result<std::vector<MissedPublication>> decode_missed(TypeId type, std::span<const std::byte> payload);

/// The label of a numbered publication on its way to an actor: the topic, and behind a zero byte its number.
[[nodiscard]] BlockRef numbered_label(std::string_view topic, const PublicationNumber& publication);
[[nodiscard]] PublicationNumber number_of(std::span<const std::byte> label);

}  // namespace pannier
