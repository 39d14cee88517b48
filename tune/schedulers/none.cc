#include "tune/schedulers/scheduler.h"

namespace mobula::tune {
namespace {

class NoScheduler final : public TrialScheduler {
 public:
  explicit NoScheduler(double max) : max_(max) {}
  double first() const override { return max_; }
  double next(double) const override { return max_; }
  Verdict report(std::int64_t, double, double) override { return Verdict::go_on; }

 private:
  const double max_;
};

}  // namespace

std::unique_ptr<TrialScheduler> make_none(const SchedulerOptions& options) {
  return std::make_unique<NoScheduler>(options.max);
}

}  // namespace mobula::tune
