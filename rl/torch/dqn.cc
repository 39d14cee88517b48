// The loss of deep Q-learning by autograd.
#include <limits>

#include "rl/torch/networks.h"
#include "rl/torch/objectives.h"

namespace mobula::rl::autograd {
namespace {

template <class T>
class AutogradDqn final : public DqnObjective<T> {
 public:
  AutogradDqn(const nn::PolicySpec& spec, const nn::ParameterLayout& layout, at::Device device)
      : spec_(spec),
        device_(device),
        actions_(spec.action.head_size()),
        online_(layout, layout.size(), 0, device),
        target_(layout, layout.size(), 0, device),
        net_(online_, "q", spec.activation),
        gradient_(layout.size()) {
    if (!categorical()) return;
    std::vector<T> atoms;
    for (int k = 0; k < spec.atoms; ++k) {
      atoms.push_back(static_cast<T>(spec.v_min + k * (spec.v_max - spec.v_min) / (spec.atoms - 1)));
    }
    atoms_ = table<T>(atoms, {spec.atoms}, at::kCPU).clone().to(device);
  }

  DqnLossStats compute(const T* online, const T* target, const TransitionBatch<T>& batch,
                       const DqnLoss& loss) override {
    return guarded([&] {
      const c10::AutoGradMode gradients(true);
      online_.bind(online, true);
      target_.bind(target, false);
      const std::int64_t rows = batch.rows();
      const auto column = [&](std::span<const T> numbers) { return table<T>(numbers, {rows, 1}, device_); };
      const at::Tensor next = look_ahead(batch, loss.double_q);  // [rows][atoms]
      const at::Tensor rewards = column(batch.rewards), discounts = column(batch.discounts);
      const at::Tensor all = components(online_, batch.observations, rows);
      const at::Tensor chosen = table<T>(batch.actions, {rows, 1, 1}, device_).to(at::kLong);
      const at::Tensor current = all.gather(1, chosen.expand({rows, 1, spec_.atoms})).squeeze(1);

      at::Tensor losses, errors;
      if (categorical()) {
        losses = -(projected(next, rewards, discounts) * current.log_softmax(1)).sum(1);
        errors = losses;
      } else if (spec_.atoms > 1) {
        losses = quantile_losses(current, rewards + discounts * next);
        errors = (current.mean(1) - (rewards + discounts * next.mean(1, true)).squeeze(1)).abs();
      } else {
        const at::Tensor error = (current - rewards - discounts * next).squeeze(1);
        losses = loss.huber ? huber(error) : error.square();
        errors = error.abs();
      }
      const at::Tensor total = (column(batch.weights).squeeze(1) * losses).sum() / static_cast<double>(rows);
      online_.gradient<T>(total, gradient_);
      errors_.resize(static_cast<std::size_t>(rows));
      at::from_blob(errors_.data(), {rows}, options_of<float>()).copy_(errors.detach());
      return DqnLossStats{number(total), number(expected(current.detach()).mean())};
    });
  }
  std::span<const T> gradient() const override { return gradient_; }
  std::span<const float> errors() const override { return errors_; }

 private:
  bool categorical() const { return spec_.v_max > spec_.v_min; }

  static at::Tensor huber(const at::Tensor& error) {
    const at::Tensor size = error.abs();
    return at::where(size.gt(1), size - 0.5, 0.5 * error.square());
  }

  // [rows][actions][atoms]
  at::Tensor components(const Parameters& parameters, std::span<const T> observations, std::int64_t rows) const {
    const at::Tensor out = net_.forward(parameters, table<T>(observations, {rows, spec_.observation_size}, device_));
    if (!spec_.dueling) return out.view({rows, actions_, spec_.atoms});
    const at::Tensor state = out.narrow(1, 0, spec_.atoms).unsqueeze(1);
    const at::Tensor advantage = out.narrow(1, spec_.atoms, static_cast<std::int64_t>(actions_) * spec_.atoms)
                                     .reshape({rows, actions_, spec_.atoms});
    return state + advantage - advantage.mean(1, true);
  }
  // Over the last dimension.
  at::Tensor expected(const at::Tensor& components) const {
    return categorical() ? (components.softmax(-1) * atoms_).sum(-1) : components.mean(-1);
  }

  // What the target network says of the next best action.
  at::Tensor look_ahead(const TransitionBatch<T>& batch, bool double_q) const {
    const c10::NoGradGuard no_gradients;
    const std::int64_t rows = batch.rows();
    const at::Tensor next = components(target_, batch.next_observations, rows);
    at::Tensor values = expected(double_q ? components(online_, batch.next_observations, rows) : next);
    if (!batch.next_masks.empty()) {
      const at::Tensor allowed = table<std::uint8_t>(batch.next_masks, {rows, actions_}, device_);
      values = values.masked_fill(allowed.eq(0), -std::numeric_limits<double>::infinity());
    }
    const at::Tensor best = values.argmax(1).view({rows, 1, 1}).expand({rows, 1, spec_.atoms});
    return next.gather(1, best).squeeze(1);
  }

  at::Tensor quantile_losses(const at::Tensor& current, const at::Tensor& next) const {
    const double n = spec_.atoms;
    const at::Tensor tau = (at::arange(spec_.atoms, current.options().requires_grad(false)) + 0.5) / n;
    const at::Tensor delta = next.unsqueeze(1) - current.unsqueeze(2);  // [rows][of Q][of y]
    const at::Tensor side = (tau.view({1, -1, 1}) - delta.detach().lt(0).to(delta.scalar_type())).abs();
    return (side * huber(delta)).sum({1, 2}) / n;
  }

  // The distribution of reward + discount * next, as probabilities of the atoms.
  at::Tensor projected(const at::Tensor& next, const at::Tensor& rewards, const at::Tensor& discounts) const {
    const c10::NoGradGuard no_gradients;
    const T low = static_cast<T>(spec_.v_min), high = static_cast<T>(spec_.v_max);
    const T step = (high - low) / static_cast<T>(spec_.atoms - 1);
    const at::Tensor place = (((rewards + discounts * atoms_).clamp(low, high) - low) / step).clamp(0, spec_.atoms - 1);
    const at::Tensor below = place.floor(), above = place - below, p = next.softmax(1);
    const at::Tensor out = at::zeros_like(next), index = below.to(at::kLong);
    out.scatter_add_(1, index, p * (1 - above));
    out.scatter_add_(1, (index + 1).clamp_max(spec_.atoms - 1), p * above);
    return out;
  }

  const nn::PolicySpec spec_;
  const at::Device device_;
  const int actions_;
  Parameters online_, target_;
  const Mlp net_;
  at::Tensor atoms_;
  nn::AlignedVector<T> gradient_;
  std::vector<float> errors_;
};

}  // namespace

template <class T>
std::unique_ptr<DqnObjective<T>> make_dqn(const nn::PolicySpec& spec, const nn::ParameterLayout& layout,
                                          std::string_view device) {
  return guarded([&] { return std::make_unique<AutogradDqn<T>>(spec, layout, device_named(device)); });
}
template std::unique_ptr<DqnObjective<float>> make_dqn<float>(const nn::PolicySpec&, const nn::ParameterLayout&,
                                                              std::string_view);
template std::unique_ptr<DqnObjective<double>> make_dqn<double>(const nn::PolicySpec&, const nn::ParameterLayout&,
                                                                std::string_view);

}  // namespace mobula::rl::autograd
