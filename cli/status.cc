// mobula status: how a cluster stands, asked of its head.
#include <fmt/format.h>

#include <chrono>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/table.h"
#include "runtime/daemon/ask_head.h"

namespace mobula::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Arguments {
  ClusterOptions cluster;
  OutputOptions output;
  double wait = 5;
};

double units(std::int64_t amount) {
  return static_cast<double>(amount) / static_cast<double>(Resources::unit);
}

std::string role_of(const wire::MemberStatus& member) {
  if (member.head) return "head";
  // A member that lends no cpu is there for its own program.
  return member.view.total.amount("cpu") == 0 ? "driver" : "node";
}

std::string age(std::int64_t ms) {
  const double seconds = static_cast<double>(ms) / 1000;
  if (seconds < 60) return fmt::format("{:.1f} s", seconds);
  if (seconds < 3600) return fmt::format("{:.0f} min", seconds / 60);
  return fmt::format("{:.1f} h", seconds / 3600);
}

/// "cpu 1 of 2, memory 3.5 of 8 GB".
std::string free_text(const Resources& available, const Resources& total) {
  std::string text;
  for (const auto& [name, amount] : total.amounts) {
    const bool bytes = name == "memory";
    const double part = units(available.amount(name)), whole = units(amount), scale = bytes ? 1e9 : 1;
    text += fmt::format("{}{} {:.3g} of {:.3g}{}", text.empty() ? "" : ", ", name, part / scale, whole / scale,
                        bytes ? " GB" : "");
  }
  return text.empty() ? "-" : text;
}

/// "1.2 of 4.0 GB, 3.1 GB on disk".
std::string store_text(const wire::StoreUse& store) {
  const auto gigabytes = [](std::uint64_t bytes) { return static_cast<double>(bytes) / 1e9; };
  std::string text = fmt::format("{:.3g} of {:.3g} GB", gigabytes(store.bytes), gigabytes(store.cap));
  if (store.spilled_objects > 0) text += fmt::format(", {:.3g} GB on disk", gigabytes(store.spilled_bytes));
  return text;
}

std::string status_text(const std::string& address, const wire::StatusReply& status) {
  Resources total, available;
  std::uint64_t waiting = 0;
  std::vector<std::vector<std::string>> rows{
      {"node", "role", "address", "free", "objects", "waiting", "last heard of"}};
  for (const auto& member : status.members) {
    total += member.view.total;
    available += member.view.available;
    waiting += member.view.queued;
    rows.push_back({member.view.name, role_of(member), member.view.address,
                    free_text(member.view.available, member.view.total), store_text(member.store),
                    std::to_string(member.view.queued),
                    member.head        ? "-"
                    : member.connected ? age(member.silent_for_ms) + " ago"
                                       : age(member.silent_for_ms) + " ago, connection lost"});
  }
  std::string text =
      fmt::format("Cluster of {}: {} {}, free {}, {} {} for a worker\n\n{}", address, status.members.size(),
                  status.members.size() == 1 ? "member" : "members", free_text(available, total), waiting,
                  waiting == 1 ? "request waits" : "requests wait", aligned(rows));
  if (status.gone.empty()) return text;
  rows = {{"gone", "since", "why"}};
  for (const auto& gone : status.gone) rows.push_back({gone.name, age(gone.gone_for_ms), gone.reason});
  return text + "\n" + aligned(rows);
}

Json amounts(const Resources& resources) {
  Json object = Json::object();
  for (const auto& [name, amount] : resources.amounts) object[name] = units(amount);
  return object;
}

Json status_json(const std::string& address, const wire::StatusReply& status) {
  Resources total, available;
  std::uint64_t waiting = 0;
  Json members = Json::array(), gone = Json::array();
  for (const auto& member : status.members) {
    total += member.view.total;
    available += member.view.available;
    waiting += member.view.queued;
    members.push_back({{"id", to_string(member.view.node)},
                       {"name", member.view.name},
                       {"role", role_of(member)},
                       {"address", member.view.address},
                       {"total", amounts(member.view.total)},
                       {"available", amounts(member.view.available)},
                       {"objects",
                        {{"bytes", member.store.bytes},
                         {"cap", member.store.cap},
                         {"spilled_bytes", member.store.spilled_bytes},
                         {"spilled_objects", member.store.spilled_objects}}},
                       {"waiting", member.view.queued},
                       {"connected", member.connected},
                       {"silent_seconds", static_cast<double>(member.silent_for_ms) / 1000}});
  }
  for (const auto& node : status.gone) {
    gone.push_back({{"id", to_string(node.node)},
                    {"name", node.name},
                    {"reason", node.reason},
                    {"seconds_ago", static_cast<double>(node.gone_for_ms) / 1000}});
  }
  return {{"address", address}, {"total", amounts(total)}, {"available", amounts(available)},
          {"waiting", waiting}, {"members", members},      {"gone", gone}};
}

int run(const Arguments& arguments) {
  const ClusterOptions cluster = named_cluster(arguments.cluster, "status");
  const auto patience = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(arguments.wait));
  const auto status = daemon::ask_status(cluster.address, cluster.keys, patience);
  if (!status) {
    if (status.error().code == ErrorCode::invalid) throw UsageError(status.error().message);
    throw std::runtime_error(status.error().message);
  }
  if (arguments.output.json) {
    write_json_line(status_json(cluster.address, *status));
  } else {
    write_result(status_text(cluster.address, *status));
  }
  return done;
}

}  // namespace

Command add_status(CLI::App& program) {
  auto* app = program.add_subcommand("status", "Show the nodes of a cluster, what they have free and what waits");
  auto arguments = std::make_shared<Arguments>();
  add_cluster_options(*app, arguments->cluster);
  app->add_option("--wait", arguments->wait, "Seconds to wait for the head to answer")
      ->check(number_in(0.1, 3600))
      ->capture_default_str();
  app->add_flag("--json", arguments->output.json, "For programs: one object, on one line");
  app->footer(
      "Examples:\n"
      "  mobula status --address HEAD:6390 --keys mobula.keys\n"
      "  MOBULA_ADDRESS=HEAD:6390 MOBULA_KEYS=mobula.keys mobula status --json\n"
      "Exit status 1 when no head answers.");
  return {app, [arguments] { return run(*arguments); }};
}

}  // namespace mobula::cli
