#include <memory>

#include <pannier/events.h>
#include <pannier/limits.h>

#include "services/events/event_sql.h"

namespace pannier {

namespace {

constexpr std::size_t kEntriesAPage = 200;
constexpr std::size_t kBytesAPage = 200 * 1024;

}  // namespace

Table<events::Recorded> to_table(const RecordedEvent& event) {
  const auto bytes = event.data.bytes();
  return build<events::Recorded>([&](flatbuffers::FlatBufferBuilder& b) {
    const auto stream = b.CreateString(event.stream);
    const auto type = b.CreateString(event.type);
    b.ForceVectorAlignment(bytes.size(), 1, limits::kPayloadAlignment);
    const auto data = b.CreateVector(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    const auto subject = event.subject.empty() ? 0 : b.CreateString(event.subject);
    return events::CreateRecorded(b, event.position, stream, event.version, type, event.schema,
                                  event.at.time_since_epoch().count(), data, subject);
  });
}

void EventReader::on_start() {
  Batch tables;
  prepare_events(tables);
  commit(std::move(tables)).then([this](const Result<Receipt>& made) {
    if (!made) fail("the tables of events cannot be made: " + made.error().text());
  });
}

void EventReader::on(const events::StreamsQuestion& question, Responder responder) {
  const std::string prefix{text_of(question.prefix())};
  SqlStatement select{"SELECT name, version, at FROM es_streams WHERE name>?1 AND name>=?2",
                      {std::string{text_of(question.after())}, prefix}};
  if (const auto end = event_sql::end_of_prefix(prefix)) {
    select.sql += " AND name<?3";
    select.values.emplace_back(*end);
  }
  select.sql += " ORDER BY name LIMIT " + std::to_string(kEntriesAPage + 1);
  QueueControl{*this}.query(std::move(select)).then([responder](const Result<std::vector<SqlRow>>& rows) {
    if (!rows) return responder.refuse(rows.error());
    events::StreamsT page;
    for (const SqlRow& row : *rows) {
      page.more = page.streams.size() == kEntriesAPage;
      if (page.more) break;
      auto stream = std::make_unique<events::StreamSummaryT>();
      stream->name = event_sql::text(row[0]);
      stream->version = event_sql::number(row[1]);
      stream->at_ns = event_sql::integer(row[2]);
      page.streams.push_back(std::move(stream));
    }
    responder.reply(AnyTable{pack(page)});
  });
}

void EventReader::on(const events::EventsQuestion& question, Responder responder) {
  EventSelection selection;
  selection.stream = text_of(question.stream());
  selection.stream_prefix = text_of(question.prefix());
  selection.after = question.after();
  selection.as_of = WallTime{Duration{question.as_of_ns()}};
  selection.limit = kEntriesAPage + 1;
  read_events(*this, selection, [responder](const Result<std::vector<RecordedEvent>>& events) {
    if (!events) return responder.refuse(events.error());
    events::EventPageT page;
    std::size_t bytes = 0;
    for (const RecordedEvent& event : *events) {
      bytes += event.data.bytes().size() + event.stream.size() + event.type.size();
      page.more = page.events.size() == kEntriesAPage || (bytes > kBytesAPage && !page.events.empty());
      if (page.more) break;
      page.events.emplace_back(to_table(event)->UnPack());
    }
    responder.reply(AnyTable{pack(page)});
  });
}

}  // namespace pannier
