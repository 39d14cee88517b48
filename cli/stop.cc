// mobula stop: ends heads and nodes of this user on this machine.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/options.h"
#include "cli/output.h"
#include "runtime/daemon/address_file.h"

namespace mobula::cli {
namespace {

using Json = nlohmann::ordered_json;
using daemon::Running;
using daemon::Stopped;

struct Arguments {
  std::vector<std::string> files;
  bool all = false;
  double grace = 10;
  bool json = false;
};

std::string described(const Running& one) {
  std::string text = fmt::format("{} {} at {} (pid {}", one.role(), one.name, one.address, one.pid);
  if (!one.head.empty()) text += ", of the cluster at " + one.head;
  return text + ")";
}

std::vector<Running> chosen(const Arguments& arguments) {
  std::vector<Running> found;
  for (const std::string& file : arguments.files) {
    auto one = daemon::read_address_file(file);
    if (!one) throw UsageError("stop: " + one.error().message);
    found.push_back(*std::move(one));
  }
  if (!arguments.files.empty()) return found;
  found = daemon::running_here();
  if (found.size() > 1 && !arguments.all) {
    std::string which;
    for (const Running& one : found) which += "\n  " + described(one);
    throw UsageError(
        fmt::format("stop: {} heads and nodes of this user run here; name one by its address file (what --address-file "
                    "said), or end them all by --all:{}",
                    found.size(), which));
  }
  // Nodes first: they tell their head that they leave.
  std::ranges::stable_sort(found, {}, [](const Running& one) { return one.head.empty(); });
  return found;
}

int run(const Arguments& arguments) {
  const auto grace = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(arguments.grace));
  Json list = Json::array();
  std::string text;
  for (const Running& one : chosen(arguments)) {
    const auto stopped = daemon::stop(one, grace);
    if (!stopped) throw std::runtime_error(fmt::format("stop: {}: {}", described(one), stopped.error().message));
    const std::string what = *stopped == Stopped::ended ? "stopped" : *stopped == Stopped::killed ? "killed" : "gone";
    list.push_back({{"what", what},
                    {"role", one.role()},
                    {"name", one.name},
                    {"address", one.address},
                    {"pid", one.pid},
                    {"head", one.head}});
    if (*stopped == Stopped::ended) {
      text += fmt::format("stopped {}\n", described(one));
    } else if (*stopped == Stopped::killed) {
      text += fmt::format("killed {}: it did not end within {:g} s\n", described(one), arguments.grace);
    } else {
      text += fmt::format("{} had ended before\n", described(one));
    }
  }
  if (arguments.json) {
    write_json_line({{"stopped", list}});
  } else {
    write_result(text.empty() ? "no head and no node of this user runs on this machine\n" : text);
  }
  return done;
}

}  // namespace

Command add_stop(CLI::App& program) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* app = program.add_subcommand("stop", "End the head or node of this user on this machine");
  app->add_option("address_file", arguments->files,
                  "What `mobula head` or `mobula node` wrote by --address-file; default: the one that runs here")
      ->type_name("FILE");
  app->add_flag("--all", arguments->all, "All heads and nodes of this user on this machine");
  app->add_option("--grace", arguments->grace, "Seconds to end in good order; then it is killed")
      ->check(number_in(0, 3600))
      ->capture_default_str();
  app->add_flag("--json", arguments->json, "For programs: one object, on one line");
  app->footer(
      "Examples:\n"
      "  mobula stop\n"
      "  mobula stop head.address\n"
      "  mobula stop --all --grace 2\n"
      "Exit status 0 also where nothing runs.");
  return {app, [arguments] { return run(*arguments); }};
}

}  // namespace mobula::cli
