#include "platform/posix/system_entropy.h"

#include <sys/random.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace pannier::posix {

void SystemEntropy::fill(std::span<std::byte> out) noexcept {
  while (!out.empty()) {
    const ssize_t got = getrandom(out.data(), out.size(), 0);
    if (got < 0) {
      if (errno == EINTR) continue;
      // Predictable ids and keys would be worse than stopping.
      std::perror("pannier: cannot get random bytes (getrandom)");
      std::abort();
    }
    out = out.subspan(static_cast<std::size_t>(got));
  }
}

}  // namespace pannier::posix
