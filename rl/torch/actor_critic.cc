// The loss of PPO, A2C, IMPALA and APPO by autograd.
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <utility>

#include "rl/nn/distribution.h"
#include "rl/torch/networks.h"
#include "rl/torch/objectives.h"
#include "rl/torch/own_network.h"

namespace mobula::rl::autograd {
namespace {

constexpr double kLogRootTwoPi = 0.91893853320467274178;

// What is learnt comes first.
std::size_t trainable_of(const nn::ParameterLayout& layout) {
  for (const auto& block : layout.blocks()) {
    if (block.name.starts_with("observation.")) return block.offset;
  }
  return layout.size();
}

template <class T>
class AutogradActorCritic final : public ActorCriticObjective<T> {
 public:
  AutogradActorCritic(const nn::PolicySpec& spec, const nn::ParameterLayout& layout, at::Device device)
      : spec_(spec),
        device_(device),
        shared_(spec.shared_trunk && spec.value_function && spec.network.empty()),
        parameters_(layout, trainable_of(layout), spec.memory_units, device),
        log_std_(parameters_.find("actor.log_std")),
        actor_(parameters_, shared_ ? "shared" : "actor", spec.activation),
        gradient_(trainable_of(layout)) {
    if (!spec.network.empty()) {
      own_ = make_network(spec);
      own_parameters_ = own_->parameters();
      return;
    }
    const auto memory = [&](const std::string& name) {
      return Memory(parameters_, name + ".memory", spec.memory, spec.memory_units);
    };
    if (spec.memory != nn::Memory::none) actor_memory_ = memory(shared_ ? "shared" : "actor");
    if (shared_ || !spec.value_function) return;
    critic_.emplace(parameters_, "critic", spec.activation);
    if (spec.memory != nn::Memory::none) critic_memory_ = memory("critic");
  }

  PpoLossStats compute(const T* parameters, const PpoBatch<T>& batch, std::span<const std::uint32_t> rows,
                       const PpoLoss& loss) override {
    return guarded([&] { return learn(parameters, batch, rows, nullptr, loss); });
  }
  PpoLossStats compute(const T* parameters, const PpoBatch<T>& batch, int steps, int envs,
                       std::span<const std::uint32_t> columns, std::span<const T> initial_states,
                       std::span<const std::uint8_t> ended, const PpoLoss& loss) override {
    return guarded([&] {
      const Sequence sequence = sequence_of(steps, envs, columns, initial_states, ended);
      return learn(parameters, batch, sequence.rows, actor_memory_ ? &sequence : nullptr, loss);
    });
  }
  std::span<const T> gradient() const override { return gradient_; }

  void evaluate(const T* parameters, const PpoBatch<T>& batch, int steps, int envs, std::span<const T> initial_states,
                std::span<const std::uint8_t> ended, std::span<T> log_probs, std::span<T> values) override {
    guarded([&] {
      const c10::NoGradGuard no_gradients;
      std::vector<std::uint32_t> columns(static_cast<std::size_t>(envs));
      std::iota(columns.begin(), columns.end(), 0u);
      const Sequence sequence = sequence_of(steps, envs, columns, initial_states, ended);
      bind(parameters, false);
      const Seen seen = look(batch, sequence.rows, actor_memory_ ? &sequence : nullptr);
      copy(log_prob_and_entropy(seen.head, batch, sequence.rows).first, log_probs);
      copy(seen.value, values);
    });
  }

  void values(const T* parameters, std::span<const T> observations, std::span<T> values) override {
    guarded([&] {
      const c10::NoGradGuard no_gradients;
      bind(parameters, false);
      const auto x =
          table<T>(observations, {static_cast<std::int64_t>(values.size()), spec_.observation_size}, device_);
      copy(through(x, nullptr).value, values);
    });
  }

 private:
  struct Sequence {
    std::vector<std::uint32_t> rows;  // time-major
    at::Tensor states, keep;
  };
  struct Seen {
    at::Tensor head;   // [rows][head size]
    at::Tensor value;  // [rows]
  };

  void bind(const T* flat, bool learn) {
    parameters_.bind(flat, learn);
    for (std::size_t k = 0; k < own_parameters_.size(); ++k) parameters_.adopt(static_cast<int>(k), own_parameters_[k]);
  }

  static void copy(const at::Tensor& from, std::span<T> to) {
    at::from_blob(to.data(), {static_cast<std::int64_t>(to.size())}, options_of<T>()).copy_(from);
  }

