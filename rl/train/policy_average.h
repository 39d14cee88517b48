#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mobula::rl {

/// The mean of a policy's parameters over the end of a run (Polyak and Juditsky 1992): of the policy after each round,
/// with equal weights. Value type.
class PolicyAverage {
 public:
  void add(std::span<const float> parameters);
  bool empty() const { return count_ == 0; }
  /// Only if not empty().
  std::vector<float> mean() const;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(sums_, count_);
  }

 private:
  std::vector<double> sums_;
  std::int64_t count_ = 0;
};

}  // namespace mobula::rl
