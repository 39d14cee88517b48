#pragma once

#include <mobula/rl/fairness.h>

namespace mobula::rl {

/// The multiplier of one signed constraint: value = proportional * smoothed violation + integral + derivative * its
/// rise, each update clipped to [0, cap] after it, and the integral with it, so that neither winds up. Value type.
class Multiplier {
 public:
  /// One update on new evidence. `violation` is relative to the limit's size, positive where the limit is broken; not
  /// finite: nothing is known, nothing moves.
  void update(double violation, const MultiplierOptions& options);

  double value() const { return value_; }
  /// Updates in a row, up to the last, that ended at the cap with the limit broken.
  int at_cap() const { return at_cap_; }

  template <class Archive>
  void serialize(Archive& archive) {
    archive(value_, integral_, smoothed_, started_, at_cap_);
  }

 private:
  double value_ = 0, integral_ = 0, smoothed_ = 0;
  bool started_ = false;
  int at_cap_ = 0;
};

}  // namespace mobula::rl
