// State-dependent noise of SAC: who acts and the learner against the formulas, and gradients against differences.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mobula/rl/vec_env.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "rl/algos/sac/sac.h"
#include "rl/envs/identity.h"
#include "rl/nn/squashed.h"
#include "tests/unit/rl/any_training.h"
#include "tests/unit/rl/identity_options.h"
#include "tests/unit/rl/transitions.h"

namespace mobula::rl {
namespace {

using test::AnyTraining;
using test::Rows;

constexpr int kWidth = 3, kDimensions = 2, kFeatures = 5;

nn::PolicySpec spec() {
  nn::PolicySpec spec;
  spec.kind = nn::PolicySpec::Kind::squashed_gaussian;
  spec.observation_size = kWidth;
  spec.action = {ActionSpace::Kind::box, {}, kDimensions, -1, 1};
  spec.hidden = {7, kFeatures};  // tanh, so that differences are smooth
  spec.state_dependent_noise = true;
  spec.log_std_init = -0.5;
  return spec;
}

// Parameters all of which differ, with means beyond the limit among them.
template <class T>
nn::AlignedVector<T> varied(const nn::ActorNet<T>& net) {
  Random random(9, Stream::user);
  auto parameters = net.initial_parameters(random);
  for (const auto& block : net.layout().blocks()) {
    for (int r = 0; r < block.rows; ++r) {
      for (int c = 0; c < block.columns; ++c) {
        const double by = block.name == "actor.head.weight" ? 2.0 : 0.3;
        parameters[block.offset + static_cast<std::size_t>(r) * block.stride + c] +=
            static_cast<T>(by * random.normal());
      }
    }
  }
  return parameters;
}

// What the network makes of one observation, in double.
struct Seen {
  Seen(const nn::ActorNet<double>& net, const nn::AlignedVector<double>& parameters, const double* row) {
    auto workspace = net.net().make_workspace();
    nn::AlignedVector<double> out(kDimensions * nn::kBlockRows);
    net.net().forward(parameters.data(), row, kWidth, 1, workspace, out.data(), nn::kBlockRows);
    for (int d = 0; d < kDimensions; ++d) {
      held += std::abs(out[static_cast<std::size_t>(d) * nn::kBlockRows]) > 2;
      mean[d] = std::clamp(out[static_cast<std::size_t>(d) * nn::kBlockRows], -2.0, 2.0);
      for (int i = 0; i < kFeatures; ++i) {
        const double s =
            std::exp(parameters[net.log_std_offset() + static_cast<std::size_t>(d * net.feature_width() + i)]);
        scale[d][i] = net.net().features(workspace)[i] * s;
        variance[d] += scale[d][i] * scale[d][i];
      }
    }
  }
  int held = 0;
  double mean[kDimensions] = {}, variance[kDimensions] = {1e-6, 1e-6}, scale[kDimensions][kFeatures] = {};
};

// Raffin et al. 2021, equation 5, squashed: features times a matrix of noise, drawn for each row and kept.
TEST(SacStateNoise, ActsByFeaturesTimesAMatrixThatIsKept) {
  const nn::ActorNet<double> reference(spec());
  const auto parameters = varied(reference);
  const std::vector<float> single(parameters.begin(), parameters.end());
  nn::SquashedActor actor(spec());
  ASSERT_EQ(actor.layout().size(), single.size());
  const int rows = 70;  // more than a block
  std::vector<Random> random;
  for (std::uint32_t r = 0; r < rows; ++r) random.emplace_back(2, Stream::action, r);
  std::vector<Random> again = random;
  actor.draw_noise(random);
  std::vector<double> drawn;
  for (Random& one : again) {
    for (int k = 0; k < kDimensions * kFeatures; ++k) drawn.push_back(one.normal());
  }
  Random make(4, Stream::user);
  int held = 0;
  for (int step = 0; step < 3; ++step) {  // other observations, the same noise
    std::vector<double> observations;
    for (int k = 0; k < kWidth * rows; ++k) observations.push_back(static_cast<float>(make.normal()));
    const std::vector<float> as_floats(observations.begin(), observations.end());
    std::vector<float> actions(kDimensions * rows), modes(kDimensions * rows);
    actor.sample(single, as_floats, {}, random, {}, actions.data(), nullptr, nullptr);
    actor.mode(single, as_floats, {}, modes.data());
    for (int r = 0; r < rows; ++r) {
      const Seen seen(reference, parameters, observations.data() + kWidth * r);
      held += seen.held;
      for (int d = 0; d < kDimensions; ++d) {
        double noise = 0;
        for (int i = 0; i < kFeatures; ++i) noise += seen.scale[d][i] * drawn[(r * kDimensions + d) * kFeatures + i];
        ASSERT_NEAR(actions[r * kDimensions + d], std::tanh(seen.mean[d] + noise), 2e-5) << step << ' ' << r;
        ASSERT_NEAR(modes[r * kDimensions + d], std::tanh(seen.mean[d]), 2e-5) << step << ' ' << r;
      }
    }
  }
  EXPECT_GT(held, 0) << "no mean was beyond the limit, so half of this has shown nothing";
}

// The density that the learner has is that of what is collected, and its actions are drawn from it.
TEST(SacStateNoise, IsLearntWithTheDensityOfWhatActs) {
  for (const auto correction : {SquashCorrection::exact, SquashCorrection::epsilon}) {
    SacGradient<double> gradient(spec(), correction);
    const auto parameters = varied(gradient.actor());
    const Rows rows(70, kWidth, kDimensions, 0);
    std::vector<double> noise;
    Random random(5, Stream::user);
    for (int k = 0; k < 70 * kDimensions; ++k) noise.push_back(random.normal());
    gradient.act(parameters.data(), rows.observations, noise);
    for (int r = 0; r < 70; ++r) {
      const Seen seen(gradient.actor(), parameters, rows.observations.data() + kWidth * r);
      double log_prob = 0;
      for (int d = 0; d < kDimensions; ++d) {
        const double n = noise[r * kDimensions + d];
        const double a = std::tanh(seen.mean[d] + std::sqrt(seen.variance[d]) * n);
        ASSERT_NEAR(gradient.actions()[r * kDimensions + d], a, 1e-12) << r;
        log_prob -= 0.5 * (n * n + std::log(2 * std::numbers::pi * seen.variance[d]));
        log_prob -= std::log(1 - a * a + (correction == SquashCorrection::epsilon ? 1e-6 : 0));
      }
      ASSERT_NEAR(gradient.log_probs()[r], log_prob, 1e-7 * (1 + std::abs(log_prob))) << r;
    }
  }
}

// Of every parameter: deviations, head and, through features whose variance counts, the layers below.
TEST(SacStateNoise, HasTheGradientsOfItsLosses) {
  for (const auto correction : {SquashCorrection::exact, SquashCorrection::epsilon}) {
    SacGradient<double> gradient(spec(), correction);
    auto actor = varied(gradient.actor());
    Random random(1, Stream::parameters);
    auto critics = gradient.critics().initial_parameters(random);
    const auto targets = gradient.critics().initial_parameters(random);
    const Rows rows(70, kWidth, kDimensions, 0);
    std::vector<double> noise;
    for (int k = 0; k < 70 * kDimensions; ++k) noise.push_back(random.normal());
    const auto fit = [&] {
      return gradient.fit(actor.data(), critics.data(), targets.data(), rows.view(), noise, 0.3).loss;
    };
    fit();
    test::expect_gradient(critics, gradient.critic_gradient(), gradient.critics().layout(), fit);
    const auto policy = [&] {
      gradient.act(actor.data(), rows.observations, noise);
      return gradient.policy(actor.data(), critics.data(), rows.observations, 0.3);
    };
    policy();
    test::expect_gradient(actor, gradient.actor_gradient(), gradient.actor().layout(), policy);
  }
}

TEST(SacStateNoise, BeginsAsItsOptionSaysAndIsDrawnAnewAsOftenAsAsked) {
  SacOptions options{.train_freq = 6, .learning_starts = 0, .use_sde = true, .sde_sample_freq = 3, .hidden = {8}};
  const auto factory = [](const std::string&, const VecEnvOptions& some) -> std::unique_ptr<AnyVecEnv> {
    return std::make_unique<VecEnv<IdentityBox<2>>>(IdentityConfig{}, some);
  };
  AnyTraining training(factory, options, 1, 1000);
  EXPECT_EQ(training.learner->exploration().resample_every, 3);
  const nn::ParameterBlock& block = training.actor->layout().block("actor.log_std");
  EXPECT_EQ(block.rows, 2);
  EXPECT_EQ(block.columns, 8);
  EXPECT_EQ(training.learner->policy()[block.offset], -3.0f);
  training.round();
  EXPECT_NE(training.learner->policy()[block.offset], -3.0f) << "it is learnt";
}

TEST(SacStateNoise, IsRefusedWhereActionsAreChoices) {
  EXPECT_THAT(problem_with(SacOptions{.use_sde = true}, environment_info<IdentityDiscrete<2>>()),
              testing::HasSubstr("use_sde: state-dependent noise is for boxes"));
  EXPECT_EQ(problem_with(SacOptions{.use_sde = true}, environment_info<IdentityBox<2>>()), "");
}

TEST(SacStateNoise, LearnsTheIdentity) {
  SacOptions options = test::identity_sac();
  options.use_sde = true;
  test::learns(&make_vec_env<IdentityBox<2>>, options, -4, 60'000);
}

}  // namespace
}  // namespace mobula::rl
