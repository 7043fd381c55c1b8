#include "runtime/link/peers.h"

#include <algorithm>

#include <pannier/limits.h>

namespace pannier {

namespace {

bool fits(const PeerOptions& rule, std::string_view name) noexcept {
  return rule.prefix ? name.starts_with(rule.node) : name == rule.node;
}

/// Of two rules that fit a name, the more exact one has the higher rank.
std::size_t rank_of(const PeerOptions& rule) noexcept { return 2 * rule.node.size() + (rule.prefix ? 0 : 1); }

Account::Limits limits_of(const PeerLimits& limits) noexcept {
  Account::Limits all{};
  const auto set = [&](Resource resource, std::uint64_t limit) { all[static_cast<std::size_t>(resource)] = limit; };
  set(Resource::links, limits.links);
  set(Resource::row_bytes, limits.row_bytes);
  set(Resource::tell_bytes, limits.tell_bytes);
  set(Resource::relay_bytes, limits.relay_bytes);
  set(Resource::lanes, limits.lanes);
  set(Resource::streams, limits.streams);
  set(Resource::retained_values, limits.retained_values);
  set(Resource::retained_bytes, limits.retained_bytes);
  set(Resource::filters, limits.filters);
  set(Resource::asks, limits.asks);
  return all;
}

std::string_view text_of(const PublicKey& key) noexcept {
  return {reinterpret_cast<const char*>(key.data()), key.size()};
}

}  // namespace

bool Peers::may_bear(const PeerIdentity& peer, std::string_view name) const noexcept {
  if (!peer.key || rules_.empty()) return true;
  std::size_t best = 0;
  bool bears = false;
  for (const PeerOptions& rule : rules_) {
    if (!fits(rule, name) || rank_of(rule) < best) continue;
    if (rank_of(rule) > best) bears = false;
    best = rank_of(rule);
    bears = bears || rule.key == *peer.key;
  }
  return bears;
}

const PeerOptions* Peers::rule_of(const PublicKey& key) const noexcept {
  const auto found =
      std::find_if(rules_.begin(), rules_.end(), [&](const PeerOptions& rule) { return rule.key == key; });
  return found == rules_.end() ? nullptr : &*found;
}

AccountRef Peers::account(const PeerIdentity& peer, std::string_view name, bool dialled) {
  const std::string_view id = peer.key ? text_of(*peer.key) : name;
  if (const auto known = accounts_.find(id); known != accounts_.end()) return known->second;
  // Those that nothing is charged to any more go, so that names and keys that came once do not stay.
  if (accounts_.size() >= limits::kLinks) {
    std::erase_if(accounts_, [](const auto& each) { return each.second.use_count() == 1; });
  }
  const PeerOptions* const rule = peer.key ? rule_of(*peer.key) : nullptr;
  std::string title{name};
  if (rule != nullptr) {
    title = rule->node + (rule->prefix ? "*" : "");
  } else if (name.empty()) {
    title = "without a rule";
  }
  const PeerLimits limits = rule != nullptr ? rule->limits : dialled ? PeerLimits::whole_node() : PeerLimits{};
  return accounts_.emplace(id, std::make_shared<Account>(std::move(title), limits_of(limits), limits.rate))
      .first->second;
}

void Peers::set(std::vector<PeerOptions> rules) {
  rules_ = std::move(rules);
  for (const PeerOptions& rule : rules_) {
    const auto known = accounts_.find(text_of(rule.key));
    if (known != accounts_.end() && rule_of(rule.key) == &rule)
      known->second->set(limits_of(rule.limits), rule.limits.rate);
  }
}

void Peers::each(FunctionRef<void(const Account&)> visit) const {
  for (const auto& [id, account] : accounts_) {
    if (account.use_count() > 1) visit(*account);
  }
}

}  // namespace pannier
