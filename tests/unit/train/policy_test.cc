#include <gmock/gmock.h>
#include <mobula/random.h>
#include <mobula/rl/policy.h>

#include <thread>
#include <vector>

#include "rl/nn/policy.h"
#include "rl/train/checkpoint.h"
#include "rl/train/episode_player.h"
#include "tests/unit/train/scratch.h"
#include "tests/unit/train/small_run.h"

namespace mobula::rl {
namespace {

using testing::HasSubstr;

class LoadedPolicy : public testing::Test {
 protected:
  TrainResult train_into(TrainOptions options, const std::string& name = "run") {
    Runtime runtime = in_process();
    options.write = true;
    options.run_directory = scratch_ / name;
    return train(runtime, options);
  }
  Scratch scratch_;
};

TEST_F(LoadedPolicy, HasTheTrainersParameters) {
  const TrainResult result = train_into(small_cartpole());
  const Policy policy = Policy::load(scratch_ / "run");
  EXPECT_THAT(policy.parameters(), testing::ElementsAreArray(result.parameters));
  EXPECT_EQ(policy.observation_size(), 4);
  EXPECT_EQ(policy.action_space().sizes, std::vector<int>{2});
}

// The evaluation of the trainer, done again by hand with what a user's program has.
TEST_F(LoadedPolicy, ActsAsTheTrainersEvaluationDid) {
  for (const std::string name : {"cartpole", "identity_box"}) {
    SCOPED_TRACE(name);
    auto options = small_cartpole();
    options.env = *find_environment(name);
    options.evaluate.episodes = 2;
    const TrainResult result = train_into(options, name);
    const Policy policy = Policy::load(scratch_ / name);
    double total = 0;
    for (std::uint32_t k = 0; k < 2; ++k) {
      const auto envs = options.env.factory(options.env.config, {.count = 1, .first = k, .stream = Stream::evaluation});
      envs->reset(0);
      while (envs->ended().empty()) envs->step(policy.act(envs->observations()));
      total += envs->ended()[0].total;
    }
    EXPECT_DOUBLE_EQ(find(*result.find("trained"), "return")->value, total / 2);
  }
}

TEST_F(LoadedPolicy, GivesTypedActionsAndRefusesOthers) {
  train_into(small_cartpole());
  const Policy policy = Policy::load(scratch_ / "run");
  const std::vector<float> observation{0.1f, 0.2f, 0.01f, -0.3f};
  const auto action = policy.act<Discrete<2>>(observation);
  EXPECT_EQ(static_cast<float>(action.index), policy.act(observation)[0]);
  EXPECT_THROW(policy.act<Discrete<3>>(observation), std::invalid_argument);
  EXPECT_THROW(policy.act(std::vector<float>{1, 2}), std::invalid_argument);
}

TEST_F(LoadedPolicy, SamplesByTheGivenRandomNumbers) {
  train_into(small_cartpole());
  const Policy policy = Policy::load(scratch_ / "run");
  const std::vector<float> observation{0.0f, 0.0f, 0.0f, 0.0f};
  Random one(1, Stream::user), same(1, Stream::user);
  int right = 0;
  for (int i = 0; i < 200; ++i) {
    const float action = policy.sample(observation, one)[0];
    EXPECT_EQ(action, policy.sample(observation, same)[0]);
    right += action == 1;
  }
  EXPECT_GT(right, 20);
  EXPECT_LT(right, 180);
}

TEST_F(LoadedPolicy, ServesManyThreads) {
  train_into(small_cartpole());
  const Policy policy = Policy::load(scratch_ / "run");
  std::vector<std::vector<float>> observations;
  std::vector<float> expected;
  Random random(4, Stream::user);
  for (int i = 0; i < 200; ++i) {
    std::vector<float> row;
    for (int k = 0; k < 4; ++k) row.push_back(2 * random.uniform_float() - 1);
    expected.push_back(policy.act(row)[0]);
    observations.push_back(std::move(row));
  }
  std::vector<std::vector<float>> found(4);
  std::vector<std::thread> threads;
  for (auto& mine : found) {
    threads.emplace_back([&] {
      for (const auto& row : observations) mine.push_back(policy.act(row)[0]);
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& mine : found) EXPECT_EQ(mine, expected);
}

TEST_F(LoadedPolicy, SaysWhatIsWrongWithTheRun) {
  try {
    Policy::load(scratch_ / "nothing here");
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("nothing here"));
  }
}

TEST(Animation, ShowsEveryFrameInTurn) {
  const std::string text = animate_svg({"<svg width=\"9\"><a/></svg>", "<?xml?><svg width=\"9\"><b/></svg>"}, 0.5);
  EXPECT_THAT(text, testing::StartsWith("<svg width=\"9\">\n"));
  EXPECT_THAT(text, HasSubstr("dur=\"1.000s\""));
  EXPECT_THAT(text, HasSubstr("values=\"inline;none\" keyTimes=\"0;0.500000\""));
  EXPECT_THAT(text, HasSubstr("values=\"none;inline\" keyTimes=\"0;0.500000\""));
  EXPECT_THAT(text, testing::Not(HasSubstr("<?xml")));
  EXPECT_EQ(animate_svg({}, 1), "");
}

}  // namespace
}  // namespace mobula::rl
