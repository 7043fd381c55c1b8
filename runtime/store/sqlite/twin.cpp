#include "runtime/store/sqlite/twin.h"

#include <algorithm>
#include <string_view>

#include "runtime/store/crc32c.h"
#include "runtime/store/sqlite/tree.h"

namespace pannier::sqlite_twin {
namespace {

constexpr std::size_t kRootBytes = 4;
constexpr std::size_t kTablesOfVersion2 = 12;  // No batches.

std::uint32_t checksum(std::int64_t version, std::uint64_t incarnation, Sequence lease,
                       std::span<const std::byte> roots) noexcept {
  return FieldChecksum().u64(static_cast<std::uint64_t>(version)).u64(incarnation).u64(lease).bytes(roots).value();
}

}  // namespace

Result<Roots> roots_of(Connection& database) {
  Roots roots;
  Statement read(database, "SELECT name, rootpage FROM sqlite_schema WHERE type='table'");
  int rc = read.step();
  for (; rc == SQLITE_ROW; rc = read.step()) {
    const auto found = std::find(kTables.begin(), kTables.end(), read.text(0));
    if (found == kTables.end()) continue;
    roots.pages[static_cast<std::size_t>(found - kTables.begin())] = static_cast<std::uint32_t>(read.integer(1));
  }
  if (rc != SQLITE_DONE) return database.error(rc, "read");
  return roots;
}

int write(Statement& put, const Twin& twin) {
  std::array<std::byte, kTables.size() * kRootBytes> roots{};
  for (std::size_t i = 0; i < roots.size(); ++i) {
    roots[i] = static_cast<std::byte>(twin.roots.pages[i / kRootBytes] >> (8 * (i % kRootBytes)));
  }
  put.bind(1, twin.version);
  put.bind(2, static_cast<std::int64_t>(twin.incarnation));
  put.bind(3, static_cast<std::int64_t>(twin.lease));
  put.bind(4, std::span<const std::byte>(roots));
  put.bind(5, std::int64_t{checksum(twin.version, twin.incarnation, twin.lease, roots)});
  return put.run();
}

std::optional<Twin> decode(const SqliteRecord& record) {
  const auto version = record.integer(1);
  const auto incarnation = record.integer(2);
  const auto lease = record.integer(3);
  const auto roots = record.blob(4);
  const auto crc = record.integer(5);
  if (record.rowid() != 1 || record.columns() != 6 || !version || !incarnation || !lease || !roots || !crc) return {};
  Twin twin{*version, static_cast<std::uint64_t>(*incarnation), static_cast<Sequence>(*lease), {}};
  const std::size_t tables = twin.version < 3 ? kTablesOfVersion2 : kTables.size();
  if (roots->size() != tables * kRootBytes) return {};
  if (*crc != std::int64_t{checksum(twin.version, twin.incarnation, twin.lease, *roots)}) return {};
  for (std::size_t i = 0; i < roots->size(); ++i) {
    twin.roots.pages[i / kRootBytes] |= std::to_integer<std::uint32_t>((*roots)[i]) << (8 * (i % kRootBytes));
  }
  return twin;
}

std::optional<Twin> find(const SqliteImage& image) {
  std::optional<Twin> found;
  SqliteTrees(image).single_entries([&](const SqliteRecord& record) {
    if (!found) found = decode(record);
  });
  return found;
}

}  // namespace pannier::sqlite_twin
