#include "cli/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

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
  // Columns and groups in the order in which the first policy names them.
  std::vector<std::string> groups{""}, columns;
  for (const auto& [name, estimate] : policies[0].metrics) {
    const auto slash = name.find('/');
    const std::string group = slash == std::string::npos ? "" : name.substr(slash + 1);
    const std::string metric = name.substr(0, slash);
    if (std::find(groups.begin(), groups.end(), group) == groups.end()) groups.push_back(group);
    if (std::find(columns.begin(), columns.end(), metric) == columns.end()) columns.push_back(metric);
  }
  std::string text;
  for (const auto& group : groups) {
    std::vector<std::string> used;
    for (const auto& column : columns) {
      if (rl::find(policies[0].metrics, group.empty() ? column : column + "/" + group)) used.push_back(column);
    }
    // At most four columns side by side, so that a line fits a terminal.
    for (std::size_t from = 0; from < used.size(); from += 4) {
      std::vector<Row> rows{{group.empty() ? "policy" : group}};
      for (std::size_t c = from; c < std::min(from + 4, used.size()); ++c) rows[0].push_back(used[c]);
      for (const auto& policy : policies) {
        Row row{policy.policy};
        for (std::size_t c = from; c < std::min(from + 4, used.size()); ++c) {
          row.push_back(cell(rl::find(policy.metrics, group.empty() ? used[c] : used[c] + "/" + group)));
        }
        rows.push_back(std::move(row));
      }
      text += aligned(rows) + "\n";
    }
  }
  const auto& first = policies[0].metrics.front().second;
  text += fmt::format("Values with 95 % intervals over n = {} held-out episodes.\n", first.n);
  return text;
}

}  // namespace mobula::cli
