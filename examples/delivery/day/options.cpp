#include "examples/delivery/day/options.h"

#include <CLI/CLI.hpp>
#include <utility>

namespace pannier::delivery {

Result<DemoCommand> parse_command_line(int argc, const char* const* argv) {
  DemoCommand command;
  DemoOptions& options = command.options;
  CLI::App app(
      "Replays a day of meal delivery over separate processes while links are cut and processes killed,\n"
      "and tells from a ledger outside of the runtime whether anything was lost, doubled or reordered.\n"
      "Ends with 0 when nothing was, 1 when something was, 2 when it could not run.",
      "pannier_delivery_demo");
  app.footer("Example: pannier_delivery_demo --quick --json report.json");
  app.add_option("--instance", options.instance, "Folder of a recorded day (default: a day is made up)")
      ->type_name("DIR");
  app.add_option("--speed", options.speed,
                 "Minutes of the day in one minute of wall time (default: so that a run takes about 110 s,\n"
                 "with --quick about 30 s; some 500 and 1,700 for a day of 14 hours)")
      ->check(CLI::Range(1.0, 10'000.0))
      ->type_name("N");
  app.add_option("--seed", options.seed, "Of the made-up day, the network and the faults (default: 1)")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N");
  app.add_option("--orders", options.orders, "How many orders a made-up day has")
      ->check(CLI::Range(1, 100'000))
      ->type_name("N");
  app.add_flag("--quick", options.quick, "A shorter day, under a minute");
  app.add_option("--json", options.json, "Write the report for programs to this file")->type_name("FILE");
  app.add_option("--keep", options.keep, "Keep databases, ledgers and logs in this folder")->type_name("DIR");
  app.add_option("--trace", options.trace, "Network trace in mahimahi format, X.up with X.down (default: made up)")
      ->type_name("FILE");

  // The parser reports by throwing; nothing of it leaves this function.
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    command.help = app.help();
    return command;
  } catch (const CLI::ParseError& error) {
    return Error{ErrorCode::invalid_argument, std::string(error.what()) + " (--help lists the options)"};
  }
  if (options.instance && options.orders) {
    return Error{ErrorCode::invalid_argument, "--orders is for a made-up day, leave it out with --instance"};
  }
  return command;
}

}  // namespace pannier::delivery
