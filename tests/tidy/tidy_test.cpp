#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "tests/tidy/rules.h"

using namespace pannier::tidy;

namespace {

const std::vector<SourceFile>& tree() {
  static const std::vector<SourceFile> kTree = read_tree(PANNIER_SOURCE_DIR);
  return kTree;
}

bool exists_in_tree(const std::string& path) {
  return std::filesystem::exists(std::filesystem::path(PANNIER_SOURCE_DIR) / path);
}

template <class Rule>
void check_tree(Rule rule) {
  for (const SourceFile& file : tree()) {
    for (const std::string& finding : rule(file)) FAIL_CHECK(finding);
  }
}

}  // namespace

TEST_CASE("the tree is found") {
  CHECK(tree().size() > 20);
  CHECK(exists_in_tree("include/pannier/result.h"));
}

TEST_CASE("each layer includes only those before it") {
  check_tree(check_include_direction);

  CHECK(check_include_direction({"platform/a.h", "#include <pannier/message.h>\n"}).size() == 1);
  CHECK(check_include_direction({"runtime/node/a.cpp", "#include \"transports/zmq/a.h\"\n"}).size() == 1);
  CHECK(check_include_direction({"runtime/actor/a.cpp", "#include \"runtime/link/wire.h\"\n"}).size() == 1);
  CHECK(check_include_direction({"runtime/actor/a.h", "#include <pannier/actor.h>\n"}).size() == 1);
  CHECK(check_include_direction({"runtime/queue/a.h", "#include \"runtime/actor/worker.h\"\n"}).size() == 1);
  CHECK(check_include_direction({"runtime/queue/a.h", "#include <pannier/link.h>\n"}).size() == 1);
  CHECK(check_include_direction({"runtime/store/a.h", "#include \"runtime/queue/queue.h\"\n"}).size() == 1);
  CHECK(check_include_direction({"tools/a.cpp", "#include \"examples/hello/a.h\"\n"}).size() == 2);
  CHECK(check_include_direction({"runtime/node/a.cpp", "#include \"type_id.h\"\n"}).size() == 1);
  CHECK(check_include_direction({"runtime/node/a.cpp", "#include \"platform/posix/signals.h\"\n"}).size() == 1);
  CHECK(check_include_direction({"transports/zmq/a.cpp", "#include <pannier/sim.h>\n"}).size() == 1);
  CHECK(check_include_direction({"include/pannier/node.h", "#include <pannier/zmq.h>\n"}).size() == 1);
  CHECK(check_include_direction({"include/pannier/node.h", "#include \"runtime/actor/cell.h\"\n"}).size() == 1);
  CHECK(check_include_direction({"examples/a.cpp", "#include \"runtime/actor/system.h\"\n"}).size() == 1);
  CHECK(check_include_direction({"services/rpc/a.cpp", "#include \"runtime/node/spill.h\"\n"}).size() == 1);
  CHECK(check_include_direction({"services/rpc/a.cpp", "#include <pannier/rpc.h>\n"}).empty());
  CHECK(check_include_direction({"transports/zmq/a.cpp", "#include <pannier/transport.h>\n"}).empty());
  CHECK(check_include_direction({"testkit/a.h", "#include <pannier/sim.h>\n"}).empty());
}

TEST_CASE("no header includes itself by way of others") {
  for (const std::string& finding : check_no_include_cycles(tree())) FAIL_CHECK(finding);

  CHECK(check_no_include_cycles({{"a/a.h", "#include \"a/b.h\"\n"}, {"a/b.h", "#include \"a/a.h\"\n"}}).size() == 1);
}

TEST_CASE("headers that belong to a few folders stay there") {
  check_tree(check_only_here_headers);

  CHECK(check_only_here_headers({"runtime/a.cpp", "#include <zmq.hpp>\n"}).size() == 1);
  CHECK(check_only_here_headers({"runtime/queue/outbox.cpp", "#include <sqlite3.h>\n"}).size() == 1);
  CHECK(check_only_here_headers({"include/pannier/sqlite_store.h", "#include <sqlite3.h>\n"}).size() == 1);
  CHECK(check_only_here_headers({"runtime/a.cpp", "  #include <sys/socket.h>\n#include <unistd.h>\n"}).size() == 2);
  CHECK(check_only_here_headers({"runtime/a.h", "#include <thread>\n#include <mutex>\n#include <random>\n"}).size() ==
        3);
  CHECK(check_only_here_headers({"platform/posix/a.cpp", "#include <thread>\n#include <sys/epoll.h>\n"}).empty());
  CHECK(check_only_here_headers({"runtime/store/sqlite/store.cpp", "#include <sqlite3.h>\n"}).empty());
}

