#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace mobula::tune {

/// Asynchronous successive halving: Li et al., "A System for Massively Parallel Hyperparameter Tuning" (MLSys 2020).
/// Rungs lie at r, r eta, r eta^2 and so on. Implementations differ in how a trial is judged at a rung; these are the
/// rules in use, each as its source has it.

/// The rungs of a study: r eta^k below the maximum R, then R itself.
std::vector<double> asha_rungs(double grace, double max, double eta);

/// Stops for good, judging each trial as it arrives at a rung:
///   rank        (Optuna) the trial counts itself; of n at the rung so far the best max(1, floor(n / eta)) go on, and
///   so
///               does whoever equals the last of them
///   percentile  (Ray Tune) the trial does not count itself; it goes on unless it is strictly worse than the (1 -
///   1/eta)
///               quantile of those before it (linear interpolation); the first at a rung always goes on
/// So `rank` lets fewer through among the first arrivals and more ties later.
class AshaStopping {
 public:
  enum class Rule { rank, percentile };
  /// Resources in increasing order.
  AshaStopping(Rule rule, std::vector<double> rungs, double eta);
  /// True: the trial is to be stopped. A report at or above several rungs that the trial has not yet been judged at is
  /// judged at each of them from the lowest (rank), or at the highest only (percentile).
  bool report(std::int64_t trial, double resource, double loss);

 private:
  struct Rung {
    double resource;
    std::vector<double> losses;  // sorted
    std::set<std::int64_t> trials;
  };
  bool judge_by_rank(Rung& rung, double loss) const;
  bool judge_by_percentile(const Rung& rung, double loss) const;
  const Rule rule_;
  const double eta_;
  std::vector<Rung> rungs_;
};

/// Pauses every trial at every rung and, whenever a slot is free, goes on with the best one that is among the best
/// floor(n / eta) of its rung and was not promoted before, looking at the highest rung first; equal losses in the order
/// of the trials (Algorithm 2 of the paper).
class AshaPromotion {
 public:
  AshaPromotion(std::vector<double> rungs, double eta);
  void report(std::int64_t trial, double resource, double loss);
  std::optional<std::int64_t> promote();

 private:
  struct Rung {
    double resource;
    std::set<std::pair<double, std::int64_t>> entries;
    std::set<std::int64_t> promoted;
  };
  const double eta_;
  std::vector<Rung> rungs_;
};

}  // namespace mobula::tune
