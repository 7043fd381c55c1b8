#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <pannier/limits.h>
#include <pannier/message.h>
#include <pannier/result.h>

/// The bytes of docs/protocol.md, and nothing else: no state, no policy.
namespace pannier::wire {

inline constexpr std::uint8_t kVersion = 1;
inline constexpr std::size_t kFrameHeaderBytes = 16;
inline constexpr std::size_t kRecordHeaderBytes = 64;
/// The longest record: the largest payload and its texts.
inline constexpr std::size_t kRecordBytes = limits::kPayloadBytes + 4096;
/// How many records each end of a link may have in pieces at the same time.
inline constexpr std::size_t kAssemblies = 2;

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
  piece,
  mark,
  echo,
  lives,
  credit,
  cancel,
  reach,
};
inline constexpr std::uint8_t kUrgent = 1;
inline constexpr std::uint8_t kRetain = 2;
/// Row: the second text starts with the eight bytes of the incarnation.
inline constexpr std::uint8_t kIncarnation = 4;
/// Row: in the second text, eight bytes with the milliseconds until expiry precede the key.
inline constexpr std::uint8_t kExpires = 8;
/// Row: in the second text, two bytes with a length and so many of the path precede the key.
inline constexpr std::uint8_t kPath = 16;
/// Ask: it is for the node's history of a topic, not for an actor.
inline constexpr std::uint8_t kHistory = 64;
/// Credit: it is about publications.
inline constexpr std::uint8_t kPublications = 16;
/// Credit: it asks for a credit in return.
inline constexpr std::uint8_t kProbe = 32;
/// Credit with a code: the publication was dropped because a link was full.
inline constexpr std::uint8_t kOnLink = 64;
/// Hello: the sender is a leaf (see Routes).
inline constexpr std::uint8_t kLeaf = 1;
/// Hello: the sender understands packed frames.
inline constexpr std::uint8_t kUnpacks = 2;

/// One record. Text and payload are borrowed: from the caller when written, from the frame when read.
struct Record {
  Kind kind{};
  std::uint8_t flags = 0;
  std::uint16_t code = 0;
  TypeId type{};
  std::uint64_t id = 0;
  std::uint64_t number = 0;
  Trace trace = {};
  std::uint8_t hops = 0;         ///< Links crossed before this one.
  std::string_view node = {};    ///< The destination; empty: the peer.
  std::string_view origin = {};  ///< The source; empty: the peer.
  std::string_view first = {};
  std::string_view second = {};
  std::span<const std::byte> payload = {};
};

/// The longest texts.
inline constexpr std::size_t kFirstBytes = 255;
inline constexpr std::size_t kSecondBytes = 3072;

/// Bytes that a record takes in a frame.
[[nodiscard]] std::size_t size_of(const Record& record) noexcept;
/// Appends a record to `bytes`. invalid_argument: a part is longer than a record can hold; nothing was appended.
[[nodiscard]] Result<void> append(std::vector<std::byte>& bytes, const Record& record);
/// The size, origin and kind of the record at `at`, which append() wrote.
[[nodiscard]] std::size_t size_at(const std::byte* at) noexcept;
[[nodiscard]] bool has_origin_at(const std::byte* at) noexcept;
[[nodiscard]] Kind kind_at(const std::byte* at) noexcept;
/// The record at the start of `bytes`, and how many bytes it takes. malformed: the record is truncated or inconsistent.
struct Parsed {
  Record record;
  std::size_t bytes = 0;
};
[[nodiscard]] Result<Parsed> parse(std::span<const std::byte> bytes);

/// Little-endian numbers in texts and payloads.
void put_u64(std::byte* to, std::uint64_t value) noexcept;
[[nodiscard]] std::uint64_t get_u64(const std::byte* from) noexcept;
[[nodiscard]] std::string text_of_u64(std::uint64_t value);

/// An error as a record's code, where 0 is none. An unknown code reads as the last error code.
[[nodiscard]] constexpr std::uint16_t code_of(ErrorCode code) noexcept {
  return static_cast<std::uint16_t>(1 + static_cast<unsigned>(code));
}
[[nodiscard]] constexpr ErrorCode error_of(std::uint16_t code) noexcept {
  const unsigned last = static_cast<unsigned>(ErrorCode::conflict);
  return static_cast<ErrorCode>(code - 1U < last ? code - 1U : last);
}

/// Packs records into one frame. Reusable; keeps its memory.
class FrameWriter {
 public:
  FrameWriter() { clear(); }

  /// full: the record does not fit in this frame; nothing was added. invalid_argument: it fits in no frame.
  [[nodiscard]] Result<void> add(const Record& record);
  /// The same for a record written by append().
  [[nodiscard]] Result<void> add_written(std::span<const std::byte> record);
  [[nodiscard]] bool empty() const noexcept { return bytes_.size() == kFrameHeaderBytes; }
  [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
  /// The finished frame; valid until the next add or clear.
  [[nodiscard]] std::span<const std::byte> frame();
  void clear();

 private:
  std::vector<std::byte> bytes_;
};

/// Reads a frame record by record, within its bounds. The frame must outlive the reader and its records.
class FrameReader {
 public:
  /// malformed: not a frame. unsupported: another version; the text names both.
  [[nodiscard]] static Result<FrameReader> open(std::span<const std::byte> frame);
  [[nodiscard]] bool at_end() const noexcept { return offset_ == frame_.size(); }
  [[nodiscard]] Result<Record> next();

 private:
  explicit FrameReader(std::span<const std::byte> frame) : frame_(frame) {}
  std::span<const std::byte> frame_;
  std::size_t offset_ = kFrameHeaderBytes;
};

}  // namespace pannier::wire
