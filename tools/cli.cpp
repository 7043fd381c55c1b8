#include "tools/cli.h"

#include <span>
#include <string>
#include <string_view>

#include <pannier/run.h>

#include "tools/arguments.h"
#include "tools/commands.h"
#include "tools/output.h"

namespace pannier::tools {
namespace {

constexpr const char* kAbout =
    "Runs a Pannier node without any code of its own, and talks to a running one, or to a program of your own\n"
    "that is started by pannier::run, from scripts.\n"
    "Exit status: 0 done, 1 not reachable, refused or timed out, 2 wrong input, 70 the node's supervisor gave up.";

constexpr double kShortest = 0.001;  // Seconds, as all below.
constexpr double kHour = 3600;
constexpr double kDay = 24 * kHour;
constexpr double kYear = 365 * kDay;

void add_json(Arguments& arguments, bool& json) {
  arguments.add({"--json", &json, "Print JSON, one object a line, for programs"});
}

void add_timeout(Arguments& arguments, std::chrono::milliseconds& timeout, const char* about) {
  arguments.add({.name = "--timeout", .place = &timeout, .about = about, .least = kShortest, .most = kHour});
}

void add_target(Arguments& arguments, ClientOptions& options) {
  Target& target = options.target;
  add_json(arguments, options.json);
  arguments.add({"--config", &target.config, "The node's own configuration file, where it runs on this machine"});
  arguments.add(
      {"--connect", &target.connect, "A node's own socket, NAME.tools beside its store; or its tcp://HOST:PORT"});
  arguments.add({"--node", &target.node, "Name of the node at --connect"});
  arguments.add({"--server-key", &target.server_key, "Public key of the node at --connect"});
  arguments.add({"--key-file", &target.key, "Key file to connect with"});
  arguments.add({"--as", &target.as, "Node name to connect as, where the node knows the key under that name"});
  arguments.add({"--plaintext", &target.plaintext, "The node at --connect runs with insecure_plaintext: no keys"});
  add_timeout(arguments, target.timeout, "To wait for the link and for each answer; 5 when not given");
}

void add_seen_payload(Arguments& arguments, ClientOptions& options) {
  arguments.add({"--schema", &options.payload.schema, "FlatBuffers schema (.fbs) to show payloads with"});
}

void add_sent_payload(Arguments& arguments, ClientOptions& options) {
  PayloadOptions& payload = options.payload;
  arguments.add({"--schema", &payload.schema, "FlatBuffers schema (.fbs) that has the type"});
  arguments.add({"--type", &payload.type, "Full name of a table in the schema"});
  arguments.add({"json", &payload.json, "The payload as JSON of that type; - reads it from stdin"});
  arguments.add({"--raw", &payload.raw, "The payload as bytes without a schema; - reads them from stdin"});
}

void add_wait(Arguments& arguments, std::uint64_t& count, std::chrono::milliseconds& wait) {
  arguments.add({"--count", &count, "End after so many; 0: go on until interrupted"});
  arguments.add({.name = "--wait",
                 .place = &wait,
                 .about = "End when nothing came for so long: status 0, or 1 where --count is not reached",
                 .least = kShortest,
                 .most = kDay});
}

void add_id(Arguments& arguments, std::uint64_t& id) {
  arguments.add(
      {.name = "--id", .place = &id, .about = "Only the message that a receipt gave this number", .least = 1});
}

int publish(Arguments& arguments) {
  PublishCommand command;
  arguments.add({"topic", &command.topic, "As order/7/status", true});
  add_sent_payload(arguments, command);
  arguments.add({"--retain", &command.retain, "Nodes keep the value for later subscribers"});
  arguments.add({"--urgent", &command.urgent, "Goes before what is not urgent"});
  arguments.add({"--clear", &command.clear, "Publish nothing: the topic keeps no last value any more"});
  add_target(arguments, command);
  return arguments.read() ? run_publish(command) : arguments.status();
}

int ask(Arguments& arguments) {
  AskCommand command;
  arguments.add({"actor", &command.actor, "ACTOR of the node, or NODE/ACTOR of one that it has a link to", true});
  add_sent_payload(arguments, command);
  add_target(arguments, command);
  return arguments.read() ? run_ask(command) : arguments.status();
}

int call(Arguments& arguments) {
  CallCommand command;
  arguments.add({"actor", &command.actor, "ACTOR of the node that serves it, or NODE/ACTOR", true});
  arguments.add({"method", &command.method, "SERVICE.METHOD", true});
  arguments.add({"json", &command.request, "The request as JSON; - reads it from stdin; {} when not given"});
  arguments.add({"--reflection", &command.reflection,
                 "Actor that knows the service's schema; `reflection` of the same node when not given"});
  add_target(arguments, command);
  return arguments.read() ? run_call(command) : arguments.status();
}

int schema(Arguments& arguments) {
  SchemaCommand command;
  arguments.add({.name = "what", .place = &command.what, .about = "What to do", .required = true, .choices = "check"});
  arguments.add({"old", &command.before, "Schema (.fbs) of what is in use", true});
  arguments.add({"new", &command.after, "Schema that is to take its place", true});
  add_json(arguments, command.json);
  return arguments.read() ? run_schema(command) : arguments.status();
}

int enqueue(Arguments& arguments) {
  EnqueueCommand command;
  arguments.add({"lane", &command.lane, "LANE of the node, or NODE/LANE", true});
  arguments.add({"key", &command.key, "Messages of one key keep their order"});
  arguments.add({"--lines", &command.lines, "Many messages from stdin, each line KEY<tab>PAYLOAD"});
  arguments.add({.name = "--delay",
                 .place = &command.delay,
                 .about = "Before which it is neither handed out nor sent on",
                 .least = kShortest,
                 .most = kYear});
  arguments.add({.name = "--expires",
                 .place = &command.expires_in,
                 .about = "After which it is not delivered any more",
                 .least = kShortest,
                 .most = kYear});
  arguments.add({"--token", &command.token,
                 "A second enqueue with it, within 24 hours, stores nothing and answers as the first did; with\n"
                 "                    --lines each line adds its number"});
  arguments.add({.name = "--durability",
                 .place = &command.durability,
                 .about = "When the receipt is given; else as the lane says",
                 .choices = "memory|committed|fsynced"});
  add_sent_payload(arguments, command);
  add_target(arguments, command);
  return arguments.read() ? run_enqueue(command) : arguments.status();
}

int subscribe(Arguments& arguments) {
  SubscribeCommand command;
  arguments.add({"filter", &command.filter, "A topic; + stands for one level, # for all the rest", true});
  add_seen_payload(arguments, command);
  add_wait(arguments, command.count, command.wait);
  add_target(arguments, command);
  return arguments.read() ? run_subscribe(command) : arguments.status();
}

int consume(Arguments& arguments) {
  ConsumeCommand command;
  arguments.add({"lane", &command.lane, "A lane of the node that ends there", true});
  arguments.add({"--exec", &command.exec,
                 "Run by sh for each message: payload on stdin, PANNIER_KEY, PANNIER_LANE, PANNIER_TYPE set"});
  arguments.add({.name = "--lease",
                 .place = &command.lease,
                 .about = "That --exec may take for one message; 30 when not given",
                 .least = 0.1,
                 .most = 3500});
  add_seen_payload(arguments, command);
  add_wait(arguments, command.count, command.wait);
  add_target(arguments, command);
  return arguments.read() ? run_consume(command) : arguments.status();
}

int replay(Arguments& arguments) {
  ReplayCommand command;
  command.wait = std::chrono::seconds{1};
  arguments.add({"lane", &command.lane, "A lane of the node that retains what was handled", true});
  arguments.add({"--from", &command.from, "Start at this number; else with the oldest"});
  arguments.add({"--reader", &command.reader, "Go on where this reader has come to, and remember how far it came"});
  arguments.add({"--exec", &command.exec,
                 "Run by sh for each message: payload on stdin, PANNIER_KEY, PANNIER_LANE, PANNIER_TYPE set"});
  add_seen_payload(arguments, command);
  add_wait(arguments, command.count, command.wait);
  add_target(arguments, command);
  return arguments.read() ? run_replay(command) : arguments.status();
}

int compact(Arguments& arguments) {
  CompactOptions options;
  arguments.add({"--config", &options.config, "Configuration of the node, which must not run"});
  arguments.add({"--store", &options.store, "Only its database file"});
  add_json(arguments, options.json);
  return arguments.read() ? run_compact(options) : arguments.status();
}

int queue(Arguments& arguments) {
  QueueCommand command;
  arguments.add({"--key", &command.key, "Only messages with this key: where each is, and why it waits"});
  add_id(arguments, command.id);
  arguments.add(
      {.name = "--rows", .place = &command.rows, .about = "List so many messages as well", .least = 1, .most = 400});
  arguments.add({"--counters", &command.counters, "What has happened in each lane since the node started"});
  arguments.add({"--peers", &command.peers, "What each linked peer uses of the node, and what it was refused"});
  add_target(arguments, command);
  return arguments.read() ? run_queue(command) : arguments.status();
}

int route(Arguments& arguments) {
  RouteCommand command;
  arguments.add({"node", &command.node, "Only the way to this node"});
  add_target(arguments, command);
  return arguments.read() ? run_route(command) : arguments.status();
}

int decide(Arguments& arguments, int (*run)(const DecideCommand&)) {
  DecideCommand command;
  arguments.add({"lane", &command.lane, "LANE of the node, or NODE/LANE for what could not be sent there", true});
  arguments.add({"--key", &command.key, "Only messages with this key"});
  add_id(arguments, command.id);
  add_target(arguments, command);
  return arguments.read() ? run(command) : arguments.status();
}
int redrive(Arguments& arguments) { return decide(arguments, &run_redrive); }
int purge(Arguments& arguments) { return decide(arguments, &run_purge); }

int cancel(Arguments& arguments) {
  DecideCommand command;
  arguments.add({.name = "id", .place = &command.id, .about = "As enqueue printed it", .required = true, .least = 1});
  add_target(arguments, command);
  return arguments.read() ? run_cancel(command) : arguments.status();
}

int keygen(Arguments& arguments) {
  KeygenOptions options;
  arguments.add({"file", &options.file, "The file to make", true});
  arguments.add({"--keep", &options.keep, "Keep a key file that is there already, and print its public half"});
  add_json(arguments, options.json);
  return arguments.read() ? run_keygen(options) : arguments.status();
}

int node(Arguments& arguments) {
  RunNodeOptions options;
  arguments.add({"--config", &options.config, "Configuration file (docs/cli.md)", true});
  add_json(arguments, options.json);
  return arguments.read() ? run_node(options) : arguments.status();
}

int selftest(Arguments& arguments) {
  SelftestOptions options;
  arguments.add({"--config", &options.config, "Configuration of the node that is to run here"});
  arguments.add({"--store", &options.store, "Only the device, with the folder where a store would be"});
  add_timeout(arguments, options.timeout, "To wait for each link; 5 when not given");
  add_json(arguments, options.json);
  return arguments.read() ? run_selftest(options) : arguments.status();
}

int services(Arguments& arguments) {
  ServicesCommand command;
  arguments.add({"actor", &command.actor, "The actor that is told (pannier::StatusDesk); 'services' when not given"});
  add_target(arguments, command);
  return arguments.read() ? run_services(command) : arguments.status();
}

int events(Arguments& arguments) {
  EventsCommand command;
  arguments.add({.name = "what",
                 .place = &command.what,
                 .about = "What to do",
                 .required = true,
                 .choices = "list|show|export|replay"});
  arguments.add({"stream", &command.name, "A stream, as order-17; of list, what names begin with"});
  arguments.add({"--prefix", &command.prefix, "All streams whose names begin so"});
  arguments.add({"--after", &command.after, "Only events behind this version; of several streams, this position"});
  arguments.add({"--as-of", &command.as_of, "Only what had happened by then: 12:31, or 2026-12-01T12:31:07, in UTC"});
  arguments.add({"--to", &command.to, "Of replay: the LANE, or NODE/LANE, that gets the events"});
  arguments.add({"--actor", &command.actor, "The program's pannier::EventReader; 'events' when not given"});
  add_seen_payload(arguments, command);
  add_target(arguments, command);
  return arguments.read() ? run_events(command) : arguments.status();
}

int saga(Arguments& arguments) {
  SagaCommand command;
  arguments.add({.name = "what",
                 .place = &command.what,
                 .about = "What to do",
                 .required = true,
                 .choices = "list|show|retry|skip|compensate|cancel|purge"});
  arguments.add({"id", &command.id, "The saga"});
  arguments.add({"--status", &command.status, "Of list and purge: only these, as dead-lettered"});
  arguments.add({.name = "--older-than",
                 .place = &command.older_than,
                 .about = "Of purge: unchanged for so long",
                 .least = kShortest,
                 .most = 10 * kYear});
  arguments.add({"--mermaid", &command.mermaid, "Of show: the steps as a chart"});
  arguments.add({"--actor", &command.actor, "The program's pannier::SagaHost; 'sagas' when not given"});
  add_target(arguments, command);
  return arguments.read() ? run_saga(command) : arguments.status();
}

int budget(Arguments& arguments) {
  BudgetCommand command;
  arguments.add({"file", &command.file, "The flow (docs/resilience.md)", true});
  add_json(arguments, command.json);
  return arguments.read() ? run_budget(command) : arguments.status();
}

constexpr Command kCommands[] = {
    {"keygen", "Make a key pair in a new file (mode 0600) and print its public half", "pannier keygen gateway.key",
     &keygen},
    {"node", "Run a node until SIGTERM or SIGINT: a hub, or a gateway that stores and forwards",
     "pannier node --config gateway.toml", &node},
    {"selftest", "Check whether this device is fit for a node: storage, clock, limits, link",
     "pannier selftest --config gateway.toml", &selftest},
    {"publish", "Publish a value to whoever subscribes now (at most once)",
     "pannier publish --config gateway.toml --raw 'on the way' fleet/7/status", &publish},
    {"ask", "Ask an actor and print its answer",
     "pannier ask --config gateway.toml --schema shop.fbs --type shop.StatusRequest hub/planner '{}'", &ask},
    {"call", "Call a method of a service and print its answer; a stream is printed line by line",
     "pannier call --config gateway.toml hub/orders OrderService.GetOrder '{\"order_id\":\"17\"}'", &call},
    {"schema", "Check whether a changed schema still reads and is read by what the old one wrote",
     "pannier schema check released/orders.fbs orders.fbs", &schema},
    {"enqueue", "Put a message into the node's queue; returns once it is stored there",
     "pannier enqueue --config gateway.toml --raw 'two pizzas' orders order-17", &enqueue},
    {"subscribe", "Print what is published, as TOPIC<tab>PAYLOAD",
     "pannier subscribe --config hub.toml 'fleet/+/status'", &subscribe},
    {"consume",
     "Take messages of a lane, one at a time, as KEY<tab>PAYLOAD or by a command; each is removed\n"
     "once it was printed, or the command ended with status 0",
     "pannier consume --config hub.toml --count 1 --exec './print-ticket' orders", &consume},
    {"replay", "Print again what a lane retains of the messages that were handled",
     "pannier replay --config hub.toml orders", &replay},
    {"queue", "List a node's lanes; say where a message is and why it waits",
     "pannier queue --config gateway.toml --key order-17", &queue},
    {"route", "Say which way messages for a node go, or all the ways that a node knows",
     "pannier route --config gateway.toml depot", &route},
    {"redrive", "Give dead letters another go, behind all others of their lane",
     "pannier redrive --config hub.toml --key order-17 orders", &redrive},
    {"purge", "Remove dead letters for good", "pannier purge --config hub.toml --id 4711 orders", &purge},
    {"cancel", "Remove a message that has not left, by the number of its receipt",
     "pannier cancel --config gateway.toml 4711", &cancel},
    {"compact", "Give the room that a drained flood has left in a store's file back to the disk",
     "pannier compact --config hub.toml", &compact},
    {"services", "List the services that a node's actors call under a policy, and how they stand",
     "pannier services --config gateway.toml", &services},
    {"events", "Show, export or replay the histories of a program's streams",
     "pannier events show order-17 --as-of 12:31 --config hub.toml", &events},
    {"saga", "List a program's sagas, say where one is, and order what becomes of it",
     "pannier saga list --status dead-lettered --config hub.toml", &saga},
    {"budget", "Say what availability and latency a described flow of calls can have", "pannier budget order.toml",
     &budget},
};

std::string help() {
  std::string text =
      format("%s\n\nUsage: pannier COMMAND [ARGUMENT...]; pannier COMMAND --help; pannier --version\n\n", kAbout);
  for (const Command& command : kCommands) text += format("  %-10s %s\n", command.name, command.about);
  return text + "\nExample:\n  pannier keygen gateway.key && pannier node --config gateway.toml";
}

}  // namespace

int run_cli(int argc, char** argv) {
  const std::span<char* const> words(argv, static_cast<std::size_t>(argc));
  const std::string_view name = words.size() < 2 ? "" : words[1];
  if (name == "--help" || name == "-h") return print(help()) ? 0 : kExitRefused;
  if (name == "--version") return print(format("pannier %s", version())) ? 0 : kExitRefused;
  for (const Command& command : kCommands) {
    if (name != command.name) continue;
    Arguments arguments{command, words.subspan(2)};
    return command.run(arguments);
  }
  return fail(kExitUsage, (name.empty() ? "which command?" : format("there is no command '%s'", words[1])) +
                              "; see `pannier --help`");
}

}  // namespace pannier::tools
