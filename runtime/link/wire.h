#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "platform/result.h"
#include "runtime/limits.h"
#include "runtime/message/type_id.h"

/// The bytes of docs/protocol.md, and nothing else: no state, no policy.
namespace pannier::wire {

inline constexpr std::uint8_t kVersion = 1;
inline constexpr std::size_t kFrameHeaderBytes = 16;
inline constexpr std::size_t kRecordHeaderBytes = 48;

enum class Kind : std::uint8_t {
  hello = 1,
  heartbeat,
  tell,
  ask,
  reply,
  publish,
  subscribe,
  unsubscribe,
  row,
  ack,
  goodbye,
};
inline constexpr std::uint8_t kUrgent = 1;
inline constexpr std::uint8_t kKeepLast = 2;

/// One record. Text and payload are borrowed: from the caller when written, from the frame when read.
struct Record {
  Kind kind{};
  std::uint8_t flags = 0;
  std::uint16_t code = 0;
  TypeId type{};
  std::uint64_t id = 0;
  std::uint64_t number = 0;
  std::uint64_t trace = 0;
  std::string_view first = {};
  std::string_view second = {};
  std::span<const std::byte> payload = {};
};

/// Gathers records into one frame. Reused: it keeps its memory.
class FrameWriter {
 public:
  FrameWriter() { clear(); }

  /// full: the record does not fit behind what is there; nothing was added. invalid_argument: it never fits.
  [[nodiscard]] Result<void> add(const Record& record);
  [[nodiscard]] bool empty() const noexcept { return bytes_.size() == kFrameHeaderBytes; }
  [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
  /// The finished frame; valid until the next add or clear.
  [[nodiscard]] std::span<const std::byte> frame();
  void clear();

 private:
  std::vector<std::byte> bytes_;
};

/// Reads a frame record by record and never looks outside of it. The frame outlives the reader and its records.
class FrameReader {
 public:
  /// malformed, or unsupported with both versions in the text.
  [[nodiscard]] static Result<FrameReader> open(std::span<const std::byte> frame);
  [[nodiscard]] bool at_end() const noexcept { return offset_ == frame_.size(); }
  [[nodiscard]] Result<Record> next();

 private:
  explicit FrameReader(std::span<const std::byte> frame) : frame_(frame) {}
  std::span<const std::byte> frame_;
  std::size_t offset_ = kFrameHeaderBytes;
};

}  // namespace pannier::wire
