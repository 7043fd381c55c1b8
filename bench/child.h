#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

namespace pannier::bench {

/// A process of its own, for the far end of a link, or to be killed. It dies with the one that made it.
class Child {
 public:
  /// Forks, and runs `role` in the child, which then ends with status 0. Made before this process has any thread.
  using Role = std::function<void(Child& self)>;
  explicit Child(const Role& role);
  /// Kills and waits, where nobody has waited yet.
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // --- In the child
  /// One line for the parent's hear().
  void say(const std::string& line) const;

  // --- In the parent
  /// The next line that the child said; gives up where it ended without one.
  [[nodiscard]] std::string hear();
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  void signal(int number) const;
  /// Until it has ended. Gives up where its status is not zero, unless it was killed.
  void wait();

 private:
  pid_t pid_ = 0;
  int pipe_ = -1;
};

}  // namespace pannier::bench
