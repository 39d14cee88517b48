#include "rl/algos/dqn/dqn.h"

#include <algorithm>
#include <cmath>

#include "rl/algos/dqn/gradient.h"
#include "rl/algos/offpolicy/parameter_noise.h"
#include "rl/algos/torch_module.h"
#include "rl/nn/operations.h"
#include "rl/nn/polyak.h"

namespace mobula::rl {
namespace {

constexpr double kFirstDeviation = 0.01;  // of parameter noise

OffPolicySettings settings_of(const DqnOptions& o) {
  OffPolicySettings settings = OffPolicySettings::from(o, 1);
  settings.beta = o.priority_beta;
  settings.replay.prioritized = o.prioritized;
  settings.replay.alpha = o.priority_alpha;
  return settings;
}

std::unique_ptr<DqnObjective<float>> make_objective(const nn::ActionValues<float>& values, const DqnOptions& o) {
  if (o.learner != "torch") return std::make_unique<DqnGradient<float>>(values);
  return torch_objectives<float>().dqn(values.spec(), values.layout(), o.device);
}

}  // namespace

nn::PolicySpec policy_spec(const EnvironmentInfo& info, const DqnOptions& options) {
  nn::PolicySpec spec;
  spec.kind = nn::PolicySpec::Kind::action_values;
  spec.observation_size = info.observation_size;
  spec.action = info.action;
  spec.hidden = options.hidden;
  spec.activation = nn::activation_named(options.activation);
  spec.dueling = options.dueling;
  spec.atoms = options.value_head == "mean" ? 1 : options.atoms;
  if (options.value_head == "categorical") {
    spec.v_min = options.v_min;
    spec.v_max = options.v_max;
  }
  return spec;
}

DqnLearner::DqnLearner(const EnvironmentInfo& info, const DqnOptions& options, std::uint64_t seed,
                       std::int64_t total_steps)
    : OffPolicyLearner("DQN", info, policy_spec(info, options), settings_of(options), seed, total_steps,
                       {"loss", "q_mean", "grad_norm", "epsilon"}),
      options_(options),
      values_(spec()),
      adam_(add_optimizer(values_.size(), options.adam_eps)),
      objective_(make_objective(values_, options)) {
  nn::AlignedVector<float> parameters = values_.initial_parameters(seed);
  parameters.resize(2 * values_.size());
  std::copy_n(parameters.begin(), values_.size(), parameters.begin() + static_cast<std::ptrdiff_t>(values_.size()));
  set_parameters(std::move(parameters), values_.size());
  const auto passes = nn::passes_of(values_.layout());
  set_operations((options.double_q ? 2 : 1) * passes.forward + passes.learn);
  if (options.exploration == "parameter") own_state_ = {kFirstDeviation};
}

double DqnLearner::epsilon() const {
  const DqnOptions& o = options_;
  const double done = o.exploration_fraction > 0 ? std::min(1.0, progress() / o.exploration_fraction) : 1.0;
  // By shares, so that the ends are exact.
  return (1 - done) * o.exploration_initial_eps + done * o.exploration_final_eps;
}

nn::Exploration DqnLearner::exploration() const {
  nn::Exploration exploration = OffPolicyLearner::exploration();
  if (own_state_.empty()) {
    exploration.epsilon = epsilon();
  } else {
    exploration.parameter_noise = own_state_[0];
  }
  return exploration;
}

// How far a perturbed network is from choosing as this one on a batch decides how large the perturbation is from now
// on.
void DqnLearner::adapt_noise(std::span<const float> observations) {
  // Batches between two such looks. Each is two passes; epsilon, which they have to follow, may fall within thousands
  // of batches.
  constexpr std::int64_t kUpdates = 10;
  if (own_state_.empty() || (updates() + 1) % kUpdates != 0) return;
  Random random = batch_random(3);
  const auto moved = perturbed(policy(), values_.layout(), own_state_[0], random);
  own_state_[0] = adapted(own_state_[0], divergence(values_, policy(), moved, observations),
                          divergence_of_epsilon(epsilon(), values_.actions()));
}

void DqnLearner::begin_update(std::int64_t before) {
  // Once for all the updates that were due while the steps were collected: in between nothing was learnt.
  if (env_steps() / options_.target_update_interval == before / options_.target_update_interval) return;
  const std::span<float> all(parameters_);
  nn::follow<float>(policy(), now(options_.tau), all.subspan(values_.size()));
}

std::vector<double> DqnLearner::update(ReplayBatch& batch, double lr) {
  const DqnLossStats stats = objective_->compute(parameters_.data(), parameters_.data() + values_.size(), view(batch),
                                                 {.double_q = options_.double_q, .huber = options_.loss == "huber"});
  const double norm = nn::norm<float>(objective_->gradient());
  adam_.step(parameters_.data(), objective_->gradient().data(), nn::clip_factor(norm, now(options_.max_grad_norm)), lr);
  buffer_.set_errors(batch, objective_->errors());
  adapt_noise(batch.observations);
  return {stats.loss, stats.q_mean, norm, epsilon()};
}

double divergence(const nn::ActionValues<float>& values, std::span<const float> parameters,
                  std::span<const float> others, std::span<const float> observations) {
  constexpr int kLd = nn::kBlockRows;
  const int width = values.spec().observation_size, actions = values.actions();
  const int total = static_cast<int>(observations.size()) / width;
  auto workspace = values.net().make_workspace();
  nn::AlignedVector<float> outputs(static_cast<std::size_t>(kLd) * values.outputs());
  nn::AlignedVector<float> components(static_cast<std::size_t>(kLd) * values.components());
  nn::AlignedVector<float> ours(static_cast<std::size_t>(kLd) * actions), theirs(ours.size());
  double sum = 0;
  for (int first = 0; first < total; first += kLd) {
    const int rows = std::min(kLd, total - first);
    const float* block = observations.data() + static_cast<std::ptrdiff_t>(first) * width;
    const auto expect = [&](std::span<const float> from, nn::AlignedVector<float>& to) {
      values.net().forward(from.data(), block, width, rows, workspace, outputs.data(), kLd);
      values.combine(outputs.data(), rows, components.data());
      values.expect(components.data(), rows, to.data());
    };
    expect(parameters, ours);
    expect(others, theirs);
    for (int r = 0; r < rows; ++r) {
      const auto log_sum = [&](const nn::AlignedVector<float>& of) {
        double top = of[r], sum_of = 0;
        for (int a = 1; a < actions; ++a) top = std::max(top, static_cast<double>(of[a * kLd + r]));
        for (int a = 0; a < actions; ++a) sum_of += std::exp(of[a * kLd + r] - top);
        return top + std::log(sum_of);
      };
      const double our_sum = log_sum(ours), their_sum = log_sum(theirs);
      for (int a = 0; a < actions; ++a) {
        const double log_p = ours[a * kLd + r] - our_sum;
        sum += std::exp(log_p) * (log_p - (theirs[a * kLd + r] - their_sum));
      }
    }
  }
  return sum / total;
}

double divergence_of_epsilon(double epsilon, int actions) {
  return -std::log(1 - epsilon + epsilon / actions);
}

std::unique_ptr<Learner> make_learner(const EnvironmentInfo& info, const DqnOptions& options, std::uint64_t seed,
                                      std::int64_t total_steps) {
  return std::make_unique<DqnLearner>(info, options, seed, total_steps);
}

std::string problem_with(const DqnOptions& options, const EnvironmentInfo& info) {
  if (info.action.kind != ActionSpace::Kind::discrete) {
    return "name: dqn learns the value of each of a few actions; this environment has other actions than one of N. "
           "ppo, or for boxes sac and td3, can learn it";
  }
  return problem_with_learner(options.learner, options.device);
}

}  // namespace mobula::rl
