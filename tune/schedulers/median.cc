#include <algorithm>
#include <map>

#include "tune/schedulers/scheduler.h"

namespace mobula::tune {
namespace {

class MedianStopping final : public TrialScheduler {
 public:
  explicit MedianStopping(const SchedulerOptions& options)
      : grace_(options.grace),
        max_(options.max),
        interval_(options.interval.value_or(options.grace)),
        min_samples_(static_cast<std::size_t>(options.min_samples)) {}

  double first() const override { return std::min(interval_, max_); }
  double next(double reached) const override { return std::min(reached + interval_, max_); }

  Verdict report(std::int64_t trial, double reached, double loss) override {
    auto& own = curves_[trial];
    own.emplace_back(reached, loss);
    if (reached < grace_) return Verdict::go_on;
    std::vector<double> means;
    for (const auto& [other, curve] : curves_) {
      if (other == trial || curve.back().first < reached) continue;
      double sum = 0;
      std::size_t n = 0;
      for (; n < curve.size() && curve[n].first <= reached; ++n) sum += curve[n].second;
      means.push_back(sum / static_cast<double>(n));
    }
    if (means.size() < min_samples_ || means.empty()) return Verdict::go_on;
    std::sort(means.begin(), means.end());
    const std::size_t half = means.size() / 2;
    const double median = means.size() % 2 == 1 ? means[half] : (means[half - 1] + means[half]) / 2;
    double best = own.front().second;
    for (const auto& point : own) best = std::min(best, point.second);
    return best > median ? Verdict::stop : Verdict::go_on;
  }

 private:
  const double grace_, max_, interval_;
  const std::size_t min_samples_;
  std::map<std::int64_t, std::vector<std::pair<double, double>>> curves_;  // resource and loss
};

}  // namespace

std::unique_ptr<TrialScheduler> make_median(const SchedulerOptions& options) {
  return std::make_unique<MedianStopping>(options);
}

}  // namespace mobula::tune
