#include "tests/fuzz/targets.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <memory>
#include <string>

#include <pannier/run.h>
#include <pannier/simulation.h>
#include "runtime/link/send_queue.h"
#include "runtime/link/wire.h"
#include "runtime/store/sqlite/format.h"
#include "services/json/schema_file.h"
#include "tests/runtime/schema/messages.fbs.h"
#include "tests/support/temp_folder.h"

namespace pannier::fuzz {

namespace {

constexpr std::string_view kSchema = R"(namespace shop;
enum Size : byte { small, large }
struct Place { x:float; y:float; }
table Cake { name:string; size:Size; }
table Bread { grams:int; }
union Item { Cake, Bread }
table Order { id:string (required); total:double; at:Place; items:[Item]; notes:[string]; raw:[ubyte]; next:Order; }
root_type Order;
)";

using namespace std::chrono_literals;

/// In memory of exactly the size of the input, aligned as a received frame is.
std::unique_ptr<std::byte[]> exact(std::span<const std::byte> input) {
  auto memory = std::make_unique<std::byte[]>(std::max<std::size_t>(input.size(), 1));
  std::copy(input.begin(), input.end(), memory.get());
  return memory;
}

/// Reads each byte that a record claims.
void touch(const wire::Record& record) {
  volatile unsigned sum = 0;
  for (const std::string_view text : {record.node, record.origin, record.first, record.second}) {
    for (const char c : text) sum = sum + static_cast<unsigned char>(c);
  }
  for (const std::byte b : record.payload) sum = sum + std::to_integer<unsigned>(b);
}

void read_frame(std::span<const std::byte> input) {
  const auto memory = exact(input);
  auto reader = wire::FrameReader::open({memory.get(), input.size()});
  while (reader && !reader->at_end()) {
    const auto record = reader->next();
    if (!record) return;
    touch(*record);
  }
}

/// A record, and what comes of it when it is taken for a piece.
void read_record(std::span<const std::byte> input) {
  const auto memory = exact(input);
  const auto parsed = wire::parse({memory.get(), input.size()});
  if (!parsed) return;
  touch(parsed->record);
  Assembly assembly;
  const auto whole = assembly.add(parsed->record);
  if (whole && *whole && wire::parse(assembly.bytes())) touch(wire::parse(assembly.bytes())->record);
}

/// The first bytes of a row in the file of a store.
void read_row(std::span<const std::byte> input) {
  const auto memory = exact(input);
  Row row;
  static_cast<void>(decode_head({memory.get(), input.size()}, row));
}

/// A folder that goes with the process.
const testing::TempFolder& folder() {
  static const testing::TempFolder held;
  return held;
}

std::string write_file(const char* name, std::string_view text) {
  const std::string path = folder() / name;
  std::ofstream{path, std::ios::binary | std::ios::trunc} << text;
  return path;
}

std::string text_of(std::span<const std::byte> input) {
  return {reinterpret_cast<const char*>(input.data()), input.size()};
}

/// A configuration.
void read_toml(std::span<const std::byte> input) { load_options(write_file("node.toml", text_of(input))).ignore(); }

/// JSON for a table, as the command takes it; what is accepted reads back.
void read_json(std::span<const std::byte> input) {
  static const auto schema = json::SchemaFile::load(write_file("shop.fbs", kSchema));
  const auto table = schema->from_json("shop.Order", text_of(input));
  if (table && !schema->to_json(*table)) std::abort();
}

struct Peer final : TransportEvents {
  void on_open(ChannelId, const PeerIdentity&) override {}
  void on_accept(ChannelId, const PeerIdentity&) override {}
  void on_frame(ChannelId, std::span<const std::byte>) override {}
  void on_closed(ChannelId, const Error&) override {}
};

struct Answerer : Actor<Answerer, testing::Number> {
  Table<testing::Number> on(const testing::Number& number) { return make<testing::Number>(number.value()); }
};

struct Listener : Actor<Listener, AnyTable> {
  void on_start() { require(subscribe_any("#")); }
  void on(const AnyTable&) {}
};

wire::Record hello(std::string_view name) {
  return {.kind = wire::Kind::hello, .id = 7, .number = 2000, .first = name};
}

/// A whole node with a store, and a peer that says hello and then the input: as one frame, with the length that fits.
/// The node goes on afterwards.
void speak_to_node(std::span<const std::byte> input) {
  testkit::Simulation sim{1};
  auto& hub = sim.add({.name = "hub", .listen = {"sim://hub"}});
  hub.spawn<Answerer>(SpawnOptions{.name = "echo"});
  hub.spawn<Listener>(SpawnOptions{.name = "listener"});
  Peer events;
  const auto transport = sim.network().make_transport("van");
  const ChannelId channel = *transport->connect("sim://hub", {});
  wire::FrameWriter greeting;
  greeting.add(hello("van")).ignore();
  transport->send(channel, greeting.frame()).ignore();
  sim.advance(100ms);
  wire::FrameWriter frame;
  const auto head = frame.frame();
  Bytes bytes{head.begin(), head.end()};
  bytes.insert(bytes.end(), input.begin(), input.end());
  bytes.resize(std::min(bytes.size() / 16 * 16, limits::kFrameBytes));
  for (std::size_t i = 0; i < 4; ++i) bytes[4 + i] = static_cast<std::byte>(bytes.size() >> (8 * i));
  transport->send(channel, bytes).ignore();
  sim.advance(100ms);
  while (transport->poll(events)) {
  }
  sim.advance(20s);
  testkit::Probe probe = hub.probe();
  const auto answer = probe.ask<testing::Number>(hub->ref("echo"), make<testing::Number>(std::int64_t{3}), 1s);
  if (answer) return;
  std::fprintf(stderr, "somebody's bytes have stopped the node: %s\n", answer.error().text().c_str());
  std::abort();
}

std::vector<Bytes> records() {
  static const Table<testing::Number> number = make<testing::Number>(std::int64_t{5});
  const auto payload = number.block().bytes();
  const TypeId type = type_info<testing::Number>().id;
  using wire::Kind;
  static const std::string rings(16, 'x');
  static const std::array<std::byte, 24> lives{};
  static const std::string long_key(256, 'k');
  static const std::string circle = std::string("\7\0", 2) + "van,hub";
  static const std::string controls = "k\n\x1b[2J\t";
  const wire::Record all[] = {
      hello("van"),
      {.kind = Kind::heartbeat, .number = 5000},
      {.kind = Kind::tell, .type = type, .first = "echo", .second = "driver", .payload = payload},
      {.kind = Kind::tell, .type = type, .node = "depot", .origin = "car", .first = "echo", .payload = payload},
      {.kind = Kind::ask,
       .type = type,
       .id = 9,
       .number = 500,
       .first = "echo",
       .second = "van/a car/#0.1.1",
       .payload = payload},
      {.kind = Kind::ask, .type = type, .id = 10, .number = 500, .node = "depot", .first = "echo", .payload = payload},
      {.kind = Kind::reply, .type = type, .id = 1, .payload = payload},
      {.kind = Kind::publish, .flags = wire::kRetain, .type = type, .first = "a/b", .payload = payload},
      {.kind = Kind::subscribe, .first = "a/+/#"},
      {.kind = Kind::unsubscribe, .first = "a/+/#"},
      {.kind = Kind::row, .type = type, .id = 1, .first = "jobs", .second = "key", .payload = payload},
      {.kind = Kind::row,
       .flags = wire::kIncarnation | wire::kExpires,
       .type = type,
       .id = 1,
       .first = "jobs",
       .second = rings,
       .payload = payload},
      {.kind = Kind::ack, .id = 4, .number = 7, .first = "jobs"},
      {.kind = Kind::goodbye, .code = 3, .number = 100, .first = "why"},
      {.kind = Kind::piece, .number = 128, .payload = lives},
      {.kind = Kind::mark, .id = 100, .number = 1},
      {.kind = Kind::echo, .id = 100, .number = 1},
      {.kind = Kind::lives, .payload = lives},
      {.kind = Kind::credit, .id = 10, .number = 100, .first = "echo"},
      {.kind = Kind::credit, .flags = wire::kProbe, .first = "echo"},
      {.kind = Kind::cancel, .id = 9},
      {.kind = Kind::reach, .first = "depot", .second = "van car"},
      {.kind = Kind::reach, .code = 3, .first = "depot", .second = "?"},
      // What a peer that means harm has sent (docs/security.md).
      {.kind = Kind::row, .type = type, .id = 5, .number = 4, .first = "ever-new", .payload = payload},
      {.kind = Kind::row, .type = type, .id = ~std::uint64_t{0}, .first = "jobs", .payload = payload},
      {.kind = Kind::row, .type = type, .id = 1, .first = "jobs", .second = long_key, .payload = payload},
      {.kind = Kind::row, .flags = wire::kPath, .type = type, .id = 1, .first = "jobs", .second = circle},
      {.kind = Kind::row, .flags = 0xff, .type = type, .id = 1, .first = "jobs", .second = circle},
      {.kind = Kind::row, .type = type, .id = 1, .first = "jobs", .second = controls, .payload = payload},
      {.kind = Kind::publish, .flags = wire::kRetain, .type = type, .first = "a/b"},
      {.kind = Kind::publish, .type = type, .first = "#", .payload = payload},
      {.kind = Kind::subscribe, .first = "a/#/+b"},
      {.kind = Kind::tell, .type = type, .hops = 255, .node = "van", .origin = "hub", .first = "echo"},
      {.kind = Kind::ask, .type = type, .id = 9, .number = ~std::uint64_t{0}, .first = "tools", .payload = payload},
      {.kind = Kind::ack, .id = ~std::uint64_t{0}, .number = ~std::uint64_t{0}, .first = "jobs"},
      {.kind = Kind::credit, .id = ~std::uint64_t{0}, .number = ~std::uint64_t{0}, .first = "echo"},
      {.kind = Kind::reach, .first = "depot", .second = "van hub van"},
      hello("hub"),
  };
  std::vector<Bytes> seeds;
  for (const wire::Record& record : all) wire::append(seeds.emplace_back(), record).ignore();
  return seeds;
}

std::vector<Bytes> frames() {
  std::vector<Bytes> seeds;
  for (const Bytes& record : records()) {
    wire::FrameWriter writer;
    writer.add_written(record).ignore();
    writer.add_written(record).ignore();
    const auto frame = writer.frame();
    seeds.emplace_back(frame.begin(), frame.end());
  }
  return seeds;
}

std::vector<Bytes> rows() {
  Row row;
  row.type = type_info<testing::Number>().id;
  row.key = "order-17";
  std::string plain;
  encode_head(row, plain);
  row.origin = 7;
  row.attempts = 3;
  row.producer = "van";
  row.cause = "rejected";
  std::string full;
  encode_head(row, full);
  std::vector<Bytes> seeds;
  for (const std::string& head : {plain, full}) {
    const auto bytes = std::as_bytes(std::span{head});
    seeds.emplace_back(bytes.begin(), bytes.end());
  }
  return seeds;
}

std::vector<Bytes> texts(std::initializer_list<std::string_view> all) {
  std::vector<Bytes> seeds;
  for (const std::string_view text : all) {
    const auto bytes = std::as_bytes(std::span{text});
    seeds.emplace_back(bytes.begin(), bytes.end());
  }
  return seeds;
}

std::vector<Bytes> configurations() {
  return texts({R"([node]
name = "hub"
store = "hub.db"
key_file = "hub.key"
listen = ["tcp://127.0.0.1:7400"]
[[link]]
node = "country"
address = "tcp://country.example:7400"
[[peer]]
node = "van"
key = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
[[lane]]
name = "orders"
priority = 2
max_messages = 1000
backoff_ms = [100, 2000]
retain_messages = 10
eviction = "latest_per_key"
[app]
price.limit = 3
)",
                "[node]\nname = \"a\"\ninsecure_plaintext = true\n",
                "[app]\nx = [[[[[[[[{a = {b = {c = []}}}]]]]]]]]\n"});
}

std::vector<Bytes> documents() {
  std::string deep = "{}";
  for (int i = 0; i < 17; ++i) deep = "{next:" + deep + "}";
  return texts({deep, "{total:nan}",
                R"({"id":"17","total":4.5e1,"at":{"x":1,"y":-2},"notes":["a","\u00e9"],"raw":[1,2]})",
                R"({id:"1", items_type:["Cake","Bread"], items:[{name:"c",size:"large"},{grams:3}], next:{id:"2"}})"});
}

constexpr std::array<Target, 6> kTargets{{
    {"frame", read_frame, frames},
    {"record", read_record, records},
    {"session", speak_to_node, records},
    {"row", read_row, rows},
    {"toml", read_toml, configurations},
    {"json", read_json, documents},
}};

}  // namespace

std::span<const Target> targets() { return kTargets; }

const Target* find(std::string_view name) {
  const auto found =
      std::find_if(kTargets.begin(), kTargets.end(), [&](const Target& each) { return each.name == name; });
  return found == kTargets.end() ? nullptr : &*found;
}

}  // namespace pannier::fuzz
