#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include <pannier/message.h>
#include <pannier/platform.h>

namespace pannier {

/// What happened to publications and subscriptions of one node since it started. Losses are counted by cause.
struct TopicCounters {
  std::uint64_t published = 0;  ///< By actors of this node, and received over links.
  std::uint64_t delivered = 0;  ///< Copies taken by a mailbox or a link, retained values included.
  /// Retained values that found no room yet. They are sent later; per topic only the newest.
  std::uint64_t deferred = 0;
  std::uint64_t mailbox_full = 0;           ///< Copies dropped because the subscriber's mailbox was full.
  std::uint64_t subscriber_gone = 0;        ///< Copies dropped because the subscriber had ended.
  std::uint64_t link_full = 0;              ///< Copies dropped because the link was full or had ended.
  std::uint64_t mailbox_full_there = 0;     ///< Copies of this node's publications dropped at full mailboxes elsewhere.
  std::uint64_t link_full_there = 0;        ///< And before full links elsewhere.
  std::uint64_t not_retained = 0;           ///< Values passed on but not retained: no room for another topic.
  std::uint64_t cleared = 0;                ///< Retained values cleared.
  std::uint64_t filters_refused = 0;        ///< Filters of linked nodes refused here. The nodes were told.
  std::uint64_t filters_refused_there = 0;  ///< Filters of this node refused by linked nodes, whose publications may
                                            ///< not arrive here.
  // Current values:
  std::uint64_t filters = 0;   ///< Distinct filters, of actors of this node and of linked nodes.
  std::uint64_t retained = 0;  ///< Topics with a retained value.
  std::uint64_t waiting = 0;   ///< Subscribers still owed retained values, and links still owed filters.
  // Cost:
  std::uint64_t tried = 0;           ///< Retained values compared with a filter.
  std::uint64_t most_in_a_step = 0;  ///< The most units of sliced work in one step; see limits::kTopicWork.
};

struct PublishOptions {
  bool retain = false;  ///< Retain the value for later subscribers until another value or a clear replaces it.
  Urgency urgency = Urgency::normal;
  /// Not 0: this node numbers its publications of this topic and type, and keeps the last so many of them in memory, so
  /// that subscribers can notice and fetch what they missed. A topic beyond limits::kHistoryTopics is published without
  /// numbers; beyond limits::kHistoryBytes the oldest publications are forgotten first.
  std::uint32_t history = 0;
};

/// The number of a publication among those of one node, topic and type.
struct PublicationNumber {
  std::string node;          ///< The publisher's.
  std::uint64_t series = 0;  ///< Numbers start with 1 again in a new series, which each start of the node begins.
  std::uint64_t number = 0;  ///< 0: the publication is not numbered.
};

/// Publications that a subscriber missed.
struct PublicationGap {
  std::string topic;
  TypeId type{};
  std::string node;
  std::uint64_t series = 0;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};

/// One publication from a publisher's history.
struct MissedPublication {
  std::uint64_t number = 0;
  AnyTable message;
};

/// Notices gaps among the numbered publications that one subscriber handles. Remembers the last number for each
/// publisher, topic and type, of limits::kHistoryTopics at most; beyond that it starts anew. A value.
class GapDetector {
 public:
  /// Call with each publication: what is missing between the last one before and this one. None for the first of a
  /// series, since a subscription starts anywhere. Losses at the end show with the next publication.
  [[nodiscard]] std::optional<PublicationGap> take(std::string_view topic, TypeId type,
                                                   const PublicationNumber& publication);

 private:
  struct Last {
    std::uint64_t series = 0;
    std::uint64_t number = 0;
  };
  std::map<std::tuple<std::string, std::string, TypeId>, Last> last_;
};

}  // namespace pannier
