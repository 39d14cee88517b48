#pragma once

#include <mobula/fields.h>
#include <mobula/function.h>
#include <mobula/rl/group_totals.h>
#include <mobula/rl/report.h>

#include <concepts>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace mobula::rl {

/// A limit that the trained policy has to keep. `metric` is one of
///
///   mean_wait, mean_wait/side       mean of the samples `wait`, over all or of a group
///   long_wait_rate, .../side        share of them above FairnessOptions::long_above
///   mean_wait_gap                   largest difference between the values of two groups (long_wait_rate_gap, too)
///   worst_mean_wait                 the value of the group that is worst off (worst_long_wait_rate, too)
///   share_repaid, share_repaid/b    share of the outcomes `repaid`, independent of each other: intervals of Wilson
///   and,
///                                   for share_repaid_gap, of Newcombe
///   throughput, throughput/side     a total: mean over episodes
///
/// with the name of anything that the environment, or a metric of one's own, reports; or the name of an OwnConstraint.
struct ConstraintOptions {
  std::string metric;
  std::optional<double> at_most = {};
  std::optional<double> at_least = {};
  double confidence = 0.95;  ///< of the bounds that are held against the limit
  void describe(Fields& f);
  std::string problem() const;
};

/// How the multipliers move (Stooke, Achiam and Abbeel 2020, with plain integration: no Adam, under which a multiplier
/// moves as far for a small violation as for a large one). The violation is (bound - limit) over the size of the
/// limit (of a rate: at least 0.05), and at most 2 either way. A multiplier of 1 weighs a constraint as much as the
/// reward.
struct MultiplierOptions {
  double proportional = 1;
  double integral = 0.05;
  double derivative = 2;
  double margin = 0.1;  ///< training aims below the limit by this share of it: held-out intervals have a width too
  double cap = 10;
  int patience = 50;  ///< updates at the cap after which training gives up
  int window = 16;    ///< training episodes that a bound rests on
  void describe(Fields& f);
};

/// Adds to the report of an episode that ended. It runs in worker processes, so it is a named function:
///
///   void stops(mobula::rl::EpisodeReport& report);
///   options.fairness.metrics = {mobula::function<&stops>()};
class EpisodeMetric {
 public:
  using Code = Function<void(EpisodeReport&)>;
  EpisodeMetric() = default;
  EpisodeMetric(Code code) : code_(code) {}
  // The constraint leaves copies to the constructors for them. NOLINTBEGIN(bugprone-forwarding-reference-overload)
  template <class F>
  requires(std::invocable<F&, EpisodeReport&> && !std::same_as<std::remove_cvref_t<F>, EpisodeMetric> &&
           !std::same_as<std::remove_cvref_t<F>, Code>) EpisodeMetric(F&&) {
    static_assert(!std::invocable<F&, EpisodeReport&>,
                  "a metric runs in worker processes, which do not have what a lambda captured or a pointer points at: "
                  "write a function and give mobula::function<&it>()");
  }
  // NOLINTEND(bugprone-forwarding-reference-overload)
  const Code& code() const { return code_; }

 private:
  Code code_;
};

/// One step of one environment, as training sees it.
struct StepView {
  std::span<const float> observation;    ///< what the policy saw
  std::span<const float> action;         ///< what it did
  std::span<const float> costs;          ///< as the environment annotated them
  std::span<const std::int32_t> groups;  ///< the group of each cost
  float reward;                          ///< the environment's own
};

/// Added to the reward that is learned from; never to the returns that are reported. Runs in the learner's process, so
/// any callable will do; it must be a function of the step alone for runs to repeat.
using RewardTerm = std::function<double(const StepView&)>;

/// A constraint on a statistic of one's own: NaN is "undefined". `penalty` is what a step adds to it (any scale; larger
/// is worse when the limit is at_most). Both run in the learner's process.
struct OwnConstraint {
  std::string name;  ///< what ConstraintOptions::metric says
  std::function<double(const GroupTotals&)> statistic;
  RewardTerm penalty;
};

/// Fairness in the training loop; the section `fairness:` of a configuration file.
struct FairnessOptions {
  std::string groups;  ///< which of the environment's sets of groups; empty: its first
  double long_above = 60;
  std::vector<ConstraintOptions> constraints;
  MultiplierOptions multiplier;

  // From C++ only.
  std::vector<EpisodeMetric> metrics;
  std::vector<OwnConstraint> own;
  std::vector<RewardTerm> reward_terms;

  void describe(Fields& f);
};

}  // namespace mobula::rl
