#include <fstream>
#include <iterator>

#include <pannier/projection.h>
#include <pannier/subject_keys.h>

#include "platform/posix/system_entropy.h"
#include "tests/services/events/bank_bench.h"

namespace pannier::testing::bank {
namespace {

std::string_view customer_of(const Moved& event) { return text_of(event.customer()); }

EventTypes customer_events() {
  EventTypes types;
  types.add<Moved>().concerns<Moved>(&customer_of);
  return types;
}

/// Where a customer lives, as far as that is known.
struct Customer : EventSourced<Customer, Moved> {
  static EventTypes event_types() { return customer_events(); }
  template <class Command>
  static std::string_view entity_of(const Command& command) {
    return text_of(command.customer());
  }
  void apply(const Moved& event) {
    street = text_of(event.street());
    ++moves;
  }
  Decision on(const Move& command) { return accept(make<Moved>(id(), text_of(command.street()))); }
  Decision on(const StreetQuestion&) { return accept().reply(make<Street>(street, moves)); }
  [[nodiscard]] Table<CustomerSnapshot> snapshot() const { return make<CustomerSnapshot>(street, moves); }
  void restore(const CustomerSnapshot& snapshot) {
    street = text_of(snapshot.street());
    moves = snapshot.moves();
  }
  std::string street;
  std::uint32_t moves = 0;
};

/// Who lives where.
template <std::uint32_t version>
struct Streets : Projection<Streets<version>, Moved> {
  static EventTypes event_types() { return customer_events(); }
  static constexpr std::string_view kName = "streets";
  static constexpr std::uint32_t kVersion = version;
  static void create(ReadModel& model) { model.table("street", "customer TEXT PRIMARY KEY, name TEXT"); }
  static void apply(const Moved& e, const RecordedEvent&, ReadModel& model) {
    model.execute("INSERT OR REPLACE INTO {street} VALUES (?1, ?2)", text_of(e.customer()), text_of(e.street()));
  }
  static void apply(const events::SubjectForgotten& e, const RecordedEvent&, ReadModel& model) {
    model.execute("DELETE FROM {street} WHERE customer=?1", text_of(e.subject()));
  }
  static ReadQuery on(const StreetQuestion& q) {
    return {"SELECT coalesce((SELECT name FROM {street} WHERE customer=?1), 'nowhere')",
            [](const std::vector<SqlRow>& rows) -> AnyTable {
              return make<Street>(std::get<std::string>(rows.at(0)[0]), 0U);
            },
            text_of(q.customer())};
  }
};

/// One that would keep what it read for ever.
struct Hoarder : Projection<Hoarder, Moved> {
  static EventTypes event_types() { return customer_events(); }
  static constexpr std::string_view kName = "hoarder";
  static constexpr std::uint32_t kVersion = 1;
  static void create(ReadModel& model) { model.table("hoard", "name TEXT"); }
  static void apply(const Moved&, const RecordedEvent&, ReadModel&) {}
};

std::string content_of(const std::filesystem::path& path) {
  std::ifstream file{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{file}, {}};
}

struct Registry : BankBench {
  explicit Registry(std::uint32_t snapshot_every = 2) : snapshot_every_(snapshot_every) { start(); }

  void start() {
    REQUIRE(node->spawn<EntityHost>(
        SpawnOptions{.name = "customers"}, entity_kind<Customer, Move, StreetQuestion>(),
        EntityOptions{.stream_prefix = "customer-", .snapshot_every = snapshot_every_, .keys = keys.get()}));
    read_model<1>();
    sim.advance(1s);
  }
  template <std::uint32_t version>
  void read_model() {
    REQUIRE(node->spawn<ProjectionHost>(SpawnOptions{.name = "streets-" + std::to_string(version)},
                                        projection_kind<Streets<version>, StreetQuestion>(),
                                        ProjectionOptions{.keys = keys.get()}));
  }
  std::string move(std::string_view customer, std::string_view street) {
    const auto answer = node.probe().ask<AnyTable>(node->ref("customers"), make<Move>(customer, street), 10s);
    sim.advance(1s);
    return answer ? "moved" : answer.error().text();
  }
  std::string street(std::string_view customer, std::string_view whom = "customers") {
    const auto answer = node.probe().ask<Street>(node->ref(whom), make<StreetQuestion>(customer), 10s);
    return answer ? std::string{text_of((*answer)->name())} : answer.error().text();
  }
  std::string forget(const std::string& subject) {
    std::string said = "nothing";
    REQUIRE(node.probe().let([&](testkit::ProbeActor& self) {
      forget_subject(ActorHandle{self}, *keys, subject,
                     [&](const Result<void>& done) { said = done ? "forgotten" : done.error().text(); });
    }));
    sim.advance(2s);
    return said;
  }
  /// How often `bytes` stand in the node's files.
  std::size_t in_files(const std::string& bytes) {
    std::size_t found = 0;
    for (const auto& each : std::filesystem::recursive_directory_iterator{folder.path()}) {
      if (!each.is_regular_file()) continue;
      const std::string content = content_of(each.path());
      for (auto at = content.find(bytes); at != std::string::npos; at = content.find(bytes, at + 1)) ++found;
    }
    return found;
  }
  std::string only_key() {
    for (const auto& each : std::filesystem::directory_iterator{folder / "keys"})
      return content_of(each.path()).substr(8);
    return {};
  }

