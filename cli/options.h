#pragma once

#include <CLI/CLI.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace mobula::cli {

// Checks of option values. What is wrong is told as for configuration files: what was found, what was expected, what
// was probably meant.

/// An integer in [low, high], written in digits.
CLI::Validator whole_number(std::int64_t low, std::int64_t high);
/// Any natural number of 64 bits.
CLI::Validator natural_number();
/// A finite number in [low, high].
CLI::Validator number_in(double low, double high);
/// One of these words; shell completion offers them.
CLI::Validator one_of(std::vector<std::string> words);
/// The words of one_of() that the option takes; empty for other options.
std::vector<std::string> words_of(const CLI::Option& option);

/// What is wrong with a command line, in one line that names the command, the place, what was expected and where help
/// is: "train: there is no option '--sett'; did you mean '--set'? See mobula train --help".
std::string usage_message(const CLI::App& program, const CLI::ParseError& error);

}  // namespace mobula::cli
