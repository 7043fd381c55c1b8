#include "runtime/store/sqlite/functions.h"

#include <string>

#include "runtime/store/sqlite/row.h"

namespace pannier::sqlite_functions {
namespace {

std::span<const std::byte> blob_of(sqlite3_value* value) noexcept {
  const void* at = sqlite3_value_blob(value);
  const auto size = static_cast<std::size_t>(sqlite3_value_bytes(value));
  return at == nullptr ? std::span<const std::byte>{} : std::span{static_cast<const std::byte*>(at), size};
}

std::string_view text_of(sqlite3_value* value) noexcept {
  const void* at = sqlite3_value_text(value);
  const auto size = static_cast<std::size_t>(sqlite3_value_bytes(value));
  return at == nullptr ? std::string_view{} : std::string_view{static_cast<const char*>(at), size};
}

void give(sqlite3_context* context, const std::string& head) noexcept {
  sqlite3_result_blob64(context, head.data(), head.size(), SQLITE_TRANSIENT);
}

void tally(sqlite3_context* context, int /*count*/, sqlite3_value** values) {
  auto* tally = static_cast<Tally*>(sqlite3_user_data(context));
  tally->add(blob_of(values[0]), static_cast<std::size_t>(sqlite3_value_int64(values[1])));
  sqlite3_result_int(context, 1);
}

void remark(sqlite3_context* context, int /*count*/, sqlite3_value** values) {
  const std::span<const std::byte> head = blob_of(values[0]);
  Row mark;
  if (sqlite3_value_type(values[2]) == SQLITE_NULL) {
    static_cast<void>(sqlite_row::decode(head, mark));
  } else {
    mark.attempts = static_cast<std::uint32_t>(sqlite3_value_int64(values[2]));
    mark.cause = text_of(values[3]);
  }
  mark.moment = StoreTime(Duration(sqlite3_value_int64(values[4])));
  std::string made;
  if (sqlite_row::remark(head, sqlite3_value_int64(values[1]), mark, made)) {
    give(context, made);
  } else {
    sqlite3_result_value(context, values[0]);
  }
}

void head_of_version_1(sqlite3_context* context, int /*count*/, sqlite3_value** values) {
  Row row;
  row.type = static_cast<TypeId>(static_cast<std::uint64_t>(sqlite3_value_int64(values[1])));
  row.enqueued_at = WallTime(Duration(sqlite3_value_int64(values[2])));
  row.attempts = static_cast<std::uint32_t>(sqlite3_value_int64(values[3]));
  row.key = text_of(values[4]);
  row.producer = text_of(values[5]);
  row.cause = text_of(values[6]);
  std::string made;
  sqlite_row::encode_version_1(static_cast<std::uint32_t>(sqlite3_value_int64(values[0])), row, made);
  give(context, made);
}

}  // namespace

void Tally::add(std::span<const std::byte> head, std::size_t payload_bytes) {
  load += {1, payload_bytes};
  Row row;
  if (sqlite_row::decode(head, row) && row.origin != 0) origins.push_back(row.origin);
}

int add(sqlite3* database, Tally& tally_to) noexcept {
  constexpr int kFlags = SQLITE_UTF8 | SQLITE_DIRECTONLY;  // Not from a view or trigger that somebody put into a file.
  struct Function {
    const char* name;
    int arguments;
    void (*call)(sqlite3_context*, int, sqlite3_value**);
  };
  constexpr Function kFunctions[] = {
      {"pannier_tally", 2, tally}, {"pannier_remark", 5, remark}, {"pannier_head", 7, head_of_version_1}};
  for (const Function& each : kFunctions) {
    const int rc = sqlite3_create_function_v2(database, each.name, each.arguments, kFlags, &tally_to, each.call,
                                              nullptr, nullptr, nullptr);
    if (rc != SQLITE_OK) return rc;
  }
  return SQLITE_OK;
}

}  // namespace pannier::sqlite_functions
