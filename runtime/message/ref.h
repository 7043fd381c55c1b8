#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace pannier {

/// Names one life of one actor: worker, slot, generation. A slot that is used again has another generation, so a
/// message to an actor that has stopped is refused and never reaches its successor. The top bit marks a name instead
/// (runtime/actor/directory.h), which is resolved at each send; the next one a name on another node.
class ActorId {
 public:
  static constexpr unsigned kSlotBits = 24;
  static constexpr unsigned kWorkerBits = 7;

  constexpr ActorId() noexcept = default;
  constexpr ActorId(std::uint32_t worker, std::uint32_t slot, std::uint32_t generation) noexcept
      : bits_(std::uint64_t{worker} << 56 | std::uint64_t{slot} << 32 | generation) {}
  static constexpr std::uint32_t kNameGenerations = 1U << 30;
  [[nodiscard]] static constexpr ActorId named(std::uint32_t index, std::uint32_t generation, bool elsewhere) noexcept {
    ActorId id;
    id.bits_ = kNamed | (elsewhere ? kElsewhere : 0) | std::uint64_t{generation} << 32 | index;
    return id;
  }
  [[nodiscard]] static constexpr ActorId from_bits(std::uint64_t bits) noexcept {
    ActorId id;
    id.bits_ = bits;
    return id;
  }

  [[nodiscard]] constexpr bool is_named() const noexcept { return (bits_ & kNamed) != 0; }
  /// Of a name: it names an actor of another node.
  [[nodiscard]] constexpr bool is_elsewhere() const noexcept { return (bits_ & kElsewhere) != 0; }
  [[nodiscard]] constexpr std::uint32_t name_index() const noexcept { return static_cast<std::uint32_t>(bits_); }
  [[nodiscard]] constexpr std::uint32_t name_generation() const noexcept {
    return static_cast<std::uint32_t>(bits_ >> 32) & (kNameGenerations - 1);
  }
  [[nodiscard]] constexpr std::uint32_t worker() const noexcept {
    return static_cast<std::uint32_t>(bits_ >> 56) & 0x7f;
  }
  [[nodiscard]] constexpr std::uint32_t slot() const noexcept {
    return static_cast<std::uint32_t>(bits_ >> 32) & ((1U << kSlotBits) - 1);
  }
  [[nodiscard]] constexpr std::uint32_t generation() const noexcept { return static_cast<std::uint32_t>(bits_); }
  [[nodiscard]] constexpr std::uint64_t bits() const noexcept { return bits_; }
  explicit constexpr operator bool() const noexcept { return bits_ != 0; }
  friend constexpr auto operator<=>(ActorId, ActorId) noexcept = default;

 private:
  static constexpr std::uint64_t kNamed = 1ULL << 63;
  static constexpr std::uint64_t kElsewhere = 1ULL << 62;
  std::uint64_t bits_ = 0;  // zero: nobody
};

/// An actor anywhere: in this process or behind a link. Takes FlatBuffers payloads only, since those can go anywhere.
/// A value: copy it, keep it, send it. It keeps nothing alive. One by name is good for as long as an actor that asked
/// for the name lives, and for a while longer: see Directory.
class Ref {
 public:
  constexpr Ref() noexcept = default;
  explicit constexpr Ref(ActorId actor_id) noexcept : id_(actor_id) {}
  [[nodiscard]] constexpr ActorId id() const noexcept { return id_; }
  explicit constexpr operator bool() const noexcept { return static_cast<bool>(id_); }
  friend constexpr auto operator<=>(Ref, Ref) noexcept = default;

 private:
  ActorId id_;
};

/// An actor in this process. Takes native values too, which are moved and never serialised.
class LocalRef : public Ref {
 public:
  using Ref::Ref;
};

/// An actor of known class in this process. A message that the class does not handle does not compile.
template <class A>
class ActorRef : public LocalRef {
 public:
  using LocalRef::LocalRef;
};

}  // namespace pannier
