#include "runtime/link/routes.h"

#include <algorithm>

#include <pannier/limits.h>
#include "platform/concat.h"
#include "runtime/message/names.h"

namespace pannier {

namespace {

std::size_t words_of(std::string_view path) noexcept {
  return path.empty() ? 0 : 1 + static_cast<std::size_t>(std::count(path.begin(), path.end(), ' '));
}

/// Calls `visit` with each name of a path until it returns false.
template <class Visit>
bool all_words(std::string_view path, Visit&& visit) {
  while (!path.empty()) {
    const auto end = path.find(' ');
    if (!visit(path.substr(0, end))) return false;
    path = end == std::string_view::npos ? std::string_view{} : path.substr(end + 1);
  }
  return true;
}

bool has_word(std::string_view path, std::string_view name) {
  return !all_words(path, [&](std::string_view each) { return each != name; });
}

}  // namespace

// --- Links ----------------------------------------------------------------------------------------------------------

void Routes::link_up(Link& link) {
  Neighbour& neighbour = neighbours_[link.id];
  neighbour.link = link.id;
  neighbour.node = link.node;
  neighbour.leaf = link.peer_is_leaf;
  through_[link.node].insert(link.id);
  if (through_[link.node].size() > 1) watch_rings();
  look_again(link.node);
  if (leaf_) {
    if (!is_uplink(link)) return;  // the command, at the socket of the tools
    uplink_ = link.id;
    unreachable_.clear();
    for (const std::string& node : wanted_) say(neighbour, node, "?", true);
    return;
  }
  if (neighbour.leaf) return;
  for (const auto& [node, best] : best_) announce(neighbour, node, &best);
}

void Routes::link_down(Link& link) {
  auto gone = neighbours_.extract(link.id);
  if (gone.empty()) return;
  std::vector<std::string> concerned{gone.mapped().node};
  for (const auto& [node, path] : gone.mapped().reaches) concerned.push_back(node);
  for (const std::string& node : concerned) {
    const auto through = through_.find(node);
    if (through == through_.end()) continue;
    through->second.erase(link.id);
    if (through->second.empty()) through_.erase(through);
    look_again(node);
  }
  if (link.id != uplink_) return;
  uplink_ = 0;
  for (const std::string& node : wanted_) events_.on_no_way(node);
}

// --- What neighbours say --------------------------------------------------------------------------------------------

Result<void> Routes::heard(Link& link, const wire::Record& reach) {
  const auto found = neighbours_.find(link.id);
  if (found == neighbours_.end()) return {};
  Neighbour& neighbour = found->second;
  const std::string node{reach.first};
  if (!valid_name(node, limits::kNodeNameBytes)) return Error{ErrorCode::malformed, "A route leads to no node."};
  if (reach.second == "?") {  // a leaf asks
    used(link, node);
    const Link* const onward = way(node);
    const bool reachable = onward != nullptr && onward->id != link.id;
    say(neighbour, node, own_name_, reachable || node == own_name_);
    return {};
  }
  if (leaf_ && link.id != uplink_) return {};
  if (leaf_) {  // an answer, or news of it
    if (reach.code == 0) {
      unreachable_.erase(node);
      events_.on_way(node);
    } else if (unreachable_.size() < limits::kNodesPerLink || unreachable_.contains(node)) {
      unreachable_.insert(node);
      events_.on_no_way(node);
    }
    return {};
  }
  const std::string path{reach.second};
  const bool sane = all_words(path, [](std::string_view each) { return valid_name(each, limits::kNodeNameBytes); });
  if (!sane || (reach.code == 0 && !(path == link.node || path.starts_with(link.node + " ")))) {
    return Error{ErrorCode::malformed, "A route does not begin at the node that tells of it."};
  }
  const bool comes_back = node == own_name_ || node == link.node || has_word(path, own_name_);
  if (reach.code == 0 && !comes_back && words_of(path) < limits::kHops) {
    if (!neighbour.reaches.contains(node) && neighbour.reaches.size() >= limits::kNodesPerLink) return {};
    neighbour.reaches[node] = path;
    through_[node].insert(link.id);
    if (through_[node].size() > 1) watch_rings();
  } else if (neighbour.reaches.erase(node) > 0) {
    through_[node].erase(link.id);
    if (through_[node].empty()) through_.erase(node);
  }
  look_again(node);
  return {};
}

/// Only a ring that lasts counts. A node that moved to another place forms one until its old link times out.
void Routes::watch_rings() {
  if (std::exchange(watches_rings_, true)) return;
  port_->after(limits::kRingGrace, [this] {
    watches_rings_ = false;
    refuse_rings();
  });
}

/// Only the node with the first name in a ring opens it, by closing the link to the one of its two neighbours with the
/// later name.
void Routes::refuse_rings() {
  for (const auto& [node, through] : through_) {
    if (through.size() < 2) continue;
    watch_rings();
    const Neighbour* sides[2] = {&neighbours_.at(*through.begin()), &neighbours_.at(*std::next(through.begin()))};
    std::string ways[2];  // up to the node
    for (int i = 0; i < 2; ++i) {
      const auto reaches = sides[i]->reaches.find(node);
      ways[i] = sides[i]->node == node ? node : concat({reaches->second, " ", node});
    }
    std::string ring = own_name_;  // to the first node on both ways, and back on the other one
    bool first = true;
    std::string meeting;
    all_words(ways[0], [&](std::string_view each) {
      first = first && own_name_ < each;
      ring += concat({" - ", each});
      meeting = each;
      return !has_word(ways[1], each);
    });
    std::string back;
    all_words(ways[1], [&](std::string_view each) {
      if (each == meeting) return false;
      first = first && own_name_ < each;
      back = concat({" - ", each, back});
      return true;
    });
    if (!first) continue;
    Link* link = links_->by_id((sides[0]->node < sides[1]->node ? sides[1] : sides[0])->link);
    if (link == nullptr) continue;
    const std::string why = concat({"the links ", ring, back, " - ", own_name_, " form a ring: remove one of them"});
    port_->log(LogLevel::warning, why);
    links_->cut(*link, Error{ErrorCode::rejected, why});
    return;
  }
}

// --- The choice -----------------------------------------------------------------------------------------------------

Routes::Best Routes::choose(std::string_view node) const {
  Best best;
  const auto through = through_.find(node);
  if (through == through_.end()) return best;
  for (const std::uint64_t id : through->second) {
    const Neighbour& neighbour = neighbours_.at(id);
    const auto reaches = neighbour.reaches.find(node);
    Best candidate{id, neighbour.node == node ? std::string{} : reaches->second};
    if (best.link == 0 || words_of(candidate.path) < words_of(best.path)) best = std::move(candidate);
  }
  return best;
}

void Routes::look_again(const std::string& node) {
  const Best best = choose(node);
  const auto known = best_.find(node);
  const bool had = known != best_.end();
  if (had ? known->second == best : best.link == 0) return;
  const bool moved = !had || known->second.link != best.link;
  if (best.link == 0) {
    best_.erase(known);
    events_.on_no_way(node);
  } else {
    best_[node] = best;
    if (moved && had) events_.on_no_way(node);
    if (moved) events_.on_way(node);
  }
  for (auto& [id, neighbour] : neighbours_) announce(neighbour, node, best.link == 0 ? nullptr : &best);
}

void Routes::announce(Neighbour& neighbour, const std::string& node, const Best* best) {
  if (leaf_ || neighbour.node == node) return;  // not about the neighbour itself
  if (neighbour.leaf) {
    if (neighbour.used.contains(node)) say(neighbour, node, own_name_, best != nullptr && best->link != neighbour.link);
    return;
  }
  const bool theirs = best == nullptr || best->link == neighbour.link || has_word(best->path, neighbour.node);
  if (!theirs) {
    neighbour.told.insert(node);
    say(neighbour, node, best->path.empty() ? own_name_ : concat({own_name_, " ", best->path}), true);
  } else if (const auto told = neighbour.told.find(node); told != neighbour.told.end()) {
    neighbour.told.erase(told);
    say(neighbour, node, own_name_, false);
  }
}

void Routes::say(Neighbour& neighbour, std::string_view node, std::string_view path, bool reachable) {
  Link* link = links_->by_id(neighbour.link);
  if (link == nullptr) return;
  wire::Record reach{.kind = wire::Kind::reach, .first = node, .second = path};
  if (!reachable) reach.code = wire::code_of(ErrorCode::unreachable);
  if (!links_->send(*link, reach)) links_->cut(*link);
}

// --- Asking ---------------------------------------------------------------------------------------------------------

Link* Routes::way(std::string_view node) const noexcept {
  if (links_ == nullptr) return nullptr;
  if (const auto best = best_.find(node); best != best_.end()) return links_->by_id(best->second.link);
  return uplink_ == 0 || node == own_name_ ? nullptr : links_->by_id(uplink_);
}

bool Routes::comes_by(const Link& link, std::string_view node) const noexcept {
  if (node == own_name_) return false;
  if (link.id == uplink_ || node == link.node) return true;
  const auto neighbour = neighbours_.find(link.id);
  return neighbour != neighbours_.end() && neighbour->second.reaches.find(node) != neighbour->second.reaches.end();
}

void Routes::used(const Link& link, std::string_view node) {
  const auto found = neighbours_.find(link.id);
  if (found == neighbours_.end() || !found->second.leaf || found->second.used.contains(node)) return;
  auto& used = found->second.used;
  if (used.size() >= limits::kNodesPerLink) used.clear();  // recorded again with its next message
  used.emplace(node);
}

void Routes::want(std::string_view node) {
  if (!leaf_ || best_.contains(node) || wanted_.contains(node)) return;
  if (wanted_.size() >= limits::kNodesPerLink) wanted_.clear();
  wanted_.emplace(node);
  if (uplink_ != 0) say(neighbours_.at(uplink_), node, "?", true);
}

std::vector<NodeRoute> Routes::list(std::string_view node) const {
  const auto route = [this](const std::string& to, const Best& best) {
    return NodeRoute{to, neighbours_.at(best.link).node, 1 + words_of(best.path)};
  };
  std::vector<NodeRoute> all;
  if (node.empty()) {
    for (const auto& [to, best] : best_) {
      if (all.size() == limits::kRoutesListed) break;
      all.push_back(route(to, best));
    }
  } else if (const auto best = best_.find(node); best != best_.end()) {
    all.push_back(route(best->first, best->second));
  } else if (const Link* link = unreachable_.contains(node) ? nullptr : way(node); link != nullptr) {
    all.push_back({std::string{node}, link->node, 0});
  }
  return all;
}

}  // namespace pannier
