#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <pannier/platform.h>
#include <pannier/result.h>

/// Encryption that can be taken back: what is sealed for a subject (a customer, a courier) is unreadable once the
/// subject is forgotten, wherever copies of it lie.
namespace pannier {

/// One key for each subject, which never leaves this object. Calls block on the disk; not from several threads.
class SubjectKeys {
 public:
  virtual ~SubjectKeys() = default;
  /// `plain`, encrypted and authenticated (XSalsa20 and Poly1305). Makes the subject's key where there is none, and
  /// returns once that is on disk. invalid_argument: the subject's name is empty.
  virtual Result<std::string> seal(std::string_view subject, std::string_view plain) = 0;
  /// not_found: the subject was forgotten after this was sealed, even if something was sealed for it since. corrupt:
  /// these are not bytes that seal gave for this subject.
  virtual Result<std::string> open(std::string_view subject, std::string_view sealed) = 0;
  /// Destroys the key; success means that it is gone from the disk. Success too where there is none.
  virtual Result<void> forget(std::string_view subject) = 0;
};

/// Keys in `directory`, one file each that only its owner may read, named by a hash of the subject. It is made where it
/// is not there. A key is overwritten before its file is removed; flash may keep the old block until it is reused, so
/// put the directory on an encrypted volume where that matters. Never copy it with the store's backups. `entropy` must
/// outlive the result.
[[nodiscard]] Result<std::unique_ptr<SubjectKeys>> open_subject_keys(std::string directory, Entropy& entropy);

}  // namespace pannier
