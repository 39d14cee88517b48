// The losses of SAC, its form for one of N actions, and TD3 by autograd.
#include <numbers>
#include <utility>

#include "rl/nn/squashed.h"
#include "rl/torch/networks.h"
#include "rl/torch/objectives.h"

namespace mobula::rl::autograd {
namespace {

constexpr double kLogRootTwoPi = 0.91893853320467274178;
constexpr double kEpsilon = 1e-6;

// ln(1 + e^x)
at::Tensor log_one_plus_exp(const at::Tensor& x) {
  return x.relu() + x.abs().neg().exp().log1p();
}

// 1 - tanh(x)^2, which in float has all its digits only in this form.
at::Tensor slope_of_tanh(const at::Tensor& x) {
  const at::Tensor e = (-2 * x.abs()).exp();
  return 4 * e / (1 + e).square();
}

template <class T>
void keep(const at::Tensor& from, std::vector<T>& to) {
  to.resize(static_cast<std::size_t>(from.numel()));
  at::from_blob(to.data(), from.sizes(), options_of<T>()).copy_(from.detach());
}

// What the three have in common: an actor, two critics with their targets, and the losses but for what they make of
// the critics' values.
template <class T>
class Networks {
 public:
  Networks(const nn::PolicySpec& policy, const nn::ParameterLayout& actor, const nn::ParameterLayout& critics,
           at::Device where)
      : spec(policy),
        device(where),
        actor_parameters(actor, actor.size(), 0, device),
        critic_parameters(critics, critics.size(), 0, device),
        actor_net(actor_parameters, "actor", spec.activation),
        critic_nets{{critic_parameters, "critic1", spec.activation}, {critic_parameters, "critic2", spec.activation}},
        actor_gradient(actor.size()),
        critic_gradient(critics.size()) {}

  at::Tensor columns(std::span<const T> numbers, int width) const {
    return table<T>(numbers, {static_cast<std::int64_t>(numbers.size()) / width, width}, device);
  }
  at::Tensor column(std::span<const T> numbers) const { return columns(numbers, 1).squeeze(1); }
  at::Tensor observations(std::span<const T> numbers) const { return columns(numbers, spec.observation_size); }
  at::Tensor actor(const at::Tensor& x) const { return actor_net.forward(actor_parameters, x); }
  at::Tensor critic(int k, const at::Tensor& x) const { return critic_nets[k].forward(critic_parameters, x); }
  at::Tensor smaller(const at::Tensor& x) const { return at::minimum(critic(0, x), critic(1, x)); }
  // Of actions of a box: [rows].
  at::Tensor value(const at::Tensor& observed, const at::Tensor& actions) const {
    return smaller(at::cat({observed, actions}, 1)).squeeze(1);
  }

  // What a batch is learned towards, [rows]: its rewards and the discounted values that `value` finds in its next
  // observations, with this actor and these critics.
  template <class Value>
  at::Tensor targets(const T* actor, const T* critics, const TransitionBatch<T>& batch, const Value& value) {
    const c10::NoGradGuard no_gradients;
    actor_parameters.bind(actor, false);
    critic_parameters.bind(critics, false);
    return column(batch.rewards) + column(batch.discounts) * value(observations(batch.next_observations));
  }

  // The gradient of factor * (mean (q1 - y)^2 + mean (q2 - y)^2); y and the values that `pick` takes of the outputs are
  // [rows].
  template <class Pick>
  CriticFit fit(const T* critics, const at::Tensor& x, const at::Tensor& y, double factor, const Pick& pick) {
    const c10::AutoGradMode gradients(true);
    critic_parameters.bind(critics, true);
    const at::Tensor q1 = pick(critic(0, x)), q2 = pick(critic(1, x));
    const at::Tensor loss = factor * ((q1 - y).square().mean() + (q2 - y).square().mean());
    critic_parameters.template gradient<T>(loss, critic_gradient);
    return {number(loss), (number(q1.mean()) + number(q2.mean())) / 2};
  }
  // The same of a box, whose critics have one output.
  CriticFit fit(const T* critics, const TransitionBatch<T>& batch, const at::Tensor& y, double factor) {
    const at::Tensor x = at::cat({observations(batch.observations), columns(batch.actions, spec.action.dimensions)}, 1);
    return fit(critics, x, y, factor, [](const at::Tensor& out) { return out.squeeze(1); });
  }

  // The mean over the rows of what `loss` [rows] says of the observations, and its gradient with respect to the actor.
  template <class Loss>
  double improve(const T* actor, const T* critics, std::span<const T> observed, const Loss& loss) {
    const c10::AutoGradMode gradients(true);
    actor_parameters.bind(actor, true);
    critic_parameters.bind(critics, false);
    const at::Tensor mean = loss(observations(observed)).mean();
    actor_parameters.template gradient<T>(mean, actor_gradient);
    return number(mean);
  }

