#include "tools/arguments.h"

#include <algorithm>
#include <cstdlib>

#include "tools/output.h"

namespace pannier::tools {
namespace {

bool is_option(const Argument& argument) noexcept { return argument.name[0] == '-'; }
bool is_flag(const Argument& argument) noexcept { return std::holds_alternative<bool*>(argument.place); }

/// How help calls the value.
std::string value_name(const Argument& argument) {
  struct Namer {
    const char* operator()(bool*) const noexcept { return ""; }
    const char* operator()(std::string*) const noexcept { return " TEXT"; }
    const char* operator()(std::optional<std::string>*) const noexcept { return " TEXT"; }
    const char* operator()(std::uint64_t*) const noexcept { return " NUMBER"; }
    const char* operator()(std::uint32_t*) const noexcept { return " NUMBER"; }
    const char* operator()(std::chrono::milliseconds*) const noexcept { return " SECONDS"; }
  };
  return argument.choices == nullptr ? std::visit(Namer{}, argument.place) : std::string{" "} + argument.choices;
}

bool is_choice(const char* choices, std::string_view text) {
  return text.find('|') == text.npos &&
         format("|%s|", choices).find("|" + std::string{text} + "|") != std::string::npos;
}

/// A number within the argument's bounds that ends where the text ends.
std::optional<double> number(const Argument& argument, const char* text, bool whole) noexcept {
  char* end = nullptr;
  const double value = std::strtod(text, &end);
  const bool starts_well = (*text >= '0' && *text <= '9') || (*text == '.' && !whole);
  if (!starts_well || *end != '\0' || !(value >= argument.least && value <= argument.most)) return std::nullopt;
  if (whole && std::string_view{text}.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
  return value;
}

Error out_of_bounds(const Argument& argument, const char* text, const char* kind) {
  return {ErrorCode::invalid_argument,
          format("%s: '%s' is no %s from %g to %g", argument.name, text, kind, argument.least, argument.most)};
}

struct Writer {
  const Argument& argument;
  const char* text;

  Result<void> operator()(bool* place) const {
    *place = true;
    return {};
  }
  Result<void> operator()(std::string* place) const {
    if (argument.choices != nullptr && !is_choice(argument.choices, text)) {
      return Error{ErrorCode::invalid_argument,
                   format("%s: '%s' is none of %s", argument.name, text, argument.choices)};
    }
    *place = text;
    return {};
  }
  Result<void> operator()(std::optional<std::string>* place) const {
    *place = text;
    return {};
  }
  Result<void> operator()(std::uint64_t* place) const {
    if (!number(argument, text, true)) return out_of_bounds(argument, text, "whole number");
    *place = std::strtoull(text, nullptr, 10);
    return {};
  }
  Result<void> operator()(std::uint32_t* place) const {
    std::uint64_t wide = 0;
    if (Result<void> done = (*this)(&wide); !done) return done;
    *place = static_cast<std::uint32_t>(std::min<std::uint64_t>(wide, 0xffff'ffff));
    return {};
  }
  Result<void> operator()(std::chrono::milliseconds* place) const {
    const auto seconds = number(argument, text, false);
    if (!seconds) return out_of_bounds(argument, text, "number of seconds");
    *place = std::chrono::milliseconds{std::max<std::int64_t>(1, static_cast<std::int64_t>(*seconds * 1000))};
    return {};
  }
};

Error wrong(std::string text) { return {ErrorCode::invalid_argument, std::move(text)}; }

}  // namespace

Arguments::Known* Arguments::find(std::string_view name) {
  const auto found = std::find_if(arguments_.begin(), arguments_.end(),
                                  [&](const Known& known) { return known.argument.name == name; });
  return found == arguments_.end() || !is_option(found->argument) ? nullptr : &*found;
}

Arguments::Known* Arguments::next_position() {
  const auto found = std::find_if(arguments_.begin(), arguments_.end(),
                                  [](const Known& known) { return !is_option(known.argument) && !known.given; });
  return found == arguments_.end() ? nullptr : &*found;
}

Result<void> Arguments::parse(bool& help_wanted) {
  bool options_end = false;
  for (std::size_t i = 0; i < words_.size(); ++i) {
    const char* value = words_[i];
    const std::string_view word = value;
    Known* known = nullptr;
    if (options_end || word.size() < 2 || word[0] != '-') {
      known = next_position();
      if (known == nullptr) return wrong(format("'%s' is one argument too many", value));
    } else if (word == "--") {
      options_end = true;
      continue;
    } else if (word == "--help" || word == "-h") {
      help_wanted = true;
      return {};
    } else {
      const std::size_t equals = word.find('=');
      known = find(word.substr(0, equals));
      if (known == nullptr) return wrong(format("there is no option %s", value));
      if (known->given) return wrong(format("%s is given twice", known->argument.name));
      if (is_flag(known->argument)) {
        if (equals != word.npos) return wrong(format("%s takes no value", known->argument.name));
      } else if (equals != word.npos) {
        value += equals + 1;
      } else if (++i < words_.size()) {
        value = words_[i];
      } else {
        return wrong(format("%s needs a value", known->argument.name));
      }
    }
    known->given = true;
    if (Result<void> written = std::visit(Writer{known->argument, value}, known->argument.place); !written)
      return written;
  }
  for (const Known& known : arguments_) {
    if (known.argument.required && !known.given) return wrong(format("%s is missing", known.argument.name));
  }
  return {};
}

bool Arguments::read() {
  bool help_wanted = false;
  const Result<void> parsed = parse(help_wanted);
  if (!parsed) {
    status_ = fail(kExitUsage, format("%s; see `pannier %s --help`", parsed.error().detail.c_str(), command_.name));
  } else if (help_wanted) {
    status_ = print(help()) ? 0 : kExitRefused;
  }
  return parsed && !help_wanted;
}

std::string Arguments::help() const {
  std::string usage;
  std::string lines;
  for (const Known& known : arguments_) {
    const Argument& argument = known.argument;
    const std::string left = argument.name + (is_option(argument) ? value_name(argument) : std::string{});
    lines += format("  %-22s %s%s\n", left.c_str(), argument.about,
                    argument.required && is_option(argument) ? " (required)" : "");
    if (!is_option(argument)) usage += format(argument.required ? " %s" : " [%s]", argument.name);
  }
  return format("%s\n\nUsage: pannier %s [OPTION...]%s\n\n%s\nExample:\n  %s", command_.about, command_.name,
                usage.c_str(), lines.c_str(), command_.example);
}

}  // namespace pannier::tools
