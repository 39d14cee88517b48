#include <mobula/cli.h>
#include <mobula/rl/train.h>
#include <mobula/runtime.h>
#include <mobula/tune/space.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <new>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "cli/cluster_commands.h"
#include "cli/command.h"
#include "cli/completion.h"
#include "cli/options.h"
#include "cli/output.h"
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

/// What the scripts of `mobula completion` ask: `completion --words WORD...`, with all words after the program's name.
/// Not an option like others: the words that follow may be anything.
bool asks_for_words(int argc, char** argv) {
  return argc > 2 && std::string_view(argv[1]) == "completion" && std::string_view(argv[2]) == "--words";
}

int run(CLI::App& program, const std::vector<cli::Command>& commands, int argc, char** argv) {
  if (asks_for_words(argc, argv)) {
    std::string text;
    for (const auto& word : cli::completions(program, {argv + 3, argv + argc})) text += word + "\n";
    cli::write_result(text);
    return cli::done;
  }
  check_command_name(program, argc, argv);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0) throw cli::UsageError(cli::usage_message(program, error));
    std::ostringstream text;  // --help or --version
    program.exit(error, text, text);
    cli::write_result(text.str());
    return cli::done;
  }
  for (const auto& command : commands) {
    if (*command.app) return command.run();
  }
  return cli::wrong_usage;
}

/// Errors may quote what files hold; nothing of it reaches the terminal as more than text.
int tell(const std::string& what, int status) {
  std::string text = "mobula: ";
  for (const char c : what) {
    const auto byte = static_cast<unsigned char>(c);
    text += (byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7F ? '?' : c;
  }
  cli::write_message(text + "\n");
  return status;
}

int guarded(CLI::App& program, const std::vector<cli::Command>& commands, int argc, char** argv) {
  try {
    const int status = run(program, commands, argc, argv);
    // What other code printed may still be on its way.
    if (std::fflush(stdout) != 0) throw std::system_error(errno, std::generic_category());
    return status;
  } catch (const config::ConfigError& error) {
    return tell(error.what(), cli::wrong_usage);
  } catch (const rl::TrainError& error) {
    return tell(error.what(), cli::wrong_usage);
  } catch (const tune::TuneError& error) {
    return tell(error.what(), cli::wrong_usage);
  } catch (const cli::UsageError& error) {
    return tell(error.what(), cli::wrong_usage);
  } catch (const cli::OutputGone&) {
    return cli::reader_gone_status;
  } catch (const std::system_error& error) {
    if (error.code() == std::errc::broken_pipe) return cli::reader_gone_status;
    return tell(error.what(), cli::failed);
  } catch (const std::bad_alloc&) {
    return tell(
        "there is not enough memory for this; lower what sizes it (n_envs, n_steps, buffer_size, hidden, "
        "episodes), or end other programs",
        cli::failed);
  } catch (const std::exception& error) {
    return tell(error.what(), cli::failed);
  }
}

}  // namespace

int command_line(int argc, char** argv) {
  init(argc, argv);
  cli::prepare_output();
  CLI::App program{
      "Mobula trains reinforcement-learning policies on all the cores and machines it is given.\n\n"
      "Examples:\n"
      "  mobula train examples/cartpole.yaml\n"
      "  mobula tune examples/cartpole_sweep.yaml\n"
      "  mobula train examples/intersection.yaml --set workers=4 --run-dir runs/crossing\n"
      "  mobula evaluate runs/crossing --gate\n"
      "  mobula config intersection\n"
      "  mobula status --address HEAD:6390 --keys mobula.keys\n\n"
      "mobula COMMAND --help tells more of each."};
  // A program with environments of its own is called by its own name.
  program.name(argc > 0 ? std::filesystem::path(argv[0]).filename().string() : "mobula");
  program.set_version_flag("--version", "mobula " MOBULA_VERSION);
  program.require_subcommand(1);
  program.get_formatter()->column_width(30);
  std::vector<cli::Command> commands{cli::add_train(program), cli::add_tune(program), cli::add_evaluate(program),
                                     cli::add_config(program)};
#ifdef MOBULA_CLI_CLUSTER
  commands.push_back(cli::add_head(program));
  commands.push_back(cli::add_node(program));
  commands.push_back(cli::add_replay(program));
  commands.push_back(cli::add_why(program));
  commands.push_back(cli::add_status(program));
  commands.push_back(cli::add_stop(program));
  commands.push_back(cli::add_stack(program));
  commands.push_back(cli::add_logs(program));
  commands.push_back(cli::add_timeline(program));
  commands.push_back(cli::add_submit(program));
  commands.push_back(cli::add_jobs(program));
#endif
#ifdef MOBULA_CLI_MICROBENCHMARK
  commands.push_back(cli::add_microbenchmark(program));
#endif
  commands.push_back(cli::add_completion(program));
  return guarded(program, commands, argc, argv);
}

}  // namespace mobula