  const nn::PolicySpec spec;
  const at::Device device;
  Parameters actor_parameters, critic_parameters;
  const Mlp actor_net, critic_nets[2];
  nn::AlignedVector<T> actor_gradient, critic_gradient;
};

template <class T>
class AutogradSac final : public SacObjective<T> {
 public:
  AutogradSac(const nn::PolicySpec& spec, const nn::ParameterLayout& actor, const nn::ParameterLayout& critics,
              SquashCorrection correction, at::Device device)
      : n_(spec, actor, critics, device),
        correction_(correction),
        log_std_(spec.state_dependent_noise ? n_.actor_parameters.find("actor.log_std") : -1) {}

  void act(const T* actor, std::span<const T> observations, std::span<const T> noise) override {
    guarded([&] {
      const c10::NoGradGuard no_gradients;
      noise_.assign(noise.begin(), noise.end());
      n_.actor_parameters.bind(actor, false);
      const auto [actions, log_probs] = sample(n_.observations(observations), noise_);
      keep(actions, actions_);
      keep(log_probs, log_probs_);
    });
  }
  std::span<const T> actions() const override { return actions_; }
  std::span<const T> log_probs() const override { return log_probs_; }

  CriticFit fit(const T* actor, const T* critics, const T* target_critics, const TransitionBatch<T>& batch,
                std::span<const T> next_noise, T alpha) override {
    return guarded([&] {
      const at::Tensor y = n_.targets(actor, target_critics, batch, [&](const at::Tensor& next) {
        const auto [actions, log_probs] = sample(next, next_noise);
        return n_.value(next, actions) - alpha * log_probs;
      });
      keep(y, targets_);
      return n_.fit(critics, batch, y, 0.5);
    });
  }
  std::span<const T> targets() const override { return targets_; }
  std::span<const T> critic_gradient() const override { return n_.critic_gradient; }

  double policy(const T* actor, const T* critics, std::span<const T> observations, T alpha) override {
    return guarded([&] {
      return n_.improve(actor, critics, observations, [&](const at::Tensor& seen) {
        const auto [actions, log_probs] = sample(seen, noise_);
        return alpha * log_probs - n_.value(seen, actions);
      });
    });
  }
  std::span<const T> actor_gradient() const override { return n_.actor_gradient; }

 private:
  struct Distribution {
    at::Tensor mean, log_std;  // before tanh
  };
  Distribution distribution(const at::Tensor& observations) const {
    const Parameters& parameters = n_.actor_parameters;
    const at::Tensor features = n_.actor_net.features(parameters, observations);
    const at::Tensor head = n_.actor_net.head(parameters, features);
    if (log_std_ >= 0) {
      const at::Tensor spread = (2 * parameters[log_std_]).exp();  // [dimensions][features]
      const at::Tensor variance = features.square().matmul(spread.t()) + kEpsilon;
      return {head.clamp(-nn::kMeanLimit, nn::kMeanLimit), 0.5 * variance.log()};
    }
    const int dimensions = n_.spec.action.dimensions;
    return {head.narrow(1, 0, dimensions),
            head.narrow(1, dimensions, dimensions).clamp(nn::kLogStdLow, nn::kLogStdHigh)};
  }

  // Actions [rows][dimensions] and their log-probabilities [rows].
  std::pair<at::Tensor, at::Tensor> sample(const at::Tensor& observations, std::span<const T> noise) const {
    const auto [mean, log_std] = distribution(observations);
    const at::Tensor drawn = n_.columns(noise, n_.spec.action.dimensions);
    const at::Tensor u = mean + log_std.exp() * drawn;
    const at::Tensor actions = u.tanh();
    const at::Tensor correction = correction_ == SquashCorrection::exact
                                      ? 2 * (std::numbers::ln2 - u - log_one_plus_exp(-2 * u))
                                      : (slope_of_tanh(u) + kEpsilon).log();
    return {actions, (-0.5 * drawn * drawn - log_std - kLogRootTwoPi - correction).sum(1)};
  }

  Networks<T> n_;
  const SquashCorrection correction_;
  const int log_std_;  // the block of state-dependent noise
  std::vector<T> noise_, actions_, log_probs_, targets_;
};

template <class T>
class AutogradDiscreteSac final : public DiscreteSacObjective<T> {
 public:
  using PolicyLoss = typename DiscreteSacObjective<T>::PolicyLoss;
  AutogradDiscreteSac(const nn::PolicySpec& spec, const nn::ParameterLayout& actor, const nn::ParameterLayout& critics,
                      at::Device device)
      : n_(spec, actor, critics, device) {}

