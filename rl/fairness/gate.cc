#include "rl/fairness/gate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "rl/fairness/bootstrap.h"
#include "rl/fairness/indices.h"
#include "rl/fairness/measure.h"

namespace mobula::rl {
namespace {

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

struct Bounds {
  Estimate estimate;
  Interval at_confidence{kNothing, kNothing};
};

Bounds bounds_of(const Measure& measure, const GroupStatistics& statistics, const Resamples& resamples,
                 double confidence) {
  Bounds bounds;
  const GroupTotals totals = statistics.totals();
  Estimate& e = bounds.estimate;
  e.value = measure.value(totals);
  e.n = e.samples = static_cast<std::int64_t>(statistics.episodes());
  if (!measure.own()) {
    e.samples = 0;
    const auto groups = measure.groups().empty() ? std::vector<std::string>{""} : measure.groups();
    for (const auto& group : groups) {
      const auto* cell = totals.find(measure.reported(), group);
      e.samples += cell ? cell->count : 0;
    }
  }
  if (measure.is_share()) {
    // The outcomes are the independent units, not the episodes.
    e.n = e.samples;
    const Interval usual = measure.interval(totals, 0.95);
    e.low = usual.low;
    e.high = usual.high;
    bounds.at_confidence = measure.interval(totals, confidence);
    return bounds;
  }
  if (e.n < fewest_episodes(std::min(confidence, 0.95)) || std::isnan(e.value)) return bounds;
  std::vector<double> values;
  values.reserve(Resamples::count);
  for (int b = 0; b < Resamples::count; ++b) {
    const double value = measure.value(statistics.totals(resamples[b]));
    if (!std::isnan(value)) values.push_back(value);  // a resample without a single sample of a group has none
  }
  if (values.empty()) return bounds;
  const Interval nothing = bounds.at_confidence;
  const auto interval = [&](double at) { return e.n < fewest_episodes(at) ? nothing : percentiles(values, at); };
  const Interval usual = interval(0.95);
  e.low = usual.low;
  e.high = usual.high;
  bounds.at_confidence = interval(confidence);
  if (measure.is_rate() && !measure.is_gap() && e.value == 0) {
    if (!std::isnan(e.high)) e.high = wilson(0, e.n, 0.95).high;
    if (!std::isnan(bounds.at_confidence.high)) bounds.at_confidence.high = wilson(0, e.n, confidence).high;
  }
  return bounds;
}

ConstraintResult verdict_on(const ConstraintOptions& option, const Measure& measure, const Bounds& bounds) {
  ConstraintResult result;
  result.metric = option.metric;
  result.groups = measure.groups();
  result.upper = option.at_most.has_value();
  result.limit = result.upper ? *option.at_most : *option.at_least;
  result.confidence = option.confidence;
  result.estimate = bounds.estimate;
  result.low = bounds.at_confidence.low;
  result.high = bounds.at_confidence.high;
  const char* limit = result.upper ? "at most" : "at least";
  if (std::isnan(result.estimate.value)) {
    result.evidence = Evidence::undefined;
    result.reason =
        fmt::format("{} is undefined: a group had no sample in {} held-out episodes", option.metric, result.estimate.n);
    return result;
  }
  if (std::isnan(result.low)) {
    result.evidence = Evidence::insufficient;
    result.reason = fmt::format("{:.4g} with no interval: {} held-out episodes are too few, at least {} are needed",
                                result.estimate.value, result.estimate.n, fewest_episodes(option.confidence));
    return result;
  }
  result.evidence = Evidence::value;
  const bool kept = result.upper ? result.high <= result.limit : result.low >= result.limit;
  const bool broken = result.upper ? result.low > result.limit : result.high < result.limit;
  result.verdict = kept ? Verdict::passed : broken ? Verdict::failed : Verdict::not_enough_evidence;
  const char* relation = kept ? "keeps" : broken ? "breaks" : "straddles";
  result.reason = fmt::format("the {:g} % interval [{:.4g}, {:.4g}] {} the limit of {} {:g}", 100 * result.confidence,
                              result.low, result.high, relation, limit, result.limit);
  if (!kept && !broken) result.reason += "; more evaluation episodes would narrow it";
  return result;
}

void add_indices(Metrics& metrics, std::span<const EpisodeEnd* const> episodes, const std::string& samples) {
  std::vector<double> all_jain, all_gini, values;
  for (const auto* end : episodes) {
    const auto* entry = end->report.find(samples);
    if (!entry) continue;
    values.assign(entry->milli.begin(), entry->milli.end());
    if (const double j = jain(values); !std::isnan(j)) all_jain.push_back(j);
    if (const double g = gini(values); !std::isnan(g)) all_gini.push_back(g);
  }
  const auto over_episodes = [](std::span<const double> v) {
    Estimate e;
    e.n = e.samples = static_cast<std::int64_t>(v.size());
    if (v.empty()) return e;
    const double n = static_cast<double>(v.size());
    double sum = 0, squares = 0;
    for (const double x : v) sum += x;
    e.value = sum / n;
    if (v.size() < 2) return e;
    for (const double x : v) squares += (x - e.value) * (x - e.value);
    const double half = student_t(0.975, e.n - 1) * std::sqrt(squares / (n - 1) / n);
    e.low = e.value - half;
    e.high = e.value + half;
    return e;
  };
  metrics.emplace_back("jain_" + samples, over_episodes(all_jain));
  metrics.emplace_back("gini_" + samples, over_episodes(all_gini));
}

}  // namespace

FairnessReport judge(std::span<const EpisodeEnd> unordered, const EnvironmentInfo& info, const FairnessOptions& options,
                     std::uint64_t seed) {
  FairnessReport report;
  if (unordered.empty() || (info.group_sets.empty() && options.constraints.empty())) return report;
  const auto groups = info.group_sets.empty() ? std::vector<std::string>() : group_set(info, options).groups;
  std::vector<const EpisodeEnd*> episodes;
  for (const auto& end : unordered) episodes.push_back(&end);
  std::sort(episodes.begin(), episodes.end(),
            [](auto* a, auto* b) { return std::pair(a->env, a->episode) < std::pair(b->env, b->episode); });
  GroupStatistics statistics(options.long_above);
  for (const auto* end : episodes) statistics.add(*end);
  const Resamples resamples(episodes.size(), seed);

  const auto add = [&](const std::string& name) {
    if (find(report.metrics, name)) return;
    const Measure measure(name, groups, options.own);
    report.metrics.emplace_back(name, bounds_of(measure, statistics, resamples, 0.95).estimate);
  };
  bool first = true;
  if (groups.size() >= 2) {
    for (const auto& entry : episodes[0]->report.entries()) {
      if (!entry.group.empty() || !episodes[0]->report.find(entry.metric, groups[0])) continue;
      if (entry.kind == EpisodeReport::Kind::outcomes) add("share_" + entry.metric + "_gap");
      if (entry.kind != EpisodeReport::Kind::samples) continue;
      add("mean_" + entry.metric + "_gap");
      if (!first) continue;
      add("long_" + entry.metric + "_rate");
      add_indices(report.metrics, episodes, entry.metric);
      first = false;
    }
  }
  for (const auto& option : options.constraints) {
    const Measure measure(option.metric, groups, options.own);
    const Bounds bounds = bounds_of(measure, statistics, resamples, option.confidence);
    report.constraints.push_back(verdict_on(option, measure, bounds));
    if (!find(report.metrics, option.metric)) report.metrics.emplace_back(option.metric, bounds.estimate);
  }
  return report;
}

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::passed:
      return "passed";
    case Verdict::failed:
      return "failed";
    case Verdict::not_enough_evidence:
      break;
  }
  return "not enough evidence";
}

std::string_view to_string(Evidence evidence) {
  switch (evidence) {
    case Evidence::value:
      return "value";
    case Evidence::insufficient:
      return "insufficient evidence";
    case Evidence::undefined:
      break;
  }
  return "undefined";
}

Verdict overall(const std::vector<ConstraintResult>& constraints) {
  const auto any = [&](Verdict verdict) {
    return std::any_of(constraints.begin(), constraints.end(), [&](const auto& c) { return c.verdict == verdict; });
  };
  if (any(Verdict::failed)) return Verdict::failed;
  return any(Verdict::not_enough_evidence) ? Verdict::not_enough_evidence : Verdict::passed;
}

}  // namespace mobula::rl
