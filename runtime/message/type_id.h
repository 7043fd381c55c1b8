#pragma once

#include <cstdint>
#include <string_view>

namespace pannier {

/// Names a message type across nodes, releases and disks: the 64-bit FNV-1a hash of the schema's full name
/// ("delivery.OrderCreated"), so that it needs no registry and no order of registration.
enum class TypeId : std::uint64_t {};

/// FNV-1a, 64 bit (Fowler, Noll, Vo; parameters from RFC draft-eastlake-fnv).
[[nodiscard]] constexpr TypeId type_id_of(std::string_view full_name) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : full_name) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3ULL;
  }
  return TypeId{hash};
}

}  // namespace pannier
