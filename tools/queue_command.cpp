#include <algorithm>
#include <cstdio>
#include <vector>

#include "run/schema/inspect.fbs.h"
#include "tools/commands.h"

namespace pannier::tools {

namespace {

constexpr std::uint32_t kRowsOfKey = 20;

std::string text_of(const flatbuffers::String* text) { return text == nullptr ? std::string{} : text->str(); }

std::string age(std::int64_t ms) {
  const std::int64_t s = ms / 1000;
  if (s < 1) return std::to_string(ms) + " ms";
  if (s < 120) return std::to_string(s) + " s";
  if (s < 7200) return std::to_string(s / 60) + " min";
  return std::to_string(s / 3600) + " h";
}

std::string way(Box box, const std::string& node, const std::string& lane) {
  if (box == Box::Outbox) return lane + " -> " + node;
  return node.empty() ? lane : lane + " (from " + node + ")";
}

std::string to_json(const QueueStatus& status) {
  std::string streams;
  std::string rows;
  if (status.streams() != nullptr) {
    for (const StreamStatus* each : *status.streams()) {
      JsonObject object;
      object.text("box", each->box() == Box::Outbox ? "outbox" : "inbox");
      object.text("node", text_of(each->node())).text("lane", text_of(each->lane()));
      object.number("messages", each->messages())
          .number("bytes", each->bytes())
          .number("dead_lettered", each->dead_lettered());
      object.number("delayed", each->delayed()).number("retained", each->retained());
      object.number("in_flight", each->in_flight()).flag("link_up", each->link_up());
      streams += (streams.empty() ? "" : ",") + object.str();
    }
  }
  if (status.rows() != nullptr) {
    for (const RowStatus* each : *status.rows()) {
      JsonObject object;
      object.text("box", each->box() == Box::Outbox ? "outbox" : "inbox");
      object.text("node", text_of(each->node())).text("lane", text_of(each->lane()));
      object.number("id", each->id()).number("sequence", each->sequence()).text("key", text_of(each->key()));
      object.number("bytes", each->bytes()).number("age_ms", static_cast<std::uint64_t>(each->age_ms()));
      object.flag("dead_lettered", each->dead_lettered()).number("attempts", each->attempts());
      object.text("state", EnumNameRowState(each->state())).text("cause", text_of(each->cause()));
      if (each->due_in_ms() >= 0) object.number("due_in_ms", static_cast<std::uint64_t>(each->due_in_ms()));
      if (each->expires_in_ms() >= 0) object.number("expires_in_ms", static_cast<std::uint64_t>(each->expires_in_ms()));
      object.number("position", each->position()).flag("position_is_least", each->position_is_least());
      object.text("waits_for", text_of(each->waits_for()));
      rows += (rows.empty() ? "" : ",") + object.str();
    }
  }
  std::string counters;
  if (status.lanes() != nullptr) {
    for (const LaneStatus* each : *status.lanes()) {
      JsonObject object;
      object.text("lane", text_of(each->lane())).number("accepted", each->accepted());
      object.number("refused", each->refused()).number("duplicates", each->duplicates());
      object.number("evicted", each->evicted()).number("expired", each->expired());
      object.number("cancelled", each->cancelled()).number("delivered", each->delivered());
      object.number("handled", each->handled())
          .number("retried", each->retried())
          .number("dead_lettered", each->dead_lettered());
      counters += (counters.empty() ? "" : ",") + object.str();
    }
  }
  JsonObject object;
  object.text("node", text_of(status.node())).raw("lanes", "[" + streams + "]").raw("rows", "[" + rows + "]");
  object.number("accepted", status.accepted()).number("delivered", status.delivered());
  object.number("handled", status.handled()).number("duplicates", status.duplicates());
  object.number("refused", status.refused()).number("commits", status.commits()).number("fsyncs", status.fsyncs());
  object.number("corrupt_rows", status.corrupt_rows()).number("bytes_written", status.bytes_written());
  object.number("rows_put", status.rows_put()).number("forgotten", status.forgotten());
  object.number("rows_not_examined", status.rows_not_examined());
  object.raw("counters", "[" + counters + "]");
  return object.str();
}

void print_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line += std::string(widths[i] - row[i].size() + 2, ' ');
    }
    print(line);
  }
}

void print_streams(const QueueStatus& status) {
  std::vector<std::vector<std::string>> rows = {
      {"LANE", "BOX", "WAITING", "BYTES", "DELAYED", "DEAD", "RETAINED", "IN FLIGHT", "LINK"}};
  if (status.streams() != nullptr) {
    for (const StreamStatus* each : *status.streams()) {
      const bool out = each->box() == Box::Outbox;
      rows.push_back({way(each->box(), text_of(each->node()), text_of(each->lane())), out ? "outbox" : "inbox",
                      std::to_string(each->messages()), std::to_string(each->bytes()), std::to_string(each->delayed()),
                      std::to_string(each->dead_lettered()), std::to_string(each->retained()),
                      std::to_string(each->in_flight()),
                      !out              ? "-"
                      : each->link_up() ? "up"
                                        : "down"});
    }
  }
  if (rows.size() == 1) {
    print(text_of(status.node()) + ": no lane has been used yet");
  } else {
    print_table(rows);
  }
}

