// mobula status: how a cluster stands, asked of its head.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/ask.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/table.h"

namespace mobula::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Arguments {
  AskOptions ask;
  OutputOptions output;
};

// How long the members have to say what the head does not know of them.
constexpr Duration details_patience = std::chrono::seconds(2);

using Details = std::vector<Asker::Told>;

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

std::string seconds_text(const std::string& seconds) {
  return age(static_cast<std::int64_t>(std::strtod(seconds.c_str(), nullptr) * 1000));
}

double gigabytes_of(const daemon::Row& row, std::size_t i) {
  return number(row, i) / 1e9;
}

/// What waits and why, actors, and memory: empty tables are left out.
std::string details_text(const Details& details) {
  std::vector<std::vector<std::string>> memory{{"memory of", "in use", "workers of actors"}},
      waiting{{"waits at", "for", "since", "asked by", "why"}},
      actors{{"actor at", "process", "last call", "calls", "memory", "owner"}},
      names{{"name", "namespace", "class", "owner"}};
  std::string silent;
  for (const auto& [name, node, answer] : details) {
    if (!answer.error.empty()) silent += fmt::format("{} did not say more: {}\n", name, answer.error);
    std::size_t of_actors = 0;
    for (const auto& row : answer.rows) of_actors += field(row, 0) == "actor" ? 1 : 0;
    for (const auto& row : answer.rows) {
      const std::string& kind = field(row, 0);
      if (kind == "memory") {
        memory.push_back({name, fmt::format("{:.3g} of {:.3g} GB", gigabytes_of(row, 1), gigabytes_of(row, 2)),
                          std::to_string(of_actors)});
      } else if (kind == "request") {
        waiting.push_back(
            {name,
             fmt::format("{} {} with {}", field(row, 2), field(row, 4) == "1" ? "actor" : "worker(s)", field(row, 3)),
             seconds_text(field(row, 5)), field(row, 1), field(row, 6)});
      } else if (kind == "actor") {
        actors.push_back({name, fmt::format("{} (pid {})", field(row, 1), field(row, 2)), field(row, 3), field(row, 4),
                          fmt::format("{:.3g} GB", gigabytes_of(row, 6)), field(row, 5)});
      } else if (kind == "name") {
        names.push_back({field(row, 1), field(row, 2), field(row, 3), field(row, 4)});
      }
    }
  }
  std::string text;
  for (const auto* table : {&memory, &waiting, &actors, &names}) {
    if (table->size() > 1) text += "\n" + aligned(*table);
  }
  return silent.empty() ? text : text + "\n" + silent;
}

void add_details(Json& status, const Details& details) {
  Json memory = Json::array(), pending = Json::array(), actors = Json::array(), names = Json::array();
  for (const auto& [name, node, answer] : details) {
    for (const auto& row : answer.rows) {
      const std::string& kind = field(row, 0);
      if (kind == "memory") {
        memory.push_back({{"node", name}, {"used", number(row, 1)}, {"limit", number(row, 2)}, {"of", field(row, 3)}});
      } else if (kind == "request") {
        pending.push_back({{"node", name},
                           {"owner", field(row, 1)},
                           {"workers", number(row, 2)},
                           {"resources", field(row, 3)},
                           {"actor", field(row, 4) == "1"},
                           {"seconds", number(row, 5)},
                           {"why", field(row, 6)}});
      } else if (kind == "actor") {
        actors.push_back({{"node", name},
                          {"process", field(row, 1)},
                          {"pid", number(row, 2)},
                          {"last_call", field(row, 3)},
                          {"calls", number(row, 4)},
                          {"owner", field(row, 5)},
                          {"bytes", number(row, 6)}});
      } else if (kind == "name") {
        names.push_back({{"name", field(row, 1)},
                         {"namespace", field(row, 2)},
                         {"class", field(row, 3)},
                         {"owner", field(row, 4)}});
      }
    }
  }
  status["memory"] = memory;
  status["pending"] = pending;
  status["actors"] = actors;
  status["names"] = names;
}

int run(const Arguments& arguments) {
  Asker asker(arguments.ask, "status");
  const daemon::Question question{.id = 0, .topic = daemon::Topic::details, .number = 0, .words = {}};
  const Details details = asker.ask(question, std::min(arguments.ask.patience(), details_patience));
  if (arguments.output.json) {
    Json status = status_json(asker.address(), asker.status());
    add_details(status, details);
    write_json_line(status);
  } else {
    write_result(status_text(asker.address(), asker.status()) + details_text(details));
  }
  return done;
}

}  // namespace

Command add_status(CLI::App& program) {
  auto* app = program.add_subcommand(
      "status", "Show the nodes of a cluster, what they have free, actors, memory, what waits and why");
  auto arguments = std::make_shared<Arguments>();
  add_ask_options(*app, arguments->ask);
  app->add_flag("--json", arguments->output.json, "For programs: one object, on one line");
  app->footer(
      "Examples:\n"
      "  mobula status --address HEAD:6390 --keys mobula.keys\n"
      "  MOBULA_ADDRESS=HEAD:6390 MOBULA_KEYS=mobula.keys mobula status --json\n"
      "Exit status 1 when no head answers.");
  return {app, [arguments] { return run(*arguments); }};
}

}  // namespace mobula::cli
