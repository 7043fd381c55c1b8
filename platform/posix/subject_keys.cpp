#include <pannier/subject_keys.h>

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <utility>

#include "platform/concat.h"
#include "platform/posix/digest.h"

namespace pannier {
namespace {

// A key file: the key's own name, which is no secret, then the key. What is sealed: that name, a nonce, a box.
constexpr std::size_t kNameBytes = 8;
constexpr std::size_t kFileBytes = kNameBytes + crypto_secretbox_KEYBYTES;
constexpr std::size_t kHeadBytes = kNameBytes + crypto_secretbox_NONCEBYTES;

unsigned char* bytes_of(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }
const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

Error key_error(const char* action, const std::string& path) {
  return {ErrorCode::storage_io, concat({"Cannot ", action, " ", path, ": ", std::strerror(errno), "."})};
}

/// The content of a key file. Leaves no copy in freed memory.
struct KeyFile {
  std::string content;
  KeyFile() = default;
  explicit KeyFile(std::string text) : content(std::move(text)) {}
  KeyFile(const KeyFile&) = delete;
  KeyFile& operator=(const KeyFile&) = delete;
  ~KeyFile() { sodium_memzero(content.data(), content.size()); }

  /// False for what a power cut leaves of a file that was being written, or erased: nothing was sealed with the former.
  [[nodiscard]] bool is_whole() const {
    return content.size() == kFileBytes &&
           std::any_of(content.begin(), content.end(), [](char each) { return each != 0; });
  }
  [[nodiscard]] std::string_view name() const { return std::string_view{content}.substr(0, kNameBytes); }
  [[nodiscard]] const unsigned char* key() const { return bytes_of(std::string_view{content}) + kNameBytes; }
};

class KeyDirectory final : public SubjectKeys {
 public:
  KeyDirectory(std::string directory, Entropy& entropy) : directory_(std::move(directory)), entropy_(entropy) {}

  Result<std::string> seal(std::string_view subject, std::string_view plain) override {
    if (subject.empty()) return Error{ErrorCode::invalid_argument, "A subject needs a name."};
    KeyFile file;
    if (auto done = find_or_make(path_of(subject), file); !done) return done.error();
    std::string sealed{file.name()};
    sealed.resize(kHeadBytes + crypto_secretbox_MACBYTES + plain.size());
    entropy_.fill(std::as_writable_bytes(std::span{sealed}).subspan(kNameBytes, crypto_secretbox_NONCEBYTES));
    unsigned char* const out = bytes_of(sealed);
    crypto_secretbox_easy(out + kHeadBytes, bytes_of(plain), plain.size(), out + kNameBytes, file.key());
    return sealed;
  }

  Result<std::string> open(std::string_view subject, std::string_view sealed) override {
    if (sealed.size() < kHeadBytes + crypto_secretbox_MACBYTES) return not_sealed(subject);
    auto content = read_private_file(path_of(subject), kFileBytes);
    if (!content && content.error().code != ErrorCode::not_found) return content.error();
    const KeyFile file{content ? std::move(*content) : std::string{}};
    if (!file.is_whole() || file.name() != sealed.substr(0, kNameBytes)) {
      return Error{ErrorCode::not_found, concat({"Subject ", subject, " was forgotten."})};
    }
    std::string plain(sealed.size() - kHeadBytes - crypto_secretbox_MACBYTES, '\0');
    const unsigned char* const in = bytes_of(sealed);
    if (crypto_secretbox_open_easy(bytes_of(plain), in + kHeadBytes, sealed.size() - kHeadBytes, in + kNameBytes,
                                   file.key()) != 0) {
      return not_sealed(subject);
    }
    return plain;
  }

  Result<void> forget(std::string_view subject) override { return erase(path_of(subject)); }

 private:
  static Error not_sealed(std::string_view subject) {
    return {ErrorCode::corrupt, concat({"These bytes were not sealed for subject ", subject, ", or are damaged."})};
  }

  [[nodiscard]] std::string path_of(std::string_view subject) const {
    return directory_ + "/" + posix::sha256_hex(subject) + ".key";
  }

  Result<void> find_or_make(const std::string& path, KeyFile& file) {
    auto content = read_private_file(path, kFileBytes);
    if (content) {
      file.content = std::move(*content);
      if (file.is_whole()) return {};
      if (auto gone = erase(path); !gone) return gone;
    } else if (content.error().code != ErrorCode::not_found) {
      return content.error();
    }
    file.content.assign(kFileBytes, '\0');
    entropy_.fill(std::as_writable_bytes(std::span{file.content}));
    return write_private_file(path, file.content);
  }

  Result<void> erase(const std::string& path) const {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0 && errno != ENOENT) return key_error("open", path);
    if (fd >= 0) {
      constexpr std::array<char, kFileBytes> kNothing{};
      const bool erased = ::pwrite(fd, kNothing.data(), kNothing.size(), 0) == ssize_t{kFileBytes} && ::fsync(fd) == 0;
      const Error why = key_error("erase", path);
      ::close(fd);
      if (!erased) return why;
      if (::unlink(path.c_str()) != 0) return key_error("remove", path);
    }
    // Also where the file is gone: an earlier call may have failed here.
    const int folder = ::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return key_error("open", directory_);
    const bool synced = ::fsync(folder) == 0 || errno == EINVAL;  // some file systems cannot sync a directory
    const Error why = key_error("sync", directory_);
    ::close(folder);
    return synced ? Result<void>{} : Result<void>{why};
  }

  std::string directory_;
  Entropy& entropy_;
};

}  // namespace

Result<std::unique_ptr<SubjectKeys>> open_subject_keys(std::string directory, Entropy& entropy) {
  if (::mkdir(directory.c_str(), S_IRWXU) != 0 && errno != EEXIST) return key_error("create", directory);
  struct stat status {};
  if (::stat(directory.c_str(), &status) != 0) return key_error("inspect", directory);
  if (!S_ISDIR(status.st_mode)) {
    return Error{ErrorCode::invalid_argument, concat({directory, " is no directory for the keys of subjects."})};
  }
  return std::unique_ptr<SubjectKeys>{std::make_unique<KeyDirectory>(std::move(directory), entropy)};
}

}  // namespace pannier
