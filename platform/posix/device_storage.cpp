#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

#include <pannier/platform.h>
#include "platform/concat.h"
#include "platform/posix/device.h"
#include "platform/posix/system_clock.h"

namespace pannier::posix {
namespace {

constexpr std::size_t kBlock = 4096;
constexpr std::size_t kBlocks = 64;
constexpr std::size_t kLeastWrites = 5;
constexpr std::size_t kMostWrites = 200;

Error storage_error(const std::string& what, int cause) {
  ErrorCode code = ErrorCode::storage_io;
  if (cause == ENOENT || cause == ENOTDIR) code = ErrorCode::not_found;
  if (cause == EACCES || cause == EPERM || cause == EROFS) code = ErrorCode::permission;
  if (cause == ENOSPC || cause == EDQUOT) code = ErrorCode::storage_full;
  return {code, concat({"Cannot ", what, ": ", std::strerror(cause), "."})};
}

std::string_view next_field(std::string_view& line) noexcept {
  const std::size_t end = std::min(line.find(' '), line.size());
  const std::string_view field = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return field;
}

/// Spaces in names are written as \040 (proc(5)).
std::string unescaped(std::string_view field) {
  std::string text;
  for (std::size_t i = 0; i < field.size(); ++i) {
    if (field[i] == '\\' && i + 3 < field.size()) {
      text += static_cast<char>((field[i + 1] - '0') * 64 + (field[i + 2] - '0') * 8 + (field[i + 3] - '0'));
      i += 3;
    } else {
      text += field[i];
    }
  }
  return text;
}

bool lies_under(std::string_view path, std::string_view folder) noexcept {
  if (folder == "/") return true;
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

/// The deepest mount that contains `path`. Of two at one place, the later hides the earlier.
void read_mount(std::string_view path, FileSystemFacts& facts) {
  const auto mounts = read_file("/proc/self/mountinfo", 4 * 1024 * 1024);
  if (!mounts) return;
  std::size_t depth = 0;
  for (std::string_view rest = *mounts; !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    for (int skipped = 0; skipped < 4; ++skipped) next_field(line);  // ids, device, root
    const std::string place = unescaped(next_field(line));
    if (place.size() < depth || !lies_under(path, place)) continue;
    depth = place.size();
    const std::string_view of_mount = next_field(line);
    while (!line.empty() && next_field(line) != "-") {  // optional fields
    }
    facts.type = next_field(line);
    next_field(line);  // the source's name
    facts.options = concat({",", of_mount, ",", next_field(line), ","});
  }
}

/// /sys/dev/block/8:1 leads to the device, or to a partition within its folder.
void read_disk(dev_t device, FileSystemFacts& facts) {
  const std::string link = concat({"/sys/dev/block/", major(device), ":", minor(device)});
  char resolved[PATH_MAX];
  if (::realpath(link.c_str(), resolved) == nullptr) return;
  std::string path = resolved;
  if (::access((path + "/partition").c_str(), F_OK) == 0) path.resize(path.rfind('/'));
  facts.disk = path.substr(path.rfind('/') + 1);
  const auto cache = read_file(path + "/queue/write_cache", 256);
  facts.volatile_cache = cache && cache->starts_with("write back");
}

class TestFile {
 public:
  explicit TestFile(std::string folder) : folder_(std::move(folder)) {
    std::string name = folder_ + "/.pannier-selftest-XXXXXX";
    fd_ = ::mkostemp(name.data(), O_CLOEXEC);
    if (fd_ >= 0) ::unlink(name.c_str());  // gone with the process, however it ends
  }
  ~TestFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  TestFile(const TestFile&) = delete;
  TestFile& operator=(const TestFile&) = delete;

  [[nodiscard]] Result<void> fill(const std::byte* block) const {
    if (fd_ < 0) return storage_error("write in " + folder_, errno);
    for (std::size_t i = 0; i < kBlocks; ++i) {
      if (auto written = write(block, i); !written) return written;
    }
    if (::fsync(fd_) != 0) return storage_error("sync in " + folder_, errno);
    return {};
  }
  [[nodiscard]] Result<void> write(const std::byte* block, std::size_t index) const {
    const ssize_t written = ::pwrite(fd_, block, kBlock, static_cast<off_t>(index % kBlocks * kBlock));
    if (written == static_cast<ssize_t>(kBlock)) return {};
    return storage_error("write in " + folder_, written < 0 ? errno : ENOSPC);
  }
  [[nodiscard]] Result<void> write_synced(const std::byte* block, std::size_t index) const {
    if (auto written = write(block, index); !written) return written;
    if (::fdatasync(fd_) != 0) return storage_error("sync in " + folder_, errno);
    return {};
  }
  /// Bypasses the page cache from now on. False if the file system cannot.
  [[nodiscard]] bool go_direct() const { return ::fcntl(fd_, F_SETFL, O_DIRECT) == 0; }

 private:
  std::string folder_;
  int fd_ = -1;
};

template <class Write>
Result<void> time_writes(std::vector<Duration>& times, Duration budget, Write&& write) {
  const MonoTime start = mono_now();
  for (std::size_t i = 0; i < kMostWrites; ++i) {
    const MonoTime before = mono_now();
    if (i >= kLeastWrites && before - start >= budget) break;
    if (auto written = write(i); !written) return written;
    times.push_back(mono_now() - before);
  }
  std::sort(times.begin(), times.end());
  return {};
}

}  // namespace

namespace {

/// The type as reported by the system itself. Mounts do not tell it without /proc, or for a root directory that is no
/// mount point.
void read_type(const std::string& folder, unsigned long flags, FileSystemFacts& facts) {
  struct Known {
    std::uint32_t magic;  // statfs(2)
    const char* type;
  };
  constexpr Known kKnown[] = {{0xef53, "ext4"},      {0x01021994, "tmpfs"},   {0x794c7630, "overlay"},
                              {0x9123683e, "btrfs"}, {0x58465342, "xfs"},     {0xf2f52010, "f2fs"},
                              {0x4d44, "vfat"},      {0x2011bab0, "exfat"},   {0x24051905, "ubifs"},
                              {0x72b6, "jffs2"},     {0x6969, "nfs"},         {0x01021997, "9p"},
                              {0x65735546, "fuse"},  {0x73717368, "squashfs"}};
  struct statfs system {};
  if (::statfs(folder.c_str(), &system) != 0) return;
  const auto magic = static_cast<std::uint32_t>(system.f_type);
  facts.type = "of an unknown type";
  for (const Known& known : kKnown) {
    if (known.magic == magic) facts.type = known.type;
  }
  facts.options = (flags & ST_RDONLY) != 0 ? ",ro," : ",rw,";
}

}  // namespace

Result<FileSystemFacts> look_at_file_system(const std::string& folder) {
  FileSystemFacts facts;
  facts.folder = folder;
  struct stat status {};
  struct statvfs room {};
  char resolved[PATH_MAX];
  if (::stat(folder.c_str(), &status) != 0 || ::statvfs(folder.c_str(), &room) != 0 ||
      ::realpath(folder.c_str(), resolved) == nullptr) {
    return storage_error("inspect " + folder, errno);
  }
  facts.free_bytes = std::uint64_t{room.f_bavail} * room.f_frsize;
  facts.in_memory = lies_in_memory(folder);
  read_mount(resolved, facts);
  if (facts.type.empty()) read_type(folder, room.f_flag, facts);
  read_disk(status.st_dev, facts);
  return facts;
}

Result<SyncFacts> measure_syncs(const std::string& folder, Duration budget) {
  const TestFile file{folder};
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  // O_DIRECT needs memory aligned to the device's sector.
  const std::unique_ptr<std::byte, Free> block{static_cast<std::byte*>(std::aligned_alloc(kBlock, kBlock))};
  if (block == nullptr) return Error{ErrorCode::full, "Out of memory."};
  std::memset(block.get(), 0x5a, kBlock);
  if (auto filled = file.fill(block.get()); !filled) return filled.error();

  SyncFacts facts;
  const auto synced = [&](std::size_t i) { return file.write_synced(block.get(), i); };
  if (auto done = time_writes(facts.synced, budget * 3 / 4, synced); !done) return done.error();
  if (!file.go_direct()) return facts;
  const auto unsynced = [&](std::size_t i) { return file.write(block.get(), i); };
  if (!time_writes(facts.unsynced, budget / 4, unsynced)) facts.unsynced.clear();
  return facts;
}

}  // namespace pannier::posix
