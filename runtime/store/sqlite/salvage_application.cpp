#include "runtime/store/sqlite/salvage_application.h"

#include <string_view>
#include <utility>
#include <vector>

#include "platform/concat.h"
#include "runtime/store/sqlite/application.h"

namespace pannier {
namespace {

constexpr std::size_t kRowsAtOnce = 512;

struct Item {
  std::string type;
  std::string name;
  std::string sql;
};

std::string quoted(std::string_view name) {
  std::string text = "\"";
  for (const char c : name) text.append(c == '"' ? 2 : 1, c);
  return text + "\"";
}

/// Not what damage gives: at another time there may be more.
bool passes(int rc) noexcept {
  switch (rc & 0xff) {
    case SQLITE_NOMEM:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_BUSY:
    case SQLITE_FULL: return true;
    default: return false;
  }
}

/// One table, from the old file into the new one.
class TableCopy {
 public:
  TableCopy(Connection& from, Connection& to, const Item& table) : from_(from), to_(to), table_(table) {}

  /// True where all of it was read. An error: try again another time.
  Result<bool> run(std::uint64_t& rows) {
    std::string columns;
    int count = 0;
    Statement list(from_, "SELECT name FROM pragma_table_xinfo(?1) WHERE hidden=0");
    list.bind(1, std::string_view(table_.name));
    int rc = list.step();
    for (; rc == SQLITE_ROW; rc = list.step(), ++count) columns += (count == 0 ? "" : ", ") + quoted(list.text(0));
    const std::string source = " FROM " + quoted(table_.name);
    const int has_rowid = Statement(from_, concat({"SELECT rowid", source, " LIMIT 0"})).prepare();
    if (passes(rc) || passes(has_rowid)) return from_.error(passes(rc) ? rc : has_rowid, "salvage");
    const bool numbered = has_rowid == SQLITE_OK;
    if (numbered) columns = "rowid" + (columns.empty() ? "" : ", " + columns);
    std::string values = "?1";
    for (int i = 2; i <= count + (numbered ? 1 : 0); ++i) values += concat({", ?", i});
    put_ = Statement(to_,
                     concat({"INSERT OR IGNORE INTO ", quoted(table_.name), " (", columns, ") VALUES (", values, ")"}));
    const std::string select = concat({"SELECT ", columns, source});
    Result<bool> whole = read(select + (numbered ? " ORDER BY rowid" : ""), rows);
    if (!whole || *whole || !numbered) return whole;
    // From the other end, as far as that leads; what both reach is ignored.
    whole = read(select + " ORDER BY rowid DESC", rows);
    return whole ? Result<bool>(false) : whole;
  }

 private:
  Result<bool> read(const std::string& select, std::uint64_t& rows) {
    Statement read(from_, select);
    bool all = true;
    int rc = read.step();
    for (std::size_t pending = 0; rc == SQLITE_ROW; rc = read.step()) {
      for (int i = 0; i < sqlite3_column_count(read.get()); ++i) put_.bind(i + 1, sqlite3_column_value(read.get(), i));
      const int put = put_.run();
      if (passes(put)) return to_.error(put, "salvage");
      if (put != SQLITE_OK) all = false;  // A value that its own table does not take.
      rows += static_cast<std::uint64_t>(to_.changes());
      if (++pending % kRowsAtOnce != 0) continue;
      if (Result<void> kept = to_.execute("COMMIT; BEGIN"); !kept) return kept.error();
    }
    if (passes(rc)) return from_.error(rc, "salvage");
    return all && rc == SQLITE_DONE;
  }

  Connection& from_;
  Connection& to_;
  const Item& table_;
  Statement put_;
};

}  // namespace

Result<void> copy_application_tables(const std::string& aside, CountingVfs& vfs, SqliteSession& to,
                                     SalvageReport& report) {
  Result<Connection> from = Connection::open(aside, vfs.name());
  if (!from) return from.error();
  from->checkpoint_on_close(false);
  if (Result<void> set = from->set("locking_mode", "EXCLUSIVE", "exclusive"); !set) return set;
  std::vector<Item> items;
  Statement list(
      *from,
      "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type<>'table', type<>'index', rowid");
  int rc = list.step();
  for (; rc == SQLITE_ROW; rc = list.step()) {
    Item item{std::string(list.text(0)), std::string(list.text(1)), std::string(list.text(2))};
    if (!is_store_table(item.name) && !item.name.starts_with("sqlite_")) items.push_back(std::move(item));
  }
  if (passes(rc)) return from->error(rc, "salvage");
  list.reset();
  if (rc != SQLITE_DONE) report.application_losses.emplace_back("all that SQLite cannot list");
  if (items.empty()) return {};
  Connection& target = to.connection;
  if (Result<void> begun = target.execute("BEGIN"); !begun) return begun;
  for (const Item& item : items) {
    const int made = sqlite3_exec(target.get(), item.sql.c_str(), nullptr, nullptr, nullptr);
    if (passes(made)) return target.error(made, "salvage");
    Result<bool> whole = made == SQLITE_OK;
    if (*whole && item.type == "table") whole = TableCopy(*from, target, item).run(report.application_rows);
    if (!whole) return whole.error();
    if (!*whole) report.application_losses.push_back(concat({item.type, " ", item.name}));
  }
  return target.execute("COMMIT");
}

}  // namespace pannier