  CriticFit fit(const T* actor, const T* critics, const T* target_critics, const TransitionBatch<T>& batch,
                T alpha) override {
    return guarded([&] {
      const at::Tensor y = n_.targets(actor, target_critics, batch, [&](const at::Tensor& next) {
        return -cost(n_.actor(next).log_softmax(1), next, alpha);
      });
      const at::Tensor taken = n_.columns(batch.actions, 1).to(at::kLong);
      return n_.fit(critics, n_.observations(batch.observations), y, 0.5,
                    [&](const at::Tensor& out) { return out.gather(1, taken).squeeze(1); });
    });
  }
  std::span<const T> critic_gradient() const override { return n_.critic_gradient; }

  PolicyLoss policy(const T* actor, const T* critics, std::span<const T> observations, T alpha) override {
    return guarded([&] {
      PolicyLoss result;
      result.loss = n_.improve(actor, critics, observations, [&](const at::Tensor& seen) {
        const at::Tensor log_p = n_.actor(seen).log_softmax(1);
        result.entropy = -number((log_p.exp() * log_p).sum(1).mean());
        return cost(log_p, seen, alpha);
      });
      return result;
    });
  }
  std::span<const T> actor_gradient() const override { return n_.actor_gradient; }

 private:
  // The mean over the actions of alpha log pi - min Q, [rows].
  at::Tensor cost(const at::Tensor& log_p, const at::Tensor& observations, T alpha) const {
    return (log_p.exp() * (alpha * log_p - n_.smaller(observations))).sum(1);
  }

  Networks<T> n_;
};

template <class T>
class AutogradTd3 final : public Td3Objective<T> {
 public:
  AutogradTd3(const nn::PolicySpec& spec, const nn::ParameterLayout& actor, const nn::ParameterLayout& critics,
              at::Device device)
      : n_(spec, actor, critics, device) {}

  CriticFit fit(const T* target_actor, const T* critics, const T* target_critics, const TransitionBatch<T>& batch,
                std::span<const T> next_noise) override {
    return guarded([&] {
      const at::Tensor y = n_.targets(target_actor, target_critics, batch, [&](const at::Tensor& next) {
        const at::Tensor noise = n_.columns(next_noise, n_.spec.action.dimensions);
        return n_.value(next, (n_.actor(next).tanh() + noise).clamp(-1, 1));
      });
      keep(y, targets_);
      return n_.fit(critics, batch, y, 1.0);
    });
  }
  std::span<const T> targets() const override { return targets_; }
  std::span<const T> critic_gradient() const override { return n_.critic_gradient; }

  double policy(const T* actor, const T* critics, std::span<const T> observations) override {
    return guarded([&] {
      return n_.improve(actor, critics, observations, [&](const at::Tensor& seen) {
        return -n_.critic(0, at::cat({seen, n_.actor(seen).tanh()}, 1)).squeeze(1);
      });
    });
  }
  std::span<const T> actor_gradient() const override { return n_.actor_gradient; }

 private:
  Networks<T> n_;
  std::vector<T> targets_;
};

}  // namespace

template <class T>
std::unique_ptr<SacObjective<T>> make_sac(const nn::PolicySpec& spec, const nn::ParameterLayout& actor,
                                          const nn::ParameterLayout& critics, SquashCorrection correction,
                                          std::string_view device) {
  return guarded(
      [&] { return std::make_unique<AutogradSac<T>>(spec, actor, critics, correction, device_named(device)); });
}
template <class T>
std::unique_ptr<DiscreteSacObjective<T>> make_discrete_sac(const nn::PolicySpec& spec, const nn::ParameterLayout& actor,
                                                           const nn::ParameterLayout& critics,
                                                           std::string_view device) {
  return guarded([&] { return std::make_unique<AutogradDiscreteSac<T>>(spec, actor, critics, device_named(device)); });
}
template <class T>
std::unique_ptr<Td3Objective<T>> make_td3(const nn::PolicySpec& spec, const nn::ParameterLayout& actor,
                                          const nn::ParameterLayout& critics, std::string_view device) {
  return guarded([&] { return std::make_unique<AutogradTd3<T>>(spec, actor, critics, device_named(device)); });
}

#define MOBULA_INSTANTIATE(T)                                                                              \
  template std::unique_ptr<SacObjective<T>> make_sac<T>(const nn::PolicySpec&, const nn::ParameterLayout&, \
                                                        const nn::ParameterLayout&, SquashCorrection,      \
                                                        std::string_view);                                 \
  template std::unique_ptr<DiscreteSacObjective<T>> make_discrete_sac<T>(                                  \
      const nn::PolicySpec&, const nn::ParameterLayout&, const nn::ParameterLayout&, std::string_view);    \
  template std::unique_ptr<Td3Objective<T>> make_td3<T>(const nn::PolicySpec&, const nn::ParameterLayout&, \
                                                        const nn::ParameterLayout&, std::string_view);
MOBULA_INSTANTIATE(float)
MOBULA_INSTANTIATE(double)
#undef MOBULA_INSTANTIATE

}  // namespace mobula::rl::autograd
