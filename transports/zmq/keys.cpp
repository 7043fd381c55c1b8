#include <pannier/zmq.h>

#include <zmq.h>

#include <array>
#include <cstring>
#include <optional>

#include <pannier/platform.h>
#include "platform/concat.h"

namespace pannier::zmq {
namespace {

constexpr std::size_t kZ85Chars = 40;
constexpr std::uint64_t kKeyFileBytes = 4096;
using Z85Text = std::array<char, kZ85Chars + 1>;

/// A write that the compiler may not omit, unlike a memset before the end of life.
void wipe(void* data, std::size_t size) noexcept {
  volatile auto* bytes = static_cast<volatile unsigned char*>(data);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = 0;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

Error bad_line(const std::string& path, std::size_t line, const std::string& what) {
  return {ErrorCode::malformed, concat({path, ":", line, ": ", what})};
}

}  // namespace

KeyPair::~KeyPair() { wipe(secret_key.data(), secret_key.size()); }

Result<KeyPair> generate_key_pair() {
  Z85Text public_text{};
  Z85Text secret_text{};
  if (zmq_curve_keypair(public_text.data(), secret_text.data()) != 0) {
    return Error{ErrorCode::unsupported, "This libzmq was built without CURVE; install one with libsodium."};
  }
  KeyPair keys;
  keys.public_key = parse_z85({public_text.data(), kZ85Chars}).value();
  keys.secret_key = parse_z85({secret_text.data(), kZ85Chars}).value();
  wipe(secret_text.data(), secret_text.size());
  return keys;
}

Result<KeyPair> key_pair_of(const PublicKey& secret_key) {
  std::string secret_text = to_z85(secret_key);
  Z85Text public_text{};
  const int rc = zmq_curve_public(public_text.data(), secret_text.data());
  wipe(secret_text.data(), secret_text.size());
  if (rc != 0) return Error{ErrorCode::unsupported, "This libzmq was built without CURVE; install one with libsodium."};
  KeyPair keys;
  keys.public_key = parse_z85({public_text.data(), kZ85Chars}).value();
  keys.secret_key = secret_key;
  return keys;
}

std::string to_z85(const PublicKey& key) {
  Z85Text text{};
  std::array<std::uint8_t, 32> bytes{};
  std::memcpy(bytes.data(), key.data(), bytes.size());
  zmq_z85_encode(text.data(), bytes.data(), bytes.size());
  wipe(bytes.data(), bytes.size());
  return {text.data(), kZ85Chars};
}

Result<PublicKey> parse_z85(std::string_view text) {
  // zmq_z85_decode of 4.3.4 checks the characters but not the length.
  if (text.size() == kZ85Chars) {
    Z85Text terminated{};
    std::memcpy(terminated.data(), text.data(), kZ85Chars);
    std::array<std::uint8_t, 32> bytes{};
    const bool decoded = zmq_z85_decode(bytes.data(), terminated.data()) != nullptr;
    PublicKey key{};
    std::memcpy(key.data(), bytes.data(), bytes.size());
    wipe(terminated.data(), terminated.size());
    wipe(bytes.data(), bytes.size());
    if (decoded) return key;
  }
  return Error{ErrorCode::invalid_argument, "A key is 40 characters of Z85, as `pannier keygen` prints it."};
}

std::string to_hex(const PublicKey& key) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const std::byte each : key) {
    const auto value = std::to_integer<unsigned>(each);
    text += kDigits[value >> 4];
    text += kDigits[value & 15];
  }
  return text;
}

Result<PublicKey> parse_hex(std::string_view text) {
  const auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  PublicKey key{};
  bool good = text.size() == 2 * key.size();
  for (std::size_t i = 0; good && i < key.size(); ++i) {
    const int high = digit(text[2 * i]);
    const int low = digit(text[2 * i + 1]);
    good = high >= 0 && low >= 0;
    if (good) key[i] = static_cast<std::byte>(high * 16 + low);
  }
  if (good) return key;
  return Error{ErrorCode::invalid_argument, "A key is 64 hexadecimal digits."};
}

Result<KeyPair> load_key_pair(const std::string& path) {
  Result<std::string> content = read_private_file(path, kKeyFileBytes);
  if (!content) return content.error();
  std::optional<PublicKey> public_key;
  std::optional<PublicKey> secret_key;
  std::string_view rest = *content;
  std::size_t public_line = 0;
  std::size_t number = 0;
  while (!rest.empty()) {
    ++number;
    const std::size_t end = rest.find('\n');
    const std::string_view line = trimmed(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (line.empty() || line.front() == '#') continue;
    const std::size_t equals = line.find('=');
    // Z85 contains '=': split at the first one only.
    if (equals == std::string_view::npos)
      return bad_line(path, number, "expected `public = <key>` or `secret = <key>`.");
    const std::string_view name = trimmed(line.substr(0, equals));
    if (name != "public" && name != "secret") {
      return bad_line(path, number, concat({"unknown name \"", name, "\"; expected public or secret."}));
    }
    Result<PublicKey> key = parse_z85(trimmed(line.substr(equals + 1)));
    if (!key) return bad_line(path, number, key.error().detail);
    std::optional<PublicKey>& place = name == "public" ? public_key : secret_key;
    if (place) return bad_line(path, number, concat({"duplicate name \"", name, "\"."}));
    place = *key;
    if (name == "public") public_line = number;
  }
  wipe(content->data(), content->size());
  if (!public_key) return bad_line(path, number, "missing line `public = <key>`.");
  if (!secret_key) return bad_line(path, number, "missing line `secret = <key>`.");
  Result<KeyPair> keys = key_pair_of(*secret_key);
  wipe(secret_key->data(), secret_key->size());
  if (keys && keys->public_key != *public_key) {
    return bad_line(path, public_line, "the public key does not match the secret key; make a new pair.");
  }
  return keys;
}

Result<void> save_key_pair(const std::string& path, const KeyPair& keys) {
  std::string content = concat({"public = ", to_z85(keys.public_key), "\nsecret = ", to_z85(keys.secret_key), "\n"});
  Result<void> written = write_private_file(path, content);
  wipe(content.data(), content.size());
  return written;
}

}  // namespace pannier::zmq
