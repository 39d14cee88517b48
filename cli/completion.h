#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace mobula::cli {

/// What could stand in place of the last of these words (which follow the program's name and may be empty at the end):
/// commands, options, words that an option takes, keys after --set, names after `config`, files. Each begins with that
/// word; one that wants to be gone on with ends in '=' or '/'. Reads files that are named, changes nothing, and has no
/// answer rather than an error.
std::vector<std::string> completions(const CLI::App& program, const std::vector<std::string>& words);

/// The script that makes a shell ask `PROGRAM completion --words ...`. `shell` is bash, zsh or fish.
std::string completion_script(const std::string& shell, const std::string& program);

}  // namespace mobula::cli
