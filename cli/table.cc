#include "cli/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "rl/fairness/trade_svg.h"

namespace mobula::cli {
namespace {

std::string cell(const rl::Estimate* estimate) {
  if (!estimate || std::isnan(estimate->value)) return "-";
  if (std::isnan(estimate->low)) return short_number(estimate->value);
  return fmt::format("{} [{}, {}]", short_number(estimate->value), short_number(estimate->low),
                     short_number(estimate->high));
}

using Row = std::vector<std::string>;

std::string aligned(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t c = 0; c < row.size(); ++c) line += fmt::format("{:<{}}  ", row[c], widths[c]);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

}  // namespace

std::string short_number(double value) {
  if (std::isnan(value)) return "-";
  if (value == 0) return "0";
  const double size = std::fabs(value);
  const int before = static_cast<int>(std::floor(std::log10(size))) + 1;
  std::string text = fmt::format("{:.{}f}", value, std::clamp(4 - before, 0, 8));
  if (text.find('.') != std::string::npos) {
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
  }
  return text;
}

std::string metrics_table(std::span<const rl::PolicyMetrics> policies) {
  if (policies.empty()) return {};
  // What is measured over all, and the groups, in the order in which the first policy names them.
  std::vector<std::string> overall, groups;
  std::string compared;  // the first metric that groups have
  for (const auto& [name, estimate] : policies[0].metrics) {
    const auto slash = name.find('/');
    if (slash == std::string::npos) {
      overall.push_back(name);
      continue;
    }
    if (compared.empty()) compared = name.substr(0, slash);
    if (name.substr(0, slash) == compared) groups.push_back(name.substr(slash + 1));
  }
  std::string text;
  const auto add_tables = [&](const std::string& corner, const std::vector<std::string>& titles, auto metric_of) {
    // At most three columns side by side, so that a line fits a terminal.
    for (std::size_t from = 0; from < titles.size(); from += 3) {
      const std::size_t to = std::min(from + 3, titles.size());
      std::vector<Row> rows{{corner}};
      rows[0].insert(rows[0].end(), titles.begin() + from, titles.begin() + to);
      for (const auto& policy : policies) {
        Row row{policy.policy};
        for (std::size_t c = from; c < to; ++c) row.push_back(cell(rl::find(policy.metrics, metric_of(titles[c]))));
        rows.push_back(std::move(row));
      }
      text += aligned(rows) + "\n";
    }
  };
  add_tables("policy", overall, [](const std::string& title) { return title; });
  add_tables(compared + " of", groups, [&](const std::string& title) { return compared + "/" + title; });
  text +=
      fmt::format("Values with 95 % intervals over n = {} held-out episodes.\n", policies[0].metrics.front().second.n);
  return text;
}

std::string fairness_table(std::span<const rl::PolicyMetrics> policies) {
  const std::string samples = rl::compared_samples(policies);
  if (samples.empty()) return {};
  // Two tables with the same rows, so that a line fits a terminal.
  const std::vector<Row> columns[] = {{{"mean " + samples, "mean_" + samples},
                                       {"p95", "p95_" + samples},
                                       {"max", "max_" + samples},
                                       {"gap of means", "mean_" + samples + "_gap"}},
                                      {{"long rate", "long_" + samples + "_rate"},
                                       {"throughput", "throughput"},
                                       {"Jain", "jain_" + samples},
                                       {"Gini", "gini_" + samples}}};
  std::string text = "\n";
  for (const auto& half : columns) {
    std::vector<Row> rows{{"policy"}};
    for (const auto& column : half) rows[0].push_back(column[0]);
    const bool last = &half == &columns[1];
    if (last) rows[0].push_back("verdict");
    for (const auto& policy : policies) {
      Row row{policy.policy};
      for (const auto& column : half) row.push_back(cell(rl::find(policy.metrics, column[1])));
      if (last)
        row.push_back(policy.constraints.empty() ? "-" : std::string(to_string(rl::overall(policy.constraints))));
      rows.push_back(std::move(row));
    }
    text += aligned(rows) + "\n";
  }
  text +=
      fmt::format("Values with 95 % intervals over n = {} held-out episodes.\n", policies[0].metrics.front().second.n);
  return text;
}

std::string constraint_lines(std::span<const rl::ConstraintResult> constraints) {
  std::string text;
  for (const auto& c : constraints) {
    text += fmt::format("Constraint {} {} {:g}: {}; {}\n", c.metric, c.upper ? "at most" : "at least", c.limit,
                        to_string(c.verdict), c.reason);
  }
  return text;
}

}  // namespace mobula::cli
