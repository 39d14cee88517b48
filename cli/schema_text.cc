#include "cli/schema_text.h"

#include <fmt/format.h>
#include <mobula/tune/study.h>

#include <nlohmann/json.hpp>

#include "cli/table.h"

namespace mobula::cli {
namespace {

using Kind = rl::SchemaPart::Kind;
using Part = rl::SchemaPart;

/// How a file says that it means this part.
std::string in_a_file(const Part& part) {
  switch (part.kind) {
    case Kind::top:
      return "at the top of the file";
    case Kind::section:
      return fmt::format("under `{}:`", part.path);
    case Kind::algorithm:
    case Kind::environment:
      return fmt::format("under `{}:` beside `name: {}`", part.path, part.name);
  }
  return {};
}

std::string names_of(const std::vector<Part>& parts, Kind kind) {
  std::string names;
  for (const auto& part : parts) {
    if (part.kind == kind) names += (names.empty() ? "" : ", ") + part.name;
  }
  return names;
}

/// A cell of a table in Markdown.
std::string cell(std::string text) {
  for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.insert(at, "\\");
  return text;
}

std::string values(const config::Key& key) {
  std::string text = key.type;
  if (!key.range.empty()) text += (text.empty() ? "" : ", ") + key.range;
  if (!key.unit.empty()) text += " (" + key.unit + ")";
  return text;
}

}  // namespace

std::vector<Part> whole_schema() {
  auto parts = rl::training_schema();
  // Before the algorithms: sections stay together.
  auto at = parts.begin();
  while (at != parts.end() && (at->kind == Kind::top || at->kind == Kind::section)) ++at;
  auto keys = config::describe_keys(tune::StudyOptions{.metric = "return"});
  for (auto& key : keys) {  // what read_sweep() makes of them
    if (key.path == "scheduler.max") key.default_value = "stop.env_steps";
    if (key.path == "scheduler.grace") key.default_value = "max / 27";
  }
  parts.insert(at, {.kind = Kind::section,
                    .name = "tune",
                    .path = "tune",
                    .help = "A search over settings; for `mobula tune` only.",
                    .keys = std::move(keys)});
  return parts;
}

std::string title_of(const Part& part) {
  switch (part.kind) {
    case Kind::top:
      return "the top of the file";
    case Kind::section:
      return "section " + part.name;
    case Kind::algorithm:
      return "algorithm " + part.name;
    case Kind::environment:
      return "environment " + part.name;
  }
  return {};
}

std::string schema_overview(const std::vector<Part>& parts, int width) {
  std::string text = "A configuration file has these keys at its top, and the sections below.\n\n";
  text += config::format_keys(parts.front().keys);
  text += "\n";
  std::vector<std::vector<std::string>> rows;
  for (const auto& part : parts) {
    if (part.kind == Kind::section) rows.push_back({"  " + part.name + ":", part.help});
  }
  rows.push_back({"  env:", "What is learned in; `name:` is one of the environments."});
  rows.push_back({"  algorithm:", "What learns; `name:` is one of the algorithms."});
  text += aligned(rows) + "\n" + wrapped("Environments: " + names_of(parts, Kind::environment), width) +
          wrapped("Algorithms: " + names_of(parts, Kind::algorithm), width);
  return text + "\nmobula config NAME shows all keys of a section, an environment or an algorithm.\n";
}

std::string schema_part_text(const Part& part) {
  std::string title = title_of(part);
  title[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(title[0])));
  std::string text = fmt::format("{}, {}.{}{}\n\n", title, in_a_file(part), part.help.empty() ? "" : " ", part.help);
  if (part.keys.empty()) return text + "  It has no settings.\n";
  text += config::format_keys(part.keys);
  const auto& example = part.keys.front();
  const std::string path = part.path.empty() ? example.path : part.path + "." + example.path;
  if (example.path.find('[') != std::string::npos) return text;
  return text + fmt::format("\nOn a command line: --set {}={}\n", path,
                            example.default_value.empty() ? "..." : example.default_value);
}

std::string schema_page(const std::vector<Part>& parts) {
  std::string text =
      "# Configuration reference\n\n"
      "<!-- Written by `mobula config --markdown > docs/guide/configuration.md`; a test compares them. -->\n\n"
      "Every key that a file of `mobula train`, `mobula tune` and `mobula evaluate` may have, as the programs check "
      "it.\n"
      "`mobula config` shows the same on a terminal, `mobula config NAME` a part of it, and a program with "
      "environments "
      "of\n"
      "its own shows those too. `--set section.key=value` changes any of them from the command line. `~` is "
      "\"absent\".\n"
      "Where a number or a text may stand, `mobula tune` also takes a [space](tuning.md).\n\n"
      "Environments: " +
      names_of(parts, Kind::environment) + ". Algorithms: " + names_of(parts, Kind::algorithm) + ".\n";
  for (const auto& part : parts) {
    std::string title = title_of(part);
    title[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(title[0])));
    text += fmt::format("\n## {}\n\n", title);
    std::string where = in_a_file(part);
    where[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(where[0])));
    text += fmt::format("{}.{}{}\n", where, part.help.empty() ? "" : " ", part.help);
    if (part.keys.empty()) {
      text += "It has no settings.\n";
      continue;
    }
    text += "\n| key | default | values | meaning |\n|---|---|---|---|\n";
    for (const auto& key : part.keys) {
      text += fmt::format("| `{}` | {} | {} | {} |\n", cell(key.path),
                          key.required ? "required" : "`" + cell(key.default_value) + "`", cell(values(key)),
                          cell(key.help));
    }
  }
  return text;
}

nlohmann::ordered_json schema_json(const Part& part) {
  static constexpr const char* kinds[] = {"top", "section", "algorithm", "environment"};
  nlohmann::ordered_json keys = nlohmann::ordered_json::array();
  for (const auto& key : part.keys) {
    keys.push_back(
        {{"path", part.path.empty() ? key.path : part.path + "." + key.path},
         {"type", key.type},
         {"default", key.required ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(key.default_value)},
         {"required", key.required},
         {"range", key.range},
         {"unit", key.unit},
         {"help", key.help}});
  }
  return {{"kind", kinds[static_cast<int>(part.kind)]},
          {"name", part.name},
          {"path", part.path},
          {"help", part.help},
          {"keys", keys}};
}

}  // namespace mobula::cli