void print_counters(const QueueStatus& status) {
  std::vector<std::vector<std::string>> rows = {{"LANE", "ACCEPTED", "REFUSED", "DUPLICATE", "EVICTED", "EXPIRED",
                                                 "CANCELLED", "DELIVERED", "HANDLED", "RETRIED", "DEAD"}};
  if (status.lanes() != nullptr) {
    for (const LaneStatus* each : *status.lanes()) {
      rows.push_back({text_of(each->lane())});
      for (const std::uint64_t count :
           {each->accepted(), each->refused(), each->duplicates(), each->evicted(), each->expired(), each->cancelled(),
            each->delivered(), each->handled(), each->retried(), each->dead_lettered()}) {
        rows.back().push_back(std::to_string(count));
      }
    }
  }
  print_table(rows);
  const std::uint64_t put = std::max<std::uint64_t>(status.rows_put(), 1);
  print("written to flash: " + std::to_string(status.bytes_written()) + " bytes, " + std::to_string(status.fsyncs()) +
        " syncs; a message stored: " + std::to_string(status.bytes_written() / put) + " bytes");
}

void print_rows(const QueueStatus& status) {
  for (const RowStatus* each : *status.rows()) {
    const std::string attempts = each->attempts() == 0 ? "" : ", attempts " + std::to_string(each->attempts());
    const auto in = [](const char* what, std::int64_t ms) { return ms < 0 ? "" : std::string{what} + age(ms); };
    print("#" + std::to_string(each->id()) + " key '" + shown_key(text_of(each->key())) + "' " +
          (each->box() == Box::Outbox ? "outbox " : "inbox ") +
          way(each->box(), text_of(each->node()), text_of(each->lane())) + ", " + std::to_string(each->bytes()) +
          " bytes, " + age(each->age_ms()) + " old, " + (each->position_is_least() ? "at least " : "") +
          std::to_string(each->position()) + " before it" + attempts + in(", due in ", each->due_in_ms()) +
          in(", expires in ", each->expires_in_ms()) +
          (text_of(each->cause()).empty() ? "" : ", last error '" + shown_key(text_of(each->cause())) + "'") + ": " +
          text_of(each->waits_for()));
  }
}

int print_peers(Client& client, const QueueCommand& command) {
  const auto request = build<AskPeers>([](flatbuffers::FlatBufferBuilder& builder) { return CreateAskPeers(builder); });
  const auto list = client.ask<PeerList>(request, command.target.timeout);
  if (!list) return fail_with(list.error());
  std::vector<std::vector<std::string>> rows = {{"PEER", "RESOURCE", "USED", "LIMIT", "REFUSED"}};
  const auto* peers = (*list)->peers();
  for (std::uint32_t i = 0; peers != nullptr && i < peers->size(); ++i) {
    for (const PeerResource* each : *peers->Get(i)->resources()) {
      const std::string peer = text_of(peers->Get(i)->peer());
      if (command.json) {
        print(JsonObject{}
                  .text("peer", peer)
                  .text("resource", text_of(each->resource()))
                  .number("used", each->used())
                  .number("limit", each->limit())
                  .number("refused", each->refused())
                  .str());
      } else if (each->used() != 0 || each->refused() != 0) {
        rows.push_back({peer, text_of(each->resource()), std::to_string(each->used()), std::to_string(each->limit()),
                        std::to_string(each->refused())});
      }
    }
  }
  if (command.json) return 0;
  print_table(rows);
  if ((*list)->more() != 0) print("and " + std::to_string((*list)->more()) + " peers more");
  return 0;
}

}  // namespace

int run_queue(const QueueCommand& command) {
  auto client = Client::connect(command.target);
  if (!client) return fail_with(client.error());
  if (command.peers) return print_peers(*client, command);
  const std::uint32_t wanted = command.rows != 0 ? command.rows : command.key.empty() ? 0 : kRowsOfKey;
  const auto request = build<Inspect>([&](flatbuffers::FlatBufferBuilder& builder) {
    return CreateInspectDirect(builder, command.key.c_str(), wanted, command.id);
  });
  const auto status = client->ask<QueueStatus>(request, command.target.timeout);
  if (!status) return fail_with(status.error());
  const std::size_t rows = (*status)->rows() == nullptr ? 0 : (*status)->rows()->size();
  const std::uint64_t unseen = (*status)->rows_not_examined();
  const bool looked_for = command.id != 0 || !command.key.empty();
  if (command.json) {
    print(to_json(**status));
    return looked_for && rows == 0 ? kExitRefused : 0;
  }
  if (command.id != 0) {
    if (rows != 0) {
      print_rows(**status);
      return 0;
    }
    return fail(kExitRefused,
                {ErrorCode::not_found, "#" + std::to_string(command.id) + " is not at " + text_of((*status)->node()) +
                                           ": it was delivered, has expired, was cancelled, or never came here"});
  }
  if (command.counters) {
    print_counters(**status);
    return 0;
  }
  if (command.key.empty()) print_streams(**status);
  if (wanted != 0 && rows != 0) print_rows(**status);
  if (!command.key.empty() && rows == 0 && unseen != 0) {
    return fail(kExitRefused, "key '" + shown_key(command.key) + "' is not among the messages that were looked at at " +
                                  text_of((*status)->node()) + ", and at least " + std::to_string(unseen) +
                                  " were not: look with --id, the number of its receipt");
  }
  if (!command.key.empty() && rows == 0) {
    return fail(kExitRefused, "nothing with key '" + shown_key(command.key) + "' waits at " +
                                  text_of((*status)->node()) +
                                  ": it was handled, went on to the next node, or never came here");
  }
  return 0;
}

}  // namespace pannier::tools