TEST_CASE("clocks, sleep and randomness come in from outside") {
  check_tree(check_only_here_calls);

  CHECK(check_only_here_calls({"runtime/a.cpp", "auto t = std::chrono::steady_clock::now();\n"}).size() == 1);
  CHECK(check_only_here_calls({"runtime/a.cpp", "int dice = rand();\n"}).size() == 1);
  CHECK(check_only_here_calls({"runtime/a.cpp", "std::random_device device;\n"}).size() == 1);
  CHECK(check_only_here_calls({"tests/runtime/a.cpp", "std::this_thread::sleep_for(1s);\n"}).size() == 1);
  CHECK(check_only_here_calls({"tools/a.cpp", "auto* b = dynamic_cast<B*>(a);\n"}).size() == 1);
  CHECK(check_only_here_calls({"runtime/a.cpp", "operand();  // unlike rand()\nlog(\"rand()\");\n"}).empty());
}

TEST_CASE("lines are of 120 columns, without tabs and trailing spaces") {
  check_tree(check_text_form);

  CHECK(check_text_form({"runtime/a.h", std::string(121, 'x') + "\n"}).size() == 1);
  CHECK(check_text_form({"runtime/a.h", std::string(120, 'x') + "\n"}).empty());
  CHECK(check_text_form({"runtime/a.h", "\tx\n"}).size() == 1);
  CHECK(check_text_form({"runtime/a.h", "x \n"}).size() == 1);
  CHECK(check_text_form({"runtime/a.h", "x"}).size() == 1);
  CHECK(check_text_form({"runtime/a.h", "x\n\n"}).size() == 1);
}

TEST_CASE("a header starts with its guard and opens no namespace for others") {
  check_tree(check_header_form);

  CHECK(check_header_form({"runtime/a.h", "#include <string>\n"}).size() == 1);
  CHECK(check_header_form({"runtime/a.h", "#pragma once\nusing namespace std;\n"}).size() == 1);
  CHECK(check_header_form({"runtime/a.h", "// why\n#pragma once\nusing namespace std::chrono_literals;\n"}).empty());
}

TEST_CASE("files are named alike") {
  check_tree(check_file_name);

  CHECK(check_file_name({"runtime/MailBox.h", ""}).size() == 1);
  CHECK(check_file_name({"runtime/mail-box.cpp", ""}).size() == 1);
  CHECK(check_file_name({"Runtime/mailbox.cpp", ""}).size() == 1);
  CHECK(check_file_name({"docs/Storage_Format.md", ""}).size() == 1);
  CHECK(check_file_name({"docs/decisions/0001-include-paths.md", ""}).empty());
}

TEST_CASE("what is left to do is not left in the sources") {
  check_tree(check_markers);

  CHECK(check_markers({"runtime/a.cpp",
                       "// TO"
                       "DO: later\n"})
            .size() == 1);
  CHECK(check_markers({"docs/a.md",
                       "FIX"
                       "ME\n"})
            .size() == 1);
}

TEST_CASE("links between the documents lead somewhere") {
  check_tree([](const SourceFile& file) { return check_links(file, exists_in_tree); });

  const auto exists = [](const std::string& path) { return path == "docs/storage.md"; };
  CHECK(check_links({"docs/a.md", "[x](gone.md) and [y](../storage.md#rows)\n"}, exists).size() == 2);
  CHECK(
      check_links({"docs/b/a.md", "[x](../storage.md#rows), [y](https://example.org), [z](#here)\n"}, exists).empty());
  CHECK(check_links({"docs/a.md", "```\n[x](gone.md)\n```\n"}, exists).empty());
}
