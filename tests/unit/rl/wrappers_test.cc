// Wrappers: as templates and from files, which must do the same.
#include <mobula/rl/wrappers.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mobula/rl/check.h>
#include <mobula/rl/vec_env.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "rl/envs/cartpole.h"
#include "rl/envs/identity.h"
#include "rl/envs/mountain_car.h"
#include "rl/envs/pendulum.h"
#include "tests/unit/rl/environments.h"
#include "tests/unit/rl/rows.h"

namespace mobula::rl {
namespace {

using test::Everything;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(Wrappers, AreEnvironmentsThatKeepTheContract) {
  EXPECT_THAT((check_environment<TimeLimit<Pendulum>>({.limit = 30})), IsEmpty());
  EXPECT_THAT((check_environment<FrameStack<CartPole, 4>>()), IsEmpty());
  EXPECT_THAT((check_environment<FrameStack<Everything, 2>>()), IsEmpty());
  EXPECT_THAT((check_environment<Partial<CartPole, 0, 2>>()), IsEmpty());
  EXPECT_THAT((check_environment<Partial<Pendulum, 0, 1>>()), IsEmpty());
  EXPECT_THAT((check_environment<ClipObservation<MountainCar>>({.limit = 0.5})), IsEmpty());
  EXPECT_THAT((check_environment<ClipReward<Pendulum>>({.limit = 2})), IsEmpty());
  EXPECT_THAT((check_environment<RescaleAction<Pendulum>>()), IsEmpty());
  EXPECT_THAT((check_environment<Chaos<CartPole>>({.crash_step = 0})), IsEmpty());
  // These learn from what they see, so a used one differs from a new one on purpose.
  EXPECT_THAT((check_environment<NormalizeObservation<Pendulum>>()), ElementsAre(HasSubstr("reset() of a used")));
  EXPECT_THAT((check_environment<NormalizeReward<Pendulum>>()), ElementsAre(HasSubstr("A used and a new")));
}

TEST(Wrappers, PassOnWhatTheInnerEnvironmentHas) {
  using E = FrameStack<TimeLimit<Everything>, 2>;
  const EnvironmentInfo info = environment_info<E>();
  EXPECT_EQ(info.observation_size, 6);
  EXPECT_EQ(info.mask_size, 3);
  EXPECT_THAT(info.cost_names, ElementsAre("left", "right"));
  EXPECT_THAT(info.group_names, ElementsAre("a", "b", "c"));
  EXPECT_THAT(info.baseline_names, ElementsAre("first", "follow"));
  EXPECT_TRUE(info.reports && info.renders_text && !info.renders_svg);
  EXPECT_EQ((environment_info<RescaleAction<Pendulum>>().action), (ActionSpace{ActionSpace::Kind::box, {}, 1, -1, 1}));
  // A baseline acts through the wrappers: full torque is 1 in rescaled actions.
  RescaleAction<Pendulum> pendulum({});
  pendulum.env.state = {3.0, 0.5};
  EXPECT_EQ(RescaleAction<Pendulum>::baselines()[0].act(pendulum).value[0], 1.0f);
}

// Plays both with the same actions and compares all that they show.
void expect_same(AnyVecEnv& one, AnyVecEnv& other, int steps, bool same_returns) {
  EXPECT_EQ(one.info().observation_size, other.info().observation_size);
  EXPECT_EQ(one.info().action, other.info().action);
  one.reset();
  other.reset();
  Random random(11, Stream::user);
  int ends = 0;
  for (int t = 0; t < steps; ++t) {
    const auto actions = test::random_actions(one, random);
    one.step(actions);
    other.step(actions);
    ASSERT_EQ(test::rows_of(one), test::rows_of(other)) << "step " << t;
    ASSERT_EQ(one.ended().size(), other.ended().size());
    for (std::size_t k = 0; k < one.ended().size(); ++k) {
      // A template's return is that of its rewards, a file's that of the environment: they differ where rewards do.
      auto end = one.ended()[k];
      if (!same_returns) end.total = other.ended()[k].total;
      ASSERT_EQ(end, other.ended()[k]);
    }
    ends += static_cast<int>(one.ended().size());
  }
  EXPECT_GT(ends, 0);
}

template <class E>
void expect_same_as_file(const std::string& yaml, const typename E::Config& config, VecEnvFactory inner) {
  SCOPED_TRACE(yaml);
  const VecEnvOptions options{.count = 5, .first = 2, .seed = 7};
  VecEnv<E> compiled(config, options);
  const auto read = inner(yaml, options);
  expect_same(compiled, *read, 700, yaml.find("_reward") == std::string::npos);
}

TEST(Wrappers, FromAFileDoTheSameAsTheTemplates) {
  const VecEnvFactory pendulum = &make_vec_env<Pendulum>, cartpole = &make_vec_env<CartPole>,
                      everything = &make_vec_env<Everything>;
  expect_same_as_file<TimeLimit<Pendulum>>("wrappers: [{time_limit: 70}]", {.limit = 70}, pendulum);
  expect_same_as_file<FrameStack<CartPole, 3>>("wrappers: [{frame_stack: 3}]", {}, cartpole);
  expect_same_as_file<ClipObservation<CartPole>>("wrappers: [{clip_observation: 0.1}]", {.limit = 0.1}, cartpole);
  expect_same_as_file<ClipReward<Pendulum>>("wrappers: [{clip_reward: 2}]", {.limit = 2}, pendulum);
  expect_same_as_file<NormalizeObservation<CartPole>>("wrappers: [{normalize_observation: true}]", {}, cartpole);
  expect_same_as_file<NormalizeReward<Pendulum>>("wrappers: [{normalize_reward: 0.9}]", {.gamma = 0.9}, pendulum);
  expect_same_as_file<RescaleAction<Pendulum>>("wrappers: [{rescale_action: true}]", {}, pendulum);
  expect_same_as_file<FrameStack<RescaleAction<TimeLimit<Pendulum>>, 4>>(
      "wrappers: [{time_limit: 33}, {rescale_action: true}, {frame_stack: 4}]", {{{.limit = 33}}}, pendulum);
  expect_same_as_file<TimeLimit<FrameStack<Everything, 2>>>("{limit: 9, wrappers: [{frame_stack: 2}, {time_limit: 4}]}",
                                                            {{{{.limit = 9}}}, 4}, everything);
}

constexpr const char* kMany =
    "wrappers: [{time_limit: 33}, {normalize_observation: true}, {normalize_reward: 0.9}, {rescale_action: true}, "
    "{frame_stack: 4}, {clip_observation: 1.5}, {time_limit: 31}, {clip_reward: 1}]";

TEST(Wrappers, ContinueIdenticallyFromASnapshotAndInAnotherSplit) {
  const VecEnvFactory factory = &make_vec_env<Pendulum>;
  const auto whole = factory(kMany, {.count = 4, .seed = 9});
  whole->reset();
  Random random(1, Stream::user);
  for (int t = 0; t < 50; ++t) whole->step(test::random_actions(*whole, random));
  const auto each = whole->snapshot_each();
  const auto front = factory(kMany, {.count = 1, .seed = 9}),
             back = factory(kMany, {.count = 3, .first = 1, .seed = 9});
  front->restore_each(std::span(each).first(1));
  back->restore_each(std::span(each).subspan(1));
  for (int t = 0; t < 150; ++t) {
    const auto actions = test::random_actions(*whole, random);
    whole->step(actions);
    front->step(std::span(actions).first(1));
    back->step(std::span(actions).subspan(1));
    auto parts = test::rows_of(*front);
    for (const auto& row : test::rows_of(*back)) parts.push_back(row);
    ASSERT_EQ(test::rows_of(*whole), parts) << "step " << t;
  }
  auto bytes = whole->snapshot();
  bytes.resize(bytes.size() - 1);
  EXPECT_THROW(whole->restore(bytes), std::runtime_error);
}

std::string refused(const std::string& yaml, VecEnvFactory factory) {
  try {
    factory(yaml, {});
  } catch (const std::exception& error) {
    return error.what();
  }
  return "nothing was refused";
}

TEST(Wrappers, RefuseWhatDoesNotFit) {
  const VecEnvFactory cartpole = &make_vec_env<CartPole>;
  EXPECT_THAT(refused("wrappers: [{time_limit: 3, frame_stack: 2}]", cartpole),
              HasSubstr("names one wrapper, and this one names time_limit and frame_stack"));
  EXPECT_THAT(refused("wrappers: [{}]", cartpole), HasSubstr("must name a wrapper"));
  EXPECT_THAT(refused("wrappers: [{frame_stck: 3}]", cartpole), HasSubstr("frame_stack"));
  EXPECT_THAT(refused("wrappers: [{frame_stack: 0}]", cartpole), HasSubstr("wrappers.0.frame_stack"));
  EXPECT_THAT(refused("wrappers: [{rescale_action: true}]", cartpole), HasSubstr("are not a box"));
  EXPECT_THAT(refused("wrappers: [{frame_stack: 2}, {restart_stalled: 1}]", cartpole), HasSubstr("must be the first"));
  EXPECT_THAT(refused("wrappers: [{record: /proc/nowhere}]", cartpole), HasSubstr("cannot write /proc/nowhere"));
}

class Folder {
 public:
  Folder() : path(std::filesystem::temp_directory_path() / ("mobula_record_" + std::to_string(::getpid()))) {
    std::filesystem::remove_all(path);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::map<std::string, std::string> files() const {
    std::map<std::string, std::string> all;
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      std::ostringstream text;
      text << std::ifstream(entry.path()).rdbuf();
      all[entry.path().filename()] = text.str();
    }
    return all;
  }
  const std::filesystem::path path;
};

TEST(Record, WritesEachFinishedEpisodeTheSameWhenItIsPlayedAgain) {
  const Folder folder;
  const std::string yaml = "{time_limit: 20, wrappers: [{record: " + folder.path.string() + "}]}";
  const VecEnvFactory factory = &make_vec_env<CartPole>;
  const auto env = factory(yaml, {.count = 2, .first = 3, .seed = 1});
  env->reset();
  std::vector<std::byte> middle;
  const auto play = [&env](int from, int to) {
    for (int t = from; t < to; ++t) env->step(std::vector<float>{static_cast<float>(t % 2), 1});
  };
  play(0, 15);
  middle = env->snapshot();
  play(15, 45);
  const auto files = folder.files();
  ASSERT_TRUE(files.contains("train-env3-episode0.csv") && files.contains("train-env4-episode1.csv"));
  std::istringstream lines(files.at("train-env4-episode0.csv"));
  std::vector<std::string> all;
  for (std::string line; std::getline(lines, line);) all.push_back(line);
  EXPECT_EQ(all.front(), "observation0,observation1,observation2,observation3,action0,reward,terminated,truncated");
  EXPECT_THAT(all[all.size() - 2], testing::EndsWith(",1,1,1,0"));  // pushed right until it fell
  EXPECT_THAT(all.back(), testing::EndsWith(",,,,"));
  for (const auto& entry : std::filesystem::directory_iterator(folder.path)) std::filesystem::remove(entry.path());
  env->restore(middle);
  play(15, 45);
  for (const auto& [name, text] : folder.files()) EXPECT_EQ(text, files.at(name)) << name;
}

TEST(Identity, EnvironmentsOfAllSpacesKeepTheContract) {
  EXPECT_THAT((check_environment<Identity<MultiDiscrete<2, 3>>>()), IsEmpty());
  EXPECT_THAT((check_environment<IdentityMasked<4>>()), IsEmpty());
  EXPECT_THAT((check_environment<Memory<Discrete<2>>>()), IsEmpty());
  EXPECT_THAT((check_environment<Memory<MultiDiscrete<2, 3>>>({.delay = 8})), IsEmpty());
  EXPECT_THAT((check_environment<Memory<Box<2>>>({.delay = 3})), IsEmpty());
}

TEST(Identity, TheRightActionIsTheOneShown) {
  Random random(1, Stream::environment);
  Identity<MultiDiscrete<2, 3>> env({});
  auto seen = env.reset(random);
  for (int t = 0; t < 50; ++t) {
    const MultiDiscrete<2, 3> right{{seen[1] == 1, seen[3] == 1 ? 1 : seen[4] == 1 ? 2 : 0}};
    const auto step = env.step(t % 2 ? right : MultiDiscrete<2, 3>{{right.index[0], (right.index[1] + 1) % 3}}, random);
    ASSERT_EQ(step.reward, t % 2 ? 1.0 : 0.5);
    seen = step.observation;
  }
}

TEST(Identity, AForbiddenActionCosts) {
  Random random(1, Stream::environment);
  IdentityMasked<4> env({});
  env.reset(random);
  int forbidden = 0;
  for (int t = 0; t < 50; ++t) {
    const auto mask = env.action_mask();
    const int goal = env.inner.goal.index;
    EXPECT_TRUE(mask[goal]);
    const int other = (goal + 1) % 4;
    forbidden += !mask[other];
    EXPECT_EQ(env.step({other}, random).reward, mask[other] ? 0.0 : -1.0);
  }
  EXPECT_GT(forbidden, 10);
}

TEST(Memory, TheRightActionIsTheOneShownSomeStepsAgo) {
  for (const int delay : {1, 3, 8}) {
    Random random(2, Stream::environment);
    Memory<Discrete<2>> env({.delay = delay});
    std::vector<int> shown{env.reset(random)[1] == 1};
    for (int t = 0; t < 60; ++t) {
      const int right = t < delay ? 0 : shown[t - delay];
      const auto step = env.step({right}, random);
      ASSERT_EQ(step.reward, t < delay ? 0.0 : 1.0) << delay << ' ' << t;
      shown.push_back(step.observation[1] == 1);
    }
  }
}

}  // namespace
}  // namespace mobula::rl
