#include <mobula/rl/fairness.h>

#include "rl/fairness/bootstrap.h"
#include "rl/fairness/check.h"
#include "rl/fairness/measure.h"

#include <fmt/format.h>

#include <stdexcept>

namespace mobula::rl {

void ConstraintOptions::describe(Fields& f) {
  f("metric", metric,
    {.required = true, .help = "mean_X, long_X_rate, share_X or a total; with worst_, _gap or /group."});
  f("at_most", at_most, {.help = "The upper bound must not be above this."});
  f("at_least", at_least, {.help = "The lower bound must not be below this."});
  f("confidence", confidence, {.above = 0.5, .below = 1, .help = "Of the bounds that are held against the limit."});
}

std::string ConstraintOptions::problem() const {
  if (at_most && at_least) return "give either at_most or at_least; a band is two constraints";
  if (!at_most && !at_least) return "a constraint needs a limit: at_most or at_least";
  return {};
}

void MultiplierOptions::describe(Fields& f) {
  f("proportional", proportional, {.min = 0, .help = "Gain on the smoothed violation."});
  f("integral", integral, {.min = 0, .help = "Gain on the summed violation."});
  f("derivative", derivative, {.min = 0, .help = "Gain on a rising violation."});
  f("margin", margin, {.min = 0, .below = 1, .help = "Training aims this share of the limit below it."});
  f("cap", cap, {.above = 0, .help = "Largest multiplier; 1 weighs a constraint as much as the reward."});
  f("patience", patience, {.unit = "updates", .min = 1, .help = "Training gives up after so many at the cap."});
  f("window", window, {.unit = "episodes", .min = 3, .max = 10000, .help = "Training episodes behind a bound."});
}

void FairnessOptions::describe(Fields& f) {
  f("groups", groups, {.help = "Which groups are compared: a set that the environment declares; empty: its first."});
  f("long_above", long_above, {.min = 0, .help = "A sample above this counts as long, in long_X_rate."});
  f("constraints", constraints, {.help = "Limits that the policy has to keep."});
  f("multiplier", multiplier, {.help = "How the multipliers of the constraints move."});
}

std::string problem_with_fairness(const FairnessOptions& options, const EnvironmentInfo& info, std::int64_t episodes) {
  std::vector<std::string> groups;
  if (!options.groups.empty() || (!options.constraints.empty() && !info.group_sets.empty())) {
    try {
      groups = group_set(info, options).groups;
    } catch (const std::invalid_argument& error) {
      return std::string("fairness.groups: ") + error.what();
    }
  }
  for (std::size_t i = 0; i < options.constraints.size(); ++i) {
    const ConstraintOptions& c = options.constraints[i];
    const std::string at = fmt::format("fairness.constraints.{}", i);
    const std::string key = c.at_most ? ".at_most: " : ".at_least: ";
    const double limit = c.at_most ? *c.at_most : c.at_least.value_or(0);
    try {
      const Measure measure(c.metric, groups, options.own);
      if (!measure.own() && !info.reports) {
        return at + ".metric: the environment reports nothing by which '" + c.metric + "' could be told";
      }
      if (!measure.own() && info.cost_names.empty()) {
        return at + ".metric: the environment annotates no costs by which training could lower '" + c.metric + "'";
      }
      if (measure.is_gap() && limit < 0) {
        return at + key + fmt::format("a gap is never below 0, so {:g} cannot be kept", limit);
      }
      if (measure.is_rate() && (limit < 0 || limit > 1)) {
        return at + key + fmt::format("a rate lies in [0, 1]; {:g} does not", limit);
      }
      if (const auto fewest = fewest_episodes(c.confidence); episodes < fewest && !measure.is_share()) {
        return at + key +
               fmt::format(
                   "{} held-out episode{} cannot resolve any limit: an interval of {:g} % takes at least {}; "
                   "raise evaluate.episodes",
                   episodes, episodes == 1 ? "" : "s", 100 * c.confidence, fewest);
      }
      if (c.at_least && measure.parts().size() > 1) {
        return at + key + "a gap or a worst group can be limited from above only";
      }
    } catch (const std::invalid_argument& error) {
      return at + ".metric: " + error.what();
    }
    for (std::size_t j = 0; j < i; ++j) {
      const ConstraintOptions& other = options.constraints[j];
      if (other.metric != c.metric) continue;
      const auto& low = c.at_least ? c.at_least : other.at_least;
      const auto& high = c.at_most ? c.at_most : other.at_most;
      if (low && high && *low > *high) {
        return at + key + fmt::format("{} cannot be at least {:g} and at most {:g}", c.metric, *low, *high);
      }
      if (!low || !high) return at + ".metric: '" + c.metric + "' has this kind of limit already";
    }
  }
  return {};
}

}  // namespace mobula::rl
