// Our side of the rows about actors: `ours ROW VARIANT SCALE` prints one figure. All bounds, generations and
// supervision are those of any program; nothing is switched off.

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>

#include <pannier/pannier.h>
#include <pannier/process.h>
#include <pannier/sqlite_store.h>
#include <pannier/zmq.h>
#include "bench/allocations.h"
#include "bench/measure.h"
#include "bench/schema/sample.fbs.h"

namespace pannier::bench {
namespace {

double figure = 0;
Stopwatch watch;

template <class T>
T must(Result<T> result) {
  if (!result) give_up(result.error().text());
  return std::move(*result);
}
void must(const Result<void>& result) {
  if (!result) give_up(result.error().text());
}

/// Runs a node of `workers` threads until an actor stops it.
template <class Prepare>
double run(std::uint32_t workers, Prepare&& prepare) {
  posix::Process process{LogLevel::error, workers};
  const auto node = must(Node::create({.name = "bench"}, {process.platform(), process.wakeups()}));
  prepare(*node);
  if (process.run(*node) != 0) give_up("the node failed");
  return figure;
}

/// Where the warm-up ends and what is measured begins.
struct Plan {
  std::uint64_t warm_up;
  std::uint64_t count;
  bool count_allocations = false;

  void begin() const {
    watch.start();
    allocations = 0;
  }
  void end() const {
    const auto sum = static_cast<double>(count);
    figure = count_allocations ? static_cast<double>(allocations.load()) / sum : sum / watch.seconds();
  }
};

// --- Ping-pong -------------------------------------------------------------------------------------------------------

struct Ball {
  std::uint64_t turn;
};

Table<Sample> sample(std::uint64_t turn) { return make<Sample>(turn, turn + 1, 48.137, 11.575, 7.5F, 90.0F); }

struct Player : Actor<Player, Ball, Sample> {
  /// `other`: whom to serve the first ball; nobody for the one who waits for it.
  Player(Plan plan, LocalRef other, bool table) : plan_(plan), other_(other), table_(table) {}

  void on_start() {
    if (!other_) return;
    must(table_ ? tell(other_, sample(1)) : tell(other_, Ball{1}));
  }
  void on(const Ball& ball) {
    if (goes_on(ball.turn)) must(tell(LocalRef{sender().id()}, Ball{ball.turn + 1}));
  }
  void on(const Sample& ball) {
    if (goes_on(ball.turn())) must(tell(sender(), sample(ball.turn() + 1)));
  }

 private:
  bool goes_on(std::uint64_t turn) {
    if (turn == plan_.warm_up) plan_.begin();
    if (turn != plan_.warm_up + plan_.count) return true;
    plan_.end();
    stop_node();
    return false;
  }

  Plan plan_;
  LocalRef other_;
  bool table_;
};

double ping_pong(const Plan& plan, std::uint32_t workers, bool table) {
  return run(workers, [&](Node& node) {
    const auto waits = must(node.spawn<Player>({.worker = 0}, plan, LocalRef{}, table));
    must(node.spawn<Player>({.worker = workers - 1}, plan, LocalRef{waits}, table));
  });
}

// --- Fan-in ----------------------------------------------------------------------------------------------------------

constexpr std::uint64_t kSenders = 8;
/// A sender has at most two of these on the way, so that eight of them fit the receiver's mailbox of 1,024.
constexpr std::uint64_t kCredit = 64;

struct Item {
  std::uint64_t number;
};
struct Credit {};

struct Receiver : Actor<Receiver, Item> {
  explicit Receiver(Plan plan) : plan_(plan) {}
  void on(const Item& item) {
    if (received_ == plan_.warm_up + plan_.count) return;  // the node is stopping
    if (item.number % kCredit == 0) must(tell(LocalRef{sender().id()}, Credit{}));
    if (++received_ == plan_.warm_up) plan_.begin();
    if (received_ != plan_.warm_up + plan_.count) return;
    plan_.end();
    stop_node();
  }
  Plan plan_;
  std::uint64_t received_ = 0;
};

struct Sender : Actor<Sender, Credit> {
  explicit Sender(ActorRef<Receiver> receiver) : receiver_(receiver) {}
  void on_start() {
    on(Credit{});
    on(Credit{});
  }
  void on(const Credit&) {
    for (std::uint64_t i = 0; i < kCredit; ++i) {
      // Refused only once the receiver has what it waits for and stops; what is missing before would leave it waiting.
      if (!tell(receiver_, Item{++sent_})) return;
    }
  }
  ActorRef<Receiver> receiver_;
  std::uint64_t sent_ = 0;
};

double fan_in(const Plan& plan) {
  return run(1, [&](Node& node) {
    const auto receiver = must(node.spawn<Receiver>({}, plan));
    for (std::uint64_t i = 0; i < kSenders; ++i) must(node.spawn<Sender>({}, receiver));
  });
}

// --- Spawn and stop --------------------------------------------------------------------------------------------------

/// Stops as soon as it lives.
struct Mayfly : Actor<Mayfly> {
  void on_start() { stop(); }
};

/// Starts a generation of children, and the next one when its supervisor's duty told it that all of them have ended.
struct Breeder : Actor<Breeder, Down> {
  explicit Breeder(Plan plan) : plan_(plan) {}
  void on_start() { breed(); }
  void on(const Down&) {
    ++ended_;
    if (ended_ == plan_.warm_up) plan_.begin();
    if (ended_ == plan_.warm_up + plan_.count) {
      plan_.end();
      stop_node();
    } else if (--living_ == 0) {
      breed();
    }
  }

