#include "rl/train/statistics.h"

#include <boost/math/distributions/students_t.hpp>

#include <algorithm>
#include <cmath>

#include "rl/fairness/bootstrap.h"
#include "rl/fairness/intervals.h"

namespace mobula::rl {
namespace {

void set_interval(Estimate& estimate, std::vector<double>& values) {
  // A resample without a single sample (all its episodes were empty) has no value; it is left out.
  if (estimate.n < fewest_episodes(0.95) || values.empty()) return;
  const Interval interval = percentiles(values, 0.95);
  estimate.low = interval.low;
  estimate.high = interval.high;
}

/// The samples of one metric and group, by episode.
class Pooled {
 public:
  explicit Pooled(std::vector<const std::vector<std::int64_t>*> episodes) {
    for (std::uint32_t e = 0; e < episodes.size(); ++e) {
      sums_.push_back(0);
      counts_.push_back(0);
      largest_.push_back(std::numeric_limits<std::int64_t>::min());
      if (!episodes[e]) continue;
      for (const std::int64_t milli : *episodes[e]) {
        sums_[e] += milli;
        ++counts_[e];
        largest_[e] = std::max(largest_[e], milli);
        descending_.emplace_back(milli, e);
      }
    }
    std::sort(descending_.begin(), descending_.end(), std::greater<>());
  }

  std::int64_t samples() const { return static_cast<std::int64_t>(descending_.size()); }

  // Each statistic of a resample in which episode e occurs times[e] times; NaN if it holds no sample.
  double mean(const std::uint32_t* times) const {
    std::int64_t sum = 0, count = 0;
    for (std::size_t e = 0; e < sums_.size(); ++e) {
      sum += sums_[e] * times[e];
      count += counts_[e] * times[e];
    }
    return count ? static_cast<double>(sum) / static_cast<double>(count) / 1000.0 : kNothing;
  }
  double maximum(const std::uint32_t* times) const {
    std::int64_t largest = std::numeric_limits<std::int64_t>::min();
    bool any = false;
    for (std::size_t e = 0; e < largest_.size(); ++e) {
      if (times[e] == 0 || counts_[e] == 0) continue;
      any = true;
      largest = std::max(largest, largest_[e]);
    }
    return any ? static_cast<double>(largest) / 1000.0 : kNothing;
  }
  /// Nearest rank: the smallest sample that at least 95 % do not exceed, found from above because 5 % are fewer.
  double p95(const std::uint32_t* times) const {
    std::int64_t count = 0;
    for (std::size_t e = 0; e < counts_.size(); ++e) count += counts_[e] * times[e];
    if (count == 0) return kNothing;
    const std::int64_t above = count / 20;
    std::int64_t seen = 0;
    for (const auto& [milli, e] : descending_) {
      seen += times[e];
      if (seen > above) return static_cast<double>(milli) / 1000.0;
    }
    return kNothing;
  }

