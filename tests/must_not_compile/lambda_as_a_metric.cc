// says: a metric runs in worker processes, which do not have what a lambda captured
#include <mobula/rl/fairness.h>

void stops(mobula::rl::EpisodeReport& report) {
  report.add_total("stops", "", 1000);
}

void choose(mobula::rl::FairnessOptions& options, int weight) {
  options.metrics.emplace_back(mobula::function<&stops>());
#ifndef MUST_COMPILE
  options.metrics.emplace_back([weight](mobula::rl::EpisodeReport& report) { report.add_total("stops", "", weight); });
#endif
}
