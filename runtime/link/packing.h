#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <pannier/result.h>

/// Frames without their zeros, for slow lines. Headers, padding and FlatBuffers are half zeros, and a frame is too
/// short for a compressor to learn much: decision 0022 has the figures. The scheme is Cap'n Proto's packing
/// (capnproto.org/encoding.html, Packing). No state, no policy.
namespace pannier::packing {

/// Writes the packed form of `frame`, a whole number of eight-byte words, into `packed`. False: it is not smaller.
[[nodiscard]] bool pack(std::span<const std::byte> frame, std::vector<std::byte>& packed);
[[nodiscard]] bool is_packed(std::span<const std::byte> frame) noexcept;
/// Writes the frame that was packed into `frame`. malformed: it is none, or larger than limits::kFrameBytes.
[[nodiscard]] Result<void> unpack(std::span<const std::byte> packed, std::vector<std::byte>& frame);

}  // namespace pannier::packing
