#include "tune/schedulers/scheduler.h"

#include "runtime/config/nearest.h"

namespace mobula::tune {

std::vector<std::string> scheduler_names() {
  return {"none", "asha", "median"};
}

std::unique_ptr<TrialScheduler> make_scheduler(const SchedulerOptions& options) {
  if (options.name == "none") return make_none(options);
  if (options.name == "asha") return make_asha(options);
  if (options.name == "median") return make_median(options);
  throw TuneError("scheduler.name: there is no '" + options.name + "'" +
                  config::expected_one_of(options.name, scheduler_names()));
}

}  // namespace mobula::tune
