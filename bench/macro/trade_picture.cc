// The showcase of README.md and docs/guide/fairness.md, from finished runs of `mobula train` on the same environment:
//
//   trade_picture OUT.svg constrained=runs/intersection-1 unconstrained=runs/intersection_unconstrained-1
//
// draws the trained policy of each run and the baselines of the first, and prints the rows of the table.
#include <fmt/format.h>

#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rl/fairness/trade_svg.h"

namespace {

using mobula::rl::Estimate;
using mobula::rl::PolicyMetrics;
using Json = nlohmann::ordered_json;

double number(const Json& json) {
  return json.is_number() ? json.get<double>() : std::numeric_limits<double>::quiet_NaN();
}

PolicyMetrics policy_of(const std::string& name, const Json& metrics) {
  PolicyMetrics policy{.policy = name};
  for (const auto& [metric, e] : metrics.items()) {
    policy.metrics.emplace_back(metric, Estimate{.value = number(e.at("value")),
                                                 .low = number(e.at("ci95").at(0)),
                                                 .high = number(e.at("ci95").at(1)),
                                                 .n = e.at("n"),
                                                 .samples = e.value("samples", e.at("n").get<std::int64_t>())});
  }
  return policy;
}

std::string cell(const PolicyMetrics& policy, const char* metric, double unit, const char* format) {
  const auto* e = find(policy.metrics, metric);
  if (!e) return "-";
  const auto text = [&](double v) { return fmt::format(fmt::runtime(format), unit * v); };
  return fmt::format("{} [{}, {}]", text(e->value), text(e->low), text(e->high));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "usage: trade_picture OUT.svg NAME=RUN...\n");
    return 2;
  }
  mobula::rl::FairnessOptions fairness;
  std::vector<PolicyMetrics> trained, baselines;
  for (int i = 2; i < argc; ++i) {
    const std::string argument = argv[i], title = argument.substr(0, argument.find('='));
    const Json run = Json::parse(std::ifstream(argument.substr(argument.find('=') + 1) + "/result.json"));
    for (const auto& [name, metrics] : run.at("policies").items()) {
      if (name == "trained") {
        trained.push_back(policy_of(title, metrics));
      } else if (i == 2) {
        baselines.push_back(policy_of(name, metrics));
      }
    }
    for (const auto& c : run.at("constraints")) {
      if (c.at("kind") == "at_most") {
        fairness.constraints.push_back({.metric = c.at("metric"), .at_most = c.at("limit").get<double>()});
      }
    }
  }
  std::vector<PolicyMetrics> all = trained;
  all.insert(all.end(), baselines.begin(), baselines.end());
  std::ofstream(argv[1]) << trade_svg(fairness, all, trained.size());
  fmt::print("| policy | mean wait, s | p95, s | gap of means, s | long waits |\n|---|---|---|---|---|\n");
  for (const auto& policy : all) {
    fmt::print("| {} | {} | {} | {} | {} % |\n", policy.policy, cell(policy, "mean_wait", 1, "{:.2f}"),
               cell(policy, "p95_wait", 1, "{:.1f}"), cell(policy, "mean_wait_gap", 1, "{:.2f}"),
               cell(policy, "long_wait_rate", 100, "{:.2f}"));
  }
}
