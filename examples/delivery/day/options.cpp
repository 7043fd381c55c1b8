#include "examples/delivery/day/options.h"

#include <CLI/CLI.hpp>
#include <utility>

namespace pannier::delivery {

Result<DemoCommand> parse_command_line(int argc, const char* const* argv, const std::vector<std::string>& scenarios) {
  DemoCommand command;
  DemoOptions& options = command.options;
  CLI::App app(
      "Replays a day of meal delivery over separate processes while links are cut and processes killed,\n"
      "and checks with a ledger outside the runtime whether anything was lost, doubled or reordered.\n"
      "Exits with 0 if nothing was, 1 if something was, 2 if it could not run.",
      "pannier_delivery_demo");
  app.footer("Example: pannier_delivery_demo --quick --json report.json");
  app.add_option("--instance", options.instance, "Folder of a recorded day (default: a generated day)")
      ->type_name("DIR");
  app.add_option("--speed", options.speed,
                 "Minutes of the day per minute of wall time (default: a run takes about 110 s,\n"
                 "with --quick about 30 s; some 500 and 1,700 for a day of 14 hours)")
      ->check(CLI::Range(1.0, 10'000.0))
      ->type_name("N");
  app.add_option("--seed", options.seed, "Seed of generated day, network and faults (default: 1)")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N");
  app.add_option("--orders", options.orders, "Orders of a generated day")
      ->check(CLI::Range(1, 100'000))
      ->type_name("N");
  app.add_flag("--quick", options.quick, "A shorter day, under a minute");
  app.add_option("--scenario", options.scenario, "One evening on which something fails, instead of a day")
      ->check(CLI::IsMember(scenarios));
  app.add_option("--json", options.json, "Write the report as JSON to this file")->type_name("FILE");
  app.add_option("--keep", options.keep, "Keep databases, ledgers and logs in this folder")->type_name("DIR");
  app.add_option("--trace", options.trace, "Network trace in mahimahi format, X.up with X.down (default: generated)")
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
    return Error{ErrorCode::invalid_argument, "--orders applies to a generated day only; omit it with --instance"};
  }
  return command;
}

}  // namespace pannier::delivery
