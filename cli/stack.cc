// mobula stack: what every worker of a cluster is doing.
#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/ask.h"
#include "cli/cluster_commands.h"
#include "cli/output.h"

namespace mobula::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Arguments {
  AskOptions ask;
  std::string node;
  bool json = false;
};

// How long workers have to write down where they are: a signal handler does it.
constexpr Duration writing = std::chrono::milliseconds(50);

std::string line_of(const daemon::Row& row) {
  const std::string &state = field(row, 2), &name = field(row, 3), &seconds = field(row, 4);
  const std::string since = seconds.empty() ? "" : fmt::format(" for {:.3g} s", number(row, 4));
  std::string what = state + since;
  if (state == "running" || state == "waiting") {
    what = fmt::format("{} {}{}", state == "running" ? "runs" : "waits in", name, since);
  }
  if (state == "actor") what = fmt::format("an actor without a call{}{}", since, name.empty() ? "" : ", last " + name);
  return fmt::format("  {} (pid {}) {}\n", field(row, 0), field(row, 1), what);
}

std::string indented(const std::string& text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
    out += "      " + text.substr(at, end - at);
    at = end;
  }
  return out;
}

int run(const Arguments& arguments) {
  Asker asker(arguments.ask, "stack");
  daemon::Question question{.id = 0, .topic = daemon::Topic::stacks, .number = 1, .words = {}};
  static_cast<void>(asker.ask(question, arguments.ask.patience(), arguments.node));
  asker.visitor().serve(writing);
  question.number = 0;
  const auto told = asker.ask(question, arguments.ask.patience(), arguments.node);
  if (arguments.json) {
    Json nodes = Json::array();
    for (const auto& [name, node, answer] : told) {
      Json workers = Json::array();
      for (const auto& row : answer.rows) {
        workers.push_back({{"process", field(row, 0)},
                           {"pid", static_cast<int>(number(row, 1))},
                           {"state", field(row, 2)},
                           {"name", field(row, 3)},
                           {"seconds", field(row, 4).empty() ? Json() : Json(number(row, 4))},
                           {"owner", field(row, 5)},
                           {"stack", field(row, 6)},
                           {"program", field(row, 7)}});
      }
      nodes.push_back({{"name", name}, {"id", to_string(node)}, {"error", answer.error}, {"workers", workers}});
    }
    write_json_line({{"nodes", nodes}});
    return done;
  }
  std::string text;
  for (const auto& [name, node, answer] : told) {
    if (!answer.error.empty()) {
      text += fmt::format("{} ({}): {}\n", name, to_string(node), answer.error);
      continue;
    }
    text += fmt::format("{} ({}): {} worker{}\n", name, to_string(node), answer.rows.size(),
                        answer.rows.size() == 1 ? "" : "s");
    for (const auto& row : answer.rows) text += line_of(row) + indented(field(row, 6));
  }
  write_result(text);
  return done;
}

}  // namespace

Command add_stack(CLI::App& program) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* app = program.add_subcommand("stack", "Show what every worker of a cluster is doing");
  add_ask_options(*app, arguments->ask);
  app->add_option("--node", arguments->node, "Only of this node")->type_name("NAME");
  app->add_flag("--json", arguments->json, "For programs: one object, on one line");
  app->footer(
      "Examples:\n"
      "  mobula stack --address @head.address\n"
      "  mobula stack --address HEAD:6390 --keys mobula.keys --node garage --json\n"
      "A worker that runs something is interrupted for microseconds by a signal (SIGURG), to write down its stack.");
  return {app, [arguments] { return run(*arguments); }};
}

}  // namespace mobula::cli
