#include "rl/train/trainer.h"

#include <gmock/gmock.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/unit/train/scratch.h"
#include "tests/unit/train/small_run.h"

namespace mobula::rl {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string parameters_of(Runtime& runtime, TrainOptions options) {
  return train(runtime, options).parameters_sha256;
}

TEST(Training, DoesNotDependOnHowEnvironmentsAreSpreadOverActors) {
  Runtime runtime = in_process();
  for (auto options : {small_cartpole(), small_intersection(), small_chaos()}) {
    std::set<std::string> hashes;
    for (const int workers : {1, 2, 3, 8, 20}) {
      options.workers = workers;
      hashes.insert(parameters_of(runtime, options));
    }
    EXPECT_EQ(hashes.size(), 1u) << options.experiment;
    options.seed = 1;
    EXPECT_FALSE(hashes.contains(parameters_of(runtime, options))) << "another seed gives the same parameters";
  }
}

TEST(Training, CountsEnvironmentsThatWereMadeAnewAndLeavesTheirEpisodesOut) {
  Runtime runtime = in_process();
  auto options = small_chaos();
  std::int64_t crashed = 0, episodes = 0;
  double series = -1;
  Callbacks callbacks;
  callbacks.on_rollout = [&](const RolloutEvent& event) {
    for (const auto& end : event.ended) {
      crashed += end.crashed;
      ++episodes;
    }
  };
  callbacks.on_update = [&](const UpdateEvent& event) {
    for (const auto& [name, value] : event.statistics) {
      if (name == "env_restarts") series = value;
    }
  };
  const TrainResult result = train(runtime, options, callbacks);
  // A hundredth of 3072 steps and a tenth of some 150 resets.
  EXPECT_GT(result.progress.env_restarts, 15);
  EXPECT_LT(result.progress.env_restarts, 120);
  EXPECT_EQ(series, static_cast<double>(result.progress.env_restarts));
  EXPECT_EQ(crashed, 0);
  EXPECT_EQ(episodes, result.progress.episodes);
  EXPECT_EQ(find(*result.find("trained"), "return")->n, 3);
}

TEST(Training, IsNotChangedByEvaluation) {
  Runtime runtime = in_process();
  auto options = small_intersection();
  const std::string without = parameters_of(runtime, options);
  options.evaluate.every = 1;
  options.evaluate.episodes = 2;
  options.evaluate.workers = 2;
  EXPECT_EQ(parameters_of(runtime, options), without);
}

TEST(Training, ResumedAnywhereEndsInTheSameParameters) {
  Runtime runtime = in_process();
  for (auto options : {small_cartpole(), small_intersection(), small_chaos()}) {
    const TrainResult whole = train(runtime, options);
    const std::int64_t iterations = whole.progress.iteration;
    for (const std::int64_t cut : {std::int64_t{1}, iterations / 2, iterations - 1}) {
      const Scratch scratch;
      options.write = true;
      options.run_directory = scratch / "run";
      options.workers = 1;
      std::int64_t done = 0;
      options.interrupted = [&] { return done == cut; };
      Callbacks count;
      count.on_update = [&](const UpdateEvent& event) { done = event.progress.iteration; };
      const TrainResult first = train(runtime, options, count);
      EXPECT_TRUE(first.interrupted);
      EXPECT_EQ(first.progress.iteration, cut);

      options.interrupted = {};
      options.workers = 3;
      const TrainResult second = resume(runtime, options);
      EXPECT_FALSE(second.interrupted);
      EXPECT_EQ(second.parameters_sha256, whole.parameters_sha256) << options.experiment << " cut at " << cut;
      EXPECT_EQ(second.progress.env_steps, whole.progress.env_steps);
      EXPECT_EQ(second.progress.episodes, whole.progress.episodes);
      EXPECT_EQ(second.progress.env_restarts, whole.progress.env_restarts);
      EXPECT_EQ(second.training_return_mean, whole.training_return_mean);
      EXPECT_EQ(second.find("trained")->front().second.value, whole.find("trained")->front().second.value);
      options.write = false;
    }
  }
}

TEST(Training, GoesOnFromThePreviousCheckpointWhenTheNewestIsTorn) {
  Runtime runtime = in_process();
  const Scratch scratch;
  auto options = small_cartpole();
  const std::string whole = parameters_of(runtime, options);
  options.write = true;
  options.run_directory = scratch / "run";
  options.checkpoint.every = 2;
  std::int64_t done = 0;
  options.interrupted = [&] { return done == 7; };
  Callbacks callbacks;
  callbacks.on_update = [&](const UpdateEvent& event) { done = event.progress.iteration; };
  train(runtime, options, callbacks);
  const auto files = CheckpointFolder(scratch / "run/checkpoints").files();
  std::filesystem::resize_file(files[0], 1000);

  options.interrupted = {};
  StartEvent start;
  callbacks.on_start = [&](const StartEvent& event) { start = event; };
  const TrainResult result = resume(runtime, options, callbacks);
  EXPECT_EQ(start.progress.iteration, 6);
  EXPECT_THAT(start.notes, ElementsAre(HasSubstr("000000000007.checkpoint: the checksum does not fit")));
  EXPECT_EQ(result.parameters_sha256, whole);
}

TEST(Training, CallsBackAtEachStepOfTheLoop) {
  Runtime runtime = in_process();
  const Scratch scratch;
  auto options = small_cartpole();
  options.stop.env_steps = 256 * 2;
  options.evaluate.every = 1;
  options.write = true;
  options.run_directory = scratch / "run";
  options.checkpoint.every = 1;
  std::vector<std::string> calls;
  Callbacks callbacks;
  callbacks.on_start = [&](const StartEvent& e) { calls.push_back("start " + std::to_string(e.progress.iteration)); };
  callbacks.on_rollout = [&](const RolloutEvent& e) {
    calls.push_back("rollout " + std::to_string(e.progress.iteration));
  };
  callbacks.on_update = [&](const UpdateEvent& e) {
    calls.push_back("update " + std::to_string(e.progress.iteration));
  };
  callbacks.on_evaluation = [&](const EvaluationEvent& e) {
    calls.push_back(std::string(e.final ? "final " : "evaluation ") + std::to_string(e.progress.iteration));
  };
  callbacks.on_checkpoint = [&](const CheckpointEvent& e) {
    EXPECT_TRUE(std::filesystem::exists(e.file));
    calls.push_back("checkpoint " + std::to_string(e.progress.iteration));
  };
  callbacks.on_finish = [&](const TrainResult&) { calls.push_back("finish"); };
  train(runtime, options, callbacks);
  EXPECT_THAT(calls, ElementsAre("start 0", "rollout 1", "update 1", "checkpoint 1", "rollout 2", "update 2",
                                 "evaluation 1", "checkpoint 2", "final 2", "finish"));
}

TEST(Training, StopsWhenACallbackAsksForIt) {
  Runtime runtime = in_process();
  auto options = small_cartpole();
  Callbacks callbacks;
  callbacks.on_rollout = [](const RolloutEvent& e) { return e.progress.iteration == 3 ? Flow::stop : Flow::go_on; };
  const TrainResult result = train(runtime, options, callbacks);
  EXPECT_EQ(result.stopped_by, "callback");
  EXPECT_EQ(result.progress.iteration, 3);
  EXPECT_FALSE(result.interrupted);
  EXPECT_EQ(result.policies.size(), 1u) << "it is evaluated as after any other end";
}

TEST(Training, StopsAtATrainingReturn) {
  Runtime runtime = in_process();
  auto options = small_cartpole();
  options.stop.env_steps = 1'000'000;
  options.stop.return_mean = 15;  // what chance reaches; but only a full window of 100 episodes counts
  const TrainResult result = train(runtime, options);
  EXPECT_EQ(result.stopped_by, "return_mean");
  EXPECT_GE(result.progress.episodes, 100);
}

TEST(Training, TellsEndedEpisodesInTheOrderOfTime) {
  Runtime runtime = in_process();
  const auto seen = [&](int workers) {
    auto options = small_cartpole();
    options.workers = workers;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> order;
    std::map<std::uint32_t, std::uint32_t> clock;  // steps of each environment up to the end of the episode
    Callbacks callbacks;
    callbacks.on_rollout = [&](const RolloutEvent& e) {
      std::uint32_t last = 0;
      for (const auto& end : e.ended) {
        clock[end.env] += end.length;
        EXPECT_GE(clock[end.env], last);
        last = clock[end.env];
        order.emplace_back(end.env, end.episode);
      }
    };
    train(runtime, options, callbacks);
    return order;
  };
  const auto one = seen(1);
  EXPECT_GT(one.size(), 50u);
  EXPECT_EQ(seen(4), one);
}

// The seam that measures of fairness use: costs and groups reach the learner's process as sums of integers that are the
// same for any number of workers, and the hooks run in the order in which data meets them.
TEST(Hooks, SeeTheCostsOfEachGroupBeforeTheUpdate) {
  Runtime runtime = in_process();
  const auto sums = [&](int workers) {
    auto options = small_intersection();
    options.workers = workers;
    std::vector<std::string> order;
    CostSums total;
    Hooks hooks;
    hooks.accumulate = [&](const Progress&, const CostSums& costs) {
      order.push_back("accumulate");
      total.merge(costs);
    };
    hooks.constrain = [&](const Progress&) { order.push_back("constrain"); };
    hooks.shape = [&](const ShapeInput& input) {
      order.push_back("shape");
      EXPECT_EQ(input.fragment.layout.costs, 4);
    };
    hooks.gate = [&](std::span<const PolicyMetrics> policies) {
      order.push_back("gate");
      EXPECT_EQ(policies.size(), 2u);
    };
    Trainer(options, {}, Trainer::Begin::anew, hooks).run(runtime);
    EXPECT_THAT(std::vector(order.begin(), order.begin() + 3), ElementsAre("accumulate", "constrain", "shape"));
    EXPECT_EQ(order.back(), "gate");
    return total;
  };
  const CostSums one = sums(1);
  ASSERT_EQ(one.milli.size(), 8u);  // four approaches, two streets
  std::int64_t waited = 0;
  for (const auto milli : one.milli) waited += milli;
  EXPECT_GT(waited, 0);
  EXPECT_EQ(sums(3), one);
}

TEST(Hooks, ThatShapeAdvantagesChangeWhatIsLearnt) {
  Runtime runtime = in_process();
  const auto options = small_cartpole();
  Hooks hooks;
  hooks.shape = [](const ShapeInput& input) {
    for (float& advantage : input.advantages) advantage = -advantage;
  };
  EXPECT_NE(Trainer(options, {}, Trainer::Begin::anew, hooks).run(runtime).parameters_sha256,
            parameters_of(runtime, options));
}

struct Failing {
  struct Config {
    int after = 40;
    void describe(Fields& f) { f("after", after); }
  };
  using Observation = std::array<float, 1>;
  using Action = Discrete<2>;
  explicit Failing(const Config& config) : left(config.after) {
    if (left == 0) throw std::invalid_argument("after must not be 0");
  }
  Observation reset(Random&) { return {0}; }
  Step<Observation> step(const Action&, Random&) {
    if (--left == 0) throw std::runtime_error("the engine stalled");
    return {{0}, 1.0, false, false};
  }
  int left;
};

TEST(Training, SaysWhatAnEnvironmentThrew) {
  Runtime runtime = in_process();
  auto options = small_cartpole();
  options.env = environment<Failing>("failing");
  try {
    train(runtime, options);
    FAIL();
  } catch (const TaskError& error) {
    EXPECT_THAT(error.what(), HasSubstr("the engine stalled"));
  }
}

TEST(Training, RefusesAnEnvironmentThatDoesNotStartBeforeItWritesAnything) {
  Runtime runtime = in_process();
  const Scratch scratch;
  auto options = small_cartpole();
  options.env = environment<Failing>("failing");
  options.env.config = "after: 0\n";
  options.write = true;
  options.run_directory = scratch / "run";
  EXPECT_THROW(train(runtime, options), TrainError);
  EXPECT_FALSE(std::filesystem::exists(scratch / "run"));
}

}  // namespace
}  // namespace mobula::rl
