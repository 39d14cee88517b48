#include "cli/completion.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <set>

#include "cli/command.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/schema_text.h"
#include "runtime/config/config.h"

namespace mobula::cli {
namespace {

namespace fs = std::filesystem;
using Kind = rl::SchemaPart::Kind;
using Words = std::vector<std::string>;

void keep_matching(Words& words, const std::string& prefix) {
  std::erase_if(words, [&](const auto& word) { return !word.starts_with(prefix); });
}

enum class Wanted { yaml, folders, files };

/// Files and folders that begin with the prefix, as a shell would offer them.
Words paths(const std::string& prefix, Wanted wanted) {
  const auto slash = prefix.rfind('/');
  const std::string folder = slash == std::string::npos ? "" : prefix.substr(0, slash + 1);
  const std::string name = prefix.substr(folder.size());
  std::string looked_at = folder.empty() ? "." : folder;
  if (const char* home = std::getenv("HOME"); home != nullptr && looked_at.starts_with("~/")) {
    looked_at = home + looked_at.substr(1);
  }
  Words found;
  std::error_code error;
  for (fs::directory_iterator at(looked_at, fs::directory_options::skip_permission_denied, error), end;
       !error && at != end; at.increment(error)) {
    const std::string entry = at->path().filename();
    if (!entry.starts_with(name) || (name.empty() && entry.starts_with('.'))) continue;
    std::error_code ignored;
    if (at->is_directory(ignored)) {
      found.push_back(folder + entry + "/");
    } else if (wanted == Wanted::files) {
      found.push_back(folder + entry);
    } else if (wanted == Wanted::yaml && (entry.ends_with(".yaml") || entry.ends_with(".yml"))) {
      found.push_back(folder + entry);
    }
  }
  return found;
}

/// The configuration that the command line is about: its FILE, or what is stored with the run that is resumed.
std::optional<config::Document> named_document(const Words& words) {
  std::vector<fs::path> files;
  for (std::size_t i = 1; i + 1 < words.size(); ++i) {
    const bool resumed = words[i - 1] == "--resume";
    if (resumed) files.insert(files.begin(), {fs::path(words[i]) / "sweep.yaml", fs::path(words[i]) / "config.yaml"});
    if (!words[i].starts_with('-') && !words[i - 1].starts_with('-')) files.emplace_back(words[i]);
  }
  for (const auto& file : files) {
    try {
      if (fs::is_regular_file(file)) return config::Document::load(file);
    } catch (const std::exception&) {  // what is wrong with it is told when it is used
    }
  }
  return std::nullopt;
}

std::string chosen_name(const std::optional<config::Document>& document, const std::string& path) {
  try {
    return document ? document->text(path).value_or("") : "";
  } catch (const config::ConfigError&) {
    return "";
  }
}

/// "KEY=" for all keys, or "KEY=VALUE" where the values of the key are known.
Words assignments(const Words& words, const std::string& prefix) {
  const auto document = named_document(words);
  const std::string environment = chosen_name(document, "env.name"),
                    algorithm = chosen_name(document, "algorithm.name");
  const auto equals = prefix.find('=');
  Words found;
  Words environments, algorithms;
  for (const auto& part : whole_schema()) {
    if (part.kind == Kind::environment) environments.push_back(part.name);
    if (part.kind == Kind::algorithm) algorithms.push_back(part.name);
    if (part.kind == Kind::environment && !environment.empty() && part.name != environment) continue;
    if (part.kind == Kind::algorithm && !algorithm.empty() && part.name != algorithm) continue;
    if (part.path == "tune" && words.front() != "tune") continue;
    for (const auto& key : part.keys) {
      if (key.path.find("[]") != std::string::npos) continue;
      const std::string path = part.path.empty() ? key.path : part.path + "." + key.path;
      if (equals == std::string::npos) {
        found.push_back(path + "=");
      } else if (path == prefix.substr(0, equals)) {
        Words values;
        if (key.type == "true or false") values = {"true", "false"};
        constexpr std::string_view one_of = "one of ";
        if (key.range.starts_with(one_of)) {
          for (std::size_t from = one_of.size(); from < key.range.size();) {
            const auto end = std::min(key.range.find(", ", from), key.range.size());
            values.push_back(key.range.substr(from, end - from));
            from = end + 2;
          }
        }
        for (const auto& value : values) found.push_back(path + "=" + value);
      }
    }
  }
  if (equals == std::string::npos) {
    found.insert(found.end(), {"env.name=", "algorithm.name="});
  } else if (prefix.starts_with("env.name=")) {
    for (const auto& name : environments) found.push_back("env.name=" + name);
  } else if (prefix.starts_with("algorithm.name=")) {
    for (const auto& name : algorithms) found.push_back("algorithm.name=" + name);
  }
  return found;
}

const CLI::Option* option_named(const CLI::App& app, const std::string& word) {
  return word.starts_with('-') ? app.get_option_no_throw(word) : nullptr;
}

Words values_of(const CLI::Option& option, const Words& words, const std::string& prefix) {
  if (option.check_lname("set")) return assignments(words, prefix);
  if (option.get_type_name() == "DIR") return paths(prefix, Wanted::folders);
  return words_of(option);
}

Words positionals(const CLI::App& app, const std::string& prefix) {
  const std::string command = app.get_name();
  if (command == "train" || command == "tune") return paths(prefix, Wanted::yaml);
  if (command == "evaluate") return paths(prefix, Wanted::folders);
  if (command == "submit" || command == "stop") return paths(prefix, Wanted::files);
  if (command == "config") {
    Words names;
    for (const auto& part : whole_schema()) {
      if (!part.name.empty()) names.push_back(part.name);
    }
    return names;
  }
  for (const auto* option : app.get_options()) {
    if (option->get_positional()) return words_of(*option);
  }
  return {};
}

Words options_of(const CLI::App& app) {
  Words names;
  for (const auto* option : app.get_options()) {
    if (option->get_group().empty()) continue;  // not for people
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

Words unsorted(const CLI::App& program, const Words& words) {
  const std::string& last = words.back();
  if (words.size() == 1) {
    Words names = last.starts_with('-') ? options_of(program) : Words();
    for (const auto* command : program.get_subcommands(nullptr)) names.push_back(command->get_name());
    return names;
  }
  const CLI::App* app = nullptr;
  for (const auto* command : program.get_subcommands(nullptr)) {
    if (command->get_name() == words.front()) app = command;
  }
  if (app == nullptr) return {};
  const auto* before = option_named(*app, words[words.size() - 2]);
  if (before != nullptr && before->get_type_size() > 0 && before->get_items_expected_max() > 0) {
    Words values = values_of(*before, words, last);
    if (before->get_items_expected_min() > 0 || !last.starts_with('-')) return values;
  }
  if (const auto equals = last.find('='); last.starts_with("--") && equals != std::string::npos) {
    const auto* option = option_named(*app, last.substr(0, equals));
    if (option == nullptr) return {};
    Words values = values_of(*option, words, last.substr(equals + 1));
    for (auto& value : values) value.insert(0, last.substr(0, equals + 1));
    return values;
  }
  return last.starts_with('-') ? options_of(*app) : positionals(*app, last);
}

}  // namespace

std::vector<std::string> completions(const CLI::App& program, const std::vector<std::string>& words) {
  if (words.empty()) return {};
  Words found = unsorted(program, words);
  keep_matching(found, words.back());
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

Command add_completion(CLI::App& program) {
  auto shell = std::make_shared<std::string>();
  auto* app = program.add_subcommand("completion", "Print the script that teaches a shell to complete this program");
  app->add_option("SHELL", *shell, "bash, zsh or fish")->required()->check(one_of({"bash", "zsh", "fish"}));
  app->footer(
      "Examples:\n"
      "  source <(mobula completion bash)                                  (in ~/.bashrc)\n"
      "  mobula completion zsh > \"${fpath[1]}/_mobula\"\n"
      "  mobula completion fish > ~/.config/fish/completions/mobula.fish\n"
      "It completes commands, options, configuration files, keys after --set and names after config.");
  return {app, [shell, &program] {
            write_result(completion_script(*shell, program.get_name()));
            return done;
          }};
}

}  // namespace mobula::cli
