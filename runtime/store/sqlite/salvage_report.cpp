#include "runtime/store/sqlite/salvage_report.h"

#include <string_view>

#include "platform/concat.h"

namespace pannier {
namespace {

std::string counted(std::uint64_t count, std::string_view one, std::string_view many) {
  return concat({count, " ", count == 1 ? one : many});
}

std::string named(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? " (" : ", ") + name;
  return text.empty() ? text : text + ")";
}

}  // namespace

std::string SalvageReport::text() const {
  std::string text =
      concat({counted(rows + parked_rows, "message", "messages"), " salvaged, ",
              counted(damaged_rows, "damaged one", "damaged ones"), " put aside, ", counted(pages, "page", "pages"),
              " and ", counted(entries, "entry", "entries"), " unreadable and lost"});
  const auto say = [&text](const std::string& clause) { text += "; " + clause; };
  if (missing_rows > 0) say(counted(missing_rows, "message", "messages") + " of them known to have been there");
  if (new_incarnation) {
    say("the identity of this node's store was lost and it has a new one: what waited to be sent is parked, since it "
        "may"
        " have been delivered before");
  }
  if (lost_lanes > 0) {
    say(concat({"the names of ", counted(lost_lanes, "lane", "lanes"),
                " were lost: their messages are parked in lanes named salvaged.<number>"}));
  }
  if (lost_watermarks + watermark_holes > 0) {
    const std::string which = lost_watermarks > 0 ? counted(lost_watermarks, "producer", "producers") + named(producers)
                                                  : std::string("unknown producers");
    say(concat({"the watermarks of ", which, " were lost: messages that they send again may take effect twice"}));
  }
  if (lost_state > 0) say(counted(lost_state, "value of state was lost", "values of state were lost") + named(keys));
  if (state_holes > 0) say("more values of state may be lost");
  if (lost_records > 0) say(counted(lost_records, "cursor or token", "cursors and tokens") + " forgotten");
  if (clock_lost) {
    say("the store's clock was lost: it goes on from the latest moment that is known to have passed, so that delayed "
        "and"
        " expiring messages wait longer");
  }
  if (application_rows > 0) say(counted(application_rows, "row", "rows") + " of the application's tables salvaged");
  if (!application_losses.empty()) say("not all of the application's tables could be read" + named(application_losses));
  return text;
}

}  // namespace pannier
