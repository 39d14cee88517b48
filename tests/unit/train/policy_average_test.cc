// The trained policy as a mean over the end of a run.
#include <gmock/gmock.h>
#include <mobula/rl/policy.h>

#include <map>
#include <string>

#include "tests/unit/train/scratch.h"
#include "tests/unit/train/small_run.h"

namespace mobula::rl {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr std::int64_t kRounds = 12;  // of small_cartpole()

TrainOptions small_run(const std::filesystem::path& directory, double average_last) {
  TrainOptions options = small_cartpole();
  options.workers = 0;
  options.write = true;
  options.run_directory = directory;
  options.checkpoint.every = 1;
  options.checkpoint.keep = kRounds;
  options.average_last = average_last;
  return options;
}

std::vector<float> parameters_in(const std::filesystem::path& run) {
  const Policy policy = Policy::load(run);
  return {policy.parameters().begin(), policy.parameters().end()};
}

TEST(PolicyAverage, IsTheMeanOfThePoliciesOfTheEndAndChangesNothingInTraining) {
  Runtime runtime = in_process();
  const Scratch scratch;
  std::map<std::int64_t, std::vector<float>> after;
  Callbacks keep;
  keep.on_checkpoint = [&](const CheckpointEvent& event) {
    after[event.progress.iteration] = parameters_in(event.file);
  };
  const TrainResult last = train(runtime, small_run(scratch / "last", 0), keep);
  ASSERT_EQ(after.size(), static_cast<std::size_t>(kRounds));
  const TrainResult mean = train(runtime, small_run(scratch / "mean", 0.25));
  EXPECT_EQ(mean.parameters_sha256, last.parameters_sha256);

  const auto averaged = parameters_in(scratch / "mean");
  ASSERT_EQ(averaged.size(), after[kRounds].size());
  EXPECT_NE(averaged, after[kRounds]);
  for (std::size_t k = 0; k < averaged.size(); ++k) {
    double sum = 0;
    for (std::int64_t round = kRounds - 2; round <= kRounds; ++round) sum += static_cast<double>(after[round][k]);
    EXPECT_EQ(averaged[k], static_cast<float>(sum / 3)) << k;
  }
}

TEST(PolicyAverage, IsWhatIsEvaluated) {
  Runtime runtime = in_process();
  const Scratch scratch;
  // Of all the rounds of a rate that falls to 0: far from the last one.
  const TrainResult mean = train(runtime, small_run(scratch / "mean", 1));
  const TrainResult last = train(runtime, small_run(scratch / "last", 0));
  EXPECT_NE(mean.find("trained")->front().second.value, last.find("trained")->front().second.value);
}

TEST(PolicyAverage, IsTheSameWhereverTheRunIsStoppedAndResumed) {
  Runtime runtime = in_process();
  const Scratch scratch;
  train(runtime, small_run(scratch / "whole", 0.5));
  for (const std::int64_t cut : {3, 6, 7, 11}) {
    TrainOptions options = small_run(scratch / std::to_string(cut), 0.5);
    std::int64_t done = 0;
    options.interrupted = [&] { return done == cut; };
    Callbacks count;
    count.on_update = [&](const UpdateEvent& event) { done = event.progress.iteration; };
    EXPECT_TRUE(train(runtime, options, count).interrupted);
    options.interrupted = {};
    resume(runtime, options);
    EXPECT_EQ(parameters_in(options.run_directory), parameters_in(scratch / "whole")) << "cut at " << cut;
  }
}

TEST(PolicyAverage, BelongsToTheRun) {
  Runtime runtime = in_process();
  const Scratch scratch;
  TrainOptions options = small_run(scratch / "run", 0.5);
  train(runtime, options);
  const auto refused = [&](auto begin) -> std::string {
    try {
      begin(runtime, options, Callbacks{});
    } catch (const TrainError& error) {
      return error.what();
    }
    return "it went on";
  };
  const auto go_on = [](auto&&... all) { resume(all...); };
  const auto anew = [](auto&&... all) { train(all...); };
  options.average_last = 0.25;
  EXPECT_THAT(refused(go_on), HasSubstr("its average_last differs from what was asked for now"));
  options.average_last = 1.5;
  EXPECT_THAT(refused(anew), AllOf(HasSubstr("average_last"), HasSubstr("expected a number in [0, 1]")));
}

// Of four rounds and then twelve nothing is averaged that belongs to the end of the shorter run; of ten and then twelve
// the rounds seven to ten were averaged there, eleven and twelve are the end now.
TEST(PolicyAverage, BeginsAnewInARunThatIsMadeLonger) {
  Runtime runtime = in_process();
  const Scratch scratch;
  const auto run = [&](const std::string& name, std::int64_t rounds, double share) {
    TrainOptions options = small_run(scratch / name, share);
    ppo(options).lr_schedule = "constant";  // so that the shorter run is the beginning of the longer one
    options.stop.env_steps = 256 * rounds;
    return options;
  };
  train(runtime, run("whole", kRounds, 0.25));
  train(runtime, run("longer", 4, 0.25));
  resume(runtime, run("longer", kRounds, 0.25));
  EXPECT_EQ(parameters_in(scratch / "longer"), parameters_in(scratch / "whole"));

  std::map<std::int64_t, std::vector<float>> after;
  Callbacks keep;
  keep.on_checkpoint = [&](const CheckpointEvent& event) {
    after[event.progress.iteration] = parameters_in(event.file);
  };
  train(runtime, run("last", kRounds, 0), keep);
  train(runtime, run("a little longer", 10, 0.4));
  resume(runtime, run("a little longer", kRounds, 0.4));
  const auto mean = parameters_in(scratch / "a little longer");
  ASSERT_EQ(mean.size(), after[kRounds].size());
  for (std::size_t k = 0; k < mean.size(); ++k) {
    const double sum = static_cast<double>(after[kRounds - 1][k]) + static_cast<double>(after[kRounds][k]);
    EXPECT_EQ(mean[k], static_cast<float>(sum / 2)) << k;
  }
}

}  // namespace
}  // namespace mobula::rl
