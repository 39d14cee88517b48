// One whole update of A2C against a plain program in double that knows nothing of the learner: networks as nested
// loops, derivatives by the chain rule written out, clipping, and RMSProp with epsilon inside the root.
#include <gtest/gtest.h>
#include <mobula/rl/vec_env.h>

#include <cmath>
#include <string>
#include <vector>

#include "tests/unit/rl/any_training.h"
#include "tests/unit/rl/environments.h"

namespace mobula::rl {
namespace {

using Matrix = std::vector<std::vector<double>>;  // [out][in]
struct PlainLayer {
  Matrix weight;
  std::vector<double> bias;
};
using PlainNet = std::vector<PlainLayer>;  // tanh between, the last linear

PlainNet read_net(const std::string& name, std::size_t hidden, const nn::ParameterLayout& layout,
                  std::span<const float> flat) {
  PlainNet net;
  for (std::size_t l = 0; l <= hidden; ++l) {
    const bool head = l == hidden;
    const std::string prefix = name + (head ? ".head" : "." + std::to_string(l));
    const auto& w = layout.block(prefix + ".weight");
    const auto& b = layout.block(prefix + ".bias");
    const int outputs = head ? w.rows : w.columns, inputs = head ? w.columns : w.rows;
    PlainLayer layer{Matrix(outputs, std::vector<double>(inputs)), std::vector<double>(outputs)};
    for (int o = 0; o < outputs; ++o) {
      layer.bias[o] = flat[b.offset + o];
      for (int i = 0; i < inputs; ++i) {
        layer.weight[o][i] = flat[w.offset + static_cast<std::size_t>(head ? o : i) * w.stride + (head ? i : o)];
      }
    }
    net.push_back(layer);
  }
  return net;
}

std::vector<std::vector<double>> run(const PlainNet& net, const std::vector<double>& x) {
  std::vector<std::vector<double>> values{x};
  for (std::size_t l = 0; l < net.size(); ++l) {
    std::vector<double> y = net[l].bias;
    for (std::size_t o = 0; o < y.size(); ++o) {
      for (std::size_t i = 0; i < values[l].size(); ++i) y[o] += net[l].weight[o][i] * values[l][i];
      if (l + 1 < net.size()) y[o] = std::tanh(y[o]);
    }
    values.push_back(y);
  }
  return values;
}

// Adds d loss / d weights, given d loss / d outputs.
void back(const PlainNet& net, const std::vector<std::vector<double>>& values, std::vector<double> d, PlainNet& sum) {
  for (std::size_t l = net.size(); l-- > 0;) {
    std::vector<double> below(values[l].size(), 0.0);
    for (std::size_t o = 0; o < d.size(); ++o) {
      sum[l].bias[o] += d[o];
      for (std::size_t i = 0; i < below.size(); ++i) {
        sum[l].weight[o][i] += d[o] * values[l][i];
        below[i] += d[o] * net[l].weight[o][i];
      }
    }
    for (std::size_t i = 0; i < below.size(); ++i) below[i] *= 1 - values[l][i] * values[l][i];
    d = below;
  }
}

template <class Visit>
void each(PlainNet& net, const Visit& visit) {
  for (auto& layer : net) {
    for (auto& row : layer.weight) {
      for (double& x : row) visit(x);
    }
    for (double& x : layer.bias) visit(x);
  }
}

TEST(A2c, AWholeUpdateEqualsAPlainProgram) {
  A2cOptions o;
  o.n_envs = 3;
  o.n_steps = 4;
  o.hidden = {6, 5};
  o.lr = 2e-3;
  o.gamma = 0.9;
  o.gae_lambda = 0.8;
  o.ent_coef = 0.02;
  o.vf_coef = 0.6;
  o.max_grad_norm = 0.3;
  test::AnyTraining fresh(&make_vec_env<test::Everything>, o, 7, 1'000'000);
  const nn::Policy<float> policy(fresh.learner->spec());
  const auto start = fresh.parameters();
  fresh.round();
  const auto after = fresh.parameters();
  const ConstFragment f = fresh.whole->read();

  PlainNet actor = read_net("actor", 2, policy.layout(), start), critic = read_net("critic", 2, policy.layout(), start);
  PlainNet d_actor = actor, d_critic = critic;
  each(d_actor, [](double& x) { x = 0; });
  each(d_critic, [](double& x) { x = 0; });
  const int samples = o.n_envs * o.n_steps;
  const auto observation = [&](std::span<const float> table, int k) {
    return std::vector<double>(table.begin() + 3 * k, table.begin() + 3 * (k + 1));
  };
  const auto value_of = [&](const std::vector<double>& x) { return run(critic, x).back()[0]; };
  for (int n = 0; n < o.n_envs; ++n) {
    double advantage = 0, next_value = value_of(observation(f.last_observations, n));
    for (int t = o.n_steps - 1; t >= 0; --t) {
      const int k = t * o.n_envs + n;
      const auto x = observation(f.observations, k);
      const double value = value_of(x);
      if (f.terminated[k]) {
        advantage = next_value = 0;
      } else if (f.truncated[k]) {
        advantage = 0;
        next_value = value_of(observation(f.final_observations, k));
      }
      const double delta = f.rewards[k] + o.gamma * next_value - value;
      advantage = delta + o.gamma * o.gae_lambda.at(0, 0) * advantage;
      next_value = value;

      back(critic, run(critic, x), {o.vf_coef.at(0, 0) * (value - (advantage + value)) / samples}, d_critic);
      const auto values = run(actor, x);
      std::vector<double> p(3), d(3);
      double total = 0, entropy = 0;
      for (int a = 0; a < 3; ++a) {
        p[a] = f.masks[3 * k + a] ? std::exp(values.back()[a]) : 0.0;
        total += p[a];
      }
      for (int a = 0; a < 3; ++a) {
        p[a] /= total;
        if (p[a] > 0) entropy -= p[a] * std::log(p[a]);
      }
      for (int a = 0; a < 3; ++a) {
        if (p[a] == 0) continue;
        const double taken = a == static_cast<int>(f.actions[k]) ? 1 : 0;
        // d(-A log p) + d(-c H): H's slope along logit a is -p (log p + H).
        d[a] = (-advantage * (taken - p[a]) + o.ent_coef.at(0, 0) * p[a] * (std::log(p[a]) + entropy)) / samples;
      }
      back(actor, values, d, d_actor);
    }
  }

  double squares = 0;
  const auto count = [&](double& x) { squares += x * x; };
  each(d_actor, count);
  each(d_critic, count);
  const double norm = std::sqrt(squares), factor = std::min(1.0, o.max_grad_norm.at(0, 0) / (norm + 1e-6));
  EXPECT_LT(factor, 1.0) << "this update clips nothing";
  const auto step = [&](PlainNet& net, PlainNet& gradient) {
    std::vector<double> g;
    each(gradient, [&](double& x) { g.push_back(x * factor); });
    std::size_t k = 0;
    each(net, [&](double& x) {
      const double mean_square = 0.99 * 1.0 + 0.01 * g[k] * g[k];
      x -= 2e-3 * g[k] / std::sqrt(mean_square + 1e-5);
      ++k;
    });
  };
  step(actor, d_actor);
  step(critic, d_critic);

  const auto compare = [&](const std::string& name, PlainNet expected) {
    PlainNet got = read_net(name, 2, policy.layout(), after), old = read_net(name, 2, policy.layout(), start);
    std::vector<double> e, was;
    each(expected, [&](double& x) { e.push_back(x); });
    each(old, [&](double& x) { was.push_back(x); });
    std::size_t k = 0;
    double moved = 0;
    each(got, [&](double& x) {
      EXPECT_NEAR(x, e[k], 2e-7) << name << " " << k;  // of steps of up to 2e-3, in float
      moved = std::max(moved, std::abs(e[k] - was[k]));
      ++k;
    });
    EXPECT_GT(moved, 1e-5) << name;
  };
  compare("actor", actor);
  compare("critic", critic);
}

}  // namespace
}  // namespace mobula::rl
