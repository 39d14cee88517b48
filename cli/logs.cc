// mobula logs: what tasks and actors of a cluster have printed.
#include <fmt/format.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cli/ask.h"
#include "cli/cluster_commands.h"
#include "cli/interrupt.h"
#include "cli/options.h"
#include "cli/output.h"

namespace mobula::cli {
namespace {

struct Arguments {
  AskOptions ask;
  std::string name, node, pid;
  std::uint64_t lines = 100;
  bool follow = false;
};

constexpr Duration look_every = std::chrono::milliseconds(200);

int run(const Arguments& arguments) {
  Asker asker(arguments.ask, "logs");
  std::map<NodeId, std::map<std::string, std::string>> had;
  const Interrupt interrupt;
  bool first = true;
  do {
    // Each node is asked for what it has beyond what it has told.
    for (const auto& member : asker.status().members) {
      if (!arguments.node.empty() && member.view.name != arguments.node) continue;
      daemon::Question question{
          .id = 0, .topic = daemon::Topic::logs, .number = arguments.lines, .words = {arguments.name, arguments.pid}};
      for (const auto& [log, offset] : had[member.view.node]) question.words.push_back(log + "=" + offset);
      // One log that is none makes all others new ones.
      if (!first && had[member.view.node].empty()) question.words.emplace_back("-=0");
      const auto answer = asker.visitor().ask({member.view.node}, question, arguments.ask.patience()).begin()->second;
      if (!answer.error.empty()) {
        if (first) write_message(fmt::format("mobula: {}: {}\n", member.view.name, answer.error));
        continue;
      }
      for (const auto& row : answer.rows) {
        if (!field(row, 2).empty() && first) {
          write_result(fmt::format("==> {}: {} <==\n", member.view.name, field(row, 0)));
        }
        write_result(field(row, 2));
        had[member.view.node][field(row, 3)] = field(row, 1);
      }
    }
    first = false;
    if (arguments.follow) asker.visitor().serve(look_every, [&] { return interrupt.requested(); });
  } while (arguments.follow && !interrupt.requested());
  return arguments.follow ? interrupted : done;
}

}  // namespace

Command add_logs(CLI::App& program) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* app = program.add_subcommand("logs", "Show what tasks and actors of a cluster have printed");
  app->add_option("name", arguments->name, "Of this task or method of an actor; default: all")->type_name("NAME");
  add_ask_options(*app, arguments->ask);
  app->add_option("--node", arguments->node, "Only on this node")->type_name("NAME");
  app->add_option("--pid", arguments->pid, "Only of this process")->type_name("PID");
  app->add_option("--lines", arguments->lines, "So many last lines of each process")
      ->check(whole_number(1, 1000000))
      ->capture_default_str();
  app->add_flag("--follow", arguments->follow, "Go on with what they print, until Ctrl-C");
  app->footer(
      "Examples:\n"
      "  mobula logs --address @head.address\n"
      "  mobula logs simulate --node garage --follow --address HEAD:6390 --keys mobula.keys\n"
      "Nodes keep a file for each worker process, also after its end, in ~/.local/state/mobula/logs.");
  return {app, [arguments] { return run(*arguments); }};
}

}  // namespace mobula::cli
