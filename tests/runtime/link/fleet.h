#pragma once

#include <memory>
#include <string>
#include <utility>

#include <pannier/sim.h>
#include "runtime/actor/system.h"
#include "tests/runtime/script.h"

namespace pannier::testing {

using namespace std::chrono_literals;

/// Answers a number with the next one, keeps a note's sender, and writes both down.
struct Echo : Actor<Echo, Number, Note> {
  explicit Echo(Script* script) : script_(script) {}
  Table<Number> on(const Number& number) { return make<Number>(number.value() + 1); }
  void on(const Note& note) {
    script_->note(note.text()->str() + " from " + system().describe(sender().id()));
    if (note.text()->str() == "call me") CHECK(tell(sender(), make<Number>(7)));
  }

 private:
  Script* script_;
};

/// Never answers of its own accord: the test holds the questions.
struct Sphinx : Actor<Sphinx, Number> {
  explicit Sphinx(std::vector<Responder>* questions) : questions_(questions) {}
  void on(const Number&, const Responder& responder) { questions_->push_back(responder); }

 private:
  std::vector<Responder>* questions_;
};

/// Writes down every publication and every number that it is sent.
struct Listener : Actor<Listener, AnyTable> {
  Listener(Script* script, std::string filter) : script_(script), filter_(std::move(filter)) {}
  void on_start() {
    if (!filter_.empty()) CHECK(subscribe_any(filter_));
  }
  void on(const AnyTable& table) {
    const auto number = table.as<Number>();
    script_->note(system().directory.own_node() + " hears " + std::string{label()} + "=" +
                  (number ? std::to_string((*number)->value()) : "?"));
  }

 private:
  Script* script_;
  std::string filter_;
};

/// A node without a store, and an actor that the test moves.
struct Device {
  Device(sim::Simulator& sim, sim::Network& net, Script& notes, NodeOptions options)
      : simulator(sim), script(notes), node(sim, &net, std::move(options), {.disk = false}) {
    hand = *node->spawn<Hand>();
    CHECK(node->spawn<Echo>(SpawnOptions{.name = "echo"}, &notes));
  }
  void ask(const std::string& whom, std::int64_t value, Duration timeout = 1s) {
    let(simulator, *node, hand, [=, this](Hand& actor) {
      actor.ask<Number>(actor.ref(whom), make<Number>(value), timeout).then([=, this](Result<Table<Number>> answer) {
        script.note(answer ? std::to_string((*answer)->value()) : outcome(answer.error()));
      });
    });
  }
  void publish(const std::string& topic, std::int64_t value, PublishOptions options = {}) {
    let(simulator, *node, hand, [=](Hand& actor) { CHECK(actor.publish(topic, make<Number>(value), options)); });
  }
  ActorRef<Listener> listen(const std::string& filter) {
    return *node->spawn<Listener>(SpawnOptions{}, &script, filter);
  }

  sim::Simulator& simulator;
  Script& script;
  SimNode node;
  ActorRef<Hand> hand;
};

struct Fleet {
  explicit Fleet(std::uint64_t seed = 3) : simulator(seed) {}
  std::unique_ptr<Device> hub(std::string name = "hub") {
    const std::string address = "sim://" + name;
    return std::make_unique<Device>(simulator, network, script,
                                    NodeOptions{.name = std::move(name), .listen = {address}});
  }
  std::unique_ptr<Device> device(std::string name, std::string dials = "hub", std::string address = "sim://hub") {
    return std::make_unique<Device>(
        simulator, network, script,
        NodeOptions{.name = std::move(name), .links = {{std::move(dials), std::move(address)}}});
  }
  void run(Duration span) { simulator.run_for(span); }

  sim::Simulator simulator;
  sim::Network network{simulator};
  Script script;
};

}  // namespace pannier::testing
