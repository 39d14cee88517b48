#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mobula::rl {

/// The mean of a policy's parameters over the end of a run (Polyak and Juditsky 1992): of the policy after each round
/// past some step, with equal weights. Value type.
class PolicyAverage {
 public:
  /// Of what follows this step of the run; begun for another one, it is begun anew.
  void begin(double step);
  void add(std::span<const float> parameters);
  bool empty() const { return count_ == 0; }
  /// Only if not empty().
  std::vector<float> mean() const;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(begin_, sums_, count_);
  }

 private:
  double begin_ = -1;
  std::vector<double> sums_;
  std::int64_t count_ = 0;
};

}  // namespace mobula::rl
