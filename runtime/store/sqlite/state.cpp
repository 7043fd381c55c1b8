#include <memory>

#include "runtime/store/sqlite/store_impl.h"

namespace pannier {
namespace {

class SqliteState final : public SqlitePart, public StateTable {
 public:
  explicit SqliteState(SqliteStore& store) : store_(store) {}

  [[nodiscard]] Result<void> opened(Connection& connection) override {
    put_ = Statement(connection,
                     "INSERT INTO state (key, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value=excluded.value");
    erase_ = Statement(connection, "DELETE FROM state WHERE key=?1");
    read_ = Statement(connection, "SELECT key, value FROM state WHERE key>=?1 ORDER BY key");
    if (const int rc = put_.prepare(); rc != SQLITE_OK) return connection.error(rc, "prepare a statement");
    return {};
  }
  void closing() noexcept override {
    for (Statement* each : {&put_, &erase_, &read_}) *each = Statement{};
  }

  [[nodiscard]] Result<void> put_state(std::string_view key, std::span<const std::byte> value) override {
    if (Result<void> ready = store_.check_change(); !ready) return ready;
    if (Result<void> checked = store_checks::state(key, value); !checked) return store_.fail(checked.error());
    put_.bind(1, key);
    put_.bind(2, value);
    if (const int rc = put_.run(); rc != SQLITE_OK) return store_.fail(rc, "put state");
    return {};
  }

  [[nodiscard]] Result<void> erase_state(std::string_view key) override {
    if (Result<void> ready = store_.check_change(); !ready) return ready;
    erase_.bind(1, key);
    if (const int rc = erase_.run(); rc != SQLITE_OK) return store_.fail(rc, "erase state");
    return {};
  }

  [[nodiscard]] Result<void> read_state(std::string_view prefix, StateVisitor visit) override {
    if (Result<void> ready = store_.check_open(); !ready) return ready;
    const StatementScope scope(read_);
    read_.bind(1, prefix);
    while (true) {
      const int rc = read_.step();
      if (rc == SQLITE_DONE) return {};
      if (rc != SQLITE_ROW) return store_.session().connection.error(rc, "read state");
      if (!read_.text(0).starts_with(prefix) || !visit(read_.text(0), read_.blob(1))) return {};
    }
  }

 private:
  SqliteStore& store_;
  Statement put_;
  Statement erase_;
  Statement read_;
};

}  // namespace

void with_state(SqliteStore& store) {
  auto part = std::make_unique<SqliteState>(store);
  store.parts.state = part.get();
  store.parts.all.push_back(std::move(part));
}

}  // namespace pannier
