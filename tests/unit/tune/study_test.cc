#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mobula/random.h>
#include <mobula/tune/report.h>
#include <mobula/tune/study.h>

#include <cmath>
#include <functional>
#include <regex>

namespace mobula::tune {
namespace {

using testing::HasSubstr;

Space plane() {
  Space space;
  space.add("x", uniform(-1, 1)).add("y", loguniform(1e-3, 1e3));
  return space;
}

/// Gets better with more resource; which trial is best changes on the way.
double loss_at(const Job& job) {
  const double x = job.params.number("x"), y = std::log10(job.params.number("y"));
  return (x - 0.3) * (x - 0.3) + y * y / job.until + std::abs(x) / std::sqrt(job.until) +
         1e-3 * static_cast<double>(job.seed % 100);
}

/// Answers open jobs in an order that the seed decides, at most `window` of them being open.
void drive(Study& study, std::uint64_t seed, std::size_t window) {
  Random random(seed, Stream::user);
  std::vector<Job> open;
  for (;;) {
    while (open.size() < window) {
      auto job = study.ask();
      if (!job) break;
      open.push_back(std::move(*job));
    }
    if (open.empty()) return;
    const auto i = random.below(static_cast<std::uint32_t>(open.size()));
    study.tell(open[i], {.value = loss_at(open[i])});
    open.erase(open.begin() + i);
  }
}

std::vector<StudyOptions> kinds_of_study() {
  StudyOptions base{.mode = "min", .seed = 5, .num_trials = 40, .max_concurrent = 6, .seeds_per_trial = 2};
  std::vector<StudyOptions> all{base, base, base, base, base};
  all[1].scheduler = {.name = "asha", .max = 27, .grace = 1, .eta = 3};
  all[2].scheduler = {.name = "asha", .max = 27, .grace = 1, .eta = 3, .variant = "promote"};
  all[3].scheduler = {.name = "asha", .max = 27, .grace = 1, .eta = 3, .rule = "percentile"};
  all[4].scheduler = {.name = "median", .max = 10, .grace = 2, .interval = 1};
  return all;
}

TEST(Study, FindsTheBestOfWhatItTried) {
  Study study(plane(), {.mode = "min", .num_trials = 200});
  while (auto job = study.ask()) study.tell(*job, {.value = loss_at(*job)});
  ASSERT_TRUE(study.finished());
  ASSERT_EQ(study.trials().size(), 200u);
  for (const auto& trial : study.trials()) {
    EXPECT_EQ(trial.status, Status::completed);
    EXPECT_GE(*trial.value, *study.best()->value);
  }
}

TEST(Study, TheTableIsTheSameInWhateverOrderReportsArrive) {
  for (const auto& options : kinds_of_study()) {
    Study first(plane(), options);
    drive(first, 0, 1);
    const std::string table = trials_csv(first);
    EXPECT_EQ(first.trials().size(), 40u);
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
      Study other(plane(), options);
      drive(other, seed, 1 + seed % 12);
      ASSERT_EQ(trials_csv(other), table) << options.scheduler.name << options.scheduler.variant << ", seed " << seed;
    }
  }
}

TEST(Study, SchedulersSpendLessThanAllTrialsToTheEndWould) {
  for (const auto& options : kinds_of_study()) {
    if (options.scheduler.name == "none") continue;
    Study study(plane(), options);
    drive(study, 0, 4);
    double spent = 0;
    int completed = 0;
    for (const auto& trial : study.trials()) {
      spent += trial.reached;
      completed += trial.status == Status::completed;
    }
    EXPECT_LT(spent, 0.7 * 40 * options.scheduler.max) << options.scheduler.name << options.scheduler.variant;
    EXPECT_GE(completed, 1) << options.scheduler.name << options.scheduler.variant;
  }
}

TEST(Study, RepeatsHaveSeedsOfTheirOwnAndTheValueIsTheirMean) {
  Study study(plane(), {.num_trials = 1, .seeds_per_trial = 3});
  std::set<std::uint64_t> seeds;
  double value = 1;
  while (auto job = study.ask()) {
    seeds.insert(job->seed);
    study.tell(*job, {.value = value++});
  }
  EXPECT_EQ(seeds.size(), 3u);
  EXPECT_EQ(study.trials()[0].value, 2.0);
}

TEST(Study, ATrialGoesOnFromTheStateOfItsLastReport) {
  Study study(plane(), {.mode = "min", .num_trials = 1, .scheduler = {.name = "asha", .max = 9}});
  std::string jobs;
  while (auto job = study.ask()) {
    jobs += to_text(job->from) + " to " + to_text(job->until) + " with '" + job->state + "'; ";
    study.tell(*job, {.value = 0, .state = "at " + to_text(job->until)});
  }
  EXPECT_EQ(jobs, "0.0 to 1.0 with ''; 1.0 to 3.0 with 'at 1.0'; 3.0 to 9.0 with 'at 3.0'; ");
}

TEST(Study, AFailedTrialIsOneAndTheStudyGoesOn) {
  Study study(plane(), {.num_trials = 5});
  while (auto job = study.ask()) {
    if (job->trial == 1) {
      study.fail(*job, "the disk is full");
    } else {
      study.tell(*job, {.value = job->trial == 2 ? NAN : static_cast<double>(job->trial)});
    }
  }
  EXPECT_EQ(study.trials()[1].status, Status::failed);
  EXPECT_EQ(study.trials()[1].error, "the disk is full");
  EXPECT_EQ(study.trials()[2].status, Status::failed);
  EXPECT_EQ(study.trials()[2].error, "the objective's value is NaN");
  EXPECT_EQ(study.best()->id, 4);
}

TEST(Study, ABudgetEndsTheBeginningOfTrials) {
  Study study(plane(), {.num_trials = 100, .max_concurrent = 2, .budget = 25, .scheduler = {.max = 10}});
  drive(study, 0, 2);
  EXPECT_EQ(study.trials().size(), 3u);  // the third was begun when 20 had been given
}

TEST(Study, NotMoreTrialsAreUnderWayThanItSays) {
  Study study(plane(), {.num_trials = 100, .max_concurrent = 3});
  int open = 0;
  while (study.ask()) ++open;
  EXPECT_EQ(open, 3);
}

TEST(Study, FastModeRefillsASlotWithoutWaitingForOthers) {
  for (const bool deterministic : {true, false}) {
    Study study(plane(),
                {.num_trials = 9, .max_concurrent = 2, .deterministic = deterministic, .scheduler = {.max = 4}});
    const auto slow = study.ask();
    int told = 0;
    while (auto job = study.ask()) {
      study.tell(*job, {.value = 1});
      ++told;
    }
    EXPECT_EQ(told, deterministic ? 1 : 8);
    study.tell(*slow, {.value = 1});
    drive(study, 0, 4);
    EXPECT_EQ(study.trials().size(), 9u);
  }
}

TEST(Study, WrongUseIsAnswered) {
  const auto error_of = [](const std::function<void()>& f) -> std::string {
    try {
      f();
    } catch (const TuneError& error) {
      return error.what();
    }
    return "nothing was thrown";
  };
  EXPECT_THAT(error_of([] { Study(plane(), {.mode = "maximum"}); }), HasSubstr("neither max nor min"));
  EXPECT_THAT(error_of([] { Study(plane(), {.num_trials = 0}); }), HasSubstr("at least 1"));
  EXPECT_THAT(error_of([] { Study(plane(), {.scheduler = {.name = "asha", .max = 1, .grace = 2}}); }),
              HasSubstr("above max"));
  EXPECT_THAT(error_of([] { Study(plane(), {.search = {"grid"}}); }), HasSubstr("continuum"));
  EXPECT_THAT(error_of([] {
                Study study(plane(), {});
                const auto job = study.ask();
                for (int i = 0; i < 2; ++i) study.tell(*job, {.value = 1});
              }),
              HasSubstr("not open"));
}

}  // namespace
}  // namespace mobula::tune
