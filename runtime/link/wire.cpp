#include "runtime/link/wire.h"

#include <bit>
#include <cstring>
#include <string>

#include "platform/concat.h"

namespace pannier::wire {

namespace {

template <class T>
void store(std::byte* to, T value) noexcept {
  if constexpr (std::endian::native == std::endian::little) {
    std::memcpy(to, &value, sizeof value);
  } else {
    for (std::size_t i = 0; i < sizeof value; ++i) to[i] = static_cast<std::byte>(value >> (8 * i));
  }
}

template <class T>
T load(const std::byte* from) noexcept {
  T value = 0;
  if constexpr (std::endian::native == std::endian::little) {
    std::memcpy(&value, from, sizeof value);
  } else {
    for (std::size_t i = sizeof value; i-- > 0;) value = static_cast<T>(value << 8 | std::to_integer<T>(from[i]));
  }
  return value;
}

constexpr std::size_t padded(std::size_t bytes) noexcept { return (bytes + 15) & ~std::size_t{15}; }

std::size_t texts_of(const Record& record) noexcept {
  return record.node.size() + record.origin.size() + record.first.size() + record.second.size();
}

bool can_be(const Record& record) noexcept {
  return record.first.size() <= kFirstBytes && record.second.size() <= kSecondBytes &&
         record.node.size() <= limits::kNodeNameBytes && record.origin.size() <= limits::kNodeNameBytes &&
         record.payload.size() <= limits::kPayloadBytes;
}
static_assert(kRecordHeaderBytes + 2 * limits::kNodeNameBytes + kFirstBytes + kSecondBytes + 32 +
                  limits::kPayloadBytes <=
              kRecordBytes);

std::byte* put(std::byte* to, std::string_view text) noexcept {
  // memcpy wants a place to read from even for no bytes, and an empty text may have none.
  if (!text.empty()) std::memcpy(to, text.data(), text.size());
  return to + text.size();
}

}  // namespace

std::size_t size_of(const Record& record) noexcept {
  return padded(kRecordHeaderBytes + texts_of(record)) + padded(record.payload.size());
}

Result<void> append(std::vector<std::byte>& bytes, const Record& record) {
  if (!can_be(record)) return ErrorCode::invalid_argument;
  const std::size_t payload_at = padded(kRecordHeaderBytes + texts_of(record));
  const std::size_t whole = payload_at + padded(record.payload.size());
  const std::size_t start = bytes.size();
  bytes.resize(start + whole);  // zeroed: the padding carries nothing of what was here before
  std::byte* at = bytes.data() + start;
  store(at, static_cast<std::uint32_t>(whole));
  at[4] = static_cast<std::byte>(record.kind);
  at[5] = static_cast<std::byte>(record.flags);
  store(at + 6, record.code);
  store(at + 8, static_cast<std::uint64_t>(record.type));
  store(at + 16, record.id);
  store(at + 24, record.number);
  store(at + 32, record.trace.high);
  store(at + 40, record.trace.low);
  store(at + 48, record.trace.span);
  at[56] = static_cast<std::byte>(record.trace.flags);
  at[57] = static_cast<std::byte>(record.hops);
  at[58] = static_cast<std::byte>(record.node.size());
  at[59] = static_cast<std::byte>(record.origin.size());
  store(at + 60, static_cast<std::uint16_t>(record.second.size()));
  at[62] = static_cast<std::byte>(record.first.size());
  at[63] = static_cast<std::byte>(padded(record.payload.size()) - record.payload.size());
  std::byte* text = at + kRecordHeaderBytes;
  for (const std::string_view each : {record.node, record.origin, record.first, record.second}) text = put(text, each);
  if (!record.payload.empty()) std::memcpy(at + payload_at, record.payload.data(), record.payload.size());
  return {};
}

std::size_t size_at(const std::byte* at) noexcept { return load<std::uint32_t>(at); }
bool has_origin_at(const std::byte* at) noexcept { return at[59] != std::byte{0}; }
Kind kind_at(const std::byte* at) noexcept { return static_cast<Kind>(at[4]); }

Result<Parsed> parse(std::span<const std::byte> bytes) {
  const std::byte* at = bytes.data();
  const std::size_t left = bytes.size();
  if (left < kRecordHeaderBytes) return Error{ErrorCode::malformed, "A record is cut off."};
  const auto byte_at = [at](std::size_t offset) { return std::to_integer<std::uint8_t>(at[offset]); };
  const std::size_t whole = load<std::uint32_t>(at);
  const std::size_t node = byte_at(58);
  const std::size_t origin = byte_at(59);
  const std::size_t second = load<std::uint16_t>(at + 60);
  const std::size_t first = byte_at(62);
  const std::size_t padding = byte_at(63);
  const std::size_t payload_at = padded(kRecordHeaderBytes + node + origin + first + second);
  if (node > limits::kNodeNameBytes || origin > limits::kNodeNameBytes || second > kSecondBytes) {
    return Error{ErrorCode::malformed, "A record has a text that is too long."};
  }
  if (whole > kRecordBytes || whole > left || whole % 16 != 0 || whole < payload_at || padding > 15 ||
      padding > whole - payload_at || whole - payload_at - padding > limits::kPayloadBytes) {
    return Error{ErrorCode::malformed, "A record's length does not fit its parts."};
  }
  const std::uint8_t kind = byte_at(4);
  if (kind < static_cast<std::uint8_t>(Kind::hello) || kind > static_cast<std::uint8_t>(Kind::reach)) {
    return Error{ErrorCode::malformed, concat({"A record is of unknown kind ", kind, "."})};
  }
  Parsed parsed;
  parsed.bytes = whole;
  Record& record = parsed.record;
  record.kind = static_cast<Kind>(kind);
  record.flags = byte_at(5);
  record.code = load<std::uint16_t>(at + 6);
  record.type = TypeId{load<std::uint64_t>(at + 8)};
  record.id = load<std::uint64_t>(at + 16);
  record.number = load<std::uint64_t>(at + 24);
  record.trace = {load<std::uint64_t>(at + 32), load<std::uint64_t>(at + 40), load<std::uint64_t>(at + 48),
                  byte_at(56)};
  record.hops = byte_at(57);
  const char* text = reinterpret_cast<const char*>(at + kRecordHeaderBytes);
  record.node = {text, node};
  record.origin = {text + node, origin};
  record.first = {text + node + origin, first};
  record.second = {text + node + origin + first, second};
  record.payload = {at + payload_at, whole - payload_at - padding};
  return parsed;
}

void put_u64(std::byte* to, std::uint64_t value) noexcept { store(to, value); }
std::uint64_t get_u64(const std::byte* from) noexcept { return load<std::uint64_t>(from); }

std::string text_of_u64(std::uint64_t value) {
  std::string text(sizeof value, '\0');
  put_u64(reinterpret_cast<std::byte*>(text.data()), value);
  return text;
}

void FrameWriter::clear() {
  bytes_.assign(kFrameHeaderBytes, std::byte{0});
  bytes_[0] = std::byte{0x50};
  bytes_[1] = std::byte{0x4e};
  bytes_[2] = std::byte{kVersion};
}

Result<void> FrameWriter::add(const Record& record) {
  if (!can_be(record)) return ErrorCode::invalid_argument;
  if (bytes_.size() + size_of(record) > limits::kFrameBytes) return ErrorCode::full;
  return append(bytes_, record);
}

Result<void> FrameWriter::add_written(std::span<const std::byte> record) {
  if (bytes_.size() + record.size() > limits::kFrameBytes) return ErrorCode::full;
  bytes_.insert(bytes_.end(), record.begin(), record.end());
  return {};
}

std::span<const std::byte> FrameWriter::frame() {
  store(bytes_.data() + 4, static_cast<std::uint32_t>(bytes_.size()));
  return bytes_;
}

Result<FrameReader> FrameReader::open(std::span<const std::byte> frame) {
  if (frame.size() < kFrameHeaderBytes || frame[0] != std::byte{0x50} || frame[1] != std::byte{0x4e}) {
    return Error{ErrorCode::malformed, "The peer's bytes are no frame of this protocol."};
  }
  if (const auto version = std::to_integer<unsigned>(frame[2]); version != kVersion) {
    return Error{ErrorCode::unsupported, concat({"The peer speaks protocol version ", version, ", this node version ",
                                                 kVersion, ": bring the older one up to date."})};
  }
  if (load<std::uint32_t>(frame.data() + 4) != frame.size()) {
    return Error{ErrorCode::malformed, "A frame's length does not fit its header."};
  }
  return FrameReader{frame};
}

Result<Record> FrameReader::next() {
  auto parsed = parse(frame_.subspan(offset_));
  if (!parsed) return parsed.error();
  offset_ += parsed->bytes;
  return parsed->record;
}

}  // namespace pannier::wire
