// mobula config: what a configuration file may say.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/schema_text.h"
#include "runtime/config/nearest.h"

namespace mobula::cli {
namespace {

struct Arguments {
  std::string name;
  bool markdown = false;
  bool json = false;
};

/// A name may be written with what it is where two parts share it: env.ring, algorithm.ppo.
bool is_named(const rl::SchemaPart& part, const std::string& name) {
  return part.name == name || (part.path != part.name && part.path + "." + part.name == name);
}

std::vector<rl::SchemaPart> asked_for(const std::vector<rl::SchemaPart>& parts, const std::string& name) {
  if (name.empty()) return parts;
  std::vector<rl::SchemaPart> found;
  std::vector<std::string> names;
  for (const auto& part : parts) {
    if (part.name.empty()) continue;
    // `mobula config env`: all of them.
    if (is_named(part, name) || part.path == name) found.push_back(part);
    names.push_back(part.name);
  }
  if (!found.empty()) return found;
  throw UsageError(fmt::format("config: there is no section, algorithm or environment '{}'{}", name,
                               config::expected_one_of(name, names)));
}

int run(const Arguments& arguments) {
  const auto parts = asked_for(whole_schema(), arguments.name);
  if (arguments.json) {
    for (const auto& part : parts) write_json_line(schema_json(part));
  } else if (arguments.markdown) {
    write_result(schema_page(parts));
  } else if (arguments.name.empty()) {
    write_result(schema_overview(parts, result_width()));
  } else {
    std::string text;
    for (const auto& part : parts) text += (text.empty() ? "" : "\n") + schema_part_text(part);
    write_result(text);
  }
  return done;
}

}  // namespace

Command add_config(CLI::App& program) {
  auto* app = program.add_subcommand("config", "Show what a configuration file may say: keys, defaults, ranges");
  auto arguments = std::make_shared<Arguments>();
  app->add_option("NAME", arguments->name, "An algorithm, an environment or a section (default: what there is)");
  app->add_flag("--markdown", arguments->markdown, "As the reference page of the guide");
  app->add_flag("--json", arguments->json, "For programs: an object a line, one for each part");
  app->footer(
      "Examples:\n"
      "  mobula config\n"
      "  mobula config ppo\n"
      "  mobula config intersection\n"
      "  mobula config fairness\n"
      "  mobula config --json tune");
  return {app, [arguments] { return run(*arguments); }};
}

}  // namespace mobula::cli
