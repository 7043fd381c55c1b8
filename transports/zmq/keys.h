#pragma once

#include <string>
#include <string_view>

#include "platform/result.h"
#include "runtime/link/transport.h"

namespace pannier::zmq {

/// A CURVE25519 key pair. The secret half is wiped when the pair dies.
struct KeyPair {
  PublicKey public_key{};
  PublicKey secret_key{};

  KeyPair() = default;
  KeyPair(const KeyPair&) = default;
  KeyPair& operator=(const KeyPair&) = default;
  ~KeyPair();
};

/// A new pair from the system's generator. unsupported where libzmq was built without CURVE.
[[nodiscard]] Result<KeyPair> generate_key_pair();

/// The pair that belongs to a secret key: its public half is computed, never trusted.
[[nodiscard]] Result<KeyPair> key_pair_of(const PublicKey& secret_key);

/// Z85 (ZeroMQ RFC 32): 40 printable characters.
[[nodiscard]] std::string to_z85(const PublicKey& key);
/// invalid_argument for anything but 40 characters of Z85.
[[nodiscard]] Result<PublicKey> parse_z85(std::string_view text);

/// 64 lower-case hexadecimal digits, for logs and for ZAP's user id.
[[nodiscard]] std::string to_hex(const PublicKey& key);
/// invalid_argument for anything but 64 hexadecimal digits.
[[nodiscard]] Result<PublicKey> parse_hex(std::string_view text);

/// Reads a key file: two lines, `public = <z85>` and `secret = <z85>`; empty lines and lines that start with # are
/// allowed. Errors of read_private_file (a file that others may read is refused), and malformed with file and line.
[[nodiscard]] Result<KeyPair> load_key_pair(const std::string& path);

/// Writes a key file with mode 0600. in_use where the file exists already: a key is never overwritten.
[[nodiscard]] Result<void> save_key_pair(const std::string& path, const KeyPair& keys);

}  // namespace pannier::zmq
