#pragma once

#include <mobula/rl/any_vec_env.h>
#include <mobula/rl/fairness.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rl/buffers/fragment.h"
#include "rl/fairness/group_statistics.h"
#include "rl/fairness/measure.h"
#include "rl/fairness/multiplier.h"

namespace mobula::rl {

/// Lagrange multipliers in the training loop: accumulate, constrain, then shape, once an iteration.
///
/// Each signed part of each constraint has a multiplier, which moves on the one-sided upper confidence bound of the
/// part over the last training episodes (jackknife over episodes: it suits any statistic). The policy then learns from
///
///   (r - sum_i multiplier_i scale_i c_i) / (1 + sum_i multiplier_i)
///
/// where c_i is what a step adds to part i: the annotated costs of its groups per sample of an episode. By the
/// linearity of generalised advantages this is the Lagrangian mix of advantages, with one critic for the mix. scale_i
/// makes penalty and reward equally large and is fixed when the first bound is known. Only training rollouts are read,
/// their statistics are integers, and all of it happens in the learner, so the bytes do not depend on the workers.
class Controller {
 public:
  /// `info` and `options` outlive it. Options must have passed problem_with_fairness.
  Controller(const EnvironmentInfo& info, const FairnessOptions& options);

  /// Episodes that ended in this rollout, in any order.
  void accumulate(std::span<const EpisodeEnd> ended);
  /// Moves the multipliers if there is new evidence.
  void constrain(std::int64_t iteration);
  /// Changes rewards [steps][envs] as above; reward terms come first.
  void shape(const ConstFragment& fragment, std::span<float> rewards);

  /// "fairness.mean_wait_gap[side - main].multiplier" and ".bound", for progress.csv; the names live as long as this.
  std::vector<std::pair<std::string_view, double>> series() const;

  /// Where each part of each constraint stands, for events.jsonl.
  struct State {
    std::string_view metric;
    std::string part;  ///< "side - main"; empty where the constraint has one part
    bool at_most;
    double limit, bound, multiplier;  ///< bound: NaN while it is not known
    int updates_at_cap;
  };
  std::vector<State> states() const;

  /// Index of a constraint whose multiplier was at its cap for `patience` updates without the limit being met.
  std::optional<std::size_t> given_up() const;
  /// "not met: ..." with the best value reached.
  std::string reason(std::size_t constraint) const;

  std::vector<std::byte> save() const;
  void load(std::span<const std::byte> bytes);

 private:
  struct Part {
    std::size_t constraint;
    Measure::Part what;
    std::string multiplier_name, bound_name;
    // The state.
    Multiplier multiplier;
    double bound = std::numeric_limits<double>::quiet_NaN();
    double scale = 0;  // 0: not known yet
  };
  struct Best {
    double bound = std::numeric_limits<double>::quiet_NaN();
    std::int64_t iteration = 0;
    template <class Archive>
    void serialize(Archive& archive) {
      archive(bound, iteration);
    }
  };
  double sign(std::size_t constraint) const { return options_.constraints[constraint].at_most ? 1 : -1; }
  double limit(std::size_t constraint) const;
  double upper_bound(const Part& part) const;
  void penalty_of(const Part& part, const ConstFragment& fragment, std::span<float> out) const;

  // Constant after construction.
  const EnvironmentInfo& info_;
  const FairnessOptions& options_;
  std::vector<Measure> measures_;
  std::vector<int> group_of_cost_;  // empty: as annotated
  std::vector<std::string> groups_;
  // The state.
  std::vector<Part> parts_;
  std::vector<Best> best_;  // of each constraint
  GroupStatistics window_;
  bool news_ = false;
  std::vector<float> penalty_;  // scratch
};

}  // namespace mobula::rl
