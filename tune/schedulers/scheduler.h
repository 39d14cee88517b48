#pragma once

#include <mobula/tune/study.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace mobula::tune {

enum class Verdict { go_on, stop, pause };

/// Decides which trials are given more of the resource, from values alone: no clock and no randomness. Losses are
/// smaller for better trials and never NaN. Each trial is reported at first(), then at next() of that, and so on up to
/// the maximum, where it is completed whatever the verdict.
class TrialScheduler {
 public:
  virtual ~TrialScheduler() = default;
  virtual double first() const = 0;
  virtual double next(double reached) const = 0;  ///< for reached below the maximum
  virtual Verdict report(std::int64_t trial, double reached, double loss) = 0;
  /// A paused trial that is to go on, if there is one; it counts as running from then on.
  virtual std::optional<std::int64_t> promote() { return std::nullopt; }
};

/// Every trial to the maximum at once.
std::unique_ptr<TrialScheduler> make_none(const SchedulerOptions& options);
/// The median stopping rule of Golovin et al., "Google Vizier" (KDD 2017): a trial is stopped if its best loss so far
/// is above the median of the running means, up to the same resource, of the other trials that got there.
std::unique_ptr<TrialScheduler> make_median(const SchedulerOptions& options);
/// Asynchronous successive halving, see asha.h.
std::unique_ptr<TrialScheduler> make_asha(const SchedulerOptions& options);

std::vector<std::string> scheduler_names();
std::unique_ptr<TrialScheduler> make_scheduler(const SchedulerOptions& options);

}  // namespace mobula::tune