  // Rows of a table, in a tensor of their own.
  template <class N>
  at::Tensor gathered(std::span<const N> from, std::span<const std::uint32_t> rows, int width) {
    const at::Tensor out = at::empty({static_cast<std::int64_t>(rows.size()), width}, options_of<N>());
    N* to = out.template data_ptr<N>();
    for (std::size_t k = 0; k < rows.size(); ++k) {
      std::copy_n(from.data() + static_cast<std::size_t>(rows[k]) * width, width, to + k * width);
    }
    return out.to(device_);
  }

  Sequence sequence_of(int steps, int envs, std::span<const std::uint32_t> columns, std::span<const T> initial_states,
                       std::span<const std::uint8_t> ended) {
    const auto count = static_cast<std::int64_t>(columns.size());
    Sequence sequence;
    const at::Tensor keep = at::ones({steps, count, 1}, options_of<T>());
    T* kept = keep.template data_ptr<T>();
    for (int t = 0; t < steps; ++t) {
      for (const std::uint32_t column : columns) {
        const std::uint32_t row = static_cast<std::uint32_t>(t) * static_cast<std::uint32_t>(envs) + column;
        if (t > 0 && ended[row - static_cast<std::uint32_t>(envs)]) kept[sequence.rows.size()] = 0;
        sequence.rows.push_back(row);
      }
    }
    if (!actor_memory_) return sequence;
    const int size = actor_memory_->state_size() + (critic_memory_ ? critic_memory_->state_size() : 0);
    sequence.states = gathered(initial_states, columns, size);
    sequence.keep = keep.to(device_);
    return sequence;
  }

  Seen look(const PpoBatch<T>& batch, std::span<const std::uint32_t> rows, const Sequence* sequence) {
    return through(gathered(batch.observations, rows, spec_.observation_size), sequence);
  }

  Seen through(const at::Tensor& observations, const Sequence* sequence) const {
    if (own_) {
      const auto [head, value] = pass(*own_, spec_, observations);
      return {head, value};
    }
    at::Tensor to_actor = observations, to_critic = observations;
    if (sequence) {
      const int size = actor_memory_->state_size();
      to_actor = actor_memory_->forward(parameters_, observations, sequence->states.narrow(1, 0, size), sequence->keep);
      if (critic_memory_) {
        to_critic =
            critic_memory_->forward(parameters_, observations, sequence->states.narrow(1, size, size), sequence->keep);
      }
    }
    const at::Tensor out = actor_.forward(parameters_, to_actor);
    if (critic_) return {out, critic_->forward(parameters_, to_critic).squeeze(1)};
    const std::int64_t head = spec_.action.head_size();
    return {out.narrow(1, 0, head), out.select(1, out.size(1) - 1)};
  }

  // Both [rows].
  std::pair<at::Tensor, at::Tensor> log_prob_and_entropy(const at::Tensor& head, const PpoBatch<T>& batch,
                                                         std::span<const std::uint32_t> rows) {
    const at::Tensor actions = gathered(batch.actions, rows, spec_.action.dimensions);
    if (spec_.action.kind == ActionSpace::Kind::box) {
      const at::Tensor& log_std = parameters_[log_std_];
      const at::Tensor z = (actions - head) * (-log_std).exp();
      return {(-0.5 * z * z - log_std - kLogRootTwoPi).sum(1),
              (log_std + (0.5 + kLogRootTwoPi)).sum().expand({static_cast<std::int64_t>(rows.size())})};
    }
    at::Tensor logits = head;
    if (!batch.masks.empty()) {
      logits = logits.masked_fill(gathered(batch.masks, rows, spec_.action.head_size()).eq(0), nn::kMaskedLogit);
    }
    at::Tensor log_prob, entropy;
    std::int64_t base = 0;
    for (std::size_t g = 0; g < spec_.action.sizes.size(); ++g) {
      const at::Tensor log_p = logits.narrow(1, base, spec_.action.sizes[g]).log_softmax(1);
      const at::Tensor chosen = actions.narrow(1, static_cast<std::int64_t>(g), 1).to(at::kLong);
      const at::Tensor taken = log_p.gather(1, chosen).squeeze(1), spread = -(log_p.exp() * log_p).sum(1);
      log_prob = g == 0 ? taken : log_prob + taken;
      entropy = g == 0 ? spread : entropy + spread;
      base += spec_.action.sizes[g];
    }
    return {log_prob, entropy};
  }

