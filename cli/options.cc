#include "cli/options.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>

#include "runtime/config/nearest.h"

namespace mobula::cli {
namespace {

constexpr const char* kOneOf = "one_of";

template <class T>
bool read_all(const std::string& text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

template <class T>
CLI::Validator checked(const std::string& expected, T low, T high) {
  return CLI::Validator(
      [=](std::string& text) {
        T value{};
        return read_all(text, value) && value >= low && value <= high
                   ? std::string()
                   : fmt::format("found '{}'; expected {}", text, expected);
      },
      "");
}

const CLI::App& chosen(const CLI::App& program) {
  const auto commands = program.get_subcommands();
  return commands.empty() ? program : *commands.front();
}

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const auto* option : app.get_options()) {
    if (option->get_group().empty()) continue;  // not for people
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::string about_extra(const CLI::App& app, const std::string& extra) {
  if (!extra.starts_with('-')) return fmt::format("found '{}', for which there is no place", extra);
  const std::string name = extra.substr(0, extra.find('='));
  return fmt::format("there is no option '{}'{}", name, config::expected_one_of(name, option_names(app)));
}

/// CLI11 tells "NAME: complaint" for most of its errors.
std::pair<std::string, std::string> split(const std::string& what) {
  const auto colon = what.find(": ");
  return colon == std::string::npos ? std::pair(std::string(), what)
                                    : std::pair(what.substr(0, colon), what.substr(colon + 2));
}

std::string complaint(const CLI::App& app, const CLI::ParseError& error) {
  const std::string what = error.what();
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    const auto extras = app.remaining();
    return extras.empty() ? what : about_extra(app, extras.front());
  }
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
    const std::string name = what.substr(0, what.find(' '));
    if (app.get_parent() == nullptr) return "a command is missing";
    const auto* option = app.get_option_no_throw(name);
    return name + " is missing" + (option != nullptr ? ": " + option->get_description() : "");
  }
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    const auto [name, rest] = split(what);
    const auto* option = name.empty() ? nullptr : app.get_option_no_throw(name);
    if (option != nullptr && rest.find("missing") != std::string::npos) {
      return fmt::format("{}: its value is missing; expected {}", name, option->get_type_name());
    }
    if (option != nullptr && rest.starts_with("At Most 1 ")) {
      return fmt::format("{}: written {} times; expected once", name, option->count());
    }
  }
  return what;
}

}  // namespace

CLI::Validator whole_number(std::int64_t low, std::int64_t high) {
  return checked(high == std::numeric_limits<std::int64_t>::max() ? fmt::format("an integer >= {}", low)
                                                                  : fmt::format("an integer in [{}, {}]", low, high),
                 low, high);
}

CLI::Validator natural_number() {
  constexpr auto most = std::numeric_limits<std::uint64_t>::max();
  return checked<std::uint64_t>(fmt::format("an integer in [0, {}]", most), 0, most);
}

CLI::Validator number_in(double low, double high) {
  return checked(fmt::format("a number in [{:g}, {:g}]", low, high), low, high);
}

CLI::Validator one_of(std::vector<std::string> words) {
  std::string listed;
  for (const auto& word : words) listed += (listed.empty() ? "" : ", ") + word;
  return CLI::Validator(
      [words = std::move(words)](std::string& text) {
        return std::find(words.begin(), words.end(), text) != words.end()
                   ? std::string()
                   : fmt::format("found '{}'{}", text, config::expected_one_of(text, words));
      },
      listed, kOneOf);
}

std::vector<std::string> words_of(const CLI::Option& option) {
  std::vector<std::string> words;
  // CLI11 throws where there is no such validator, and gives no other way to ask.
  try {
    const std::string listed = const_cast<CLI::Option&>(option).get_validator(kOneOf)->get_description();
    for (std::size_t from = 0; from < listed.size();) {
      const auto end = std::min(listed.find(", ", from), listed.size());
      words.push_back(listed.substr(from, end - from));
      from = end + 2;
    }
  } catch (const CLI::OptionNotFound&) {
  }
  return words;
}

std::string usage_message(const CLI::App& program, const CLI::ParseError& error) {
  const CLI::App& app = chosen(program);
  const bool of_command = &app != &program;
  std::string text = complaint(app, error);
  // What stands before the command belongs to the program.
  if (const auto early = program.remaining(); of_command && !early.empty()) {
    text = fmt::format("found '{}' before the command; options follow it", early.front());
  }
  return fmt::format("{}{}{} See {}{} --help", of_command ? app.get_name() + ": " : "", text,
                     text.ends_with('?') ? "" : ".", program.get_name(), of_command ? " " + app.get_name() : "");
}

}  // namespace mobula::cli
