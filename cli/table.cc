#include "cli/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

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

std::string episodes_line(std::span<const rl::PolicyMetrics> policies) {
  const auto& metrics = policies[0].metrics;
  return fmt::format("Values with 95 % intervals over n = {} held-out episodes.\n",
                     metrics.empty() ? 0 : metrics.front().second.n);
}

}  // namespace

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

std::string fitted(const std::vector<Row>& rows, int width) {
  if (rows.empty()) return {};
  std::vector<std::size_t> widths(rows[0].size());
  for (const auto& row : rows) {
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size() + 2);
  }
  std::string text;
  for (std::size_t from = 1; from < widths.size();) {
    std::size_t to = from, used = widths[0];
    // At least one, however narrow the terminal; the two spaces behind the last column are not written.
    while (to < widths.size() && (to == from || used + widths[to] - 2 <= static_cast<std::size_t>(width))) {
      used += widths[to++];
    }
    std::vector<Row> part;
    for (const auto& row : rows) {
      part.push_back({row[0]});
      part.back().insert(part.back().end(), row.begin() + static_cast<std::ptrdiff_t>(from),
                         row.begin() + static_cast<std::ptrdiff_t>(to));
    }
    text += (text.empty() ? "" : "\n") + aligned(part);
    from = to;
  }
  return text;
}

std::string wrapped(const std::string& text, int width) {
  std::string out, line;
  for (std::size_t from = 0; from < text.size();) {
    const auto end = std::min(text.find(' ', from), text.size());
    const std::string word = text.substr(from, end - from);
    const std::string indent = out.empty() ? "" : "  ";
    if (!line.empty() && indent.size() + line.size() + 1 + word.size() > static_cast<std::size_t>(width)) {
      out += indent + line + "\n";
      line = word;
    } else {
      line += (line.empty() ? "" : " ") + word;
    }
    from = end + 1;
  }
  return out + (out.empty() ? "" : "  ") + line + "\n";
}

std::string metrics_table(std::span<const rl::PolicyMetrics> policies, int width) {
  if (policies.empty() || policies[0].metrics.empty()) return {};
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
  const auto table = [&](const std::string& corner, const std::vector<std::string>& titles, const std::string& prefix) {
    if (titles.empty()) return std::string();
    std::vector<Row> rows{{corner}};
    rows[0].insert(rows[0].end(), titles.begin(), titles.end());
    for (const auto& policy : policies) {
      Row row{policy.policy};
      for (const auto& title : titles) row.push_back(cell(rl::find(policy.metrics, prefix + title)));
      rows.push_back(std::move(row));
    }
    return fitted(rows, width) + "\n";
  };
  return table("policy", overall, "") + table(compared + " of", groups, compared + "/") + episodes_line(policies);
}

std::string fairness_table(std::span<const rl::PolicyMetrics> policies, int width) {
  const std::string samples = rl::compared_samples(policies);
  if (samples.empty()) return {};
  const std::vector<std::pair<std::string, std::string>> columns{{"mean " + samples, "mean_" + samples},
                                                                 {"p95", "p95_" + samples},
                                                                 {"max", "max_" + samples},
                                                                 {"gap of means", "mean_" + samples + "_gap"},
                                                                 {"long rate", "long_" + samples + "_rate"},
                                                                 {"throughput", "throughput"},
                                                                 {"Jain", "jain_" + samples},
                                                                 {"Gini", "gini_" + samples}};
  std::vector<Row> rows{{"policy"}};
  for (const auto& [title, metric] : columns) rows[0].push_back(title);
  rows[0].emplace_back("verdict");
  for (const auto& policy : policies) {
    Row row{policy.policy};
    for (const auto& [title, metric] : columns) row.push_back(cell(rl::find(policy.metrics, metric)));
    row.push_back(policy.constraints.empty() ? "-" : std::string(to_string(rl::overall(policy.constraints))));
    rows.push_back(std::move(row));
  }
  return fitted(rows, width) + "\n" + episodes_line(policies);
}

std::string constraint_lines(std::span<const rl::ConstraintResult> constraints, int width) {
  std::string text;
  for (const auto& c : constraints) {
    text += wrapped(fmt::format("Constraint {} {} {:g}: {}; {}", c.metric, c.upper ? "at most" : "at least", c.limit,
                                to_string(c.verdict), c.reason),
                    width);
  }
  return text;
}

}  // namespace mobula::cli
