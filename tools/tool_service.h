#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <pannier/actor.h>
#include <pannier/lane.h>
#include "tools/lane_desk.h"
#include "tools/schema/inspect.fbs.h"

namespace pannier::tools {

/// The name under which every `pannier node` answers the command.
inline constexpr std::string_view kServiceName = "tools";

/// The largest payload that fits into an answer of the tools, with what stands around it.
inline constexpr std::size_t kLargestCarried = limits::kPayloadBytes - 1024;

/// Who may use a node's tools, and what it has to know of the node's lanes. A value.
struct ServiceOptions {
  /// Linked nodes that may do more than Ping: exact names, or beginnings where `prefix` is set.
  struct Caller {
    std::string name;
    bool prefix = false;
  };
  std::vector<Caller> callers;
  /// Lanes that lead on to another node: lane, node. Their rows are consumed there.
  std::map<std::string, std::string> forwarded;
};

/// Answers the pannier command on a running node, in tables of tools/schema/inspect.fbs: looks into the queue, enqueues
/// and publishes in the node's name, passes questions on, and hands the rows of lanes out. It does so for nodes that
/// the configuration names as callers only, since every linked node can ask it; the link layer has proven their names.
class ToolService : public Actor<ToolService, Ping, Inspect, Enqueue, Decide, Publish, Ask, Fetch, Settle> {
 public:
  explicit ToolService(ServiceOptions options) : options_(std::move(options)) {}

  void on(const Ping& ping, Responder responder);
  void on(const Inspect& question, Responder responder);
  void on(const Enqueue& request, Responder responder);
  void on(const Decide& request, Responder responder);
  void on(const Publish& request, Responder responder);
  void on(const Ask& request, Responder responder);
  void on(const Fetch& request, Responder responder);
  void on(const Settle& request, Responder responder);

 private:
  /// Whether the node that asks may; answers it where it may not.
  [[nodiscard]] bool may(const Responder& responder) const;
  [[nodiscard]] Result<LocalRef> desk_of(const std::string& lane);

  ServiceOptions options_;
  std::map<std::string, LocalRef> desks_;
};

/// Answers `text` in place of what was asked for.
void refuse(const Responder& responder, std::string_view text);

}  // namespace pannier::tools
