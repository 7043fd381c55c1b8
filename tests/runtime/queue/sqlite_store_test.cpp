#include "runtime/queue/sqlite_store.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "doctest/doctest.h"
#include "platform/sim/seeded_entropy.h"
#include "tests/contract/store_contract.h"
#include "tests/support/fixtures.h"

extern char** environ;

namespace {

using namespace pannier;
using namespace pannier::contract;
using pannier::testing::TempFolder;

std::unique_ptr<Store> open_or_fail(const SqliteOptions& options) {
  Result<std::unique_ptr<Store>> opened = open_sqlite_store(options);
  INFO((opened ? std::string() : opened.error().text()));
  REQUIRE(opened.ok());
  return std::move(*opened);
}

/// The error of an open that must fail; it must name the file.
Error refusal(const SqliteOptions& options) {
  Result<std::unique_ptr<Store>> opened = open_sqlite_store(options);
  REQUIRE_FALSE(opened.ok());
  CHECK(opened.error().detail.find(options.path) != std::string::npos);
  CHECK(opened.error().detail.find('\n') == std::string::npos);
  return opened.error();
}

std::string load(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void save(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

/// A child program with its output in a pipe. Its end is awaited; what still runs at the end of a test is killed.
class Child {
 public:
  explicit Child(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), PANNIER_STORE_WRITER);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    std::array<int, 2> out{};
    std::array<int, 2> in{};
    REQUIRE(pipe(out.data()) == 0);
    REQUIRE(pipe(in.data()) == 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    for (const int end : {in[0], in[1], out[0], out[1]}) posix_spawn_file_actions_addclose(&actions, end);
    REQUIRE(posix_spawn(&process_, argv[0], &actions, nullptr, argv.data(), environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    input_ = in[1];
    output_ = fdopen(out[0], "r");
    REQUIRE(output_ != nullptr);
  }
  ~Child() {
    if (process_ > 0) kill_and_wait();
    close(input_);
    fclose(output_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  /// The next line that is whole; false at the end of its output.
  bool line(std::string& out) {
    std::array<char, 512> buffer{};
    if (fgets(buffer.data(), buffer.size(), output_) == nullptr) return false;
    out = buffer.data();
    if (out.empty() || out.back() != '\n') return false;
    out.pop_back();
    return true;
  }

  void kill_and_wait() {
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
    process_ = 0;
  }

 private:
  pid_t process_ = 0;
  int input_ = -1;
  FILE* output_ = nullptr;
};

/// As in store_writer.cpp.
std::string written_payload(Sequence sequence) {
  std::string payload = std::to_string(sequence);
  payload.append(100 + sequence % 700, static_cast<char>('a' + sequence % 26));
  return payload;
}

}  // namespace

TEST_CASE("what was acknowledged is there after kill -9 in mid-work, and no number comes twice") {
  TempFolder folder;
  const std::string path = folder.file("node.db");
  sim::SeededEntropy random(2026);
  std::set<Sequence> acknowledged;  // Committed and not about to be erased.
  std::set<Sequence> ever;          // Every number that was acknowledged, over all runs.
  std::set<Sequence> erasing;       // Announced; may or may not be gone.
  std::uint64_t incarnation = 0;
  constexpr int kKills = 24;
  for (int run = 0; run < kKills; ++run) {
    const std::string pages = run % 3 == 0 ? "1" : (run % 3 == 1 ? "8" : "256");  // Kills within checkpoints, too.
    std::uint64_t lines_left = 1 + random.below(600);
    {
      Child child({"write", path, pages, std::to_string(run)});
      std::string line;
      bool running = true;
      while (child.line(line)) {
        INFO(line);
        REQUIRE(line.front() != '!');
        std::istringstream words(line);
        char sign = 0;
        Sequence sequence = 0;
        words >> sign >> sequence;
        if (sign == '+') {
          CHECK(ever.insert(sequence).second);
          acknowledged.insert(sequence);
        } else if (sign == '-') {
          acknowledged.erase(sequence);
          erasing.insert(sequence);
        }
        // What it printed before it died counts as well, so that reading goes on after the kill.
        if (running && --lines_left == 0) {
          child.kill_and_wait();
          running = false;
        }
      }
      CHECK_FALSE(running);
    }
    const std::unique_ptr<Store> store = open_or_fail({.path = path, .entropy = random});
    if (incarnation == 0) incarnation = store->incarnation();
    CHECK(store->incarnation() == incarnation);
    std::set<Sequence> found;
    const Result<StreamId> stream = store->stream(Box::outbox, "hub", "orders");
    if (!stream.ok()) {  // Killed before its first commit was acknowledged.
      CHECK(acknowledged.empty());
      continue;
    }
    REQUIRE(store->read(*stream, RowState::ready, 0, 10'000'000, [&](const Row& row) {
      CHECK(text_of(row.payload) == written_payload(row.sequence));
      found.insert(row.sequence);
      return true;
    }).ok());
    CHECK(store->counters().corrupt_rows == 0);
    CHECK(stream_of(*store, *stream).messages == found.size());
    for (const Sequence sequence : acknowledged) CHECK(found.contains(sequence));
    // What is there was acknowledged, or announced, or belongs to the one group whose answer the kill cut off.
    std::size_t unanswered = 0;
    for (const Sequence sequence : found) {
      if (!acknowledged.contains(sequence) && !erasing.contains(sequence)) ++unanswered;
    }
    CHECK(unanswered <= 20);
    if (!ever.empty()) CHECK(*store->next_sequence() > *ever.rbegin());
    for (const Sequence sequence : found) {
      acknowledged.insert(sequence);
      ever.insert(sequence);
    }
  }
  CHECK(ever.size() > 1000);
  MESSAGE(kKills << " kills, " << ever.size() << " rows acknowledged or found, " << acknowledged.size() << " alive");
}

TEST_CASE("a database that another process holds is in_use, and free once that is killed") {
  TempFolder folder;
  const std::string path = folder.file("node.db");
  sim::SeededEntropy random(1);
  Child child({"hold", path});
  std::string line;
  REQUIRE(child.line(line));
  REQUIRE(line == "ready");
  CHECK(refusal({.path = path, .entropy = random}).code == ErrorCode::in_use);
  child.kill_and_wait();
  CHECK(open_or_fail({.path = path, .entropy = random}) != nullptr);
}

TEST_CASE("a database that this process holds already is in_use, and its holder goes on") {
  TempFolder folder;
  sim::SeededEntropy random(1);
  const SqliteOptions options{.path = folder.file("node.db"), .entropy = random};
  const std::unique_ptr<Store> store = open_or_fail(options);
  CHECK(refusal(options).code == ErrorCode::in_use);
  const StreamId stream = make_stream(*store);
  CHECK(put_rows(*store, stream, 3).size() == 3);
}

TEST_CASE("a path that cannot be is refused by name") {
  TempFolder folder;
  sim::SeededEntropy random(1);
  CHECK(refusal({.path = folder.file("missing/node.db"), .entropy = random}).code == ErrorCode::not_found);
  CHECK_FALSE(open_sqlite_store({.path = folder.file(""), .entropy = random}).ok());
  CHECK(open_sqlite_store({.path = "", .entropy = random}).error().code == ErrorCode::invalid_argument);
}

TEST_CASE("versions and formats that are not ours are refused and left as they are") {
  TempFolder folder;
  const std::string path = folder.file("node.db");
  sim::SeededEntropy random(1);
  const SqliteOptions options{.path = path, .entropy = random};
  open_or_fail(options).reset();
  std::string content = load(path);
  REQUIRE(content.size() > 4096);

  SUBCASE("a newer version") {
    content[63] = 2;  // user_version: 4 bytes, big-endian, at 60 (SQLite's file format).
    save(path, content);
    const Error error = refusal(options);
    CHECK(error.code == ErrorCode::unsupported);
    CHECK(error.detail.find("version 2") != std::string::npos);
    CHECK(load(path) == content);
  }
  SUBCASE("a version that never was") {
    content[63] = 0;
    save(path, content);
    CHECK(refusal(options).code == ErrorCode::corrupt);
    CHECK(load(path) == content);
  }
  SUBCASE("a database of another program") {
    content[68] = 'X';  // application_id: 4 bytes at 68.
    save(path, content);
    const Error error = refusal(options);
    CHECK(error.code == ErrorCode::corrupt);
    CHECK(error.detail.find("not a Pannier store") != std::string::npos);
    CHECK(load(path) == content);
  }
  SUBCASE("not a database") {
    content = "This is a shopping list, and a long one: " + std::string(5000, 'x');
    save(path, content);
    const Error error = refusal(options);
    CHECK(error.code == ErrorCode::corrupt);
    CHECK(error.detail.find("not a Pannier store") != std::string::npos);
    CHECK(load(path) == content);
  }
  SUBCASE("a file that was cut off") {
    save(path, content.substr(0, content.size() / 2));
    CHECK(refusal(options).code == ErrorCode::corrupt);
  }
  SUBCASE("an emptied or removed file beside a log that is not empty") {
    SUBCASE("emptied") { save(path, ""); }
    SUBCASE("removed") { std::remove(path.c_str()); }
    save(path + "-wal", std::string(4096, 'w'));
    CHECK(refusal(options).code == ErrorCode::corrupt);
    CHECK(load(path + "-wal").size() == 4096);
  }
}

TEST_CASE("an empty file becomes a new store with a new incarnation") {
  TempFolder folder;
  const std::string path = folder.file("node.db");
  sim::SeededEntropy random(1);
  const std::uint64_t old = open_or_fail({.path = path, .entropy = random})->incarnation();
  save(path, "");
  CHECK(open_or_fail({.path = path, .entropy = random})->incarnation() != old);
}

TEST_CASE("a row whose payload rotted is counted, moved aside, and never served") {
  TempFolder folder;
  const std::string path = folder.file("node.db");
  sim::SeededEntropy random(1);
  const SqliteOptions options{.path = path, .entropy = random};
  StreamId stream{};
  std::vector<Sequence> rows;
  {
    const std::unique_ptr<Store> store = open_or_fail(options);
    stream = make_stream(*store);
    rows = put_rows(*store, stream, 2);
    REQUIRE(store->begin().ok());
    rows.push_back(*store->next_sequence());
    REQUIRE(store->put(row_of(stream, rows.back(), "the payload that will rot")).ok());
    REQUIRE(store->commit(Durability::fsynced).ok());
  }
  std::string content = load(path);
  const std::size_t at = content.find("that will rot");
  REQUIRE(at != std::string::npos);
  content[at] = 'T';
  save(path, content);
  const auto kept = std::vector<Sequence>{rows[0], rows[1]};
  {
    const std::unique_ptr<Store> store = open_or_fail(options);
    CHECK(read_sequences(*store, stream) == kept);
    CHECK(store->counters().corrupt_rows == 1);
    CHECK(read_sequences(*store, stream) == kept);
    CHECK(store->counters().corrupt_rows == 1);  // Moved aside, not met again.
    CHECK(stream_of(*store, stream).messages == 2);
    CHECK(stream_of(*store, stream).parked == 1);
  }
  const std::unique_ptr<Store> store = open_or_fail(options);
  REQUIRE(store->read(stream, RowState::parked, 0, 10, [&](const Row& row) {
    CHECK(row.sequence == rows[2]);
    CHECK(row.payload.empty());
    CHECK(row.cause == "checksum does not hold");
    return true;
  }).ok());
  REQUIRE(store->begin().ok());
  CHECK(store->mark(stream, rows[2], RowState::ready, 0, "").error().code == ErrorCode::corrupt);
  store->rollback();
  REQUIRE(store->begin().ok());
  REQUIRE(store->erase(stream, rows[2]).ok());
  REQUIRE(store->commit(Durability::fsynced).ok());
  CHECK(stream_of(*store, stream).parked == 0);
}

TEST_CASE("one flipped bit anywhere in the file is refused, counted, or harmless, but never served") {
  TempFolder folder;
  const std::string path = folder.file("node.db");
  sim::SeededEntropy random(99);
  const SqliteOptions options{.path = path, .entropy = random};
  StreamId stream{};
  std::size_t total = 0;
  {
    const std::unique_ptr<Store> store = open_or_fail(options);
    stream = make_stream(*store);
    REQUIRE(store->begin().ok());
    for (; total < 60; ++total) {
      const Sequence sequence = *store->next_sequence();
      const std::string payload = written_payload(sequence);
      REQUIRE(store->put(row_of(stream, sequence, payload)).ok());
    }
    REQUIRE(store->put_watermark({"tablet-3", 1, "orders", 5}).ok());
    REQUIRE(store->commit(Durability::fsynced).ok());
  }
  const std::string sound = load(path);
  const std::size_t pages = sound.size() / 4096;
  std::size_t refused = 0;
  std::size_t counted = 0;
  std::size_t vanished = 0;
  constexpr std::size_t kFlipsAPage = 32;
  for (std::size_t flip = 0; flip < pages * kFlipsAPage; ++flip) {
    std::string content = sound;
    const std::size_t at = (flip / kFlipsAPage) * 4096 + random.below(4096);
    content[at] = static_cast<char>(static_cast<unsigned char>(content[at]) ^ (1U << random.below(8)));
    std::remove((path + "-wal").c_str());
    save(path, content);
    const Result<std::unique_ptr<Store>> opened = open_sqlite_store(options);
    if (!opened) {
      ++refused;
      const bool clear = opened.error().code == ErrorCode::corrupt || opened.error().code == ErrorCode::unsupported;
      INFO(opened.error().text());
      CHECK(clear);
      continue;
    }
    std::size_t seen = 0;
    const Result<void> read = (*opened)->read(stream, RowState::ready, 0, 1000, [&](const Row& row) {
      ++seen;
      INFO("flipped at ", at);
      CHECK(text_of(row.payload) == written_payload(row.sequence));
      CHECK(row.key == "order-1");
      CHECK(row.attempts == 0);
      CHECK(row.cause.empty());
      return true;
    });
    const Result<std::vector<Watermark>> marks = (*opened)->watermarks();
    if (marks.ok()) {
      for (const Watermark& mark : *marks) CHECK(mark.sequence == 5);
    }
    counted += (*opened)->counters().corrupt_rows;
    if (read.ok() && seen + (*opened)->counters().corrupt_rows < total) ++vanished;
  }
  MESSAGE((pages * kFlipsAPage) << " flips: " << refused << " refused at open, " << counted << " rows counted, "
                              << vanished << " opened with rows missing and uncounted");
  CHECK(counted > 0);
  CHECK(vanished == 0);
}

TEST_CASE("at its cap a store refuses new messages, still removes, and then takes messages again") {
  TempFolder folder;
  sim::SeededEntropy random(1);
  constexpr std::uint64_t kCap = 1024 * 1024;
  const std::string path = folder.file("node.db");
  const std::unique_ptr<Store> store = open_or_fail({.path = path, .entropy = random, .max_bytes = kCap});
  const StreamId stream = make_stream(*store);
  const std::string payload(2000, 'p');
  std::vector<Sequence> rows;
  ErrorCode end{};
  while (true) {
    REQUIRE(store->begin().ok());
    const Sequence sequence = *store->next_sequence();
    Result<void> done = store->put(row_of(stream, sequence, payload));
    if (done) done = store->commit(Durability::fsynced);
    if (!done) {
      end = done.error().code;
      CHECK(done.error().detail.find(path) != std::string::npos);
      store->rollback();
      break;
    }
    rows.push_back(sequence);
    REQUIRE(rows.size() < 1000);
  }
  CHECK(end == ErrorCode::storage_full);
  CHECK(rows.size() > 200);
  CHECK(read_sequences(*store, stream) == rows);
  CHECK(load(path).size() <= kCap);

  // Marks and watermarks have room kept for them.
  REQUIRE(store->begin().ok());
  REQUIRE(store->mark(stream, rows[0], RowState::parked, 5, "poison").ok());
  REQUIRE(store->put_watermark({"tablet-3", 1, "orders", 5}).ok());
  REQUIRE(store->commit(Durability::fsynced).ok());

  // Acknowledgements drain it, one by one and together.
  for (std::size_t i = 1; i < 60; ++i) {
    REQUIRE(store->begin().ok());
    REQUIRE(store->erase(stream, rows[i]).ok());
    REQUIRE(store->commit(Durability::fsynced).ok());
  }
  REQUIRE(store->begin().ok());
  REQUIRE(store->erase_through(stream, rows[rows.size() - 2]).ok());
  REQUIRE(store->commit(Durability::fsynced).ok());
  CHECK(read_sequences(*store, stream) == std::vector<Sequence>{rows.back()});
  CHECK(put_rows(*store, stream, 100).size() == 100);
}

TEST_CASE("a group larger than the cap is refused whole") {
  TempFolder folder;
  sim::SeededEntropy random(1);
  const std::unique_ptr<Store> store =
      open_or_fail({.path = folder.file("node.db"), .entropy = random, .max_bytes = 512 * 1024});
  const StreamId stream = make_stream(*store);
  const std::vector<Sequence> before = put_rows(*store, stream, 5);
  const std::string payload(100 * 1024, 'p');
  REQUIRE(store->begin().ok());
  Result<void> done;
  for (int i = 0; i < 10 && done; ++i) done = store->put(row_of(stream, *store->next_sequence(), payload));
  REQUIRE_FALSE(done.ok());
  CHECK(done.error().code == ErrorCode::storage_full);
  CHECK(store->commit(Durability::fsynced).error().code == ErrorCode::storage_full);
  store->rollback();
  CHECK(read_sequences(*store, stream) == before);
  CHECK(put_rows(*store, stream, 5).size() == 5);
}

TEST_CASE("sequence numbers go on past a lease, in transactions and out of them, across restarts") {
  TempFolder folder;
  sim::SeededEntropy random(1);
  const SqliteOptions options{.path = folder.file("node.db"), .entropy = random, .sequence_block = 16};
  Sequence highest = 0;
  for (int run = 0; run < 5; ++run) {
    const std::unique_ptr<Store> store = open_or_fail(options);
    const StreamId stream = make_stream(*store);
    for (int i = 0; i < 20; ++i) {
      const Sequence outside = *store->next_sequence();
      CHECK(outside > highest);
      const std::vector<Sequence> rows = put_rows(*store, stream, 3);
      CHECK(rows.front() > outside);
      REQUIRE(store->begin().ok());
      highest = *store->next_sequence();
      CHECK(highest > rows.back());
      store->rollback();  // With whatever lease it wrote.
    }
  }
}

TEST_CASE("bytes written and fsyncs are counted where SQLite writes them") {
  TempFolder folder;
  sim::SeededEntropy random(1);
  const std::unique_ptr<Store> store = open_or_fail({.path = folder.file("node.db"), .entropy = random});
  const StreamId stream = make_stream(*store);
  const Store::Counters before = store->counters();
  put_rows(*store, stream, 1);
  const Store::Counters after = store->counters();
  CHECK(after.commits == before.commits + 1);
  CHECK(after.fsyncs >= before.fsyncs + 1);
  CHECK(after.bytes_written >= before.bytes_written + 4096);
  CHECK(after.bytes_written <= before.bytes_written + 3 * 4200);  // One message: one leaf, no page of counters.
}
