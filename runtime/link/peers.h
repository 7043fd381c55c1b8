#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <pannier/link.h>
#include <pannier/transport.h>
#include "platform/function_ref.h"
#include "runtime/message/account.h"

namespace pannier {

/// Who may link under which name, and what each peer uses of this node. On the router's thread.
class Peers {
 public:
  explicit Peers(std::vector<PeerOptions> rules) : rules_(std::move(rules)) {}

  /// Replaces the rules, and the limits of peers that are linked.
  void set(std::vector<PeerOptions> rules);
  /// True if a peer with this key may use `name`. Without rules, or without a key, anybody may.
  [[nodiscard]] bool may_bear(const PeerIdentity& peer, std::string_view name) const noexcept;
  /// The account of the peer. `dialled`: this node chose it by address, so only a rule limits it.
  [[nodiscard]] AccountRef account(const PeerIdentity& peer, std::string_view name, bool dialled);
  /// Visits the account of each peer that uses anything.
  void each(FunctionRef<void(const Account&)> visit) const;

 private:
  [[nodiscard]] const PeerOptions* rule_of(const PublicKey& key) const noexcept;

  std::vector<PeerOptions> rules_;
  std::map<std::string, AccountRef, std::less<>> accounts_;  // by key, or by name
};

}  // namespace pannier