 private:
  static constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();
  std::vector<std::int64_t> sums_, counts_, largest_;
  std::vector<std::pair<std::int64_t, std::uint32_t>> descending_;
};

template <class Statistic>
Estimate bootstrap(const Pooled& pooled, const Resamples& resamples, std::size_t episodes, Statistic statistic) {
  Estimate estimate;
  estimate.n = static_cast<std::int64_t>(episodes);
  estimate.samples = pooled.samples();
  const std::vector<std::uint32_t> once(episodes, 1);
  estimate.value = (pooled.*statistic)(once.data());
  std::vector<double> values;
  values.reserve(Resamples::count);
  for (int b = 0; b < Resamples::count; ++b) {
    const double value = (pooled.*statistic)(resamples[b]);
    if (!std::isnan(value)) values.push_back(value);
  }
  set_interval(estimate, values);
  return estimate;
}

/// Wilson's interval: each outcome is a unit of its own, whatever episode it is of.
Estimate share_of(std::span<const EpisodeEnd* const> episodes, const EpisodeReport::Entry& name) {
  std::int64_t yes = 0, all = 0;
  for (const auto* e : episodes) {
    const auto* entry = e->report.find(name.metric, name.group);
    if (!entry) continue;
    all += static_cast<std::int64_t>(entry->milli.size());
    yes += std::count(entry->milli.begin(), entry->milli.end(), 1000);
  }
  Estimate estimate;
  estimate.n = estimate.samples = all;
  if (all == 0) return estimate;
  estimate.value = static_cast<double>(yes) / static_cast<double>(all);
  const Interval interval = wilson(yes, all, 0.95);
  estimate.low = interval.low;
  estimate.high = interval.high;
  return estimate;
}

}  // namespace

Estimate mean_estimate(std::span<const double> values) {
  Estimate estimate;
  estimate.n = estimate.samples = static_cast<std::int64_t>(values.size());
  if (values.empty()) return estimate;
  const double n = static_cast<double>(values.size());
  double sum = 0;
  for (const double v : values) sum += v;
  estimate.value = sum / n;
  if (values.size() < 2) return estimate;
  double squares = 0;
  for (const double v : values) squares += (v - estimate.value) * (v - estimate.value);
  const double t = boost::math::quantile(boost::math::students_t(n - 1), 0.975);
  const double half = t * std::sqrt(squares / (n - 1) / n);
  estimate.low = estimate.value - half;
  estimate.high = estimate.value + half;
  return estimate;
}

Metrics summarise(std::span<const EpisodeEnd> unordered, std::uint64_t seed) {
  std::vector<const EpisodeEnd*> episodes;
  for (const auto& episode : unordered) episodes.push_back(&episode);
  std::sort(episodes.begin(), episodes.end(),
            [](auto* a, auto* b) { return std::pair(a->env, a->episode) < std::pair(b->env, b->episode); });

  Metrics metrics;
  std::vector<double> values;
  for (const auto* e : episodes) values.push_back(e->total);
  metrics.emplace_back("return", mean_estimate(values));
  values.clear();
  for (const auto* e : episodes) values.push_back(static_cast<double>(e->length));
  metrics.emplace_back("episode_length", mean_estimate(values));
  if (episodes.empty()) return metrics;

  // The names in the order in which the first episode that has them says them.
  std::vector<const EpisodeReport::Entry*> names;
  for (const auto* e : episodes) {
    for (const auto& entry : e->report.entries()) {
      const bool known = std::any_of(names.begin(), names.end(), [&](auto* name) {
        return name->metric == entry.metric && name->group == entry.group;
      });
      if (!known) names.push_back(&entry);
    }
  }
  const Resamples resamples(episodes.size(), seed);
  for (const auto* name : names) {
    const std::string suffix = name->group.empty() ? "" : "/" + name->group;
    if (name->kind == EpisodeReport::Kind::total) {
      values.clear();
      for (const auto* e : episodes) {
        const auto* entry = e->report.find(name->metric, name->group);
        values.push_back(entry && !entry->milli.empty() ? static_cast<double>(entry->milli[0]) / 1000.0 : 0.0);
      }
      metrics.emplace_back(name->metric + suffix, mean_estimate(values));
      continue;
    }
    if (name->kind == EpisodeReport::Kind::outcomes) {
      metrics.emplace_back("share_" + name->metric + suffix, share_of(episodes, *name));
      continue;
    }
    std::vector<const std::vector<std::int64_t>*> samples;
    for (const auto* e : episodes) {
      const auto* entry = e->report.find(name->metric, name->group);
      samples.push_back(entry ? &entry->milli : nullptr);
    }
    const Pooled pooled(std::move(samples));
    metrics.emplace_back("mean_" + name->metric + suffix, bootstrap(pooled, resamples, episodes.size(), &Pooled::mean));
    metrics.emplace_back("p95_" + name->metric + suffix, bootstrap(pooled, resamples, episodes.size(), &Pooled::p95));
    metrics.emplace_back("max_" + name->metric + suffix,
                         bootstrap(pooled, resamples, episodes.size(), &Pooled::maximum));
  }
  return metrics;
}

}  // namespace mobula::rl
