#include "tools/cli.h"

#include <CLI/CLI.hpp>

#include <functional>
#include <string>

#include "tools/commands.h"
#include "tools/output.h"

namespace pannier::tools {

namespace {

constexpr const char* kAbout =
    "Runs a Pannier node without any code of its own, and talks to a running one from scripts.\n"
    "Exit status: 0 done, 1 not reachable, refused or timed out, 2 wrong input, 70 the node's supervisor gave up.";

void add_json(CLI::App* app, bool& json) {
  app->add_flag("--json", json, "Print JSON, one object a line, for programs");
}

void add_timeout(CLI::App* app, std::chrono::milliseconds& timeout, const char* about) {
  app->add_option_function<double>(
         "--timeout",
         [&timeout](double seconds) { timeout = std::chrono::milliseconds{static_cast<long>(seconds * 1000)}; }, about)
      ->check(CLI::Range(0.001, 3600.0));
}

void add_target(CLI::App* app, ClientOptions& options) {
  Target& target = options.target;
  add_json(app, options.json);
  app->add_option("--config", target.config, "The node's own configuration file: uses its key and its first address");
  app->add_option("--connect", target.connect, "Address of a node: tcp://HOST:PORT or ipc:///PATH");
  app->add_option("--node", target.node, "Name of the node at --connect");
  app->add_option("--server-key", target.server_key, "Public key of the node at --connect");
  app->add_option("--key-file", target.key, "Key file to connect with");
  app->add_option("--as", target.as, "Node name to connect as, where the node knows the key under that name");
  app->add_flag("--plaintext", target.plaintext, "The node at --connect runs with insecure_plaintext: no keys");
  add_timeout(app, target.timeout, "Seconds to wait for the link and for each answer; 5 when not given");
}

void add_seen_payload(CLI::App* app, ClientOptions& options) {
  app->add_option("--schema", options.payload.schema, "FlatBuffers schema (.fbs) to show payloads with");
}

void add_sent_payload(CLI::App* app, ClientOptions& options) {
  PayloadOptions& payload = options.payload;
  app->add_option("--schema", payload.schema, "FlatBuffers schema (.fbs) that has the type");
  app->add_option("--type", payload.type, "Full name of a table in the schema");
  app->add_option("json", payload.json, "The payload as JSON of that type; - reads it from stdin");
  app->add_option_function<std::string>(
      "--raw",
      [&payload](const std::string& bytes) {
        payload.raw = bytes;
        payload.has_raw = true;
      },
      "The payload as bytes without a schema; - reads them from stdin");
}

void add_wait(CLI::App* app, std::uint64_t& count, std::uint32_t& wait_ms) {
  app->add_option("--count", count, "End after so many; 0: go on until interrupted");
  app->add_option_function<double>(
         "--wait", [&wait_ms](double seconds) { wait_ms = std::max(1U, static_cast<std::uint32_t>(seconds * 1000)); },
         "End when nothing came for so many seconds: status 0, or 1 where --count is not reached")
      ->check(CLI::Range(0.001, 86400.0));
}

void add_seconds(CLI::App* app, const char* name, std::uint64_t& ms, const char* about) {
  app->add_option_function<double>(
         name, [&ms](double seconds) { ms = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(seconds * 1000)); },
         about)
      ->check(CLI::Range(0.001, 31'536'000.0));
}

struct Commands {
  KeygenOptions keygen;
  RunNodeOptions node;
  SelftestOptions selftest;
  PublishCommand publish;
  SubscribeCommand subscribe;
  AskCommand ask;
  EnqueueCommand enqueue;
  ConsumeCommand consume;
  QueueCommand queue;
  DecideCommand redrive;
  DecideCommand purge;
  DecideCommand cancel;
  std::function<int()> run;
};

CLI::App* add(CLI::App& app, const char* name, const char* about, const char* example) {
  CLI::App* command = app.add_subcommand(name, about);
  command->footer(std::string{"Example:\n  "} + example);
  return command;
}

void add_sending(CLI::App& app, Commands& all) {
  CLI::App* publish = add(app, "publish", "Publish a value to whoever subscribes now (at most once)",
                          "pannier publish --config gateway.toml --raw 'on the way' fleet/7/status");
  publish->add_option("topic", all.publish.topic, "As order/7/status")->required();
  add_sent_payload(publish, all.publish);
  publish->add_flag("--keep", all.publish.keep_last, "Nodes keep the value for later subscribers");
  publish->add_flag("--urgent", all.publish.urgent, "Goes before what is not urgent");
  add_target(publish, all.publish);
  publish->callback([&all] { all.run = [&all] { return run_publish(all.publish); }; });

  CLI::App* ask = add(app, "ask", "Ask an actor and print its answer",
                      "pannier ask --config gateway.toml --schema shop.fbs --type shop.StatusRequest hub/planner '{}'");
  ask->add_option("actor", all.ask.actor, "ACTOR of the node, or NODE/ACTOR of one that it has a link to")->required();
  add_sent_payload(ask, all.ask);
  add_target(ask, all.ask);
  ask->callback([&all] { all.run = [&all] { return run_ask(all.ask); }; });

  CLI::App* enqueue = add(app, "enqueue", "Put a message into the node's queue; returns once it is stored there",
                          "pannier enqueue --config gateway.toml --raw 'two pizzas' orders order-17");
  enqueue->add_option("lane", all.enqueue.lane, "LANE of the node, or NODE/LANE")->required();
  enqueue->add_option("key", all.enqueue.key, "Messages of one key keep their order")->required();
  add_seconds(enqueue, "--delay", all.enqueue.delay_ms, "Seconds before which it is neither handed out nor sent on");
  add_seconds(enqueue, "--expires", all.enqueue.expires_in_ms, "Seconds after which it is not delivered any more");
  enqueue->add_option("--token", all.enqueue.token,
                      "A second enqueue with it, within 24 hours, stores nothing and answers as the first did");
  enqueue->add_option("--durability", all.enqueue.durability, "When the receipt is given; else as the lane says")
      ->check(CLI::IsMember({"memory", "committed", "fsynced"}));
  add_sent_payload(enqueue, all.enqueue);
  add_target(enqueue, all.enqueue);
  enqueue->callback([&all] { all.run = [&all] { return run_enqueue(all.enqueue); }; });
}

void add_receiving(CLI::App& app, Commands& all) {
  CLI::App* subscribe = add(app, "subscribe", "Print what is published, as TOPIC<tab>PAYLOAD",
                            "pannier subscribe --config hub.toml 'fleet/+/status'");
  subscribe->add_option("filter", all.subscribe.filter, "A topic; + stands for one level, # for all the rest")
      ->required();
  add_seen_payload(subscribe, all.subscribe);
  add_wait(subscribe, all.subscribe.count, all.subscribe.wait_ms);
  add_target(subscribe, all.subscribe);
  subscribe->callback([&all] { all.run = [&all] { return run_subscribe(all.subscribe); }; });

  CLI::App* consume =
      add(app, "consume",
          "Take messages of a lane, one at a time, as KEY<tab>PAYLOAD or by a command; each is removed\n"
          "once it was printed, or the command ended with status 0",
          "pannier consume --config hub.toml --count 1 --exec './print-ticket' orders");
  consume->add_option("lane", all.consume.lane, "A lane of the node that ends there")->required();
  consume->add_option("--exec", all.consume.exec,
                      "Run by sh for each message: payload on stdin, PANNIER_KEY, PANNIER_LANE, PANNIER_TYPE set");
  consume
      ->add_option_function<double>(
          "--lease",
          [&all](double seconds) { all.consume.lease_ms = std::max(1U, static_cast<std::uint32_t>(seconds * 1000)); },
          "Seconds that --exec may take for one message; 30 when not given")
      ->check(CLI::Range(0.1, 3500.0));
  add_seen_payload(consume, all.consume);
  add_wait(consume, all.consume.count, all.consume.wait_ms);
  add_target(consume, all.consume);
  consume->callback([&all] { all.run = [&all] { return run_consume(all.consume); }; });

  CLI::App* queue = add(app, "queue", "List a node's lanes; say where a message is and why it waits",
                        "pannier queue --config gateway.toml --key order-17");
  queue->add_option("--key", all.queue.key, "Only messages with this key: where each is, and why it waits");
  queue->add_option("--id", all.queue.id, "Only the message that a receipt gave this number")
      ->check(CLI::PositiveNumber);
  queue->add_option("--rows", all.queue.rows, "List so many messages as well")->check(CLI::Range(1, 400));
  queue->add_flag("--counters", all.queue.counters, "What has happened in each lane since the node started");
  add_target(queue, all.queue);
  queue->callback([&all] { all.run = [&all] { return run_queue(all.queue); }; });
}

void add_deciding(CLI::App& app, Commands& all) {
  const auto parked = [&](const char* name, const char* about, const char* example, DecideCommand& command,
                          int (*run)(const DecideCommand&)) {
    CLI::App* sub = add(app, name, about, example);
    sub->add_option("lane", command.lane, "LANE of the node, or NODE/LANE for what could not be sent there")
        ->required();
    sub->add_option("--key", command.key, "Only messages with this key");
    sub->add_option("--id", command.id, "Only the message that a receipt gave this number")->check(CLI::PositiveNumber);
    add_target(sub, command);
    sub->callback([&all, &command, run] { all.run = [&command, run] { return run(command); }; });
  };
  parked("redrive", "Give parked messages another go, behind all others of their lane",
         "pannier redrive --config hub.toml --key order-17 orders", all.redrive, run_redrive);
  parked("purge", "Remove parked messages for good", "pannier purge --config hub.toml --id 4711 orders", all.purge,
         run_purge);

  CLI::App* cancel = add(app, "cancel", "Remove a message that has not left, by the number of its receipt",
                         "pannier cancel --config gateway.toml 4711");
  cancel->add_option("id", all.cancel.id, "As enqueue printed it")->required()->check(CLI::PositiveNumber);
  add_target(cancel, all.cancel);
  cancel->callback([&all] { all.run = [&all] { return run_cancel(all.cancel); }; });
}

void add_local(CLI::App& app, Commands& all) {
  CLI::App* keygen = add(app, "keygen", "Make a key pair in a new file (mode 0600) and print its public half",
                         "pannier keygen gateway.key");
  keygen->add_option("file", all.keygen.file, "The file to make")->required();
  keygen->add_flag("--keep", all.keygen.keep, "Keep a key file that is there already, and print its public half");
  add_json(keygen, all.keygen.json);
  keygen->callback([&all] { all.run = [&all] { return run_keygen(all.keygen); }; });

  CLI::App* node = add(app, "node", "Run a node until SIGTERM or SIGINT: a hub, or a gateway that stores and forwards",
                       "pannier node --config gateway.toml");
  node->add_option("--config", all.node.config, "Configuration file (docs/cli.md)")->required();
  add_json(node, all.node.json);
  node->callback([&all] { all.run = [&all] { return run_node(all.node); }; });

  CLI::App* selftest = add(app, "selftest", "Check whether this device is fit for a node: storage, clock, limits, link",
                           "pannier selftest --config gateway.toml");
  selftest->add_option("--config", all.selftest.config, "Configuration of the node that is to run here");
  selftest->add_option("--store", all.selftest.store, "Only the device, with the folder where a store would be");
  add_timeout(selftest, all.selftest.timeout, "Seconds to wait for each link; 5 when not given");
  add_json(selftest, all.selftest.json);
  selftest->callback([&all] { all.run = [&all] { return run_selftest(all.selftest); }; });
}

}  // namespace

int run_cli(int argc, char** argv) {
  Commands all;
  CLI::App app{kAbout, "pannier"};
  app.require_subcommand(1);
  app.footer("Example:\n  pannier keygen gateway.key && pannier node --config gateway.toml");
  add_local(app, all);
  add_sending(app, all);
  add_receiving(app, all);
  add_deciding(app, all);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    const auto chosen = app.get_subcommands();
    return fail(kExitUsage, std::string{error.what()} + "; see `pannier " +
                                (chosen.empty() ? "" : chosen.front()->get_name() + " ") + "--help`");
  }
  return all.run();
}

}  // namespace pannier::tools
