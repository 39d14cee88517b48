#include <mobula/rl/estimate.h>

namespace mobula::rl {

const Estimate* find(const Metrics& metrics, std::string_view name) {
  for (const auto& [key, estimate] : metrics) {
    if (key == name) return &estimate;
  }
  return nullptr;
}

}  // namespace mobula::rl
