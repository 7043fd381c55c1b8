#include "runtime/link/topic_history.h"

#include <algorithm>
#include <cstring>

#include <pannier/limits.h>
#include "runtime/link/wire.h"

namespace pannier {

namespace {

constexpr std::size_t kGapBytes = 24;   // series, first, last
constexpr std::size_t kHeadBytes = 16;  // number, length

constexpr std::size_t padded(std::size_t bytes) noexcept { return (bytes + 7) / 8 * 8; }

std::string_view text_of(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

// --- The publisher's side -------------------------------------------------------------------------------------------

std::uint64_t TopicHistory::add(std::string_view topic, const AnyTable& message, std::uint32_t most) {
  const auto key = std::pair{std::string{topic}, message.type()};
  auto found = topics_.find(key);
  if (found == topics_.end()) {
    if (topics_.size() >= limits::kHistoryTopics) return 0;
    found = topics_.emplace(key, Kept{}).first;
  }
  Kept& kept = found->second;
  kept.last.push_back(message);
  bytes_ += message.bytes().size();
  while (!kept.last.empty() && (kept.last.size() > most || bytes_ > limits::kHistoryBytes)) drop_first(kept);
  return kept.next++;
}

void TopicHistory::drop_first(Kept& kept) {
  bytes_ -= kept.last.front().bytes().size();
  kept.last.pop_front();
}

std::vector<MissedPublication> TopicHistory::find(const PublicationGap& gap) const {
  std::vector<MissedPublication> found;
  const auto topic = topics_.find(std::pair{gap.topic, gap.type});
  if (topic == topics_.end() || gap.series != series_) return found;
  const Kept& kept = topic->second;
  const std::uint64_t oldest = kept.next - kept.last.size();
  std::size_t bytes = 0;
  for (std::uint64_t number = std::max(gap.first, oldest); number <= gap.last && number < kept.next; ++number) {
    const AnyTable& message = kept.last[static_cast<std::size_t>(number - oldest)];
    bytes += kHeadBytes + padded(message.bytes().size());
    if (bytes > limits::kPayloadBytes) break;
    found.push_back({number, message});
  }
  return found;
}

// --- On the wire ----------------------------------------------------------------------------------------------------

BlockRef encode(const PublicationGap& gap) {
  std::vector<std::byte> bytes(kGapBytes);
  wire::put_u64(bytes.data(), gap.series);
  wire::put_u64(bytes.data() + 8, gap.first);
  wire::put_u64(bytes.data() + 16, gap.last);
  return BlockRef::copy_of(bytes);
}

Result<PublicationGap> decode_gap(std::string_view topic, TypeId type, std::span<const std::byte> payload) {
  if (payload.size() != kGapBytes) return Error{ErrorCode::malformed, "A request for a history has no such length."};
  return PublicationGap{std::string{topic},
                        type,
                        {},
                        wire::get_u64(payload.data()),
                        wire::get_u64(payload.data() + 8),
                        wire::get_u64(payload.data() + 16)};
}

BlockRef encode(const std::vector<MissedPublication>& missed) {
  std::vector<std::byte> bytes;
  for (const MissedPublication& each : missed) {
    const auto payload = each.message.bytes();
    const std::size_t at = bytes.size();
    bytes.resize(at + kHeadBytes + padded(payload.size()));
    wire::put_u64(bytes.data() + at, each.number);
    wire::put_u64(bytes.data() + at + 8, payload.size());
    std::copy(payload.begin(), payload.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at + kHeadBytes));
  }
  return BlockRef::copy_of(bytes);
}

Result<std::vector<MissedPublication>> decode_missed(TypeId type, std::span<const std::byte> payload) {
  std::vector<MissedPublication> missed;
  while (!payload.empty()) {
    const std::uint64_t bytes = payload.size() < kHeadBytes ? payload.size() : wire::get_u64(payload.data() + 8);
    if (payload.size() < kHeadBytes || bytes > payload.size() - kHeadBytes ||
        padded(static_cast<std::size_t>(bytes)) > payload.size() - kHeadBytes) {
      return Error{ErrorCode::malformed, "The answer with a history is cut off."};
    }
    const auto size = static_cast<std::size_t>(bytes);
    missed.push_back(
        {wire::get_u64(payload.data()), AnyTable{type, nullptr, BlockRef::copy_of(payload.subspan(kHeadBytes, size))}});
    payload = payload.subspan(kHeadBytes + padded(size));
  }
  return missed;
}

// --- The subscriber's side ------------------------------------------------------------------------------------------

BlockRef numbered_label(std::string_view topic, const PublicationNumber& publication) {
  std::string label{topic};
  label += '\0';
  label += wire::text_of_u64(publication.series) + wire::text_of_u64(publication.number) + publication.node;
  return BlockRef::copy_of(std::as_bytes(std::span{label}));
}

PublicationNumber number_of(std::span<const std::byte> label) {
  const std::string_view text = text_of(label);
  const std::size_t end = text.find('\0');
  if (end == std::string_view::npos || text.size() < end + 17) return {};
  const std::byte* at = label.data() + end + 1;
  return {std::string{text.substr(end + 17)}, wire::get_u64(at), wire::get_u64(at + 8)};
}

std::optional<PublicationGap> GapDetector::take(std::string_view topic, TypeId type,
                                                const PublicationNumber& publication) {
  if (publication.number == 0) return std::nullopt;
  auto key = std::tuple{publication.node, std::string{topic}, type};
  if (last_.size() >= limits::kHistoryTopics && !last_.contains(key)) last_.clear();
  Last& last = last_[std::move(key)];
  const Last before = last;
  if (before.series == publication.series && publication.number <= before.number) return std::nullopt;
  last = {publication.series, publication.number};
  if (before.series != publication.series || publication.number == before.number + 1) return std::nullopt;
  return PublicationGap{std::string{topic},    type, publication.node, publication.series, before.number + 1,
                        publication.number - 1};
}

}  // namespace pannier