 private:
  static constexpr std::uint32_t kGeneration = 1000;
  void breed() {
    for (living_ = 0; living_ < kGeneration; ++living_) must(spawn<Mayfly>({}));
  }
  Plan plan_;
  std::uint64_t ended_ = 0;
  std::uint32_t living_ = 0;
};

double spawn_and_stop(const Plan& plan) {
  return run(1, [&](Node& node) { must(node.spawn<Breeder>({}, plan)); });
}

// --- Memory of idle actors -------------------------------------------------------------------------------------------

struct State {
  std::array<std::uint64_t, 4> values{};
};
struct Idler : Actor<Idler, Ball> {
  void on_start() { ++started; }
  void on(const Ball&) {}
  State state;
  static inline std::uint64_t started = 0;
};

/// Looks at the memory once all of its children have started.
struct Landlord : Actor<Landlord, Ball> {
  explicit Landlord(std::uint64_t actors) : actors_(actors) {}
  void on_start() { must(tell(LocalRef{self().id()}, Ball{0})); }
  void on(const Ball& ball) {
    if (ball.turn == 0) before_ = resident_bytes();
    if (ball.turn < actors_) {
      const std::uint64_t until = std::min(actors_, ball.turn + 1000);
      for (std::uint64_t i = ball.turn; i < until; ++i) must(spawn<Idler>({}));
      after(Duration::zero(), [this, until] { on(Ball{until}); });  // a timer: so that those have their turn first
      return;
    }
    if (Idler::started != actors_) {
      after(Duration::zero(), [this, ball] { on(ball); });
      return;
    }
    const double each = (resident_bytes() - before_) / static_cast<double>(actors_);
    figure = each - static_cast<double>(sizeof(State));
    stop_node();
  }
  std::uint64_t actors_;
  double before_ = 0;
};

double actor_memory(std::uint64_t actors) {
  return run(1, [&](Node& node) { must(node.spawn<Landlord>({}, actors)); });
}

// --- An idle node ----------------------------------------------------------------------------------------------------

/// Times that the threads of this process, but not the one that asks, were given a core after a wait.
std::uint64_t wake_ups() {
  std::uint64_t sum = 0;
  const auto self = std::filesystem::read_symlink("/proc/thread-self").filename();
  for (const auto& task : std::filesystem::directory_iterator{"/proc/self/task"}) {
    if (task.path().filename() == self) continue;
    std::ifstream status{task.path() / "status"};
    for (std::string word; status >> word;) {
      std::uint64_t count = 0;
      if (word == "voluntary_ctxt_switches:" && status >> count) sum += count;
    }
  }
  return sum;
}

struct Sleeper : Actor<Sleeper, Ball> {
  void on_start() {
    for (int i = 0; i < 1000; ++i) after(std::chrono::hours{1}, [] {});
  }
  void on(const Ball&) { stop_node(); }
};

/// A node with all that it can have: a store on disk, a socket that listens, an actor with a thousand armed timers.
double idle_wake_ups(double seconds) {
  const auto folder = std::filesystem::temp_directory_path() / "pannier-bench-XXXXXX";
  std::string path = folder.string();
  if (::mkdtemp(path.data()) == nullptr) give_up("no folder for a store");
  posix::Process process{LogLevel::error, 0};
  auto store = must(open_sqlite_store({.path = path + "/store.db", .entropy = process.platform().entropy}));
  double result = 0;
  {
    zmq::Context context;
    const auto transport = must(zmq::ZmqTransport::make(context, {.insecure_plaintext = true}));
    const auto node =
        must(Node::create({.name = "bench", .listen = {"tcp://127.0.0.1:*"}},
                          {process.platform(), process.wakeups(&transport->wakeup()), transport.get(), store.get()}));
    const auto sleeper = must(node->spawn<Sleeper>());
    std::thread observer{[&] {
      std::this_thread::sleep_for(std::chrono::milliseconds{500});  // until all that a start brings is done
      const std::uint64_t before = wake_ups();
      std::this_thread::sleep_for(std::chrono::duration<double>{seconds});
      result = static_cast<double>(wake_ups() - before) / seconds;
      must(node->tell(sleeper, Ball{0}));
    }};
    if (process.run(*node) != 0) give_up("the node failed");
    observer.join();
  }
  store.reset();
  std::filesystem::remove_all(path);
  return result;
}

double measure(const Call& call) {
  const auto plan = [&call](double count) { return Plan{call.times(count / 10), call.times(count)}; };
  if (call.row == "pingpong/same-worker") return ping_pong(plan(2e7), 1, false);
  if (call.row == "pingpong/cross-worker") return ping_pong(plan(2e6), 2, false);
  if (call.row == "pingpong/flatbuffers") return ping_pong(plan(5e6), 1, true);
  if (call.row == "fan-in/8") return fan_in(plan(2e7));
  if (call.row == "spawn") return spawn_and_stop(plan(1e6));
  if (call.row == "actor-memory") return actor_memory(call.times(1e6));
  if (call.row == "wakeups/idle") return idle_wake_ups(std::max(0.1, 3 * call.scale));
  if (call.row == "allocations/tell") {
    // The worst of the three ways of a message.
    Plan counted = plan(1e6);
    counted.count_allocations = true;
    return std::max({ping_pong(counted, 1, false), ping_pong(counted, 1, true), ping_pong(counted, 2, false)});
  }
  give_up("there is no row " + call.row);
}

}  // namespace
}  // namespace pannier::bench

int main(int argc, char** argv) {
  return pannier::bench::answer(pannier::bench::measure(pannier::bench::read_call(argc, argv)));
}
