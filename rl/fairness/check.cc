#include "rl/fairness/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "rl/fairness/group_statistics.h"
#include "rl/fairness/intervals.h"
#include "rl/fairness/measure.h"
#include "runtime/config/nearest.h"

namespace mobula::rl {

namespace {

bool reported_as_outcomes(std::span<const EpisodeEnd> episodes, const std::string& metric) {
  return std::any_of(episodes.begin(), episodes.end(), [&](const EpisodeEnd& end) {
    const auto& entries = end.report.entries();
    return std::any_of(entries.begin(), entries.end(), [&](const EpisodeReport::Entry& entry) {
      return entry.metric == metric && entry.kind == EpisodeReport::Kind::outcomes;
    });
  });
}

/// How far the interval of the gap would reach if both groups had the share that they have together, with as many
/// outcomes as so many episodes have.
double share_gap_of_equals(const GroupTotals& pilot, const Measure& measure, std::int64_t episodes, double confidence) {
  double high = 0;
  for (const auto& part : measure.parts()) {
    const auto &a = *pilot.find(measure.reported(), part.plus), &b = *pilot.find(measure.reported(), part.minus);
    if (a.count == 0 || b.count == 0) continue;
    const double share = static_cast<double>(a.milli + b.milli) / 1000 / static_cast<double>(a.count + b.count);
    const double more = static_cast<double>(episodes) / static_cast<double>(pilot.episodes());
    const auto n = [&](const GroupTotals::Cell& cell) {
      return std::max<std::int64_t>(1, std::llround(more * static_cast<double>(cell.count)));
    };
    const auto yes = [&](const GroupTotals::Cell& cell) { return std::llround(share * static_cast<double>(n(cell))); };
    high = std::max(high, newcombe(yes(a), n(a), yes(b), n(b), confidence).high);
  }
  return high;
}

/// What a constraint may be called that rests on these metrics.
std::vector<std::string> forms_of(const std::vector<std::string>& metrics) {
  std::vector<std::string> forms;
  for (const auto& metric : metrics) {
    forms.insert(forms.end(), {metric, metric + "_gap", "worst_" + metric});
    if (!metric.starts_with("mean_")) continue;
    const std::string rate = "long_" + metric.substr(5) + "_rate";
    forms.insert(forms.end(), {rate, rate + "_gap", "worst_" + rate});
  }
  return forms;
}

}  // namespace

std::string problem_with_pilot(const FairnessOptions& options, const EnvironmentInfo& info,
                               std::span<const EpisodeEnd> pilot, std::int64_t episodes) {
  if (pilot.size() < 2) return {};
  const auto groups = info.group_sets.empty() ? std::vector<std::string>() : group_set(info, options).groups;
  std::vector<std::string> known;
  for (const auto& entry : pilot[0].report.entries()) {
    if (!entry.group.empty()) continue;
    const char* front = entry.kind == EpisodeReport::Kind::samples    ? "mean_"
                        : entry.kind == EpisodeReport::Kind::outcomes ? "share_"
                                                                      : "";
    known.push_back(front + entry.metric);
  }
  GroupStatistics statistics(options.long_above);
  for (const auto& end : pilot) statistics.add(end);
  for (std::size_t i = 0; i < options.constraints.size(); ++i) {
    const ConstraintOptions& c = options.constraints[i];
    const std::string at = fmt::format("fairness.constraints.{}", i);
    const Measure measure(c.metric, groups, options.own);
    if (measure.own()) continue;
    const std::vector<std::string> asked = measure.groups().empty() ? std::vector<std::string>{""} : measure.groups();
    for (const auto& group : asked) {
      if (statistics.totals().find(measure.reported(), group)) continue;
      std::string list;
      for (const auto& name : known) list += (list.empty() ? "" : ", ") + name;
      return fmt::format("{}.metric: the environment reports no '{}'{}; there are {}{}", at, measure.reported(),
                         group.empty() ? "" : " of the group '" + group + "'", list,
                         config::did_you_mean(c.metric, forms_of(known)));
    }
    const bool outcomes = reported_as_outcomes(pilot, measure.reported());
    if (measure.is_share() != outcomes) {
      return fmt::format("{}.metric: '{}' {}", at, measure.reported(),
                         outcomes ? "is reported as outcomes: write share_" + measure.reported()
                                  : "is not reported as outcomes that are independent of each other");
    }
    if (!measure.is_gap() || *c.at_most <= 0) continue;
    if (measure.is_share()) {
      const double high = share_gap_of_equals(statistics.totals(), measure, episodes, c.confidence);
      if (high <= *c.at_most) continue;
      return fmt::format(
          "{}.at_most: the outcomes of {} held-out episodes cannot resolve a limit of {:g}: the interval of two equal "
          "groups would reach {:.3g}; raise evaluate.episodes",
          at, episodes, *c.at_most, high);
    }
    // How far episodes lie apart: of each part, because the largest of them would hide its sign.
    const auto& part = measure.parts()[0];
    std::vector<double> values;
    for (const auto& end : pilot) {
      GroupStatistics one(options.long_above);
      one.add(end);
      const double v = measure.value(one.totals(), part);
      if (!std::isnan(v)) values.push_back(v);
    }
    if (values.size() < 2) continue;
    double mean = 0, squares = 0;
    for (const double v : values) mean += v / static_cast<double>(values.size());
    for (const double v : values) squares += (v - mean) * (v - mean);
    const double spread = std::sqrt(squares / static_cast<double>(values.size() - 1));
    const auto half = [&](std::int64_t n) {
      return student_t(0.5 + c.confidence / 2, n - 1) * spread / std::sqrt(static_cast<double>(n));
    };
    if (half(episodes) <= *c.at_most) continue;
    std::int64_t enough = episodes;
    while (half(enough) > *c.at_most && enough < 100'000'000) enough += enough / 2 + 1;
    return fmt::format(
        "{}.at_most: {} held-out episodes cannot resolve a limit of {:g}: the interval would reach {:.3g} to each side "
        "(episodes of a pilot lie {:.3g} apart), so even a policy without any gap could not pass; about {} episodes "
        "are "
        "needed",
        at, episodes, *c.at_most, half(episodes), spread, enough);
  }
  return {};
}

}  // namespace mobula::rl
