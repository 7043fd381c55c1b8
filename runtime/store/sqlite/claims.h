#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/store/sqlite/vfs.h"

namespace pannier {

/// Which rows are in somebody's hands, in a small file of slots beside the database (docs/storage.md, Claims): written
/// without a sync, so that it survives the process and not the machine. A file that cannot be had or written costs the
/// notes and nothing else. One thread.
class SqliteClaims {
 public:
  /// Takes what an earlier life left.
  SqliteClaims(CountingVfs& vfs, std::string path);

  [[nodiscard]] bool claim(std::int64_t position) noexcept;
  void release(std::int64_t position) noexcept;
  /// Positions, once: they are released by it.
  [[nodiscard]] std::vector<std::int64_t> take() noexcept;

 private:
  void write(std::uint32_t slot, std::int64_t position) noexcept;

  CountingVfs& vfs_;
  std::string path_;
  std::unique_ptr<SideFile> file_;               ///< Null before the first claim, or where there is none to be had.
  std::map<std::int64_t, std::uint32_t> slots_;  ///< By position.
  std::vector<std::uint32_t> free_;              ///< Used before and free again.
  std::uint32_t used_ = 0;                       ///< Slots below it have been used.
  std::vector<std::int64_t> left_;
};

}  // namespace pannier
