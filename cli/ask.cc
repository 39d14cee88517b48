#include "cli/ask.h"

#include <fmt/format.h>

#include <cstdlib>
#include <stdexcept>

#include "cli/command.h"
#include "cli/options.h"

namespace mobula::cli {
namespace {

template <class Make>
auto or_usage_error(Make make) {
  try {
    return make();
  } catch (const TaskError& error) {
    if (error.error().code == ErrorCode::invalid) throw UsageError(error.error().message);
    throw;
  }
}

}  // namespace

void add_ask_options(CLI::App& app, AskOptions& options) {
  add_cluster_options(app, options.cluster);
  app.add_option("--wait", options.wait, "Seconds to wait for the head to answer")
      ->check(number_in(0.1, 3600))
      ->capture_default_str();
}

Asker::Asker(const AskOptions& options, const std::string& what)
    : cluster_(named_cluster(options.cluster, what)),
      visitor_(or_usage_error([&] { return daemon::Visitor(cluster_.address, cluster_.keys); })) {
  auto status = visitor_.status(options.patience());
  if (!status) throw std::runtime_error(status.error().message);
  status_ = *std::move(status);
}

std::vector<Asker::Told> Asker::ask(const daemon::Question& question, Duration patience, const std::string& only) {
  std::vector<Told> all;
  std::vector<NodeId> members;
  std::string names;
  for (const auto& member : status_.members) {
    names += (names.empty() ? "" : ", ") + member.view.name;
    if (!only.empty() && member.view.name != only) continue;
    all.push_back({member.view.name, member.view.node, {}});
    members.push_back(member.view.node);
  }
  if (all.empty()) throw UsageError(fmt::format("there is no node '{}'; the members are {}", only, names));
  auto answers = visitor_.ask(members, question, patience);
  for (Told& told : all) told.answer = std::move(answers[told.node]);
  return all;
}

double number(const daemon::Row& row, std::size_t i) {
  return std::strtod(field(row, i).c_str(), nullptr);
}

}  // namespace mobula::cli
