#include "examples/delivery/day/report.h"

#include <doctest/doctest.h>

#include "examples/delivery/day/json.h"

namespace pannier::delivery {
namespace {

Report good_report() {
  Report report;
  report.day = "a generated day";
  report.seed = 7;
  report.processes = 13;
  report.orders = 505;
  report.audit.events_accepted = 3'030;
  report.audit.orders_delivered = 505;
  report.faults = {{Fault::Kind::kill, "hub", 40.0, 0.5, 1.25},
                   {Fault::Kind::cut_freeze, "handheld-2", 50.0, 5.0, 2.5}};
  report.backlog_max = 131;
  report.wire_bytes = 3'030 * 700;
  report.seconds = 117.04;
  return report;
}

bool holds(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("the JSON holds every figure that was promised, and null for what is not known") {
  const std::string json = format_json(good_report());
  for (const char* field : {"\"orders\": 505", "\"orders_delivered\": 505", "\"events_accepted\": 3030", "\"lost\": 0",
                            "\"twice\": 0", "\"out_of_order\": 0", "\"kills\": 1", "\"cuts\": 1",
                            "\"heal_s_max\": 2.500", "\"backlog_max\": 131", "\"wire_bytes_per_event\": 700.000",
                            "\"disk_bytes_per_event\": null", "\"seconds\": 117.040", "\"good\": true"}) {
    CAPTURE(std::string(field));
    CHECK(holds(json, field));
  }
}

TEST_CASE("JSON is well formed whatever the text holds") {
  JsonWriter json;
  json.begin('{').key("a\"b").value("line\nend\\\x01").key("list").begin('[').value(std::uint64_t{1}).value(true);
  json.begin('{').end('}').end(']').key("none").begin('[').end(']').end('}');
  CHECK(json.text() ==
        "{\n  \"a\\\"b\": \"line\\u000aend\\\\\\u0001\",\n  \"list\": [\n    1,\n    true,\n    {}\n  ],\n"
        "  \"none\": []\n}\n");
}

TEST_CASE("the table says at a glance that all went well") {
  const std::string table = format_table(good_report());
  CHECK(holds(table, "orders delivered        505 of 505"));
  CHECK(holds(table, "events accepted         3,030"));
  CHECK(holds(table, "events lost             0"));
  CHECK(holds(table, "kill -9"));
  CHECK(holds(table, "Every accepted event took effect once"));
  CHECK(!holds(table, "FAILED"));
}

TEST_CASE("a loss, a missing delivery, a missing export each make the report a failure and are told") {
  Report lossy = good_report();
  lossy.audit.lost = 1;
  lossy.audit.examples = {"lost: OrderReady t-1 of order o1, accepted at tablet"};
  CHECK(!lossy.good());
  CHECK(holds(format_table(lossy), "FAILED: events were lost"));
  CHECK(holds(format_table(lossy), "lost: OrderReady t-1"));

  Report late = good_report();
  late.audit.orders_delivered = 504;
  CHECK(!late.good());
  CHECK(holds(format_table(late), "FAILED: 1 orders were not delivered"));

  Report silent = good_report();
  silent.audit.incomplete = {"hub"};
  CHECK(!silent.good());
  CHECK(holds(format_table(silent), "FAILED: hub did not report"));
}

TEST_CASE("a fault that never healed leaves no longest time to heal") {
  Report report = good_report();
  report.faults[0].heal_s.reset();
  CHECK(!report.heal_s_max());
  CHECK(holds(format_table(report), "not yet"));
}

TEST_CASE("the progress line fits a terminal") {
  Progress progress;
  progress.day_minute = 222;
  progress.orders = progress.placed = progress.delivered = 100'000;
  progress.waiting = 12'345;
  progress.links = progress.links_up = 99;
  const std::string line = format_progress(progress);
  CHECK(line.size() <= 110);
  CHECK(line.starts_with("12:12  placed 100000/100000"));
}

}  // namespace pannier::delivery
