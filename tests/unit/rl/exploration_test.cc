// Exploration by processes on actions, by noise on parameters and by noise that depends on the state, against the
// formulas.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mobula/rl/vec_env.h>

#include <cmath>
#include <numbers>
#include <vector>

#include "rl/algos/actor_critic/gradient.h"
#include "rl/algos/offpolicy/parameter_noise.h"
#include "rl/algos/td3/td3.h"
#include "rl/envs/identity.h"
#include "rl/nn/actor_critic.h"
#include "rl/nn/squashed.h"
#include "tests/unit/rl/any_training.h"

namespace mobula::rl {
namespace {

using test::AnyTraining;

const ActionSpace kBox{ActionSpace::Kind::box, {}, 2, -1, 1};

nn::PolicySpec squashed(bool correlated) {
  nn::PolicySpec spec;
  spec.kind = nn::PolicySpec::Kind::deterministic;
  spec.observation_size = 3;
  spec.action = kBox;
  spec.hidden = {4};
  spec.correlated_noise = correlated;
  return spec;
}

// x <- x - theta x dt + sigma sqrt(dt) N, of each row and dimension by itself.
TEST(OrnsteinUhlenbeck, FollowsItsRecursionFromNumbersOfTheRow) {
  nn::SquashedActor actor(squashed(true));
  const std::vector<float> parameters(actor.layout().size(), 0.0f), observations(2 * 3, 0.5f);  // the mean action is 0
  ASSERT_EQ(actor.state_size(), 2);
  const nn::Exploration exploration{.noise = 0.3, .theta = 0.5, .dt = 0.04};
  std::vector<Random> random{Random(1, Stream::action, 0), Random(1, Stream::action, 1)}, again = random;
  std::vector<float> states(4, 0.0f), actions(4);
  std::vector<double> x(4, 0.0);
  for (int t = 0; t < 200; ++t) {
    actor.bind_states(states);
    actor.sample(parameters, observations, {}, random, exploration, actions.data(), nullptr, nullptr);
    for (std::size_t k = 0; k < 4; ++k) {
      x[k] += -0.5 * 0.04 * x[k] + 0.3 * std::sqrt(0.04) * again[k / 2].normal();
      ASSERT_NEAR(states[k], x[k], 1e-5) << t;
      ASSERT_NEAR(actions[k], std::clamp(x[k], -1.0, 1.0), 1e-5) << t;
    }
  }
}

TEST(OrnsteinUhlenbeck, SettlesAtTheDeviationOfTheProcess) {
  nn::SquashedActor actor(squashed(true));
  const std::vector<float> parameters(actor.layout().size(), 0.0f), observations(3, 0.0f);
  const nn::Exploration exploration{.noise = 0.1, .theta = 0.5, .dt = 0.1};
  std::vector<Random> random{Random(5, Stream::action)};
  std::vector<float> states(2, 0.0f), actions(2);
  double squares = 0;
  int count = 0;
  for (int t = 0; t < 100'000; ++t) {
    actor.bind_states(states);
    actor.sample(parameters, observations, {}, random, exploration, actions.data(), nullptr, nullptr);
    if (t <= 1000) continue;
    squares += states[0] * states[0];
    ++count;
  }
  // x' = a x + b N has the variance b^2 / (1 - a^2).
  const double a = 1 - 0.5 * 0.1, b = 0.1 * std::sqrt(0.1);
  EXPECT_NEAR(std::sqrt(squares / count), b / std::sqrt(1 - a * a), 0.003);
}

TEST(OrnsteinUhlenbeck, BeginsAnewWithEachEpisode) {
  Td3Options options{.train_freq = 6, .gradient_steps = 1, .batch_size = 4, .learning_starts = 0, .hidden = {8}};
  options.n_envs = 2;
  options.exploration = "ornstein_uhlenbeck";
  options.exploration_noise = 1.0;
  const auto factory = [](const std::string&, const VecEnvOptions& some) -> std::unique_ptr<AnyVecEnv> {
    return std::make_unique<VecEnv<IdentityBox<1>>>(IdentityConfig{.episode_length = 3}, some);
  };
  AnyTraining training(factory, options, 1, 1000);
  training.round();  // two whole episodes of each
  EXPECT_THAT(training.whole->view.last_states, testing::Each(0.0f));
  const auto other = [](const std::string&, const VecEnvOptions& some) -> std::unique_ptr<AnyVecEnv> {
    return std::make_unique<VecEnv<IdentityBox<1>>>(IdentityConfig{.episode_length = 100}, some);
  };
  AnyTraining longer(other, options, 1, 1000);
  longer.round();
  EXPECT_THAT(longer.whole->view.last_states, testing::Each(testing::Ne(0.0f)));
}

nn::PolicySpec state_dependent() {
  nn::PolicySpec spec;
  spec.observation_size = 3;
  spec.action = kBox;
  spec.hidden = {6, 5};
  spec.log_std_init = -0.5;
  spec.state_dependent_noise = true;
  return spec;
}

// Parameters all of which differ.
template <class T>
nn::AlignedVector<T> varied(const nn::Policy<T>& policy) {
  auto parameters = policy.initial_parameters(3);
  Random random(9, Stream::user);
  for (const auto& block : policy.layout().blocks()) {
    for (int r = 0; r < block.rows; ++r) {
      for (int c = 0; c < block.columns; ++c) {
        parameters[block.offset + static_cast<std::size_t>(r) * block.stride + c] +=
            static_cast<T>(0.3 * random.normal());
      }
    }
  }
  return parameters;
}

// What a policy makes of one observation, in double: means and features.
struct Seen {
  Seen(const nn::Policy<double>& policy, const nn::AlignedVector<double>& parameters, std::span<const double> row)
      : workspace(policy.actor().make_workspace()), head(2 * nn::kBlockRows) {
    policy.actor().forward(parameters.data(), row.data(), 3, 1, workspace, head.data(), nn::kBlockRows);
    features = policy.actor().features(workspace);
  }
  double mean(int d) const { return head[static_cast<std::size_t>(d) * nn::kBlockRows]; }
  nn::Mlp<double>::Workspace workspace;
  nn::AlignedVector<double> head;
  const double* features;
};

double deviation(const nn::Policy<double>& policy, const nn::AlignedVector<double>& parameters, int d, int i) {
  return std::exp(parameters[policy.log_std_offset() + static_cast<std::size_t>(d * nn::padded(5) + i)]);
}

// Raffin et al. 2021, equations 5 and 6.
TEST(StateDependentNoise, IsFeaturesTimesAMatrixAndHasTheDensityOfThat) {
  const nn::Policy<double> reference(state_dependent());
  const auto parameters = varied(reference);
  const std::vector<float> single(parameters.begin(), parameters.end());
  nn::ActorCritic actor(state_dependent());
  const int rows = 70;  // more than a block
  std::vector<float> observations, actions(2 * rows), log_probs(rows);
  Random make(4, Stream::user);
  for (int k = 0; k < 3 * rows; ++k) observations.push_back(static_cast<float>(make.normal()));
  std::vector<Random> random;
  for (std::uint32_t r = 0; r < rows; ++r) random.emplace_back(2, Stream::action, r);
  std::vector<Random> again = random;
  actor.draw_noise(random);
  actor.sample(single, observations, {}, random, {}, actions.data(), log_probs.data(), nullptr);
  for (int r = 0; r < rows; ++r) {
    const std::vector<double> row(observations.begin() + 3 * r, observations.begin() + 3 * r + 3);
    const Seen seen(reference, parameters, row);
    double log_prob = 0;
    for (int d = 0; d < 2; ++d) {
      double noise = 0, variance = 1e-6;
      for (int i = 0; i < 5; ++i) {
        const double scale = seen.features[i] * deviation(reference, parameters, d, i);
        noise += scale * again[static_cast<std::size_t>(r)].normal();
        variance += scale * scale;
      }
      ASSERT_NEAR(actions[2 * r + d], seen.mean(d) + noise, 1e-5) << r;
      const double miss = actions[2 * r + d] - seen.mean(d);
      log_prob += -0.5 * (miss * miss / variance + std::log(2 * std::numbers::pi * variance));
    }
    ASSERT_NEAR(log_probs[r], log_prob, 2e-5 * (1 + std::abs(log_prob))) << r;
  }
}

// Counts the draws that collect() asks for.
class Counting final : public nn::Actor {
 public:
  explicit Counting(const nn::PolicySpec& spec) : inner(spec) {}
  const nn::ParameterLayout& layout() const override { return inner.layout(); }
  bool has_values() const override { return inner.has_values(); }
  void draw_noise(std::span<Random> random) override { ++draws, inner.draw_noise(random); }
  void sample(std::span<const float> parameters, std::span<const float> observations,
              std::span<const std::uint8_t> masks, std::span<Random> random, const nn::Exploration& exploration,
              float* actions, float* log_probs, float* values) override {
    const std::vector<float> same(observations.size(), 0.4f);  // so that actions differ by the noise alone
    inner.sample(parameters, same, masks, random, exploration, actions, log_probs, values);
  }
  void mode(std::span<const float> parameters, std::span<const float> observations, std::span<const std::uint8_t> masks,
            float* actions) override {
    inner.mode(parameters, observations, masks, actions);
  }
  void values(std::span<const float> parameters, std::span<const float> observations, float* values) override {
    inner.values(parameters, observations, values);
  }
  nn::ActorCritic inner;
  int draws = 0;
};

TEST(StateDependentNoise, StaysForAsManyStepsAsAskedAndForTheRolloutOtherwise) {
  VecEnv<IdentityBox<2>> env({}, {.count = 3, .seed = 1});
  nn::PolicySpec spec = state_dependent();
  spec.observation_size = env.info().observation_size;
  spec.action = env.info().action;
  const auto parameters = nn::Policy<float>(spec).initial_parameters(1);
  constexpr int kSteps = 10;
  const FragmentLayout layout(env.info(), kSteps, 3);
  for (const int every : {4, 0}) {
    env.reset(0);
    Counting actor(spec);
    test::OwnedFragment fragment(layout);
    collect(env, actor, parameters, 0, {.resample_every = every}, fragment.view);
    EXPECT_EQ(actor.draws, every == 4 ? 3 : 1);
    for (int t = 1; t < kSteps; ++t) {
      for (int k = 0; k < 6; ++k) {
        const float before = fragment.view.actions[6 * (t - 1) + k], now = fragment.view.actions[6 * t + k];
        EXPECT_EQ(before != now, every == 4 && t % 4 == 0) << t << ' ' << k;
      }
    }
    EXPECT_NE(fragment.view.actions[0], fragment.view.actions[2]) << "environments have noise of their own";
  }
}

struct Samples {
  explicit Samples(int rows) {
    Random random(11, Stream::user);
    for (int r = 0; r < rows; ++r) {
      for (int k = 0; k < 3; ++k) observations.push_back(random.normal());
      for (int k = 0; k < 2; ++k) actions.push_back(random.normal());
      log_probs.push_back(-3 + 0.3 * random.normal());
      values.push_back(random.normal());
      advantages.push_back(random.normal());
      returns.push_back(random.normal());
      order.push_back(static_cast<std::uint32_t>(rows - 1 - r));
    }
  }
  PpoBatch<double> batch() const { return {observations, actions, log_probs, values, advantages, returns, {}}; }
  std::vector<double> observations, actions, log_probs, values, advantages, returns;
  std::vector<std::uint32_t> order;
};

// Of the parameters that do not change the features: the variance does not lead the gradient into those, as in
// Stable-Baselines3.
TEST(StateDependentNoise, HasTheGradientOfTheLoss) {
  const nn::Policy<double> policy(state_dependent());
  auto parameters = varied(policy);
  PpoGradient<double> gradient(policy);
  const Samples samples(75);
  const PpoLoss loss{.clip_range = 0.3, .ent_coef = 0.1, .normalize_advantage = false};
  const auto value = [&] { return gradient.compute(parameters.data(), samples.batch(), samples.order, loss).loss; };
  value();
  const std::vector<double> found(gradient.gradient().begin(), gradient.gradient().end());
  int looked_at = 0;
  for (const char* name : {"actor.log_std", "actor.head.weight", "actor.head.bias", "critic.head.weight"}) {
    const nn::ParameterBlock& block = policy.layout().block(name);
    for (int r = 0; r < block.rows; ++r) {
      for (int c = 0; c < block.columns; ++c, ++looked_at) {
        double& x = parameters[block.offset + static_cast<std::size_t>(r) * block.stride + c];
        const double at = x, h = 1e-6;
        x = at + h;
        const double up = value();
        x = at - h;
        const double down = value();
        x = at;
        ASSERT_NEAR(found[&x - parameters.data()], (up - down) / (2 * h), 1e-6) << name << r << ',' << c;
      }
    }
  }
  EXPECT_EQ(looked_at, 10 + 10 + 2 + 5);
}

TEST(LearnerThreads, TwoGiveTheBytesOfOne) {
  for (const bool state_noise : {false, true}) {
    nn::PolicySpec spec = state_dependent();
    spec.state_dependent_noise = state_noise;
    const nn::Policy<double> policy(spec);
    const auto parameters = varied(policy);
    PpoGradient<double> one(policy), two(policy, 2);
    const Samples samples(300);
    for (int again = 0; again < 50; ++again) {
      const auto a = one.compute(parameters.data(), samples.batch(), samples.order, {});
      const auto b = two.compute(parameters.data(), samples.batch(), samples.order, {});
      ASSERT_EQ(a.loss, b.loss);
      ASSERT_EQ(a.value_loss, b.value_loss);
      ASSERT_TRUE(std::equal(one.gradient().begin(), one.gradient().end(), two.gradient().begin()));
    }
  }
}

TEST(ParameterNoise, IsTheSameThroughoutAnEpisodeAndAnotherInTheNext) {
  VecEnv<IdentityBox<2>> env({.episode_length = 4}, {.count = 2, .first = 5, .seed = 3});
  env.reset(0);
  nn::PolicySpec spec = squashed(false);
  spec.observation_size = env.info().observation_size;
  spec.action = env.info().action;
  nn::SquashedActor actor(spec), other(spec);
  Random random(1, Stream::parameters);
  const auto parameters = nn::ActorNet<float>(spec).initial_parameters(random);
  test::OwnedFragment fragment(FragmentLayout(env.info(), 10, 2));
  collect(env, actor, parameters, 0, {.parameter_noise = 0.3}, fragment.view);
  for (std::uint32_t t = 0; t < 10; ++t) {
    for (std::uint32_t n = 0; n < 2; ++n) {
      const auto noise = episode_noise(other, n, 3, 5 + n, t / 4);
      std::vector<float> moved(parameters.begin(), parameters.end());
      for (std::size_t k = 0; k < moved.size(); ++k) moved[k] += 0.3f * noise[k];
      std::vector<float> action(2);
      other.mode(moved, fragment.view.observations.subspan((2 * t + n) * 2, 2), {}, action.data());
      EXPECT_EQ(action[0], fragment.view.actions[(2 * t + n) * 2]) << t << ' ' << n;
      EXPECT_EQ(action[1], fragment.view.actions[(2 * t + n) * 2 + 1]) << t << ' ' << n;
    }
  }
  const auto first = episode_noise(actor, 0, 3, 5, 0);
  const std::vector<float> kept(first.begin(), first.end());
  EXPECT_THAT(episode_noise(actor, 0, 3, 5, 1), testing::Not(testing::ElementsAreArray(kept)));
  EXPECT_THAT(episode_noise(actor, 0, 3, 5, 0), testing::ElementsAreArray(kept)) << "from the key, not from the order";
}

TEST(ParameterNoise, GrowsUntilActionsDifferByWhatIsWanted) {
  EXPECT_DOUBLE_EQ(adapted(0.5, 0.1, 0.2), 0.5 * 1.01);
  EXPECT_DOUBLE_EQ(adapted(0.5, 0.3, 0.2), 0.5 / 1.01);
  Td3Options options{.lr = 1e-5,
                     .train_freq = 1,
                     .gradient_steps = 250,
                     .batch_size = 16,
                     .learning_starts = 0,
                     .exploration = "parameter",
                     .exploration_noise = 0.3,
                     .hidden = {8}};
  const auto factory = [](const std::string&, const VecEnvOptions& some) -> std::unique_ptr<AnyVecEnv> {
    return std::make_unique<VecEnv<IdentityBox<2>>>(IdentityConfig{}, some);
  };
  AnyTraining training(factory, options, 1, 10'000);
  EXPECT_EQ(training.learner->exploration().parameter_noise, 0.3);
  for (int round = 0; round < 60; ++round) training.round();
  const double deviation = training.learner->exploration().parameter_noise;
  const auto saved = training.learner->save();
  double squares = 0;
  std::size_t count = 0;
  const auto policy = training.learner->policy();
  const std::vector<float> seen(training.whole->view.observations.begin(), training.whole->view.observations.end());
  for (std::uint32_t draw = 0; draw < 400; ++draw) {
    const auto noise = episode_noise(*training.actor, 0, 77, draw, 0);
    std::vector<float> moved(policy.begin(), policy.end()), a(2), b(2);
    for (std::size_t k = 0; k < moved.size(); ++k) moved[k] += static_cast<float>(deviation) * noise[k];
    training.actor->mode(policy, seen, {}, a.data());
    training.actor->mode(moved, seen, {}, b.data());
    for (std::size_t k = 0; k < 2; ++k, ++count) squares += (a[k] - b[k]) * (a[k] - b[k]);
  }
  EXPECT_NEAR(std::sqrt(squares / static_cast<double>(count)), 0.3, 0.12) << "deviation " << deviation;

  AnyTraining resumed(factory, options, 1, 10'000);
  resumed.learner->load(saved);
  EXPECT_EQ(resumed.learner->exploration().parameter_noise, deviation) << "part of the state";
}

}  // namespace
}  // namespace mobula::rl
