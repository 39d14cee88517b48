#include "rl/fairness/measure.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace mobula::rl {
namespace {

bool take_front(std::string& text, std::string_view front) {
  if (!text.starts_with(front)) return false;
  text.erase(0, front.size());
  return true;
}

bool take_back(std::string& text, std::string_view back) {
  if (!text.ends_with(back)) return false;
  text.erase(text.size() - back.size());
  return true;
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

std::string Measure::Part::name() const {
  return difference ? plus + " - " + minus : plus;
}

Measure::Measure(const std::string& name, const std::vector<std::string>& groups, const std::vector<OwnConstraint>& own)
    : name_(name) {
  for (const auto& candidate : own) {
    if (candidate.name != name) continue;
    kind_ = Kind::own;
    own_ = &candidate;
    parts_.push_back({});
    return;
  }
  std::string rest = name, group;
  if (const auto slash = rest.find('/'); slash != std::string::npos) {
    group = rest.substr(slash + 1);
    rest.erase(slash);
    if (group.empty()) throw std::invalid_argument("'" + name + "' names no group after '/'");
  }
  const bool worst = take_front(rest, "worst_");
  const bool gap = take_back(rest, "_gap");
  if (take_front(rest, "mean_")) {
    kind_ = Kind::mean;
  } else if (take_front(rest, "share_")) {
    kind_ = Kind::share;
  } else if (std::string inner = rest; take_front(inner, "long_") && take_back(inner, "_rate")) {
    kind_ = Kind::long_rate;
    rest = inner;
  } else {
    kind_ = Kind::total;
  }
  reported_ = rest;
  if (rest.empty() || (worst && gap) || (!group.empty() && (worst || gap))) {
    throw std::invalid_argument(
        "'" + name +
        "' is no metric: write mean_wait, long_wait_rate, share_served or a total's name, with one of "
        "worst_ before it, _gap behind it or /group");
  }
  if ((worst || gap) && groups.size() < 2) {
    throw std::invalid_argument("'" + name + "' compares groups, and there are not two of them");
  }
  if (gap) {
    groups_ = groups;
    for (const auto& plus : groups)
      for (const auto& minus : groups)
        if (plus != minus) parts_.push_back({plus, minus, true});
  } else if (worst) {
    groups_ = groups;
    for (const auto& one : groups) parts_.push_back({one, "", false});
  } else {
    if (!group.empty()) {
      if (std::find(groups.begin(), groups.end(), group) == groups.end()) {
        throw std::invalid_argument("'" + name + "': there is no group '" + group + "'; there are " + listed(groups));
      }
      groups_ = {group};
    }
    parts_.push_back({group, "", false});
  }
}

double Measure::of_group(const GroupTotals& totals, const std::string& group) const {
  return kind_ == Kind::long_rate ? totals.long_rate(reported_, group) : totals.mean(reported_, group);
}

double Measure::value(const GroupTotals& totals, const Part& part) const {
  if (own_) return own_->statistic(totals);
  const double plus = of_group(totals, part.plus);
  return part.difference ? plus - of_group(totals, part.minus) : plus;
}

double Measure::value(const GroupTotals& totals) const {
  double largest = -std::numeric_limits<double>::infinity();
  for (const auto& part : parts_) {
    const double v = value(totals, part);
    if (std::isnan(v)) return v;  // a group that cannot be told is not passed over
    largest = std::max(largest, v);
  }
  return largest;
}

Interval Measure::interval(const GroupTotals& totals, const Part& part, double confidence) const {
  constexpr double nothing = std::numeric_limits<double>::quiet_NaN();
  const auto* plus = totals.find(reported_, part.plus);
  if (!plus || plus->count == 0) return {nothing, nothing};
  const std::int64_t yes = plus->milli / 1000;
  if (!part.difference) return wilson(yes, plus->count, confidence);
  const auto* minus = totals.find(reported_, part.minus);
  if (!minus || minus->count == 0) return {nothing, nothing};
  return newcombe(yes, plus->count, minus->milli / 1000, minus->count, confidence);
}

Interval Measure::interval(const GroupTotals& totals, double confidence) const {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  Interval whole{-infinity, -infinity};
  for (const auto& part : parts_) {
    const Interval one = interval(totals, part, confidence);
    if (std::isnan(one.low)) return one;
    whole = {std::max(whole.low, one.low), std::max(whole.high, one.high)};
  }
  return whole;
}

const GroupSet& group_set(const EnvironmentInfo& info, const FairnessOptions& options) {
  if (info.group_sets.empty()) throw std::invalid_argument("the environment declares no groups");
  if (options.groups.empty()) return info.group_sets[0];
  std::vector<std::string> names;
  for (const auto& set : info.group_sets) {
    if (set.name == options.groups) return set;
    names.push_back(set.name);
  }
  throw std::invalid_argument("the environment has no set of groups '" + options.groups + "'; it has " + listed(names));
}

}  // namespace mobula::rl
