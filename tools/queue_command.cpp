#include <algorithm>
#include <cstdio>
#include <vector>

#include "tools/commands.h"
#include "tools/schema/inspect.fbs.h"

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
      object.number("messages", each->messages()).number("bytes", each->bytes()).number("parked", each->parked());
      object.number("in_flight", each->in_flight()).flag("link_up", each->link_up());
      streams += (streams.empty() ? "" : ",") + object.str();
    }
  }
  if (status.rows() != nullptr) {
    for (const RowStatus* each : *status.rows()) {
      JsonObject object;
      object.text("box", each->box() == Box::Outbox ? "outbox" : "inbox");
      object.text("node", text_of(each->node())).text("lane", text_of(each->lane()));
      object.number("sequence", each->sequence()).text("key", text_of(each->key()));
      object.number("bytes", each->bytes()).number("age_ms", static_cast<std::uint64_t>(each->age_ms()));
      object.flag("parked", each->parked()).number("attempts", each->attempts());
      object.number("position", each->position()).text("waits_for", text_of(each->waits_for()));
      rows += (rows.empty() ? "" : ",") + object.str();
    }
  }
  JsonObject object;
  object.text("node", text_of(status.node())).raw("lanes", "[" + streams + "]").raw("rows", "[" + rows + "]");
  object.number("accepted", status.accepted()).number("delivered", status.delivered());
  object.number("handled", status.handled()).number("duplicates", status.duplicates());
  object.number("refused", status.refused()).number("commits", status.commits()).number("fsyncs", status.fsyncs());
  object.number("corrupt_rows", status.corrupt_rows());
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
  std::vector<std::vector<std::string>> rows = {{"LANE", "BOX", "WAITING", "BYTES", "PARKED", "IN FLIGHT", "LINK"}};
  if (status.streams() != nullptr) {
    for (const StreamStatus* each : *status.streams()) {
      const bool out = each->box() == Box::Outbox;
      rows.push_back({way(each->box(), text_of(each->node()), text_of(each->lane())), out ? "outbox" : "inbox",
                      std::to_string(each->messages()), std::to_string(each->bytes()), std::to_string(each->parked()),
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

void print_rows(const QueueStatus& status) {
  for (const RowStatus* each : *status.rows()) {
    const std::string attempts = each->attempts() == 0 ? "" : ", attempts " + std::to_string(each->attempts());
    print("#" + std::to_string(each->sequence()) + " key '" + text_of(each->key()) + "' " +
          (each->box() == Box::Outbox ? "outbox " : "inbox ") +
          way(each->box(), text_of(each->node()), text_of(each->lane())) + ", " + std::to_string(each->bytes()) +
          " bytes, " + age(each->age_ms()) + " old, " + std::to_string(each->position()) + " before it" + attempts +
          ": " + text_of(each->waits_for()));
  }
}

}  // namespace

int run_queue(const QueueCommand& command) {
  auto client = Client::connect(command.target);
  if (!client) return fail_with(client.error());
  const std::uint32_t wanted = command.rows != 0 ? command.rows : command.key.empty() ? 0 : kRowsOfKey;
  const auto request = build<Inspect>([&](flatbuffers::FlatBufferBuilder& builder) {
    return CreateInspectDirect(builder, command.key.c_str(), wanted);
  });
  const auto status = client->ask<QueueStatus>(request, command.target.timeout);
  if (!status) return fail_with(status.error());
  if (command.json) {
    print(to_json(**status));
    return 0;
  }
  const std::size_t rows = (*status)->rows() == nullptr ? 0 : (*status)->rows()->size();
  if (command.key.empty()) print_streams(**status);
  if (wanted != 0 && rows != 0) print_rows(**status);
  if (!command.key.empty() && rows == 0) {
    print("nothing with key '" + command.key + "' waits at " + text_of((*status)->node()) +
          ": it was handled, went on to the next node, or never came here");
  }
  return 0;
}

}  // namespace pannier::tools
