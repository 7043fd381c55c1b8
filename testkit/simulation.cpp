#include <pannier/simulation.h>

#include <cstdio>

namespace pannier::testkit {

/// While it lives, each step of a worker handles one message and reports it to `see`.
class Simulation::OneByOne {
 public:
  using See = std::function<void(SimNode&, const Handled&)>;
  OneByOne(Simulation& simulation, const See& see) : simulation_(simulation) {
    for (const auto& node : simulation_.nodes_) {
      node->one_by_one(true);
      node->on_handled([each = node.get(), &see](const Handled& handled) { see(*each, handled); });
    }
  }
  ~OneByOne() {
    for (const auto& node : simulation_.nodes_) {
      node->one_by_one(false);
      node->on_handled({});
    }
  }
  OneByOne(const OneByOne&) = delete;
  OneByOne& operator=(const OneByOne&) = delete;

 private:
  Simulation& simulation_;
};

Simulation::~Simulation() = default;

SimNode& Simulation::add(NodeOptions options, Machine machine) {
  nodes_.push_back(std::make_unique<SimNode>(simulator_, &network_, std::move(options), std::move(machine)));
  return *nodes_.back();
}

SimNode& Simulation::node() { return nodes_.empty() ? add({.name = "here"}) : *nodes_.front(); }

std::optional<Step> Simulation::step() {
  std::optional<Step> found;
  const OneByOne::See see = [&](SimNode& node, const Handled& handled) { found = node.step_of(handled); };
  const OneByOne mode{*this, see};
  while (!found && simulator_.step()) {
  }
  return found;
}

Result<void> Simulation::run_until_handled(SimNode& at, LocalRef actor, std::string_view type, Duration within) {
  bool handled_it = false;
  const OneByOne::See see = [&](SimNode& node, const Handled& handled) {
    if (&node == &at && handled.receiver == actor.id() && handled.type == type) handled_it = true;
  };
  const OneByOne mode{*this, see};
  if (simulator_.run_until([&] { return handled_it; }, within)) return {};
  return Error{ErrorCode::timeout, at.name() + ": " + (at.up() ? at->describe(actor) : "the actor") +
                                       " has handled no " + short_name(type) + " (seed " + std::to_string(seed()) +
                                       ")."};
}

}  // namespace pannier::testkit
