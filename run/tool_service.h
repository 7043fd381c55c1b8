#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pannier/actor.h>
#include <pannier/lane.h>
#include <pannier/limits.h>

#include "run/lane_desk.h"
#include "run/schema/inspect.fbs.h"

namespace pannier::tools {

/// The name under which every program with pannier::run answers the command.
inline constexpr std::string_view kServiceName = "tools";

/// The largest payload that fits into an answer of the tools, with what stands around it.
inline constexpr std::size_t kLargestCarried = limits::kPayloadBytes - 1024;

/// Who may use a node's tools, and what it has to know of the node's lanes. A value.
struct ServiceOptions {
  std::string node;  ///< Its own name.
  /// Linked nodes that may do more than Ping: exact names, or beginnings where `prefix` is set.
  struct Caller {
    std::string name;
    bool prefix = false;
  };
  std::vector<Caller> callers;
  /// Lanes that lead on to another node: lane, node. Their rows are consumed there.
  std::map<std::string, std::string> forwarded;
  /// Whether a link leads, or may come, from a node of that name; null: anybody may come in.
  std::function<bool(std::string_view node)> leads_to = {};
};

/// To the service: a configuration that was read again, and the lanes that differ from before. Native.
struct NewSettings {
  ServiceOptions options;
  std::vector<LaneOptions> lanes;
};

/// Answers the pannier command on a running node, in tables of run/schema/inspect.fbs: looks into the queue, enqueues
/// and publishes in the node's name, passes questions on, and hands the rows of lanes out. It does so for nodes that
/// the configuration names as callers only, since every linked node can ask it; the link layer has proven their names.
class ToolService : public Actor<ToolService, NewSettings, Ping, Inspect, Enqueue, EnqueueMany, Decide, Publish, Ask,
                                 AskRoutes, AskPeers, Fetch, Settle, ForgetReader, Down> {
 public:
  explicit ToolService(ServiceOptions options) : options_(std::move(options)) {}

  void on(const NewSettings& settings);
  void on(const Ping& ping, Responder responder);
  void on(const Inspect& question, Responder responder);
  void on(const Enqueue& request, Responder responder);
  void on(const EnqueueMany& request, Responder responder);
  void on(const Decide& request, Responder responder);
  void on(const Publish& request, Responder responder);
  void on(const Ask& request, Responder responder);
  void on(const AskRoutes& question, Responder responder);
  void on(const AskPeers& question, Responder responder);
  void on(const Fetch& request, Responder responder);
  void on(const Settle& request, Responder responder);
  void on(const ForgetReader& request, Responder responder);
  /// A desk has ended: its reader was forgotten, or it failed.
  void on(const Down& down);

 private:
  /// Whether the node that asks may; answers it where it may not.
  [[nodiscard]] bool may(const Responder& responder) const;
  /// The node of an address, where the configuration names neither a link nor a peer of that name.
  [[nodiscard]] std::string node_without_link(const std::string& address) const;
  [[nodiscard]] std::string why_no_answer(const std::string& address, const Error& error) const;
  void fetch(const std::string& lane, const ReplayOptions& replay, WantsMessage wants);
  /// The desk of a lane, or of a reader of what the lane retains; made where there is none.
  [[nodiscard]] Result<LocalRef> desk_of(const std::string& lane, const ReplayOptions& replay);

  ServiceOptions options_;
  std::map<std::pair<std::string, std::string>, LocalRef> desks_;  // by lane and reader
};

/// Answers `text` in place of what was asked for.
void refuse(const Responder& responder, std::string_view text);

}  // namespace pannier::tools
