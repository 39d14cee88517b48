// mobula head: the first node of a cluster of several machines.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
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

struct HeadOptions {
  std::string host;
  std::uint16_t port = 6390;
  std::string keys = "mobula.keys";
  std::uint32_t cpus = daemon::usable_cpus();
  ResourceOptions resources;
  std::string name;
  MemberOptions member;
  std::uint64_t job_output = daemon::NodeLoopOptions().job_output;
  bool trusted_network = false;
  std::string log_level = "info";
};

// Keeps the keys of a file that is there: the other machines have copies of it.
void prepare_keys(const std::string& path) {
  if (std::filesystem::exists(path)) {
    const auto keys = net::Keys::load(path);
    if (!keys) throw UsageError(keys.error().message);
    return;
  }
  const auto saved = net::Keys::generate().save(path);
  if (!saved) throw UsageError(saved.error().message);
}

int run_head(const HeadOptions& options) {
  prepare_keys(options.keys);
  daemon::NodeLoopOptions loop;
  loop.cpus = options.cpus;
  loop.resources = resources_of(options.resources, options.cpus, options.member.object_memory);
  loop.name = options.name;
  loop.log_level = options.log_level;
  set_member_options(options.member, loop);
  loop.job_output = options.job_output;
  loop.trusted_network = options.trusted_network;
  loop.is_head = true;
  loop.keys = options.keys;
  loop.host = options.host;
  loop.port = options.port;
  Announcement announcement(options.member);
  daemon::serve(loop, [&](daemon::NodeLoop& node) {
    announcement.listens(node, "", options.keys);
    announcement.ready();
    write_result(
        fmt::format("mobula head: {} listens on {} with {} cpus\n"
                    "  keys     {} (copy it to the other machines; whoever has it can run code on all of them)\n"
                    "  to join  mobula node --join {} --keys {}\n"
                    "  to use   mobula::Runtime::start({{.address = \"{}\", .keys = \"{}\"}})\n",
                    node.name(), node.address(), options.cpus, options.keys, node.address(), options.keys,
                    node.address(), options.keys));
    if (options.host.empty()) {
      write_message("mobula head: only this machine can join; for several machines give --host ADDRESS or INTERFACE\n");
    }
  });
  return done;
}

}  // namespace

Command add_head(CLI::App& program) {
  auto options = std::make_shared<HeadOptions>();
  CLI::App* app = program.add_subcommand("head", "Start a cluster of several machines: its first node");
  app->add_option("--port", options->port, "TCP port to listen on; 0: any that is free")
      ->check(whole_number(0, 65535))
      ->capture_default_str();
  app->add_option("--host", options->host,
                  "Address or interface to listen on, 0.0.0.0: all; default: 127.0.0.1, this machine alone");
  app->add_option("--keys", options->keys, "File of the cluster's keys; written if it is not there")
      ->capture_default_str();
  app->add_option("--cpus", options->cpus, "Worker slots of this machine; 0: none")
      ->check(whole_number(0, 1000))
      ->capture_default_str();
  add_resource_options(*app, options->resources);
  app->add_option("--name", options->name, "Name of this node in errors and logs; default: the host's name");
  add_member_options(*app, options->member);
  app->add_option("--job-output", options->job_output,
                  "Most bytes kept of each stream of a program that was submitted, the newest; or 1GB; default: 16MB")
      ->transform(CLI::AsSizeValue(false))
      ->type_name("BYTES");
  add_trusted_network(*app, options->trusted_network);
  app->add_option("--log-level", options->log_level, "debug, info, warning, error or off")
      ->check(one_of({"debug", "info", "warning", "error", "off"}))
      ->capture_default_str();
  app->footer(
      "Examples:\n"
      "  mobula head\n"
      "  mobula head --host eth0 --port 0 --address-file head.address\n"
      "  mobula head --host 10.0.0.1 --port 6390 --keys mobula.keys --cpus 8\n"
      "  mobula head --cpus 0                     (lends no worker: only keeps the cluster together)\n"
      "Ctrl-C or `mobula stop` end it; what runs elsewhere goes on without it.");
  return {app, [options] { return run_head(*options); }};
}

}  // namespace mobula::cli
