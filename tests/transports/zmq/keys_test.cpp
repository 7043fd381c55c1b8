#include <sys/stat.h>

#include <fstream>
#include <string>

#include <doctest/doctest.h>
#include <pannier/zmq.h>
#include "tests/support/fixtures.h"

namespace pannier::zmq {
namespace {

void write_key_file(const std::string& path, const std::string& content) {
  std::ofstream{path} << content;
  REQUIRE(::chmod(path.c_str(), 0600) == 0);
}

TEST_CASE("a key survives its text forms") {
  const KeyPair keys = generate_key_pair().value();
  CHECK(keys.public_key != generate_key_pair().value().public_key);
  CHECK(to_z85(keys.public_key).size() == 40);
  CHECK(parse_z85(to_z85(keys.public_key)).value() == keys.public_key);
  CHECK(to_hex(keys.public_key).size() == 64);
  CHECK(parse_hex(to_hex(keys.public_key)).value() == keys.public_key);
  CHECK(key_pair_of(keys.secret_key).value().public_key == keys.public_key);
}

TEST_CASE("a text that is no key is refused") {
  for (const std::string& text : {std::string{}, std::string(39, 'a'), std::string(41, 'a'), std::string(40, ' '),
                                  std::string(40, '"'), std::string(40, '\xff'), std::string(40, '#')}) {
    INFO("text: ", text);
    const Result<PublicKey> key = parse_z85(text);
    CHECK(!key.ok());
  }
  CHECK(!parse_hex(std::string(63, 'a')).ok());
  CHECK(!parse_hex(std::string(64, 'g')).ok());
}

TEST_CASE("a key file is read as it was written, and never overwritten") {
  const testing::TempFolder folder;
  const KeyPair keys = generate_key_pair().value();
  REQUIRE(save_key_pair(folder.file("hub.key"), keys).ok());
  const KeyPair loaded = load_key_pair(folder.file("hub.key")).value();
  CHECK(loaded.public_key == keys.public_key);
  CHECK(loaded.secret_key == keys.secret_key);
  const Result<void> again = save_key_pair(folder.file("hub.key"), keys);
  REQUIRE(!again.ok());
  CHECK(again.error().code == ErrorCode::in_use);
}

TEST_CASE("a key file with a fault names its file and line") {
  const testing::TempFolder folder;
  const std::string path = folder.file("hub.key");
  const KeyPair keys = generate_key_pair().value();
  const KeyPair others = generate_key_pair().value();
  const std::string public_line = "public = " + to_z85(keys.public_key) + "\n";
  const std::string secret_line = "secret = " + to_z85(keys.secret_key) + "\n";

  write_key_file(path, "# the hub's\n\n" + secret_line + "  public=" + to_z85(keys.public_key) + "  \r\n");
  CHECK(load_key_pair(path).ok());

  const auto fault_of = [&](const std::string& content) {
    write_key_file(path, content);
    const Result<KeyPair> loaded = load_key_pair(path);
    REQUIRE(!loaded.ok());
    CHECK(loaded.error().code == ErrorCode::malformed);
    CHECK(loaded.error().detail.find(to_z85(keys.secret_key)) == std::string::npos);
    return loaded.error().detail;
  };
  CHECK(fault_of(public_line + "secret = short\n").starts_with(path + ":2: "));
  CHECK(fault_of("\n" + public_line + public_line + secret_line).starts_with(path + ":3: "));
  CHECK(fault_of(public_line + "private = x\n").starts_with(path + ":2: "));
  CHECK(fault_of("garbage\n").starts_with(path + ":1: "));
  CHECK(fault_of(public_line).find("missing line `secret = <key>`") != std::string::npos);
  CHECK(fault_of("").find("missing line") != std::string::npos);
  CHECK(fault_of("public = " + to_z85(others.public_key) + "\n" + secret_line).starts_with(path + ":1: "));
}

TEST_CASE("a key file that others may read is refused") {
  const testing::TempFolder folder;
  const std::string path = folder.file("hub.key");
  REQUIRE(save_key_pair(path, generate_key_pair().value()).ok());
  REQUIRE(::chmod(path.c_str(), 0644) == 0);
  const Result<KeyPair> loaded = load_key_pair(path);
  REQUIRE(!loaded.ok());
  CHECK(loaded.error().code == ErrorCode::permission);
}

}  // namespace
}  // namespace pannier::zmq
