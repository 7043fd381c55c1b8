#include <utility>

#include "gateways/http/front.h"
#include "platform/posix/digest.h"

/// Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): an answer is stored in the transaction of its effect.
namespace pannier::http {

namespace {

constexpr std::size_t kKeyBytes = 255;
constexpr const char* kMakeTable =
    "CREATE TABLE IF NOT EXISTS http_answers (key TEXT PRIMARY KEY, print TEXT NOT NULL, at INTEGER NOT NULL, "
    "status INTEGER NOT NULL, body NOT NULL) WITHOUT ROWID";
constexpr const char* kMakeIndex = "CREATE INDEX IF NOT EXISTS http_answers_at ON http_answers (at)";

std::int64_t seconds_of(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

/// How long an answer is kept.
constexpr std::int64_t kKeptSeconds = 24LL * 3600;

}  // namespace

void Front::on_start() {
  Batch batch;
  batch.execute(kMakeTable).execute(kMakeIndex);
  commit(std::move(batch)).then([this](const Result<Receipt>& receipt) {
    if (receipt) {
      keeps_ = receipt->durability;
    } else if (receipt.error().code != ErrorCode::closed) {
      log(LogLevel::error, "HTTP keeps no answers: " + receipt.error().text());
    }
    knows_ = true;
    for (auto& each : std::exchange(until_known_, {})) each();
  });
}

std::optional<Front::Once> Front::once_of(const CallPtr& call) {
  const Request& request = call->request();
  std::string_view key = request.header("idempotency-key");
  // The draft has a string of structured fields, in quotes; most clients send it bare.
  if (key.size() >= 2 && key.front() == '"' && key.back() == '"') key = key.substr(1, key.size() - 2);
  if (key.empty() || key.size() > kKeyBytes) {
    fail(call, {ErrorCode::invalid_argument, "Idempotency-Key has 1 to 255 characters"});
    return std::nullopt;
  }
  std::string asked = request.method + "\n" + request.path + "\n" + std::string{request.header("content-type")};
  for (const auto& [name, value] : request.query) asked += "\n" + name + "=" + value;
  // By length, so that what belongs to the query cannot be taken for the body.
  const std::string print = posix::sha256_hex(std::to_string(asked.size()) + "\n" + asked + "\n" + request.body);
  return Once{std::to_string(call->key.size()) + ":" + call->key + ":" + std::string{key}, print};
}

void Front::once(const CallPtr& call, const Once& once_only, const Resource* resource, std::function<void()> act) {
  if (!knows_) {
    until_known_.push_back([=, this] { once(call, once_only, resource, act); });
    return;
  }
  if (!keeps_) {
    return fail(call, {ErrorCode::unsupported, "this node's store keeps no answers, so it takes no Idempotency-Key"});
  }
  if (!running_.insert(once_only.key).second) {
    Response response = problem(409, "in_use", "the request with this Idempotency-Key is still running");
    response.headers.emplace_back("Retry-After", "1");
    return answer(call, std::move(response));
  }
  // It runs to its end whether or not the client waits: a later request with the key gets its answer.
  queue()
      .query("SELECT print, status, body FROM http_answers WHERE key = ?1", once_only.key)
      .then([this, call, once_only, resource, act = std::move(act)](const Result<std::vector<SqlRow>>& rows) {
        if (rows && rows->empty()) return act();
        running_.erase(once_only.key);
        if (!rows) return fail(call, rows.error());
        answer(call, kept_answer(*call, once_only, resource, rows->front()));
      });
}

Response Front::kept_answer(const Call& call, const Once& once_only, const Resource* resource, const SqlRow& row) {
  std::string print;
  std::uint16_t status = 0;
  if (row.size() != 3 || !detail::read_column(row[0], print) || !detail::read_column(row[1], status)) {
    return problem({ErrorCode::corrupt, "the kept answer is none"});
  }
  if (print != once_only.print) {
    return problem(422, "conflict", "this Idempotency-Key was used for another request");
  }
  if (status == 0) {
    return problem(409, "outcome_unknown",
                   "the node stopped while this request was carried out: whether it took effect is not known");
  }
  if (const auto* text = std::get_if<std::string>(&row[2])) {
    Response response = json_answer(status, *text);
    if (status >= 400) response.headers.front().second = "application/problem+json";
    return response;
  }
  const auto* bytes = std::get_if<std::vector<std::byte>>(&row[2]);
  if (bytes == nullptr || resource == nullptr) return problem({ErrorCode::corrupt, "the kept answer is none"});
  auto body = resource_body(call, *resource, BlockRef::copy_of(*bytes));
  return body ? json_answer(status, std::move(*body)) : problem(body.error());
}

void Front::keep(Batch& batch, const Once& once_only, std::uint16_t status, std::string_view body) const {
  const std::int64_t at = seconds_of(wall_now());
  batch.execute("DELETE FROM http_answers WHERE at < ?1", at - kKeptSeconds);
  batch.execute("INSERT INTO http_answers (key, print, at, status, body) VALUES (?1, ?2, ?3, ?4, ?5)", once_only.key,
                once_only.print, at, status, body);
}

Result<void> keep_answer(Batch& batch, const rpc::Caller& caller, const AnyTable& table, WallTime at) {
  const std::string_view key = caller.value("idempotency-key");
  if (key.empty()) return {};
  if (!table.can_leave() || !table.block()) return Error{ErrorCode::invalid_argument, "keep_answer: no table"};
  const auto bytes = table.bytes();
  batch.execute("DELETE FROM http_answers WHERE at < ?1", seconds_of(at) - kKeptSeconds);
  batch.execute("INSERT INTO http_answers (key, print, at, status, body) VALUES (?1, ?2, ?3, 200, ?4)", key,
                caller.value("idempotency-print"), seconds_of(at), std::vector<std::byte>{bytes.begin(), bytes.end()});
  return {};
}

}  // namespace pannier::http
