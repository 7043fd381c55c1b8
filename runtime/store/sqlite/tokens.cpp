#include <algorithm>
#include <memory>

#include "runtime/store/sqlite/store_impl.h"

namespace pannier {
namespace {

class SqliteTokens final : public SqlitePart, public TokenTable {
 public:
  explicit SqliteTokens(SqliteStore& store) : store_(store) {}

  [[nodiscard]] Result<void> opened(Connection& connection) override {
    // Changes nothing where the token is there,
    add_ = Statement(connection,
                     "INSERT INTO tokens (stream, token, sequence, expires_at) VALUES (?1, ?2, ?3, ?4)"
                     " ON CONFLICT DO NOTHING");
    // or where it is not.
    replace_ = Statement(connection, "UPDATE tokens SET sequence=?3, expires_at=?4 WHERE stream=?1 AND token=?2");
    erase_ = Statement(connection,
                       "DELETE FROM tokens WHERE (stream, token) IN"
                       " (SELECT stream, token FROM tokens WHERE expires_at<=?1 ORDER BY expires_at LIMIT ?2)");
    read_ = Statement(connection, "SELECT sequence, expires_at FROM tokens WHERE stream=?1 AND token=?2");
    const Result<std::int64_t> count = connection.integer("SELECT count(*) FROM tokens");
    if (!count) return count.error();
    count_ = static_cast<std::size_t>(*count);
    return {};
  }
  void closing() noexcept override {
    for (Statement* each : {&add_, &replace_, &erase_, &read_}) *each = Statement{};
  }
  void begin() noexcept override { before_ = count_; }
  void rollback() noexcept override { count_ = before_; }
  void begin_part() noexcept override { before_part_ = count_; }
  void undo_part() noexcept override { count_ = before_part_; }

  [[nodiscard]] Result<void> put_token(StreamId stream, std::string_view token, Sequence sequence,
                                       StoreTime expires_at) override {
    if (Result<void> ready = store_.check_change(); !ready) return ready;
    if (Result<void> checked = store_checks::token(token); !checked) return store_.fail(checked.error());
    const bool full = count_ >= limits::kTokens;
    for (Statement* put : {&add_, &replace_}) {
      if (full && put == &add_) continue;
      put->bind(1, static_cast<std::int64_t>(stream));
      put->bind(2, token);
      put->bind(3, as_signed(sequence));
      put->bind(4, stored(expires_at));
      if (const int rc = put->run(); rc != SQLITE_OK) return store_.fail(rc, "put a token");
      if (store_.session().connection.changes() == 0) continue;
      if (put == &add_) ++count_;
      return {};
    }
    return store_checks::too_many_tokens();
  }

  [[nodiscard]] Result<void> erase_tokens(StoreTime now, std::size_t limit) override {
    if (Result<void> ready = store_.check_change(); !ready) return ready;
    erase_.bind(1, stored(now));
    erase_.bind(2, as_signed(limit));
    if (const int rc = erase_.run(); rc != SQLITE_OK) return store_.fail(rc, "erase tokens");
    count_ -= std::min(count_, static_cast<std::size_t>(store_.session().connection.changes()));
    return {};
  }

  [[nodiscard]] Result<Sequence> token(StreamId stream, std::string_view token, StoreTime now) override {
    if (Result<void> ready = store_.check_open(); !ready) return ready.error();
    const StatementScope scope(read_);
    read_.bind(1, static_cast<std::int64_t>(stream));
    read_.bind(2, token);
    const int rc = read_.step();
    if (rc == SQLITE_DONE) return Sequence{0};
    if (rc != SQLITE_ROW) return store_.session().connection.error(rc, "read a token");
    return store_time(read_.integer(1)) > now ? as_unsigned(read_.integer(0)) : Sequence{0};
  }

 private:
  SqliteStore& store_;
  Statement add_;
  Statement replace_;
  Statement erase_;
  Statement read_;
  std::size_t count_ = 0;
  std::size_t before_ = 0;
  std::size_t before_part_ = 0;
};

}  // namespace

void with_tokens(SqliteStore& store) {
  auto part = std::make_unique<SqliteTokens>(store);
  store.parts.tokens = part.get();
  store.parts.all.push_back(std::move(part));
}

}  // namespace pannier
