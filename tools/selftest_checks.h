#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "platform/posix/device.h"

/// What the facts of a device are worth to a node. Pure: the same facts get the same verdict.
namespace pannier::tools {

enum class Verdict : std::uint8_t {
  ok,
  skipped,     ///< There is nothing to check here.
  warning,     ///< A node works here; the text says what to know or to mend.
  suspicious,  ///< The device cannot be believed: what is acknowledged may be lost in a power cut.
  failed,      ///< A node does not work here as it should.
};
[[nodiscard]] const char* to_string(Verdict verdict) noexcept;

/// For programs, with its unit in its name. Static storage.
struct Figure {
  const char* name;
  std::uint64_t value;
};

/// One line of the self-test.
struct Check {
  const char* name;
  Verdict verdict = Verdict::ok;
  std::string text;  ///< For a person.
  std::vector<Figure> figures = {};
};

/// `wanted_bytes`: what the store may grow to; 0: no bound was given.
[[nodiscard]] Check judge_file_system(const posix::FileSystemFacts& facts, std::uint64_t wanted_bytes);
[[nodiscard]] Check judge_syncs(const posix::SyncFacts& syncs, const posix::FileSystemFacts& where);
[[nodiscard]] Check judge_clock(const posix::ClockFacts& facts);
/// `links`: that the configuration names, dialled and let in.
[[nodiscard]] Check judge_descriptors(const posix::DescriptorFacts& facts, std::uint64_t links);
[[nodiscard]] Check judge_memory(const posix::MemoryFacts& facts);

}  // namespace pannier::tools