  // Advantages as they are learned from; the moments are summed in double.
  at::Tensor advantages_of(const PpoBatch<T>& batch, std::span<const std::uint32_t> rows, const PpoLoss& loss) {
    const at::Tensor advantages = gathered(batch.advantages, rows, 1).squeeze(1);
    if (!loss.normalize_advantage || rows.size() <= 1) return advantages;
    const at::Tensor wide = advantages.to(at::kDouble);
    const double mean = number(wide.mean()), deviation = number(wide.std(true));
    return (advantages - static_cast<T>(mean)) * static_cast<T>(1.0 / (deviation + 1e-8));
  }

  PpoLossStats learn(const T* parameters, const PpoBatch<T>& batch, std::span<const std::uint32_t> rows,
                     const Sequence* sequence, const PpoLoss& loss) {
    const c10::AutoGradMode gradients(true);
    bind(parameters, true);
    const auto column = [&](std::span<const T> numbers) { return gathered(numbers, rows, 1).squeeze(1); };
    const at::Tensor advantages = advantages_of(batch, rows, loss);
    const Seen seen = look(batch, rows, sequence);
    const auto [log_prob, entropy] = log_prob_and_entropy(seen.head, batch, rows);
    const at::Tensor log_ratio = log_prob - column(batch.log_probs);
    const at::Tensor ratio = log_ratio.exp();

    at::Tensor policy_loss;
    PpoLossStats stats;
    if (loss.policy == PpoLoss::Policy::log_probability) {
      policy_loss = -(advantages * log_prob).mean();
    } else {
      const double low = 1.0 - loss.clip_range, high = 1.0 + loss.clip_range;
      at::Tensor surrogate = at::minimum(advantages * ratio, advantages * ratio.clamp(low, high));
      if (loss.ratio_limit > 0) {
        surrogate = at::where(advantages.lt(0).logical_and(ratio.gt(loss.ratio_limit)), advantages * loss.ratio_limit,
                              surrogate);
      }
      policy_loss = -surrogate.mean();
      stats.clip_fraction = number(ratio.lt(low).logical_or(ratio.gt(high)).to(at::kDouble).mean());
    }
    const at::Tensor goal = column(batch.returns);
    at::Tensor square = (seen.value - goal).square();
    if (loss.clip_range_vf) {
      const at::Tensor old = column(batch.values);
      const at::Tensor held = old + (seen.value - old).clamp(-*loss.clip_range_vf, *loss.clip_range_vf);
      square = at::maximum(square, (held - goal).square());
    }
    const at::Tensor value_loss = 0.5 * square.mean();
    const at::Tensor mean_entropy = entropy.mean();
    parameters_.gradient<T>(policy_loss + loss.vf_coef * value_loss - loss.ent_coef * mean_entropy, gradient_);

    stats.policy_loss = number(policy_loss);
    stats.value_loss = number(value_loss);
    stats.entropy = number(mean_entropy);
    stats.approx_kl = number((ratio - 1 - log_ratio).mean());
    stats.loss = stats.policy_loss + loss.vf_coef * stats.value_loss - loss.ent_coef * stats.entropy;
    return stats;
  }

  const nn::PolicySpec spec_;
  const at::Device device_;
  const bool shared_;
  Parameters parameters_;
  const int log_std_;
  const Mlp actor_;
  std::optional<Mlp> critic_;
  std::optional<Memory> actor_memory_, critic_memory_;
  std::unique_ptr<TorchNetwork> own_;  // in place of all of these
  std::vector<at::Tensor> own_parameters_;
  nn::AlignedVector<T> gradient_;
};

}  // namespace

template <class T>
std::unique_ptr<ActorCriticObjective<T>> make_actor_critic(const nn::PolicySpec& spec,
                                                           const nn::ParameterLayout& layout, std::string_view device) {
  return guarded([&] { return std::make_unique<AutogradActorCritic<T>>(spec, layout, device_named(device)); });
}

template std::unique_ptr<ActorCriticObjective<float>> make_actor_critic<float>(const nn::PolicySpec&,
                                                                               const nn::ParameterLayout&,
                                                                               std::string_view);
template std::unique_ptr<ActorCriticObjective<double>> make_actor_critic<double>(const nn::PolicySpec&,
                                                                                 const nn::ParameterLayout&,
                                                                                 std::string_view);

}  // namespace mobula::rl::autograd
