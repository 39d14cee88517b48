// Studies whose trials run in real worker processes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mobula/tune.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <set>
#include <stdexcept>

namespace mobula::tune {
namespace {

using testing::HasSubstr;

Space plane() {
  Space space;
  space.add("x", uniform(-1, 1)).add("y", uniform(-1, 1));
  return space;
}
double sphere(const Params& p) {
  return p.number("x") * p.number("x") + p.number("y") * p.number("y");
}

/// An objective with a state of its own, that goes on from where it was.
struct Walk {
  double target = 0;
  Report operator()(const Job& job) const {
    double at = job.from == 0 ? job.params.number("x") : std::stod(job.state);
    for (auto t = static_cast<int>(job.from); t < static_cast<int>(job.until); ++t) at += 0.1 * (target - at);
    return {.value = std::abs(at - target) + std::abs(job.params.number("y")), .state = std::to_string(at)};
  }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(target);
  }
};

StudyOptions walks() {
  return {.mode = "min",
          .seed = 3,
          .num_trials = 40,
          .max_concurrent = 6,
          .seeds_per_trial = 2,
          .scheduler = {.name = "asha", .max = 9}};
}
/// The table without the column of seconds.
std::vector<std::string> table(const StudyResult& result) {
  std::vector<std::string> rows;
  for (const auto& trial : result.trials) {
    std::string row = std::to_string(trial.id) + " " + to_string(trial.status);
    for (const auto& [at, value] : trial.values) row += " " + to_text(at) + ":" + to_text(value);
    rows.push_back(row);
  }
  return rows;
}

TEST(Run, TheTableIsTheSameForAnyNumberOfProcesses) {
  std::vector<std::string> expected;
  for (const int workers : {0, 1, 2}) {
    const Runtime rt = Runtime::start({.workers = workers});
    const StudyResult result = run(rt, Walk{0.5}, plane(), walks());
    EXPECT_EQ(result.trials.size(), 40u);
    if (expected.empty()) expected = table(result);
    EXPECT_EQ(table(result), expected) << workers << " workers";
  }
  const Runtime rt = Runtime::start({.workers = 2});
  auto options = walks();
  options.processes = 5;
  EXPECT_EQ(table(run(rt, Walk{0.5}, plane(), options)), expected);
}

TEST(Run, AFunctionOfParametersIsAnObjectiveToo) {
  const Runtime rt = Runtime::start({.workers = 2});
  const StudyResult result = run(function<sphere>(), plane(), {.mode = "min", .num_trials = 50});
  ASSERT_TRUE(result.best);
  EXPECT_EQ(result.best->value, sphere(result.best->params));
  EXPECT_LT(*result.best->value, 0.1);
}

double process_of(const Params&) {
  return getpid();
}
TEST(Run, ProcessesServeOneTrialAfterTheOther) {
  const Runtime rt = Runtime::start({.workers = 2});
  const StudyResult result = run(rt, function<process_of>(), plane(), {.num_trials = 30});
  std::set<double> processes;
  for (const auto& trial : result.trials) processes.insert(*trial.value);
  EXPECT_LE(processes.size(), 2u);
  EXPECT_FALSE(processes.contains(getpid()));
}

double breaks(const Params& p) {
  if (p.number("x") > 0) throw std::runtime_error("x is above zero");
  return p.number("x");
}
TEST(Run, AnExceptionFailsItsTrialOnly) {
  const Runtime rt = Runtime::start({.workers = 2});
  const StudyResult result = run(rt, function<breaks>(), plane(), {.num_trials = 20});
  int failed = 0;
  for (const auto& trial : result.trials) {
    EXPECT_EQ(trial.status == Status::failed, trial.params.number("x") > 0);
    if (trial.status != Status::failed) continue;
    ++failed;
    EXPECT_THAT(trial.error, HasSubstr("x is above zero"));
  }
  EXPECT_GT(failed, 0);
}

/// Dies in the first attempt of every fifth trial.
struct Dies {
  std::string folder;
  double operator()(const Job& job) const {
    const std::string mark = folder + "/" + std::to_string(job.trial);
    if (job.trial % 5 == 0 && std::filesystem::create_directory(mark)) ::kill(getpid(), SIGKILL);
    return static_cast<double>(job.trial);
  }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(folder);
  }
};
TEST(Run, AProcessThatDiesIsReplacedAndItsJobRepeated) {
  std::string folder = (std::filesystem::temp_directory_path() / "mobula-dies-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  {
    const Runtime rt = Runtime::start({.workers = 2});
    const StudyResult result = run(rt, Dies{folder}, plane(), {.num_trials = 20});
    for (const auto& trial : result.trials) EXPECT_EQ(trial.value, static_cast<double>(trial.id)) << trial.error;
  }
  std::filesystem::remove_all(folder);
}

int one_more(int x) {
  return x + 1;
}
struct Helper {
  int add(int x) { return x + 1; }
};
/// A trial that owns an actor and submits tasks, as one does that has rollout workers.
double with_helpers(const Params&) {
  const Runtime rt = Runtime::current();
  const auto helper = rt.spawn<Helper>();
  return helper.call<&Helper::add>(1).get() + rt.remote<one_more>(1).get();
}
TEST(Run, TrialsThatOwnWorkersDoNotWaitForOneAnother) {
  const Runtime rt = Runtime::start({.workers = 1});
  const StudyResult result =
      run(rt, function<with_helpers>(), plane(), {.num_trials = 12, .max_concurrent = 6, .processes = 6});
  for (const auto& trial : result.trials) EXPECT_EQ(trial.value, 4) << trial.error;
}

TEST(Run, AnInterruptedStudyGoesOnFromItsJournal) {
  std::string folder = (std::filesystem::temp_directory_path() / "mobula-study-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const Runtime rt = Runtime::start({.workers = 2});
  const auto expected = table(run(rt, Walk{0.5}, plane(), walks()));
  auto options = walks();
  options.journal = folder + "/journal.jsonl";
  int parts = 0;
  for (bool going = true; going; ++parts) {
    int here = 0;
    options.on_change = [&](const Study&) { ++here; };
    options.interrupted = [&] { return here >= 15; };
    const StudyResult result = run(rt, Walk{0.5}, plane(), options);
    going = result.interrupted;
    if (!going) {
      EXPECT_EQ(table(result), expected);
    }
  }
  EXPECT_GT(parts, 2);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace mobula::tune
