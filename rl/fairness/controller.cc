#include "rl/fairness/controller.h"

#include <fmt/format.h>
#include <mobula/rl/snapshot.h>

#include <algorithm>
#include <cmath>

#include "rl/fairness/intervals.h"

namespace mobula::rl {
namespace {

constexpr double kLeastRate = 0.05;  // violations of limits on rates are measured by the limit, but at least by this

StepView view_of(const ConstFragment& f, std::size_t k) {
  const auto row = [k]<class T>(std::span<const T> table, int width) {
    return table.subspan(k * static_cast<std::size_t>(width), static_cast<std::size_t>(width));
  };
  return {row(f.observations, f.layout.observation_size), row(f.actions, f.layout.action_size),
          row(f.costs, f.layout.costs), row(f.groups, f.layout.costs), f.rewards[k]};
}

double size_of(std::span<const float> values) {
  double squares = 0;
  for (const float x : values) squares += static_cast<double>(x) * x;
  return values.empty() ? 0 : std::sqrt(squares / static_cast<double>(values.size()));
}

}  // namespace

Controller::Controller(const EnvironmentInfo& info, const FairnessOptions& options)
    : info_(info), options_(options), best_(options.constraints.size()), window_(options.long_above) {
  if (!info.group_sets.empty()) {
    const GroupSet& set = group_set(info, options);
    groups_ = set.groups;
    group_of_cost_ = set.of_cost;
  }
  for (std::size_t c = 0; c < options.constraints.size(); ++c) {
    measures_.emplace_back(options.constraints[c].metric, groups_, options.own);
    for (const auto& what : measures_.back().parts()) {
      std::string name = "fairness." + measures_.back().name();
      const std::string part = measures_.back().parts().size() > 1 ? what.name() : "";
      if (!part.empty()) name += "[" + part + "]";
      parts_.push_back({.constraint = c,
                        .what = what,
                        .multiplier_name = name + ".multiplier",
                        .bound_name = name + ".bound",
                        .part_name = part});
    }
  }
}

double Controller::limit(std::size_t c) const {
  const auto& o = options_.constraints[c];
  return o.at_most ? *o.at_most : *o.at_least;
}

void Controller::accumulate(std::span<const EpisodeEnd> ended) {
  for (const auto& end : ended) window_.add(end);
  window_.keep_newest(static_cast<std::size_t>(options_.multiplier.window));
  news_ |= !ended.empty();
}

double Controller::upper_bound(const Part& part) const {
  const Measure& measure = measures_[part.constraint];
  const double s = sign(part.constraint);
  if (measure.is_share()) {
    const double two_sided = 2 * options_.constraints[part.constraint].confidence - 1;
    const Interval interval = measure.interval(window_.totals(), part.what, two_sided);
    return s > 0 ? interval.high : -interval.low;
  }
  const double value = s * measure.value(window_.totals(), part.what);
  const std::size_t n = window_.episodes();
  if (n < 3 || std::isnan(value)) return std::numeric_limits<double>::quiet_NaN();
  std::vector<double> without;
  window_.for_each_without_one(
      [&](const GroupTotals& totals) { without.push_back(s * measure.value(totals, part.what)); });
  // NaN: all samples of a group lie in one episode.
  double mean = 0, squares = 0;
  for (const double v : without) mean += v / static_cast<double>(n);
  for (const double v : without) squares += (v - mean) * (v - mean);
  const double error = std::sqrt(squares * static_cast<double>(n - 1) / static_cast<double>(n));
  const double confidence = options_.constraints[part.constraint].confidence;
  return value + student_t(confidence, static_cast<std::int64_t>(n) - 1) * error;
}

void Controller::constrain(std::int64_t iteration) {
  if (!news_) return;
  news_ = false;
  std::vector<double> worst(options_.constraints.size(), -std::numeric_limits<double>::infinity());
  for (Part& part : parts_) {
    const double target = sign(part.constraint) * limit(part.constraint);
    part.bound = upper_bound(part);
    // Of small rates a difference of some hundredths is a large one, whatever the limit.
    const double least = measures_[part.constraint].is_rate() ? kLeastRate : target == 0 ? 1.0 : 0.0;
    const double unit = std::max(std::fabs(target), least);
    part.multiplier.update((part.bound - target) / unit + options_.multiplier.margin, options_.multiplier);
    // A part that cannot be told makes the whole constraint so.
    double& w = worst[part.constraint];
    w = std::isnan(part.bound) ? std::numeric_limits<double>::infinity() : std::max(w, part.bound);
  }
  for (std::size_t c = 0; c < worst.size(); ++c) {
    if (!std::isfinite(worst[c])) continue;
    if (std::isnan(best_[c].bound) || worst[c] < best_[c].bound) best_[c] = {worst[c], iteration};
  }
}

void Controller::penalty_of(const Part& part, const ConstFragment& fragment, std::span<float> out) const {
  const Measure& measure = measures_[part.constraint];
  const double s = sign(part.constraint);
  if (const auto* own = measure.own()) {
    for (std::size_t k = 0; k < out.size(); ++k) out[k] = static_cast<float>(s * own->penalty(view_of(fragment, k)));
    return;
  }
  // Costs of a group per sample of an episode, so that over an episode they add up to what a sample bears.
  const GroupTotals totals = window_.totals();
  const auto per_sample = [&](const std::string& group) {
    const auto* cell = totals.find(measure.reported(), group);
    if (!cell || cell->count == 0) return 0.0;
    return static_cast<double>(totals.episodes()) / static_cast<double>(cell->count);
  };
  const auto index = [&](const std::string& group) {
    return static_cast<int>(std::find(groups_.begin(), groups_.end(), group) - groups_.begin());
  };
  const bool all = part.what.plus.empty();
  const int plus = all ? -1 : index(part.what.plus), minus = part.what.difference ? index(part.what.minus) : -1;
  const double plus_weight = s * per_sample(part.what.plus);
  const double minus_weight = part.what.difference ? s * per_sample(part.what.minus) : 0;
  const auto costs = static_cast<std::size_t>(fragment.layout.costs);
  for (std::size_t k = 0; k < out.size(); ++k) {
    double sum = 0;
    for (std::size_t c = 0; c < costs; ++c) {
      const double cost = fragment.costs[k * costs + c];
      const int group = group_of_cost_.empty() ? fragment.groups[k * costs + c] : group_of_cost_[c];
      if (all || group == plus) {
        sum += plus_weight * cost;
      } else if (group == minus) {
        sum -= minus_weight * cost;
      }
    }
    out[k] = static_cast<float>(sum);
  }
}

void Controller::shape(const ConstFragment& fragment, std::span<float> rewards) {
  for (const auto& term : options_.reward_terms) {
    for (std::size_t k = 0; k < rewards.size(); ++k) rewards[k] += static_cast<float>(term(view_of(fragment, k)));
  }
  const double reward_size = size_of(rewards);
  double total = 0;
  std::vector<double> sums(rewards.begin(), rewards.end());
  penalty_.resize(rewards.size());
  bool any = false;
  for (Part& part : parts_) {
    const bool known = std::isfinite(part.bound);
    if (!known || (part.scale != 0 && part.multiplier.value() == 0)) continue;
    penalty_of(part, fragment, penalty_);
    if (part.scale == 0) {
      const double size = size_of(penalty_);
      if (size == 0) continue;
      part.scale = (reward_size > 0 ? reward_size : 1.0) / size;
    }
    const double weight = part.multiplier.value();
    if (weight == 0) continue;
    any = true;
    total += weight;
    for (std::size_t k = 0; k < sums.size(); ++k) sums[k] -= weight * part.scale * penalty_[k];
  }
  if (!any) return;
  for (std::size_t k = 0; k < sums.size(); ++k) rewards[k] = static_cast<float>(sums[k] / (1 + total));
}

std::vector<std::pair<std::string_view, double>> Controller::series() const {
  std::vector<std::pair<std::string_view, double>> all;
  for (const Part& part : parts_) {
    all.emplace_back(part.multiplier_name, part.multiplier.value());
    all.emplace_back(part.bound_name, sign(part.constraint) * part.bound);
  }
  return all;
}

std::vector<ConstraintProgress> Controller::progress() const {
  std::vector<ConstraintProgress> all;
  if (parts_.empty()) return all;
  const GroupTotals totals = window_.totals();
  for (const Part& part : parts_) {
    const double s = sign(part.constraint);
    all.push_back({.metric = options_.constraints[part.constraint].metric,
                   .part = part.part_name,
                   .upper = s > 0,
                   .limit = limit(part.constraint),
                   .value = measures_[part.constraint].value(totals, part.what),
                   .bound = s * part.bound,
                   .multiplier = part.multiplier.value()});
  }
  return all;
}

std::optional<std::size_t> Controller::given_up() const {
  for (const Part& part : parts_) {
    if (part.multiplier.at_cap() >= options_.multiplier.patience) return part.constraint;
  }
  return std::nullopt;
}

std::string Controller::reason(std::size_t c) const {
  return fmt::format(
      "not met: its multiplier stood at the cap of {:g} for {} updates; the best bound reached in training is {:.4g} "
      "(iteration {}), the limit {:g}",
      options_.multiplier.cap, options_.multiplier.patience, sign(c) * best_[c].bound, best_[c].iteration, limit(c));
}

std::vector<std::byte> Controller::save() const {
  std::vector<std::byte> bytes;
  append_snapshot(bytes, static_cast<std::uint64_t>(parts_.size()));
  for (const Part& part : parts_) {
    append_snapshot(bytes, part.multiplier);
    append_snapshot(bytes, part.bound);
    append_snapshot(bytes, part.scale);
  }
  append_snapshot(bytes, best_);
  append_snapshot(bytes, window_);
  append_snapshot(bytes, news_);
  return bytes;
}

void Controller::load(std::span<const std::byte> bytes) {
  std::uint64_t parts = 0;
  take_snapshot(bytes, parts);
  if (parts != parts_.size()) throw std::runtime_error("the multipliers in the checkpoint are of other constraints");
  for (Part& part : parts_) {
    take_snapshot(bytes, part.multiplier);
    take_snapshot(bytes, part.bound);
    take_snapshot(bytes, part.scale);
  }
  take_snapshot(bytes, best_);
  take_snapshot(bytes, window_);
  take_snapshot(bytes, news_);
}

}  // namespace mobula::rl
