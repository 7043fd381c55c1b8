#include "runtime/queue/sqlite_salvage_application.h"

#include <string_view>
#include <utility>
#include <vector>

#include "runtime/queue/sqlite_application.h"

namespace pannier {
namespace {

constexpr std::size_t kTransactionRows = 512;

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

/// One table, from the old file into the new one.
class TableCopy {
 public:
  TableCopy(Connection& from, Connection& to, const Item& table) : from_(from), to_(to), table_(table) {}

  /// True where all of it was read. `rc`: of the new file.
  bool run(std::uint64_t& rows, int& rc) {
    std::string columns;
    int count = 0;
    Statement list = from_.statement("SELECT name FROM pragma_table_xinfo(?1) WHERE hidden=0");
    list.bind(1, std::string_view(table_.name));
    for (int step = list.step(); step == SQLITE_ROW; step = list.step(), ++count) {
      columns += (count == 0 ? "" : ", ") + quoted(list.text(0));
    }
    const std::string source = " FROM " + quoted(table_.name);
    const bool numbered = from_.statement("SELECT rowid" + source + " LIMIT 0").prepare() == SQLITE_OK;
    if (numbered) columns = "rowid" + (columns.empty() ? "" : ", " + columns);
    std::string values = "?1";
    for (int i = 2; i <= count + (numbered ? 1 : 0); ++i) values += ", ?" + std::to_string(i);
    put_ = to_.statement("INSERT OR IGNORE INTO " + quoted(table_.name) + " (" + columns + ") VALUES (" + values + ")");
    const std::string select = "SELECT " + columns + source;
    if (read(select + (numbered ? " ORDER BY rowid" : ""), rows, rc)) return true;
    // From the other end, as far as that leads; what both reach is ignored.
    if (numbered && rc == SQLITE_OK) static_cast<void>(read(select + " ORDER BY rowid DESC", rows, rc));
    return false;
  }

 private:
  bool read(const std::string& select, std::uint64_t& rows, int& rc) {
    Statement read = from_.statement(select);
    int step = read.step();
    for (std::size_t pending = 0; step == SQLITE_ROW; step = read.step()) {
      for (int i = 0; i < sqlite3_column_count(read.get()); ++i) put_.bind(i + 1, sqlite3_column_value(read.get(), i));
      rc = put_.run();
      rows += static_cast<std::uint64_t>(to_.changes());
      if (rc == SQLITE_OK && ++pending % kTransactionRows == 0 && !to_.execute("COMMIT; BEGIN")) rc = SQLITE_IOERR;
      if (rc != SQLITE_OK) return false;
    }
    return step == SQLITE_DONE;
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
  if (!from) {
    report.application_losses.emplace_back("all");
    return {};
  }
  from->checkpoint_on_close(false);
  static_cast<void>(from->set("locking_mode", "EXCLUSIVE", "exclusive").ok());
  std::vector<Item> items;
  Statement list = from->statement(
      "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type<>'table', type<>'index', rowid");
  int step = list.step();
  for (; step == SQLITE_ROW; step = list.step()) {
    Item item{std::string(list.text(0)), std::string(list.text(1)), std::string(list.text(2))};
    if (!is_store_table(item.name) && !item.name.starts_with("sqlite_")) items.push_back(std::move(item));
  }
  list.reset();
  if (step != SQLITE_DONE) report.application_losses.emplace_back("all that SQLite cannot list");
  if (items.empty()) return {};
  Connection& target = to.connection;
  if (Result<void> begun = target.execute("BEGIN"); !begun) return begun;
  for (const Item& item : items) {
    int rc = SQLITE_OK;
    bool whole = target.execute(item.sql.c_str()).ok();
    if (whole && item.type == "table") whole = TableCopy(*from, target, item).run(report.application_rows, rc);
    if (rc != SQLITE_OK) return target.error(rc, "salvage");
    if (!whole) report.application_losses.push_back(item.type + " " + item.name);
  }
  return target.execute("COMMIT");
}

}  // namespace pannier