  posix::SystemEntropy entropy;
  std::unique_ptr<SubjectKeys> keys = std::move(*open_subject_keys(folder / "keys", entropy));

 private:
  std::uint32_t snapshot_every_;
};

TEST_CASE("events that concern a subject are on disk sealed only, snapshots too, and read as they were") {
  Registry registry;
  REQUIRE(registry.move("7", "Elm Street") == "moved");
  REQUIRE(registry.move("7", "Oak Lane") == "moved");
  REQUIRE(registry.number("SELECT count(*) FROM es_snapshots") == 1);
  const auto plain = [&](const std::string& table) {
    return registry.number("SELECT count(*) FROM " + table + " WHERE instr(data, CAST('Oak Lane' AS BLOB))");
  };
  CHECK(plain("es_events") == 0);
  CHECK(plain("es_snapshots") == 0);
  CHECK(registry.number("SELECT count(*) FROM es_events WHERE subject='7'") == 2);
  registry.sim.advance(2min);  // out of memory
  CHECK(registry.street("7") == "Oak Lane");
  CHECK(registry.street("7", "streets-1") == "Oak Lane");
}

TEST_CASE("a forgotten subject is gone from entities, read models and what is rebuilt; its key from all files") {
  Registry registry;
  REQUIRE(registry.move("7", "Elm Street") == "moved");
  const std::string key = registry.only_key();
  REQUIRE(key.size() == 32);
  REQUIRE(registry.in_files(key) == 1);
  REQUIRE(registry.move("7", "Oak Lane") == "moved");
  REQUIRE(registry.move("8", "Ash Road") == "moved");
  REQUIRE(registry.street("7") == "Oak Lane");

  REQUIRE(registry.forget("7") == "forgotten");
  CHECK(registry.in_files(key) == 0);
  CHECK(registry.street("7").empty());  // though it was in memory, and had a snapshot
  CHECK(registry.street("7", "streets-1") == "nowhere");
  CHECK(registry.street("8") == "Ash Road");
  CHECK(registry.street("8", "streets-1") == "Ash Road");
  registry.read_model<2>();  // built from the first event on
  registry.sim.advance(2s);
  CHECK(registry.street("7", "streets-2") == "nowhere");
  CHECK(registry.street("8", "streets-2") == "Ash Road");

  // The same customer comes back: what was before stays forgotten.
  REQUIRE(registry.move("7", "Fir Hill") == "moved");
  CHECK(registry.street("7") == "Fir Hill");
  CHECK(registry.street("7", "streets-2") == "Fir Hill");
  registry.sim.advance(2min);
  CHECK(registry.street("7") == "Fir Hill");
}

TEST_CASE("forgetting twice is forgetting once, and one who has no events can be forgotten") {
  Registry registry;
  REQUIRE(registry.move("7", "Elm Street") == "moved");
  CHECK(registry.forget("7") == "forgotten");
  CHECK(registry.forget("7") == "forgotten");
  CHECK(registry.forget("9") == "forgotten");
  CHECK(registry.number("SELECT count(*) FROM es_events") == 2);
  CHECK(registry.number("SELECT version FROM es_streams WHERE name='customer-7'") == 2);
}

TEST_CASE("who died between the event and the end of the key forgets again, and no copy of the key is left") {
  Registry registry;
  REQUIRE(registry.move("7", "Elm Street") == "moved");
  const std::string key = registry.only_key();
  bool asked = false;
  REQUIRE(registry.node.probe().let([&](testkit::ProbeActor& self) {
    forget_subject(ActorHandle{self}, *registry.keys, "7", [&](const Result<void>&) { asked = true; });
  }));
  registry.node.crash();
  REQUIRE_FALSE(asked);
  REQUIRE(registry.node.restart());
  registry.start();
  REQUIRE(registry.forget("7") == "forgotten");
  CHECK(registry.in_files(key) == 0);
  CHECK(registry.street("7").empty());
  CHECK(registry.street("7", "streets-1") == "nowhere");
  CHECK(registry.number("SELECT count(*) FROM es_events") == 2);
}

TEST_CASE("a host without keys says so of the event that it cannot seal or open, and loses nothing") {
  Registry registry;
  REQUIRE(registry.move("7", "Elm Street") == "moved");
  REQUIRE(registry.node->spawn<EntityHost>(SpawnOptions{.name = "keyless"},
                                           entity_kind<Customer, Move, StreetQuestion>(),
                                           EntityOptions{.stream_prefix = "customer-"}));
  CHECK(registry.street("7", "keyless").find("sealed for 7: give its host the keys of subjects") != std::string::npos);
  const auto refused =
      registry.node.probe().ask<AnyTable>(registry.node->ref("keyless"), make<Move>("9", "Ash Road"), 10s);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().text().find("concerns 9: give its host the keys") != std::string::npos);
  CHECK(registry.number("SELECT count(*) FROM es_events") == 1);
}

TEST_CASE("a projection that could not forget does not start") {
  Registry registry;
  const auto hoarder = registry.node->spawn<ProjectionHost>(
      SpawnOptions{.name = "hoarder", .restart = Restart::temporary}, projection_kind<Hoarder>(), ProjectionOptions{});
  REQUIRE(hoarder);
  registry.sim.advance(1s);
  CHECK(registry.node.log().has("give it an apply for events::SubjectForgotten"));
}

}  // namespace
}  // namespace pannier::testing::bank
