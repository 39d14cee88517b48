// mobula node: a further machine of a cluster.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <string>

#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/resource_options.h"
#include "runtime/daemon/serve.h"
#include "runtime/net/keys.h"

namespace mobula::cli {
namespace {

struct NodeCommandOptions {
  std::string join;
  std::string keys;
  std::string host;
  std::uint16_t port = 0;
  std::uint32_t cpus = daemon::usable_cpus();
  ResourceOptions resources;
  std::string name;
  MemberOptions member;
  bool trusted_network = false;
  std::string log_level = "info";
  double wait = 30;
};

int run_node(const NodeCommandOptions& options) {
  const auto patience = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(options.wait));
  const auto head = daemon::head_at(options.join, options.keys, patience);
  if (!head) throw UsageError("node: --join: " + head.error().message);
  if (head->address.find(':') == std::string::npos) {
    throw UsageError("--join " + options.join + ": expected HOST:PORT, such as 10.0.0.1:6390, or @FILE");
  }
  const std::string keys_file = head->keys.empty() ? "mobula.keys" : head->keys;
  const auto keys = net::Keys::load(keys_file);
  if (!keys) throw UsageError(keys.error().message);
  daemon::NodeLoopOptions loop;
  loop.cpus = options.cpus;
  loop.resources = resources_of(options.resources, options.cpus, options.member.object_memory);
  loop.name = options.name;
  loop.log_level = options.log_level;
  set_member_options(options.member, loop);
  loop.trusted_network = options.trusted_network;
  loop.is_head = false;
  loop.keys = keys_file;
  loop.head = head->address;
  loop.host = options.host;
  loop.port = options.port;
  loop.join_patience = patience;
  Announcement announcement(options.member);
  loop.on_joined = [&] {
    announcement.ready();
    write_result(fmt::format("mobula node: joined the cluster at {} with {} cpus\n", head->address, options.cpus));
  };
  const daemon::ServeResult result =
      daemon::serve(loop, [&](daemon::NodeLoop& node) { announcement.listens(node, head->address, keys_file); });
  if (result.end == daemon::NodeLoop::End::stopped) return done;
  write_message(fmt::format("mobula node: cannot join {}: {}\n", head->address, result.reason));
  return failed;
}

}  // namespace

Command add_node(CLI::App& program) {
  auto options = std::make_shared<NodeCommandOptions>();
  CLI::App* app = program.add_subcommand("node", "Add this machine to a cluster");
  app->add_option("--join", options->join, "HOST:PORT of `mobula head`, or @FILE that it wrote by --address-file")
      ->required();
  app->add_option("--keys", options->keys,
                  "Copy of the file that `mobula head` wrote; default: the one that @FILE names, else mobula.keys")
      ->type_name("FILE");
  app->add_option("--cpus", options->cpus, "Worker slots of this machine")
      ->check(whole_number(0, 1000))
      ->capture_default_str();
  add_resource_options(*app, options->resources);
  app->add_option(
      "--host", options->host,
      "Address or interface to listen on for other nodes; default: the address from which the head is reached");
  app->add_option("--port", options->port, "TCP port to listen on for other nodes; 0: any that is free")
      ->check(whole_number(0, 65535))
      ->capture_default_str();
  app->add_option("--name", options->name, "Name of this node in errors and logs; default: the host's name");
  add_member_options(*app, options->member);
  add_trusted_network(*app, options->trusted_network);
  app->add_option("--log-level", options->log_level, "debug, info, warning, error or off")
      ->check(one_of({"debug", "info", "warning", "error", "off"}))
      ->capture_default_str();
  app->add_option("--wait", options->wait, "Seconds to wait for the head to answer")
      ->check(number_in(0.1, 86400))
      ->capture_default_str();
  app->footer(
      "Examples:\n"
      "  mobula node --join HEAD:6390 --keys mobula.keys\n"
      "  mobula node --join HEAD:6390 --keys mobula.keys --cpus 4 --name garage --wait 600\n"
      "  mobula node --join @head.address\n"
      "Ctrl-C or `mobula stop` take the machine out of the cluster in good order. `mobula status` shows who is there.");
  return {app, [options] { return run_node(*options); }};
}

}  // namespace mobula::cli
