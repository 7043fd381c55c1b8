#include "examples/delivery/day/report.h"

#include <algorithm>
#include <cstdio>
#include <string_view>

#include "examples/delivery/day/json.h"

namespace pannier::delivery {
namespace {

// The days begin at minute 0 with breakfast, so the lunch peak in the fourth hour falls on noon.
constexpr std::int32_t kDayBeginsAtMinute = 8 * 60 + 30;

std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3;) {
    at -= 3;
    text.insert(at, ",");
  }
  return text;
}

std::string decimal(double number, const char* unit) {
  char text[48];
  std::snprintf(text, sizeof text, "%.1f %s", number, unit);
  return text;
}

std::string padded(std::string_view text, std::size_t width) {
  std::string out(text);
  if (out.size() < width) out.append(width - out.size(), ' ');
  return out;
}

std::string right(std::string_view text, std::size_t width) {
  return text.size() < width ? std::string(width - text.size(), ' ') + std::string(text) : std::string(text);
}

std::string_view name_of(Fault::Kind kind) {
  switch (kind) {
    case Fault::Kind::kill: return "kill -9";
    case Fault::Kind::cut_drop: return "link cut";
    case Fault::Kind::cut_freeze: return "link frozen";
  }
  return "";
}

std::optional<double> per_event(const std::optional<std::uint64_t>& bytes, std::uint64_t events) {
  if (!bytes || events == 0) return std::nullopt;
  return static_cast<double>(*bytes) / static_cast<double>(events);
}

std::string per_event_text(const std::optional<double>& bytes) {
  return bytes ? grouped(static_cast<std::uint64_t>(*bytes + 0.5)) + " bytes an event" : "not known on this system";
}

std::string verdict(const Report& report) {
  const AuditResult& audit = report.audit;
  std::string text;
  if (report.good()) return "Every accepted event took effect once, in order.\n";
  if (audit.lost + audit.twice + audit.out_of_order > 0) text += "FAILED: events were lost, doubled or reordered.\n";
  if (audit.orders_delivered < report.orders) {
    text += "FAILED: " + grouped(report.orders - audit.orders_delivered) + " orders were not delivered.\n";
  }
  for (const std::string& process : audit.incomplete) {
    text += "FAILED: " + process + " did not report what took effect there.\n";
  }
  for (const std::string& example : audit.examples) text += "  " + example + "\n";
  return text;
}

}  // namespace

std::string format_progress(const Progress& progress) {
  const std::int32_t minute = kDayBeginsAtMinute + progress.day_minute;
  char text[160];
  std::snprintf(text, sizeof text,
                "%02d:%02d  placed %llu/%llu  delivered %llu  waiting on disk %llu  links up %llu/%llu  kills %llu  "
                "cuts %llu",
                minute / 60 % 24, minute % 60, static_cast<unsigned long long>(progress.placed),
                static_cast<unsigned long long>(progress.orders), static_cast<unsigned long long>(progress.delivered),
                static_cast<unsigned long long>(progress.waiting), static_cast<unsigned long long>(progress.links_up),
                static_cast<unsigned long long>(progress.links), static_cast<unsigned long long>(progress.kills),
                static_cast<unsigned long long>(progress.cuts));
  return text;
}

std::uint64_t Report::kills() const noexcept {
  return static_cast<std::uint64_t>(
      std::count_if(faults.begin(), faults.end(), [](const Fault& f) { return f.kind == Fault::Kind::kill; }));
}

std::uint64_t Report::cuts() const noexcept { return faults.size() - kills(); }

std::optional<double> Report::heal_s_max() const noexcept {
  double longest = 0;
  for (const Fault& fault : faults) {
    if (!fault.heal_s) return std::nullopt;
    longest = std::max(longest, *fault.heal_s);
  }
  return longest;
}

bool Report::good() const noexcept { return audit.good() && audit.orders_delivered == orders; }

std::string format_table(const Report& report) {
  const AuditResult& audit = report.audit;
  std::string out = "\nA day of deliveries: " + report.day + ", seed " + std::to_string(report.seed) + ", " +
                    grouped(report.processes) + " processes, " + decimal(report.seconds, "s") + "\n\n";
  const auto row = [&out](std::string_view name, const std::string& value) {
    out += "  " + padded(name, 24) + value + "\n";
  };
  row("orders delivered", grouped(audit.orders_delivered) + " of " + grouped(report.orders));
  row("events accepted", grouped(audit.events_accepted));
  row("events lost", grouped(audit.lost));
  row("effects twice", grouped(audit.twice));
  row("out of order", grouped(audit.out_of_order));
  row("largest backlog", grouped(report.backlog_max) + " events on disk");
  row("on the wire", per_event_text(per_event(report.wire_bytes, audit.events_accepted)));
  row("on disk", per_event_text(per_event(report.disk_bytes, audit.events_accepted)));

  if (!report.faults.empty()) {
    out += "\n  " + padded("what broke", 13) + padded("where", 20) + right("at", 10) + right("for", 10) +
           right("healed after", 15) + "\n";
  }
  for (const Fault& fault : report.faults) {
    out += "  " + padded(name_of(fault.kind), 13) + padded(fault.target, 20) + right(decimal(fault.at_s, "s"), 10) +
           right(decimal(fault.lasted_s, "s"), 10) +
           right(fault.heal_s ? decimal(*fault.heal_s, "s") : std::string("not yet"), 15) + "\n";
  }
  return out + "\n" + verdict(report);
}

std::string format_json(const Report& report) {
  const AuditResult& audit = report.audit;
  JsonWriter json;
  json.begin('{');
  json.key("day").value(report.day);
  json.key("seed").value(report.seed);
  json.key("processes").value(report.processes);
  json.key("good").value(report.good());
  json.key("orders").value(report.orders);
  json.key("orders_delivered").value(audit.orders_delivered);
  json.key("events_accepted").value(audit.events_accepted);
  json.key("events_applied").value(audit.events_applied);
  json.key("lost").value(audit.lost);
  json.key("twice").value(audit.twice);
  json.key("out_of_order").value(audit.out_of_order);
  json.key("unclaimed").value(audit.unclaimed);
  json.key("torn_lines").value(audit.torn_lines);
  json.key("kills").value(report.kills());
  json.key("cuts").value(report.cuts());
  json.key("heal_s_max").value(report.heal_s_max());
  json.key("backlog_max").value(report.backlog_max);
  json.key("wire_bytes_per_event").value(per_event(report.wire_bytes, audit.events_accepted));
  json.key("disk_bytes_per_event").value(per_event(report.disk_bytes, audit.events_accepted));
  json.key("seconds").value(std::optional<double>(report.seconds));
  json.key("faults").begin('[');
  for (const Fault& fault : report.faults) {
    json.begin('{');
    json.key("what").value(name_of(fault.kind));
    json.key("where").value(fault.target);
    json.key("at_s").value(std::optional<double>(fault.at_s));
    json.key("lasted_s").value(std::optional<double>(fault.lasted_s));
    json.key("heal_s").value(fault.heal_s);
    json.end('}');
  }
  json.end(']');
  json.key("violations").begin('[');
  for (const std::string& example : audit.examples) json.value(example);
  json.end(']');
  json.end('}');
  return json.text();
}

}  // namespace pannier::delivery
