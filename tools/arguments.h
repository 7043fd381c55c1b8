#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include <pannier/result.h>

namespace pannier::tools {

class Arguments;

/// What can be said after `pannier`. Texts live as long as the program.
struct Command {
  const char* name;
  const char* about;
  const char* example;  ///< A whole line that can be typed.
  int (*run)(Arguments& arguments);
};

/// One argument, and where its value goes. What kind of value it takes is the type of its place.
struct Argument {
  using Place = std::variant<bool*, std::string*, std::optional<std::string>*, std::uint64_t*, std::uint32_t*,
                             std::chrono::milliseconds*>;
  const char* name;  ///< "--count" for an option, "lane" for one that is known by its position.
  Place place;       ///< true for an option without a value; milliseconds are given in seconds.
  const char* about;
  bool required = false;
  double least = 0;  ///< Of a number, or of seconds.
  double most = 1e18;
  const char* choices = nullptr;  ///< Of a text, as "this|that"; null: any.
};

/// Reads the words after a command's name into places, by rules that getopt_long's users know: options and positions in
/// any order, "--name VALUE" or "--name=VALUE", "--" before words that start with a dash and are no options. Nothing
/// may be given twice; "-" is a value.
class Arguments {
 public:
  /// `words` outlive it.
  Arguments(const Command& command, std::span<char* const> words) : command_(command), words_(words) {}

  /// The place outlives read(). Positions come in the order in which they are added.
  void add(const Argument& argument) { arguments_.push_back({argument}); }

  /// True: every place has its value, or what it held before. False: the text on stdout has answered `--help`, or an
  /// error is the whole answer; status() is for main then. Prints the error, one line.
  [[nodiscard]] bool read();
  [[nodiscard]] int status() const noexcept { return status_; }

  /// The text of `--help`.
  [[nodiscard]] std::string help() const;

 private:
  struct Known {
    Argument argument;
    bool given = false;
  };
  [[nodiscard]] Result<void> parse(bool& help_wanted);
  [[nodiscard]] Known* find(std::string_view name);
  [[nodiscard]] Known* next_position();

  const Command& command_;
  std::span<char* const> words_;
  std::vector<Known> arguments_;
  int status_ = 0;
};

}  // namespace pannier::tools
