#include <mobula/cli.h>
#include <mobula/rl/train.h>
#include <mobula/runtime.h>
#include <mobula/tune/space.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "cli/command.h"
#include "runtime/config/error.h"
#include "runtime/config/nearest.h"

namespace mobula {
namespace {

/// What CLI11 would call "a subcommand is required" although one was written, only wrongly.
void check_command_name(const CLI::App& program, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return;
  std::vector<std::string> names;
  for (const auto* command : program.get_subcommands(nullptr)) names.push_back(command->get_name());
  if (std::find(names.begin(), names.end(), argv[1]) != names.end()) return;
  throw cli::UsageError(std::string("there is no command '") + argv[1] + "'" + config::expected_one_of(argv[1], names));
}

int run(CLI::App& program, const std::vector<cli::Command>& commands, int argc, char** argv) {
  check_command_name(program, argc, argv);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // --help and --version come here too, with status 0.
    return program.exit(error) == 0 ? cli::done : cli::wrong_usage;
  }
  for (const auto& command : commands) {
    if (*command.app) return command.run();
  }
  return cli::wrong_usage;
}

}  // namespace

int command_line(int argc, char** argv) {
  init(argc, argv);
  CLI::App program{
      "Mobula trains reinforcement-learning policies on all the cores and machines it is given.\n\n"
      "Examples:\n"
      "  mobula train examples/cartpole.yaml\n"
      "  mobula tune examples/cartpole_sweep.yaml\n"
      "  mobula train examples/intersection.yaml --set workers=4 --run-dir runs/crossing\n"
      "  mobula evaluate runs/crossing --render text"};
  program.name("mobula");
  program.set_version_flag("--version", "mobula " MOBULA_VERSION);
  program.require_subcommand(1);
  program.failure_message(CLI::FailureMessage::simple);
  std::vector<cli::Command> commands{cli::add_train(program), cli::add_tune(program), cli::add_evaluate(program)};
#ifdef MOBULA_CLI_CLUSTER
  commands.push_back(cli::add_head(program));
  commands.push_back(cli::add_node(program));
  commands.push_back(cli::add_replay(program));
  commands.push_back(cli::add_why(program));
#endif
#ifdef MOBULA_CLI_MICROBENCHMARK
  commands.push_back(cli::add_microbenchmark(program));
#endif
  try {
    return run(program, commands, argc, argv);
  } catch (const config::ConfigError& error) {
    std::fprintf(stderr, "mobula: %s\n", error.what());
    return cli::wrong_usage;
  } catch (const rl::TrainError& error) {
    std::fprintf(stderr, "mobula: %s\n", error.what());
    return cli::wrong_usage;
  } catch (const tune::TuneError& error) {
    std::fprintf(stderr, "mobula: %s\n", error.what());
    return cli::wrong_usage;
  } catch (const cli::UsageError& error) {
    std::fprintf(stderr, "mobula: %s\n", error.what());
    return cli::wrong_usage;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mobula: %s\n", error.what());
    return cli::failed;
  }
}

}  // namespace mobula
