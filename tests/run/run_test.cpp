#include <doctest/doctest.h>

#include <algorithm>

#include "tests/tools/command_runner.h"

namespace pannier::testing {
namespace {

/// Where an application's program runs, and the command with it.
struct ShopFolder : TempFolder {
  [[nodiscard]] Ran shop(const std::vector<std::string>& arguments) const {
    return run(path(), arguments, PANNIER_SHOP);
  }
  /// Returns once it answers.
  [[nodiscard]] RunningCommand open(const std::vector<std::string>& arguments = {}) const {
    RunningCommand program{path(), arguments, "shop.log", PANNIER_SHOP};
    while (command("ask", {"tools", "--schema", PANNIER_TOOLS_SCHEMA, "--type", "pannier.tools.Ping", "{}"}).status !=
           0) {
    }
    return program;
  }
  [[nodiscard]] Ran command(const std::string& name, std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {name, "--connect", "shop.tools"});
    return run(path(), arguments);
  }
  void config(const std::string& mode) const {
    write_file(
        *this / "shop.toml",
        "[node]\nname = \"shop\"\ninsecure_plaintext = true\nstore = \"shop.db\"\n[app]\nmode = \"" + mode + "\"\n");
  }
};

bool is_one_line(const std::string& text) { return std::count(text.begin(), text.end(), '\n') == 1; }

TEST_CASE(
    "a program of one line of main says its version, its usage, and in one line what is wrong with its arguments") {
  const ShopFolder folder;
  CHECK(folder.shop({"--version"}).out.find(" 1.2 (pannier ") != std::string::npos);
  const Ran help = folder.shop({"--help"});
  CHECK(help.status == 0);
  CHECK(help.out.find("--config FILE") != std::string::npos);
  for (const auto& [arguments, why] :
       {std::pair<std::vector<std::string>, std::string>{{"--confg", "x"}, "'--confg' is one word too many"},
        {{"--config"}, "the name of the file is missing"},
        {{"--config", "none.toml"}, "none.toml"}}) {
    const Ran wrong = folder.shop(arguments);
    INFO(wrong.errors);
    CHECK(wrong.status == 2);
    CHECK(wrong.out.empty());
    CHECK(wrong.errors.find(why) != std::string::npos);
    CHECK(is_one_line(wrong.errors));
  }
}

TEST_CASE("an error of the file, and one of the program's own, is one line and status 2; an exception is status 70") {
  const ShopFolder folder;
  write_file(folder / "shop.toml", "[node]\nname = \"shop\"\nstor = \"x\"\n");
  const Ran misspelt = folder.shop({"--config", "shop.toml"});
  CHECK(misspelt.status == 2);
  CHECK(misspelt.errors.find("shop.toml:") != std::string::npos);
  CHECK(is_one_line(misspelt.errors));
  folder.config("refuse");
  const Ran refused = folder.shop({"--config", "shop.toml"});
  CHECK(refused.status == 2);
  CHECK(refused.errors.find("this shop has no licence") != std::string::npos);
  folder.config("throw");
  const Ran thrown = folder.shop({"--config", "shop.toml"});
  CHECK(thrown.status == 70);
  CHECK(thrown.errors.find("the roof fell in") != std::string::npos);
}

TEST_CASE("a program whose top supervisor gives up ends with status 70, so that it is started again") {
  const ShopFolder folder;
  folder.config("break");
  const Ran broken = folder.shop({"--config", "shop.toml"});
  CHECK(broken.status == 70);
  CHECK(broken.errors.find("its top supervisor gave up") != std::string::npos);
}

TEST_CASE("the command talks to a program of one's own: enqueue, queue, redrive, by the socket beside its store") {
  const ShopFolder folder;
  RunningCommand shop = folder.open();
  REQUIRE(folder.command("enqueue", {"orders", "order-1", "--raw", "pizza"}).status == 0);
  shop.wait_for_error("sold pizza");
  REQUIRE(folder.command("enqueue", {"orders", "order-2", "--raw", "soup"}).status == 0);
  Ran waits;
  do {
    waits = folder.command("queue", {"--key", "order-2"});
    INFO(waits.errors);
    REQUIRE(waits.status == 0);
  } while (waits.out.find("dead-lettered: no soup today") == std::string::npos);
  const Ran redriven = folder.command("redrive", {"orders"});
  CHECK(redriven.out.find("1 message of lane orders at shop tried again") != std::string::npos);
  CHECK(shop.end(SIGTERM) == 0);
}

TEST_CASE("a socket that nobody serves, or that is none, is an error at once that says what to do") {
  const ShopFolder folder;
  const Ran absent = folder.command("queue", {});
  CHECK(absent.status == 1);
  CHECK(absent.errors.find("'shop' does not run here: there is no shop.tools") != std::string::npos);
  RunningCommand shop = folder.open();
  shop.end(SIGKILL);
  const Ran left = folder.command("queue", {});
  CHECK(left.status == 1);
  CHECK(left.errors.find("'shop' does not run: nobody listens at shop.tools") != std::string::npos);
  write_file(folder / "notes.txt", "");
  const Ran wrong = run(folder.path(), {"queue", "--connect", "notes.txt"});
  CHECK(wrong.status == 2);
  CHECK(wrong.errors.find("notes.txt is no socket") != std::string::npos);
}

TEST_CASE("a program that switches its tools off is not to be reached") {
  const ShopFolder folder;
  write_file(folder / "shop.toml",
             "[node]\nname = \"shop\"\ninsecure_plaintext = true\nstore = \"shop.db\"\ntools = \"off\"\nlisten = "
             "[\"ipc://shop.sock\"]\n");
  RunningCommand shop{folder.path(), {"--config", "shop.toml"}, "shop.log", PANNIER_SHOP};
  Ran none;
  do {
    none = run(folder.path(), {"queue", "--config", "shop.toml"});
  } while (none.errors.find("does not run") != std::string::npos);
  INFO(none.errors);
  CHECK(none.status == 1);
  CHECK(none.errors.find("has no tools that answer") != std::string::npos);
  CHECK(none.errors.find("started by pannier::run") != std::string::npos);
}

}  // namespace
}  // namespace pannier::testing
