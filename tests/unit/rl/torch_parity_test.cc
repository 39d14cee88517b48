// The torch learner against the native one: two implementations of each loss and gradient that share nothing but the
// layout of the parameters. Random networks, random batches; agreement to 1e-10 in double, relative to the largest
// number of each block of parameters, and to 1e-5 in float, relative to the largest of the gradient (what little is
// left in a block whose samples cancel has the rounding errors of its terms).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <tuple>
#include <vector>

#include "rl/algos/actor_critic/gradient.h"
#include "rl/algos/dqn/gradient.h"
#include "rl/algos/sac/discrete.h"
#include "rl/algos/sac/gradient.h"
#include "rl/algos/td3/gradient.h"
#include "rl/algos/torch_module.h"

namespace mobula::rl {
namespace {

template <class T>
constexpr double kTolerance = sizeof(T) == 4 ? 1e-5 : 1e-10;

template <class T>
void expect_same(std::span<const T> native, std::span<const T> torch, const std::string& what, double largest = 0) {
  ASSERT_EQ(native.size(), torch.size()) << what;
  double apart = 0;
  for (std::size_t k = 0; k < native.size(); ++k) {
    largest = std::max(largest, std::abs(static_cast<double>(native[k])));
    apart = std::max(apart, std::abs(static_cast<double>(native[k]) - static_cast<double>(torch[k])));
  }
  EXPECT_LE(apart, kTolerance<T> * largest) << what << ": largest " << largest;
}

// Block by block; padding is zero in both.
template <class T>
void expect_same(std::span<const T> native, std::span<const T> torch, const nn::ParameterLayout& layout) {
  ASSERT_EQ(native.size(), torch.size());
  double all = 0;
  for (const T x : native) all = std::max(all, std::abs(static_cast<double>(x)));
  EXPECT_GT(all, 1e-4) << "nothing was learned from, so this has shown nothing";
  for (const auto& block : layout.blocks()) {
    if (block.offset >= native.size()) break;
    const std::size_t size = static_cast<std::size_t>(block.rows) * block.stride;
    expect_same(native.subspan(block.offset, size), torch.subspan(block.offset, size), block.name,
                sizeof(T) == 4 ? all : 0);
  }
}

template <class T>
void expect_near(double native, double torch, const char* what, double scale = 1) {
  EXPECT_NEAR(native, torch, kTolerance<T> * std::max(scale, std::abs(native))) << what;
}

template <class T>
std::vector<T> normals(Random& random, int count, double deviation = 1) {
  std::vector<T> all;
  for (int k = 0; k < count; ++k) all.push_back(static_cast<T>(deviation * random.normal()));
  return all;
}

// Noise on all that is no padding, so that nothing is zero or special.
template <class T>
void shake(nn::AlignedVector<T>& parameters, const nn::ParameterLayout& layout, int units, Random& random) {
  for (const auto& block : layout.blocks()) {
    const bool gates = block.name.find(".memory.") != std::string::npos;
    for (int r = 0; r < block.rows; ++r) {
      for (int c = 0; c < block.columns; ++c) {
        if (gates && c % nn::padded(units) >= units) continue;
        parameters[block.offset + static_cast<std::size_t>(r) * block.stride + c] +=
            static_cast<T>(0.1 * random.normal());
      }
    }
  }
}

ActionSpace space_named(const std::string& name) {
  if (name == "discrete") return {ActionSpace::Kind::discrete, {4}, 1, 0, 0};
  if (name == "multi_discrete") return {ActionSpace::Kind::multi_discrete, {3, 2, 5}, 3, 0, 0};
  return {ActionSpace::Kind::box, {}, 2, -1, 1};
}

constexpr const char* kActivations[] = {"tanh", "relu", "elu", "gelu", "silu"};

// ---- PPO, A2C, IMPALA, APPO

// More rows than a block of the native passes.
constexpr int kSteps = 9, kEnvs = 17, kCells = kSteps * kEnvs;

template <class T>
struct Experience {
  Experience(const nn::Policy<T>& policy, bool masked, Random& random) {
    const ActionSpace& space = policy.spec().action;
    observations = normals<T>(random, kCells * policy.spec().observation_size);
    for (int k = 0; k < kCells; ++k) {
      for (int d = 0; d < space.dimensions; ++d) {
        const double action = space.sizes.empty() ? random.normal() : random.below(space.sizes[d]);
        actions.push_back(static_cast<T>(action));
        if (!masked) continue;
        // The action that was taken, and some others, are allowed.
        for (int a = 0; a < space.sizes[d]; ++a) masks.push_back(a == static_cast<int>(action) || random.below(2));
      }
      ended.push_back(random.below(4) == 0);
    }
    log_probs = normals<T>(random, kCells, 0.3);
    for (T& x : log_probs) x -= static_cast<T>(space.sizes.empty() ? 3.0 : 1.2 * space.dimensions);
    values = normals<T>(random, kCells);
    advantages = normals<T>(random, kCells);
    returns = normals<T>(random, kCells);
    states = normals<T>(random, kEnvs * policy.state_size(), 0.5);
    parameters = policy.initial_parameters(random.below(1000));
    shake(parameters, policy.layout(), policy.spec().memory_units, random);
  }
  PpoBatch<T> batch() const { return {observations, actions, log_probs, values, advantages, returns, masks}; }
  std::vector<T> observations, actions, log_probs, values, advantages, returns, states;
  std::vector<std::uint8_t> masks, ended;
  nn::AlignedVector<T> parameters;
};

using Cell = std::tuple<std::string, std::string, bool, nn::Memory>;  // algorithm, space, shared trunk, memory
class TorchActorCritic : public testing::TestWithParam<Cell> {
 protected:
  template <class T>
  void agrees(std::uint32_t seed) {
    const auto& [algorithm, space, shared, memory] = GetParam();
    Random random(seed, Stream::user);
    nn::PolicySpec spec;
    spec.observation_size = 1 + static_cast<int>(random.below(20));
    spec.action = space_named(space);
    spec.hidden = {5 + static_cast<int>(random.below(30)), 3 + static_cast<int>(random.below(20))};
    spec.activation = nn::activation_named(kActivations[seed % 5]);
    spec.shared_trunk = shared;
    spec.memory = memory;
    spec.memory_units = 3 + static_cast<int>(random.below(20));
    spec.normalize_observation = seed % 2 == 0;
    const bool masked = space != "box" && seed % 3 != 0;
    const nn::Policy<T> policy(spec);
    const Experience<T> e(policy, masked, random);
    PpoLoss loss{.ent_coef = 0.1, .vf_coef = 0.7};
    if (algorithm == "ppo") loss.clip_range_vf = 0.4;
    if (algorithm == "appo") loss.clip_range = 0.4, loss.ratio_limit = 1.5;
    if (algorithm == "a2c" || algorithm == "impala") {
      loss.policy = PpoLoss::Policy::log_probability;
      loss.normalize_advantage = algorithm == "a2c";
    }

    PpoGradient<T> native(policy);
    const auto torch = torch_objectives<T>().actor_critic(spec, policy.layout(), "cpu");
    const auto compare = [&](const PpoLossStats& a, const PpoLossStats& b) {
      expect_near<T>(a.policy_loss, b.policy_loss, "policy loss");
      expect_near<T>(a.value_loss, b.value_loss, "value loss");
      expect_near<T>(a.entropy, b.entropy, "entropy");
      expect_near<T>(a.approx_kl, b.approx_kl, "approximate KL");
      EXPECT_NEAR(a.clip_fraction, b.clip_fraction, 1e-6);
      expect_near<T>(a.loss, b.loss, "loss");
      expect_same<T>(native.gradient(), torch->gradient(), policy.layout());
    };
    if (memory == nn::Memory::none) {
      std::vector<std::uint32_t> rows;
      for (int k = 0; k < 101; ++k) rows.push_back(random.below(kCells));
      compare(native.compute(e.parameters.data(), e.batch(), rows, loss),
              torch->compute(e.parameters.data(), e.batch(), rows, loss));
      std::vector<T> a(kCells), b(kCells);
      native.values(e.parameters.data(), e.observations, a);
      torch->values(e.parameters.data(), e.observations, b);
      expect_same<T>(a, b, "values");
    }
    const std::vector<std::uint32_t> columns{4, 1, 16, 2, 9, 11, 0};
    compare(native.compute(e.parameters.data(), e.batch(), kSteps, kEnvs, columns, e.states, e.ended, loss),
            torch->compute(e.parameters.data(), e.batch(), kSteps, kEnvs, columns, e.states, e.ended, loss));
    std::vector<T> log_probs(kCells), values(kCells), log_probs2(kCells), values2(kCells);
    native.evaluate(e.parameters.data(), e.batch(), kSteps, kEnvs, e.states, e.ended, log_probs, values);
    torch->evaluate(e.parameters.data(), e.batch(), kSteps, kEnvs, e.states, e.ended, log_probs2, values2);
    expect_same<T>(log_probs, log_probs2, "log-probabilities");
    expect_same<T>(values, values2, "values");
  }
};
std::string name_of_policy(const testing::TestParamInfo<Cell>& cell) {
  const auto& [algorithm, space, shared, memory] = cell.param;
  return algorithm + "_" + space + (shared ? "_shared" : "_separate") +
         (memory == nn::Memory::none   ? ""
          : memory == nn::Memory::lstm ? "_lstm"
                                       : "_gru");
}
INSTANTIATE_TEST_SUITE_P(AllPolicies, TorchActorCritic,
                         testing::Combine(testing::Values("ppo", "a2c", "impala", "appo"),
                                          testing::Values("discrete", "multi_discrete", "box"), testing::Bool(),
                                          testing::Values(nn::Memory::none, nn::Memory::lstm, nn::Memory::gru)),
                         &name_of_policy);
TEST_P(TorchActorCritic, AgreesWithTheNativeLearner) {
  for (std::uint32_t seed = 0; seed < 10; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    agrees<double>(seed);
    agrees<float>(seed);
    if (HasFailure()) return;
  }
}

// ---- DQN, SAC, TD3

template <class T>
struct Rows {
  Rows(int rows, int width, int dimensions, int choices, Random& random) {
    observations = normals<T>(random, rows * width);
    next_observations = normals<T>(random, rows * width);
    rewards = normals<T>(random, rows);
    for (int k = 0; k < rows * dimensions; ++k) {
      const double action = choices ? random.below(static_cast<std::uint32_t>(choices)) : random.uniform(-1, 1);
      actions.push_back(static_cast<T>(action));
    }
    for (int r = 0; r < rows; ++r) {
      discounts.push_back(static_cast<T>(r % 5 == 0 ? 0 : 0.9));
      weights.push_back(static_cast<T>(0.5 + 0.5 * random.uniform()));
    }
  }
  TransitionBatch<T> view() const {
    return {.observations = observations,
            .actions = actions,
            .rewards = rewards,
            .discounts = discounts,
            .next_observations = next_observations,
            .weights = weights,
            .next_masks = next_masks};
  }
  std::vector<T> observations, next_observations, actions, rewards, discounts, weights;
  std::vector<std::uint8_t> next_masks;
};

nn::PolicySpec random_spec(nn::PolicySpec::Kind kind, ActionSpace action, std::uint32_t seed, Random& random) {
  nn::PolicySpec spec;
  spec.kind = kind;
  spec.observation_size = 1 + static_cast<int>(random.below(20));
  spec.hidden = {5 + static_cast<int>(random.below(30)), 3 + static_cast<int>(random.below(20))};
  spec.activation = nn::activation_named(kActivations[seed % 5]);
  spec.action = std::move(action);
  return spec;
}

constexpr int kRows = 100;

// double_q, dueling, Huber, masks; the head
using Head = std::tuple<bool, bool, bool, bool, std::string>;
class TorchDqn : public testing::TestWithParam<Head> {
 protected:
  template <class T>
  void agrees(std::uint32_t seed) {
    const auto& [double_q, dueling, huber, masked, head] = GetParam();
    Random random(seed, Stream::user);
    nn::PolicySpec spec =
        random_spec(nn::PolicySpec::Kind::action_values, {ActionSpace::Kind::discrete, {5}, 1, 0, 0}, seed, random);
    spec.dueling = dueling;
    spec.atoms = head == "mean" ? 1 : 11;
    if (head == "categorical") spec.v_min = -2, spec.v_max = 3;
    const nn::ActionValues<T> values(spec);
    Rows<T> rows(kRows, spec.observation_size, 1, 5, random);
    if (masked) {
      for (int k = 0; k < kRows * 5; ++k) rows.next_masks.push_back(k % 5 == 2 || random.below(2));
    }
    auto online = values.initial_parameters(seed), target = values.initial_parameters(seed + 1);
    shake(online, values.layout(), 0, random);
    shake(target, values.layout(), 0, random);
    DqnGradient<T> native(values);
    const auto torch = torch_objectives<T>().dqn(spec, values.layout(), "cpu");
    const DqnLoss loss{.double_q = double_q, .huber = huber};
    const auto a = native.compute(online.data(), target.data(), rows.view(), loss);
    const auto b = torch->compute(online.data(), target.data(), rows.view(), loss);
    expect_near<T>(a.loss, b.loss, "loss");
    expect_near<T>(a.q_mean, b.q_mean, "mean value");
    expect_same<T>(native.gradient(), torch->gradient(), values.layout());
    expect_same<float>(native.errors(), torch->errors(), "errors");
  }
};
std::string name_of_head(const testing::TestParamInfo<Head>& cell) {
  const auto& [double_q, dueling, huber, masked, head] = cell.param;
  return head + (double_q ? "_double" : "") + (dueling ? "_dueling" : "") + (huber ? "_huber" : "_mse") +
         (masked ? "_masked" : "");
}
INSTANTIATE_TEST_SUITE_P(AllHeads, TorchDqn,
                         testing::Combine(testing::Bool(), testing::Bool(), testing::Bool(), testing::Bool(),
                                          testing::Values("mean", "quantile", "categorical")),
                         &name_of_head);
TEST_P(TorchDqn, AgreesWithTheNativeLearner) {
  for (std::uint32_t seed = 0; seed < 10; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    agrees<double>(seed);
    agrees<float>(seed);
    if (HasFailure()) return;
  }
}

template <class T, class Gradient>
struct OffPolicyNetworks {
  OffPolicyNetworks(const Gradient& native, Random& random)
      : actor(native.actor().initial_parameters(random)),
        target_actor(native.actor().initial_parameters(random)),
        critics(native.critics().initial_parameters(random)),
        target_critics(native.critics().initial_parameters(random)) {
    shake(actor, native.actor().layout(), 0, random);
    shake(critics, native.critics().layout(), 0, random);
  }
  nn::AlignedVector<T> actor, target_actor, critics, target_critics;
};

template <class T>
void sac_agrees(std::uint32_t seed, SquashCorrection correction, bool state_noise) {
  Random random(seed, Stream::user);
  auto spec = random_spec(nn::PolicySpec::Kind::squashed_gaussian, space_named("box"), seed, random);
  spec.state_dependent_noise = state_noise;
  spec.log_std_init = -1;
  SacGradient<T> native(spec, correction);
  const OffPolicyNetworks<T, SacGradient<T>> n(native, random);
  const Rows<T> rows(kRows, spec.observation_size, spec.action.dimensions, 0, random);
  const auto noise = normals<T>(random, kRows * spec.action.dimensions), next_noise = noise;
  const auto torch =
      torch_objectives<T>().sac(spec, native.actor().layout(), native.critics().layout(), correction, "cpu");
  const T alpha = static_cast<T>(0.2);
  native.act(n.actor.data(), rows.observations, noise);
  torch->act(n.actor.data(), rows.observations, noise);
  expect_same<T>(native.actions(), torch->actions(), "actions");
  expect_same<T>(native.log_probs(), torch->log_probs(), "log-probabilities");
  const auto a = native.fit(n.actor.data(), n.critics.data(), n.target_critics.data(), rows.view(), next_noise, alpha);
  const auto b = torch->fit(n.actor.data(), n.critics.data(), n.target_critics.data(), rows.view(), next_noise, alpha);
  expect_near<T>(a.loss, b.loss, "critics' loss");
  expect_near<T>(a.q_mean, b.q_mean, "mean value");
  expect_same<T>(native.targets(), torch->targets(), "targets");
  expect_same<T>(native.critic_gradient(), torch->critic_gradient(), native.critics().layout());
  expect_near<T>(native.policy(n.actor.data(), n.critics.data(), rows.observations, alpha),
                 torch->policy(n.actor.data(), n.critics.data(), rows.observations, alpha), "actor's loss");
  expect_same<T>(native.actor_gradient(), torch->actor_gradient(), native.actor().layout());
}
TEST(TorchSac, AgreesWithTheNativeLearner) {
  for (std::uint32_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    for (const auto correction : {SquashCorrection::exact, SquashCorrection::epsilon}) {
      sac_agrees<double>(seed, correction, false);
      sac_agrees<float>(seed, correction, false);
    }
    if (HasFailure()) return;
  }
}
TEST(TorchSac, AgreesWithTheNativeLearnerOnStateDependentNoise) {
  for (std::uint32_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    for (const auto correction : {SquashCorrection::exact, SquashCorrection::epsilon}) {
      sac_agrees<double>(seed, correction, true);
      sac_agrees<float>(seed, correction, true);
    }
    if (HasFailure()) return;
  }
}

template <class T>
void discrete_sac_agrees(std::uint32_t seed) {
  Random random(seed, Stream::user);
  const auto spec = random_spec(nn::PolicySpec::Kind::categorical, space_named("discrete"), seed, random);
  DiscreteSacGradient<T> native(spec);
  const OffPolicyNetworks<T, DiscreteSacGradient<T>> n(native, random);
  const Rows<T> rows(kRows, spec.observation_size, 1, spec.action.head_size(), random);
  const auto torch =
      torch_objectives<T>().discrete_sac(spec, native.actor().layout(), native.critics().layout(), "cpu");
  const T alpha = static_cast<T>(0.3);
  const auto a = native.fit(n.actor.data(), n.critics.data(), n.target_critics.data(), rows.view(), alpha);
  const auto b = torch->fit(n.actor.data(), n.critics.data(), n.target_critics.data(), rows.view(), alpha);
  expect_near<T>(a.loss, b.loss, "critics' loss");
  expect_near<T>(a.q_mean, b.q_mean, "mean value");
  expect_same<T>(native.critic_gradient(), torch->critic_gradient(), native.critics().layout());
  const auto c = native.policy(n.actor.data(), n.critics.data(), rows.observations, alpha);
  const auto d = torch->policy(n.actor.data(), n.critics.data(), rows.observations, alpha);
  expect_near<T>(c.loss, d.loss, "actor's loss");
  expect_near<T>(c.entropy, d.entropy, "entropy");
  expect_same<T>(native.actor_gradient(), torch->actor_gradient(), native.actor().layout());
}
TEST(TorchDiscreteSac, AgreesWithTheNativeLearner) {
  for (std::uint32_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    discrete_sac_agrees<double>(seed);
    discrete_sac_agrees<float>(seed);
    if (HasFailure()) return;
  }
}

template <class T>
void td3_agrees(std::uint32_t seed) {
  Random random(seed, Stream::user);
  const auto spec = random_spec(nn::PolicySpec::Kind::deterministic, space_named("box"), seed, random);
  Td3Gradient<T> native(spec);
  const OffPolicyNetworks<T, Td3Gradient<T>> n(native, random);
  const Rows<T> rows(kRows, spec.observation_size, spec.action.dimensions, 0, random);
  const auto noise = normals<T>(random, kRows * spec.action.dimensions, 0.2);
  const auto torch = torch_objectives<T>().td3(spec, native.actor().layout(), native.critics().layout(), "cpu");
  const auto a = native.fit(n.target_actor.data(), n.critics.data(), n.target_critics.data(), rows.view(), noise);
  const auto b = torch->fit(n.target_actor.data(), n.critics.data(), n.target_critics.data(), rows.view(), noise);
  expect_near<T>(a.loss, b.loss, "critics' loss");
  expect_near<T>(a.q_mean, b.q_mean, "mean value");
  expect_same<T>(native.targets(), torch->targets(), "targets");
  expect_same<T>(native.critic_gradient(), torch->critic_gradient(), native.critics().layout());
  expect_near<T>(native.policy(n.actor.data(), n.critics.data(), rows.observations),
                 torch->policy(n.actor.data(), n.critics.data(), rows.observations), "actor's loss");
  expect_same<T>(native.actor_gradient(), torch->actor_gradient(), native.actor().layout());
}
TEST(TorchTd3, AgreesWithTheNativeLearner) {
  for (std::uint32_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    td3_agrees<double>(seed);
    td3_agrees<float>(seed);
    if (HasFailure()) return;
  }
}

// ---- the border

TEST(TorchModule, IsOfAKnownLibTorch) {
  EXPECT_TRUE(torch_module().version().starts_with("1.13") || torch_module().version().starts_with("2."))
      << torch_module().version();
}

TEST(TorchModule, SaysWhichDevicesItLacks) {
  const nn::PolicySpec spec = [] {
    nn::PolicySpec s;
    s.observation_size = 2;
    s.action = space_named("discrete");
    return s;
  }();
  const nn::Policy<float> policy(spec);
  try {
    torch_objectives<float>().actor_critic(spec, policy.layout(), "cuda:99");
    FAIL() << "there are a hundred GPUs";
  } catch (const std::runtime_error& error) {
    EXPECT_TRUE(std::string(error.what()).starts_with("device: cuda:99: ")) << error.what();
  }
}

}  // namespace
}  // namespace mobula::rl
