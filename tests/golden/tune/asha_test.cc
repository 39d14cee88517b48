// ASHA against the decisions of Optuna and Ray Tune, report by report, and against the paper's algorithm in virtual
// time.
#include <gtest/gtest.h>
#include <mobula/tune/study.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tests/support/golden.h"
#include "tune/schedulers/asha.h"

namespace mobula::tune {
namespace {

using golden::json;

AshaStopping scheduler_of(const json& c) {
  const double eta = c.at("eta");
  if (c.at("rule") == "ray_asha")
    return AshaStopping(AshaStopping::Rule::percentile, golden::numbers(c.at("rungs")), eta);
  std::vector<double> rungs;
  const double lowest =
      c.at("min_resource").get<double>() * std::pow(eta, c.at("min_early_stopping_rate").get<double>());
  for (double resource = lowest; resource <= c.at("max_step").get<double>(); resource *= eta) rungs.push_back(resource);
  return AshaStopping(AshaStopping::Rule::rank, rungs, eta);
}

TEST(Asha, StopsTheTrialsThatOptunaAndRayStop) {
  int stopped = 0;
  golden::for_each_case("tune", "asha_stop", [&](const json&, const json& c) {
    AshaStopping asha = scheduler_of(c);
    const bool more = c.at("direction") == "maximize";
    const double top = c.value("max_t", INFINITY);
    for (const json& report : c.at("reports")) {
      const double step = report.at(1), value = report.at(2);
      // At its maximum Ray ends a trial without recording it.
      const bool stop = step >= top || asha.report(report.at(0), step, more ? -value : value);
      EXPECT_EQ(stop, report.at(3).get<bool>()) << report.dump();
      stopped += stop;
    }
  });
  EXPECT_GT(stopped, 100);
}

struct Started {
  Job job;
  double end;
};

TEST(Asha, PromotesAsThePaperSaysInVirtualTime) {
  golden::for_each_case("tune", "asha_time", [](const json&, const json& c) {
    const std::vector<double> losses = golden::numbers(c.at("loss_of_config"));
    const double maximum = c.at("R"), eta = c.at("eta"), horizon = c.at("horizon");
    Space space;
    space.add("x", uniform(0, 1));
    Study study(space, {.mode = "min",
                        .num_trials = static_cast<std::int64_t>(losses.size()) + 1,
                        .max_concurrent = c.at("workers"),
                        .resumable = c.at("mode") == "resume",
                        .scheduler = {.name = "asha", .max = maximum, .grace = 1, .eta = eta, .variant = "promote"}});
    const auto rung_of = [&](double resource) { return std::lround(std::log(resource) / std::log(eta)); };
    json events = json::array();
    double first_full = 0;
    std::vector<Started> running;
    for (;;) {
      while (auto job = study.ask()) {
        events.push_back({study.now(), "start", job->slot, job->trial, rung_of(job->until), job->until});
        running.push_back({*job, study.now() + job->until - job->from});
      }
      double end = INFINITY;
      for (const auto& one : running) end = std::min(end, one.end);
      if (end > horizon) break;
      std::sort(running.begin(), running.end(), [](const auto& a, const auto& b) { return a.job.slot < b.job.slot; });
      std::vector<Started> later;
      for (const auto& one : running) {
        if (one.end > end) {
          later.push_back(one);
          continue;
        }
        const Job& job = one.job;
        events.push_back({end, "end", job.slot, job.trial, rung_of(job.until), job.until});
        if (job.until == maximum && first_full == 0) first_full = end;
        study.tell(job, {.value = losses.at(static_cast<std::size_t>(job.trial))});
      }
      running = std::move(later);
    }
    const json& expected = c.at("events");
    ASSERT_EQ(events.size(), expected.size());
    for (std::size_t i = 0; i < events.size(); ++i) {
      for (std::size_t k = 0; k < events[i].size(); ++k)
        ASSERT_EQ(events[i][k], expected[i][k]) << i << ": " << events[i];
    }
    EXPECT_EQ(first_full, c.at("first_full_config_at").get<double>());
    EXPECT_EQ(static_cast<std::int64_t>(study.trials().size()), c.at("started").get<std::int64_t>());
  });
}

TEST(Asha, OtherFilesOfTheFolderAreNamed) {
  golden::list_not_covered("tune", {"asha_stop", "asha_time"});
}

}  // namespace
}  // namespace mobula::tune
