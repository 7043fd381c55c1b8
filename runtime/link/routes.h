#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <pannier/result.h>
#include "runtime/link/links.h"

namespace pannier {

/// What Routes tells the router.
class RouteEvents {
 public:
  virtual ~RouteEvents() = default;
  /// There is a way to `node`, or a different one. Messages on the old way may be lost.
  virtual void on_way(std::string_view node) = 0;
  virtual void on_no_way(std::string_view node) = 0;
};

/// The link that leads to each node of the tree, learnt from linked nodes (docs/protocol.md, Routes). A leaf, a node
/// with one link and no address of its own, learns nothing and sends everything over that link. Nodes more than
/// limits::kHops links away, or beyond the limits::kNodesPerLink of one link, are unreachable. Use on the router's
/// thread.
class Routes {
 public:
  /// All references must outlive this. `links` is null on a node without links.
  Routes(Links* links, RouteEvents& events, std::string own_name, bool leaf)
      : links_(links), events_(events), own_name_(std::move(own_name)), leaf_(leaf) {}
  void start(ServicePort& port) { port_ = &port; }

  void link_up(Link& link);
  void link_down(Link& link);
  Result<void> heard(Link& link, const wire::Record& reach);

  /// The link that leads to `node`, or null.
  [[nodiscard]] Link* way(std::string_view node) const noexcept;
  /// True if messages from `node` may arrive over `link`.
  [[nodiscard]] bool comes_by(const Link& link, std::string_view node) const noexcept;
  /// A message for `node` came over `link`. If the peer is a leaf, it is told from now on when `node` becomes reachable
  /// or unreachable.
  void used(const Link& link, std::string_view node);
  /// Makes sure that RouteEvents reports ways to `node`: a leaf asks its peer, other nodes learn all routes anyway.
  void want(std::string_view node);

  template <class Visit>
  void each_over(const Link& link, Visit&& visit) const {
    for (const auto& [node, best] : best_) {
      if (best.link == link.id) visit(node);
    }
  }
  /// The link of a leaf behind which all other nodes are: the one that it dials. Commands may be linked to it as well.
  [[nodiscard]] bool is_uplink(const Link& link) const noexcept { return leaf_ && link.dial != nullptr; }
  /// The routes, by name, at most limits::kRoutesListed; only the one to `node` unless that is empty.
  [[nodiscard]] std::vector<NodeRoute> list(std::string_view node) const;

 private:
  struct Neighbour {
    std::uint64_t link = 0;
    std::string node;
    bool leaf = false;
    std::map<std::string, std::string, std::less<>> reaches;  // by node, the nodes on the way there, separated by ' '
    std::set<std::string, std::less<>> told;                  // nodes announced to it as reachable through this node
    std::set<std::string, std::less<>> used;                  // leaf only: nodes it has sent to
  };
  struct Best {
    std::uint64_t link = 0;
    std::string path;  // empty: linked
    friend bool operator==(const Best&, const Best&) = default;
  };

  [[nodiscard]] Best choose(std::string_view node) const;
  void look_again(const std::string& node);
  void announce(Neighbour& neighbour, const std::string& node, const Best* best);
  void say(Neighbour& neighbour, std::string_view node, std::string_view path, bool reachable);
  /// Starts the timer that checks for rings, since a node is reached over two links.
  void watch_rings();
  void refuse_rings();

  Links* links_;
  RouteEvents& events_;
  const std::string own_name_;
  const bool leaf_;
  std::uint64_t uplink_ = 0;  // 0: down, or this is no leaf
  ServicePort* port_ = nullptr;
  std::map<std::uint64_t, Neighbour> neighbours_;                        // by link
  std::map<std::string, std::set<std::uint64_t>, std::less<>> through_;  // by node, the links that lead there
  std::map<std::string, Best, std::less<>> best_;
  bool watches_rings_ = false;
  std::set<std::string, std::less<>> wanted_;       // leaf only: nodes it has asked its peer for
  std::set<std::string, std::less<>> unreachable_;  // leaf only: nodes its peer reported as such
};

}  // namespace pannier
