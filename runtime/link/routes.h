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
  /// Messages for `node` have a way now, or another one: what was on the old one may be lost.
  virtual void on_way(std::string_view node) = 0;
  virtual void on_no_way(std::string_view node) = 0;
};

/// Over which link each node of the tree is reached: learnt from what linked nodes say (docs/protocol.md, Routes). A
/// node with one link and no address of its own, a leaf, learns nothing: all it does not know lies behind that link.
/// Nodes that lie further away than limits::kHops links, or beyond limits::kNodesPerLink of one link, are not reached.
/// One thread, the router's.
class Routes {
 public:
  /// Everything given outlives the routes. `links` may be null: a node on its own.
  Routes(Links* links, RouteEvents& events, std::string own_name, bool leaf)
      : links_(links), events_(events), own_name_(std::move(own_name)), leaf_(leaf) {}
  void start(ServicePort& port) { port_ = &port; }

  void link_up(Link& link);
  void link_down(Link& link);
  Result<void> heard(Link& link, const wire::Record& reach);

  /// The link on the way to `node`; null: there is none.
  [[nodiscard]] Link* way(std::string_view node) const noexcept;
  /// True where messages of `node` may come over `link`.
  [[nodiscard]] bool comes_by(const Link& link, std::string_view node) const noexcept;
  /// Somebody behind `link` sends to `node`: a leaf there hears when that comes and goes.
  void used(const Link& link, std::string_view node);
  /// This node wants to send to `node`, which it may know nothing of: it will hear of ways.
  void want(std::string_view node);

  template <class Visit>
  void each_over(const Link& link, Visit&& visit) const {
    for (const auto& [node, best] : best_) {
      if (best.link == link.id) visit(node);
    }
  }
  [[nodiscard]] bool is_leaf() const noexcept { return leaf_; }
  /// At most limits::kRoutesListed, by name; of `node` only, where that is not empty.
  [[nodiscard]] std::vector<NodeRoute> list(std::string_view node) const;

 private:
  struct Neighbour {
    std::uint64_t link = 0;
    std::string node;
    bool leaf = false;
    std::map<std::string, std::string, std::less<>> reaches;  // by node, the nodes on the way there, ' ' between
    std::set<std::string, std::less<>> told;                  // what it was told that it can reach through this node
    std::set<std::string, std::less<>> used;                  // a leaf: what it has sent to
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
  /// A node is reached over two links: that is no tree.
  void watch_rings();
  void refuse_rings();

  Links* links_;
  RouteEvents& events_;
  const std::string own_name_;
  const bool leaf_;
  ServicePort* port_ = nullptr;
  std::map<std::uint64_t, Neighbour> neighbours_;                        // by link
  std::map<std::string, std::set<std::uint64_t>, std::less<>> through_;  // by node, the links that lead there
  std::map<std::string, Best, std::less<>> best_;
  bool watches_rings_ = false;
  std::set<std::string, std::less<>> wanted_;       // a leaf: nodes that it asks for
  std::set<std::string, std::less<>> unreachable_;  // a leaf: nodes of which it was told so
};

}  // namespace pannier
