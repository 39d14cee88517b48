#pragma once

#include <mobula/rl/any_vec_env.h>
#include <mobula/rl/fairness.h>

#include <string>
#include <vector>

#include "rl/fairness/group_statistics.h"
#include "rl/fairness/intervals.h"

namespace mobula::rl {

/// A metric that a constraint can name, taken apart: its value is the largest of its parts, each a value of one group
/// or the difference of two. A gap has a part for each ordered pair, so that each sign gets a multiplier of its own and
/// nothing is taken of |gap|, whose estimate is biased upwards.
class Measure {
 public:
  struct Part {
    std::string plus, minus;   ///< groups; empty: over all
    bool difference = false;   ///< without it `minus` means nothing
    std::string name() const;  ///< "side - main", "side" or ""
  };

  /// Throws std::invalid_argument with a sentence if the name cannot be understood or names a group that is not there.
  Measure(const std::string& name, const std::vector<std::string>& groups, const std::vector<OwnConstraint>& own);

  const std::string& name() const { return name_; }
  /// Of the samples or the total that it is about ("wait"); empty for a statistic of one's own.
  const std::string& reported() const { return reported_; }
  bool is_rate() const { return kind_ == Kind::long_rate || kind_ == Kind::share; }
  /// Of outcomes that are independent of each other.
  bool is_share() const { return kind_ == Kind::share; }
  bool is_gap() const { return !parts_.empty() && parts_[0].difference; }
  const std::vector<std::string>& groups() const { return groups_; }
  const std::vector<Part>& parts() const { return parts_; }
  const OwnConstraint* own() const { return own_; }

  /// NaN: undefined.
  double value(const GroupTotals& totals, const Part& part) const;
  double value(const GroupTotals& totals) const;
  /// Of a share: the score interval of a part (Wilson's; Newcombe's of a difference), two-sided. NaN where a group has
  /// no outcome. Of the whole measure: from the largest lower to the largest upper bound of its parts.
  Interval interval(const GroupTotals& totals, const Part& part, double confidence) const;
  Interval interval(const GroupTotals& totals, double confidence) const;

 private:
  enum class Kind { mean, long_rate, share, total, own };
  double of_group(const GroupTotals& totals, const std::string& group) const;

  std::string name_, reported_;
  Kind kind_;
  std::vector<std::string> groups_;
  std::vector<Part> parts_;
  const OwnConstraint* own_ = nullptr;
};

/// The set of groups that the options name. Throws std::invalid_argument with a sentence if there is none.
const GroupSet& group_set(const EnvironmentInfo& info, const FairnessOptions& options);

}  // namespace mobula::rl
