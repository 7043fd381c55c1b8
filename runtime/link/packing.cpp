#include "runtime/link/packing.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <pannier/limits.h>
#include "runtime/link/wire.h"

namespace pannier::packing {

namespace {

constexpr std::size_t kWord = 8;
/// Of the frame's header: it is followed by packed words.
constexpr std::size_t kMarkAt = 3;
constexpr std::byte kMark{1};
constexpr std::size_t kLengthAt = 4;
/// How many words one count may stand for.
constexpr std::size_t kMostWords = 255;
constexpr std::array<std::byte, kWord> kZeros{};

bool is_zero(const std::byte* word) noexcept { return std::memcmp(word, kZeros.data(), kWord) == 0; }

std::size_t zeros_in(const std::byte* word) noexcept {
  return static_cast<std::size_t>(std::count(word, word + kWord, std::byte{0}));
}

std::uint32_t length_in(std::span<const std::byte> frame) noexcept {
  std::uint32_t length = 0;
  for (std::size_t i = 4; i-- > 0;) length = length << 8U | std::to_integer<std::uint32_t>(frame[kLengthAt + i]);
  return length;
}

}  // namespace

bool pack(std::span<const std::byte> frame, std::vector<std::byte>& packed) {
  packed.clear();
  if (frame.size() <= wire::kFrameHeaderBytes || frame.size() % kWord != 0) return false;
  packed.insert(packed.end(), frame.begin(), frame.begin() + wire::kFrameHeaderBytes);
  packed[kMarkAt] = kMark;
  const std::byte* at = frame.data() + wire::kFrameHeaderBytes;
  const std::byte* const end = frame.data() + frame.size();
  while (at != end) {
    unsigned tag = 0;
    std::array<std::byte, kWord> kept{};
    std::size_t count = 0;
    for (std::size_t i = 0; i < kWord; ++i) {
      if (at[i] == std::byte{0}) continue;
      tag |= 1U << i;
      kept[count++] = at[i];
    }
    packed.push_back(static_cast<std::byte>(tag));
    packed.insert(packed.end(), kept.begin(), kept.begin() + static_cast<std::ptrdiff_t>(count));
    at += kWord;
    if (tag != 0 && count != kWord) continue;
    // A word of zeros is followed by how many more there are; a word without any, by how many follow as they are.
    const std::byte* run = at;
    const std::byte* const most =
        at + kWord * std::min<std::size_t>(kMostWords, static_cast<std::size_t>(end - at) / kWord);
    while (run != most && (tag == 0 ? is_zero(run) : zeros_in(run) < 2)) run += kWord;
    packed.push_back(static_cast<std::byte>((run - at) / static_cast<std::ptrdiff_t>(kWord)));
    if (tag != 0) packed.insert(packed.end(), at, run);
    at = run;
    if (packed.size() >= frame.size()) return false;
  }
  return packed.size() < frame.size();
}

bool is_packed(std::span<const std::byte> frame) noexcept {
  return frame.size() > wire::kFrameHeaderBytes && frame[kMarkAt] == kMark;
}

Result<void> unpack(std::span<const std::byte> packed, std::vector<std::byte>& frame) {
  const Error wrong{ErrorCode::malformed, "A packed frame does not hold what its header says."};
  const std::size_t length = length_in(packed);
  if (length > limits::kFrameBytes || length <= wire::kFrameHeaderBytes || length % kWord != 0) return wrong;
  frame.resize(length);
  std::byte* to = frame.data();
  std::byte* const end = to + length;
  std::memcpy(to, packed.data(), wire::kFrameHeaderBytes);
  to[kMarkAt] = std::byte{0};
  to += wire::kFrameHeaderBytes;
  const std::byte* at = packed.data() + wire::kFrameHeaderBytes;
  const std::byte* const last = packed.data() + packed.size();
  const auto left = [&] { return static_cast<std::size_t>(last - at); };
  while (at != last) {
    if (to == end) return wrong;
    const auto tag = std::to_integer<unsigned>(*at++);
    for (std::size_t i = 0; i < kWord; ++i) {
      const bool there = (tag >> i & 1U) != 0;
      if (there && at == last) return wrong;
      to[i] = there ? *at++ : std::byte{0};
    }
    to += kWord;
    if (tag != 0 && tag != 0xff) continue;
    if (at == last) return wrong;
    const std::size_t run = std::to_integer<std::size_t>(*at++) * kWord;
    if (run > static_cast<std::size_t>(end - to) || (tag != 0 && run > left())) return wrong;
    if (tag == 0) {
      std::memset(to, 0, run);
    } else {
      std::memcpy(to, at, run);
      at += run;
    }
    to += run;
  }
  if (to != end) return wrong;
  return {};
}

}  // namespace pannier::packing
