#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "rl/nn/actor_critic.h"
#include "rl/nn/adam.h"
#include "rl/nn/gemm.h"
#include "rl/nn/mlp.h"
#include "rl/nn/orthogonal.h"
#include "rl/nn/policy.h"
#include "rl/nn/simd.h"

namespace mobula::rl::nn {
namespace {

// The error of `f` at x against the double reference, in units in the last place of the reference.
template <class F, class Reference>
double worst_ulp(F f, Reference reference, float low, float high, bool geometric) {
  double worst = 0;
  for (int k = 0; k <= 200'000; ++k) {
    const double part = k / 200'000.0;
    const float x = static_cast<float>(geometric ? low * std::pow(high / low, part) : low + (high - low) * part);
    const double expected = reference(static_cast<double>(x));
    const float rounded = std::abs(static_cast<float>(expected));
    const double ulp = std::nextafter(rounded, INFINITY) - rounded;
    worst = std::max(worst, std::abs(f(splat(x))[0] - expected) / ulp);
  }
  return worst;
}

TEST(Simd, ExpIsAccurate) {
  const auto f = [](Floats x) { return exp(x); };
  const auto reference = [](double x) { return std::exp(x); };
  EXPECT_LT(worst_ulp(f, reference, -87.3f, 88.7f, false), 1.5);
  EXPECT_LT(worst_ulp(f, reference, -1.0f, 1.0f, false), 1.5);
  EXPECT_EQ(exp(splat(0.0f))[0], 1.0f);
  EXPECT_EQ(exp(splat(-88.0f))[0], 0.0f);
  EXPECT_EQ(exp(splat(-1e8f))[0], 0.0f);
  EXPECT_EQ(exp(splat(89.0f))[0], INFINITY);
}

TEST(Simd, LogIsAccurate) {
  const auto f = [](Floats x) { return log(x); };
  const auto reference = [](double x) { return std::log(x); };
  EXPECT_LT(worst_ulp(f, reference, 1.2e-38f, 3e38f, true), 1.5);
  EXPECT_LT(worst_ulp(f, reference, 1.001f, 50.0f, true), 1.5);
  EXPECT_EQ(log(splat(1.0f))[0], 0.0f);
}

TEST(Simd, TanhIsAccurateAndBounded) {
  const auto f = [](Floats x) { return tanh(x); };
  const auto reference = [](double x) { return std::tanh(x); };
  EXPECT_LT(worst_ulp(f, reference, 1e-10f, 20.0f, true), 7);
  EXPECT_LT(worst_ulp(f, reference, -9.0f, 9.0f, false), 7);
  for (const float x : {8.0f, 1e3f, 3e38f}) {
    EXPECT_LE(tanh(splat(x))[0], 1.0f);
    EXPECT_GT(tanh(splat(x))[0], 0.999999f);
  }
  EXPECT_EQ(tanh(splat(0.0f))[0], 0.0f);
}

TEST(Simd, EveryLaneComputesTheSame) {
  Random random(1, Stream::user);
  for (int k = 0; k < 1000; ++k) {
    Floats x;
    for (int lane = 0; lane < kLanes<float>; ++lane) x[lane] = static_cast<float>(random.uniform(-9, 9));
    const Floats e = exp(x), t = tanh(x), l = log(x * x + 0.1f);
    for (int lane = 0; lane < kLanes<float>; ++lane) {
      const Floats same = splat(static_cast<float>(x[lane]));
      ASSERT_EQ(exp(same)[0], e[lane]);
      ASSERT_EQ(tanh(same)[0], t[lane]);
      ASSERT_EQ(log(same * same + 0.1f)[0], l[lane]);
    }
  }
}

TEST(Orthogonal, RowsOrColumnsAreOrthogonalWithTheGain) {
  for (const auto& [rows, columns] : {std::pair{64, 4}, std::pair{2, 64}, std::pair{64, 64}, std::pair{1, 1}}) {
    Random random(3, Stream::parameters);
    const auto matrix = orthogonal(rows, columns, std::sqrt(2.0), random);
    const bool by_rows = rows <= columns;
    const int n = std::min(rows, columns), length = std::max(rows, columns);
    for (int a = 0; a < n; ++a) {
      for (int b = 0; b < n; ++b) {
        double dot = 0;
        for (int k = 0; k < length; ++k) {
          dot += by_rows ? matrix[a * columns + k] * matrix[b * columns + k]
                         : matrix[k * columns + a] * matrix[k * columns + b];
        }
        ASSERT_NEAR(dot, a == b ? 2.0 : 0.0, 1e-12) << rows << "x" << columns;
      }
    }
  }
}

const MlpShape kShapes[] = {
    {4, {64, 64}, 2, Activation::tanh}, {7, {33, 20}, 5, Activation::relu},    {3, {16}, 1, Activation::tanh},
    {18, {}, 3, Activation::tanh},      {1, {48, 8, 31}, 2, Activation::tanh}, {5, {17, 9}, 2, Activation::elu},
    {5, {17, 9}, 2, Activation::gelu},  {5, {17, 9}, 2, Activation::silu},
};

// As the papers write them.
double plain_activation(Activation activation, double x) {
  switch (activation) {
    case Activation::tanh:
      return std::tanh(x);
    case Activation::relu:
      return std::max(0.0, x);
    case Activation::elu:
      return x > 0 ? x : std::expm1(x);
    case Activation::gelu:
      return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case Activation::silu:
      return x / (1 + std::exp(-x));
  }
  return x;
}

// Every output of every row must have the same bits whatever rows it is computed with.
TEST(Mlp, ARowDoesNotDependOnItsBatch) {
  for (const MlpShape& shape : kShapes) {
    ParameterLayout layout;
    const Mlp<float> mlp(shape, "net", layout);
    AlignedVector<float> parameters(layout.size());
    Random random(5, Stream::parameters);
    mlp.initialize(parameters.data(), 1.0, random);
    auto workspace = mlp.make_workspace();
    std::vector<float> x(kBlockRows * shape.inputs);
    for (float& value : x) value = static_cast<float>(random.normal());
    AlignedVector<float> all(kBlockRows * shape.outputs), part(kBlockRows * shape.outputs);
    mlp.forward(parameters.data(), x.data(), shape.inputs, kBlockRows, workspace, all.data(), kBlockRows);
    for (int rows = 1; rows < 20; ++rows) {
      for (int first = 0; first + rows <= kBlockRows; first += 7) {
        mlp.forward(parameters.data(), x.data() + first * shape.inputs, shape.inputs, rows, workspace, part.data(),
                    kBlockRows);
        for (int k = 0; k < shape.outputs; ++k) {
          ASSERT_EQ(std::memcmp(&part[k * kBlockRows], &all[k * kBlockRows + first], rows * sizeof(float)), 0);
        }
      }
    }
  }
}

// sum(c * out) for fixed numbers c, by the plainest loops.
double plain_loss(const MlpShape& shape, const ParameterLayout& layout, const AlignedVector<double>& parameters,
                  const std::vector<double>& x, const std::vector<double>& c, int rows, int ldo) {
  double total = 0;
  for (int r = 0; r < rows; ++r) {
    std::vector<double> y(x.begin() + r * shape.inputs, x.begin() + (r + 1) * shape.inputs);
    for (std::size_t l = 0; l < shape.hidden.size(); ++l) {
      const auto& w = layout.block("net." + std::to_string(l) + ".weight");
      const auto& b = layout.block("net." + std::to_string(l) + ".bias");
      std::vector<double> z(shape.hidden[l]);
      for (int o = 0; o < shape.hidden[l]; ++o) {
        z[o] = parameters[b.offset + o];
        for (std::size_t i = 0; i < y.size(); ++i) z[o] += y[i] * parameters[w.offset + i * w.stride + o];
        z[o] = plain_activation(shape.activation, z[o]);
      }
      y = z;
    }
    const auto& w = layout.block("net.head.weight");
    const auto& b = layout.block("net.head.bias");
    for (int o = 0; o < shape.outputs; ++o) {
      double out = parameters[b.offset + o];
      for (std::size_t i = 0; i < y.size(); ++i) out += y[i] * parameters[w.offset + o * w.stride + i];
      total += c[o * ldo + r] * out;
    }
  }
  return total;
}

TEST(Mlp, GradientsEqualFiniteDifferences) {
  for (const MlpShape& shape : kShapes) {
    ParameterLayout layout;
    const Mlp<double> mlp(shape, "net", layout);
    AlignedVector<double> parameters(layout.size()), gradient(layout.size());
    Random random(6, Stream::parameters);
    mlp.initialize(parameters.data(), 1.0, random);
    auto workspace = mlp.make_workspace();
    constexpr int rows = 13;
    std::vector<double> x(rows * shape.inputs), c(kBlockRows * shape.outputs);
    for (double& value : x) value = random.normal();
    for (double& value : c) value = random.normal();
    AlignedVector<double> out(kBlockRows * shape.outputs);
    mlp.forward(parameters.data(), x.data(), shape.inputs, rows, workspace, out.data(), kBlockRows);
    mlp.prepare_backward(parameters.data(), workspace, true);
    AlignedVector<double> d_x(rows * padded(shape.inputs)), only_x(d_x.size());
    mlp.backward(parameters.data(), x.data(), shape.inputs, rows, workspace, c.data(), kBlockRows, gradient.data(),
                 d_x.data(), padded(shape.inputs));
    mlp.backward(parameters.data(), x.data(), shape.inputs, rows, workspace, c.data(), kBlockRows, nullptr,
                 only_x.data(), padded(shape.inputs));
    EXPECT_EQ(d_x, only_x);
    for (std::size_t k = 0; k < x.size(); ++k) {
      const double keep = x[k], h = 1e-5;
      x[k] = keep + h;
      const double up = plain_loss(shape, layout, parameters, x, c, rows, kBlockRows);
      x[k] = keep - h;
      const double down = plain_loss(shape, layout, parameters, x, c, rows, kBlockRows);
      x[k] = keep;
      const std::size_t place = k / shape.inputs * padded(shape.inputs) + k % shape.inputs;
      ASSERT_NEAR(d_x[place], (up - down) / (2 * h), 1e-6) << "input " << k;
    }
    for (const auto& block : layout.blocks()) {
      for (int row = 0; row < block.rows; ++row) {
        for (int column = 0; column < block.stride; ++column) {
          const std::size_t k = block.offset + static_cast<std::size_t>(row) * block.stride + column;
          if (column >= block.columns) {
            ASSERT_EQ(gradient[k], 0.0) << block.name << " padding";
            ASSERT_EQ(parameters[k], 0.0) << block.name << " padding";
            continue;
          }
          if ((row * 31 + column) % 17 != 0) continue;  // a sample is enough
          const double keep = parameters[k], h = 1e-5;
          parameters[k] = keep + h;
          const double up = plain_loss(shape, layout, parameters, x, c, rows, kBlockRows);
          parameters[k] = keep - h;
          const double down = plain_loss(shape, layout, parameters, x, c, rows, kBlockRows);
          parameters[k] = keep;
          ASSERT_NEAR(gradient[k], (up - down) / (2 * h), 1e-6) << block.name << " " << row << " " << column;
        }
      }
    }
  }
}

TEST(Activation, FloatAgreesWithThePlainFormulas) {
  for (const Activation activation : {Activation::elu, Activation::gelu, Activation::silu}) {
    for (int k = -4000; k <= 4000; ++k) {
      const float x = 0.0025f * static_cast<float>(k);
      const double expected = plain_activation(activation, x);
      ASSERT_NEAR(activate<float>(activation, splat(x))[0], expected, 3e-7 * std::max(1.0, std::abs(expected))) << x;
      const double h = 1e-6;
      const double expected_slope =
          (plain_activation(activation, x + h) - plain_activation(activation, x - h)) / (2 * h);
      const Floats y = activate<float>(activation, splat(x));
      if (k != 0) {
        ASSERT_NEAR(slope<float>(activation, splat(x), y)[0], expected_slope, 2e-6) << x;
      }
    }
    EXPECT_EQ(activation_named(name_of(activation)), activation);
  }
  EXPECT_THROW(activation_named("sigmoid"), std::invalid_argument);
}

TEST(Mlp, ALastLayerForTwoHasItsTwoGains) {
  ParameterLayout layout;
  const Mlp<double> mlp({4, {32}, 4, Activation::tanh}, "net", layout);
  AlignedVector<double> parameters(layout.size());
  Random random(5, Stream::parameters);
  mlp.initialize(parameters.data(), 0.01, 1.0, random);
  const auto& weight = layout.block("net.head.weight");
  for (int o = 0; o < 4; ++o) {
    double squares = 0;
    for (int k = 0; k < 32; ++k) squares += std::pow(parameters[weight.offset + o * weight.stride + k], 2);
    EXPECT_NEAR(std::sqrt(squares), o < 3 ? 0.01 : 1.0, 1e-12) << o;
  }
}

TEST(Adam, PaddingStaysZero) {
  AlignedVector<double> parameters(16), gradient(16);
  gradient[0] = 1;
  Adam<double> adam(16, {});
  for (int k = 0; k < 10; ++k) adam.step(parameters.data(), gradient.data(), 1.0, 0.1);
  EXPECT_NEAR(parameters[0], -1.0, 1e-6);  // each step is lr long for a constant gradient
  for (int k = 1; k < 16; ++k) EXPECT_EQ(parameters[k], 0.0);
}

TEST(Norm, ClipsLikeTorch) {
  const std::vector<float> gradient{3, 4};
  EXPECT_DOUBLE_EQ(norm<float>(gradient), 5.0);
  EXPECT_DOUBLE_EQ(clip_factor(5.0, 0.5), 0.5 / (5.0 + 1e-6));
  EXPECT_DOUBLE_EQ(clip_factor(0.1, 0.5), 1.0);
}

PolicySpec discrete_spec() {
  return {.observation_size = 5, .action = {ActionSpace::Kind::discrete, {3}, 1, 0, 0}, .hidden = {32, 32}};
}

TEST(Policy, InitialHeadsHaveTheirGains) {
  const Policy<float> policy(discrete_spec());
  const auto parameters = policy.initial_parameters(1);
  const auto length_of_row = [&](const std::string& name, int row) {
    const auto& block = policy.layout().block(name);
    double squares = 0;
    for (int k = 0; k < block.columns; ++k) {
      const double x = parameters[block.offset + static_cast<std::size_t>(row) * block.stride + k];
      squares += x * x;
    }
    return std::sqrt(squares);
  };
  EXPECT_NEAR(length_of_row("actor.head.weight", 0), 0.01, 1e-6);
  EXPECT_NEAR(length_of_row("critic.head.weight", 0), 1.0, 1e-6);
  EXPECT_NEAR(length_of_row("actor.1.weight", 0), std::sqrt(2.0), 1e-6);
  EXPECT_NE(parameters, policy.initial_parameters(2));
  EXPECT_EQ(parameters, policy.initial_parameters(1));
  EXPECT_THROW(policy.layout().block("actor.7.weight"), std::out_of_range);
}

TEST(Policy, UniformInitialWeightsAreThoseOfLinearLayers) {
  const Policy<float> policy(discrete_spec());
  const auto parameters = policy.initial_parameters(1, false);
  for (const std::string network : {"actor", "critic"}) {
    for (const std::string layer : {"0", "1", "head"}) {
      const double bound = 1 / std::sqrt(layer == "0" ? 5.0 : 32.0);
      double largest = 0, sum = 0;
      int n = 0;
      for (const std::string part : {".weight", ".bias"}) {
        const auto& block = policy.layout().block(network + "." + layer + part);
        for (int r = 0; r < block.rows; ++r) {
          for (int c = 0; c < block.columns; ++c, ++n) {
            const double x = parameters[block.offset + static_cast<std::size_t>(r) * block.stride + c];
            largest = std::max(largest, std::fabs(x));
            sum += x * x;
          }
        }
      }
      EXPECT_LE(largest, bound) << network << " " << layer;
      EXPECT_GT(largest, 0.9 * bound) << network << " " << layer;
      EXPECT_NEAR(sum / n, bound * bound / 3, bound * bound / std::sqrt(n)) << network << " " << layer;
    }
  }
  EXPECT_NE(parameters, policy.initial_parameters(2, false));
}

TEST(Actor, ARowDoesNotDependOnItsBatch) {
  for (const bool box : {false, true}) {
    PolicySpec spec = discrete_spec();
    if (box) spec.action = {ActionSpace::Kind::box, {}, 2, -1, 1};
    ActorCritic actor(spec);
    auto parameters = Policy<float>(spec).initial_parameters(3);
    Random random(4, Stream::user);
    for (float& x : parameters) x += 0.1f * static_cast<float>(random.normal());
    constexpr int rows = 150;
    std::vector<float> observations(rows * 5);
    for (float& x : observations) x = static_cast<float>(random.normal());
    const int width = spec.action.dimensions;
    std::vector<float> actions(rows * width), log_probs(rows), values(rows);
    std::vector<Random> keys;
    for (int r = 0; r < rows; ++r) keys.emplace_back(9, Stream::action, r);
    auto all_keys = keys;
    actor.sample(parameters, observations, {}, all_keys, {}, actions.data(), log_probs.data(), values.data());
    for (int r = 0; r < rows; ++r) {
      std::vector<Random> one{keys[r]};
      float action[2], log_prob, value;
      actor.sample(parameters, std::span(observations).subspan(r * 5, 5), {}, one, {}, action, &log_prob, &value);
      for (int d = 0; d < width; ++d) ASSERT_EQ(action[d], actions[r * width + d]);
      ASSERT_EQ(log_prob, log_probs[r]);
      ASSERT_EQ(value, values[r]);
    }
  }
}

TEST(Actor, SamplesWithTheProbabilitiesItReportsAndNeverWhatIsMasked) {
  ActorCritic actor(discrete_spec());
  auto parameters = Policy<float>(discrete_spec()).initial_parameters(3);
  for (float& x : parameters) x *= 3;
  const std::vector<float> observation{1, -1, 0.5f, 2, 0};
  for (const std::vector<std::uint8_t>& mask : {std::vector<std::uint8_t>{1, 1, 1}, {1, 0, 1}, {0, 0, 1}, {0, 1, 0}}) {
    int count[3] = {};
    double probability[3] = {};
    constexpr int draws = 20'000;
    std::vector<Random> random{Random(1, Stream::action)};
    for (int k = 0; k < draws; ++k) {
      float action, log_prob;
      actor.sample(parameters, observation, mask, random, {}, &action, &log_prob, nullptr);
      ++count[static_cast<int>(action)];
      probability[static_cast<int>(action)] = std::exp(log_prob);
    }
    double total = 0;
    for (int a = 0; a < 3; ++a) {
      if (!mask[a]) {
        EXPECT_EQ(count[a], 0);
      }
      EXPECT_NEAR(count[a], draws * probability[a], 5 * std::sqrt(draws * 0.25) * (mask[a] ? 1 : 0)) << a;
      total += probability[a];
    }
    EXPECT_NEAR(total, 1.0, 1e-5);
    float best;
    actor.mode(parameters, observation, mask, &best);
    for (int a = 0; a < 3; ++a) EXPECT_GE(probability[static_cast<int>(best)], probability[a]);
  }
}

TEST(Policy, NormalisesObservationsAndClipsThem) {
  PolicySpec spec = discrete_spec();
  spec.normalize_observation = true;
  const Policy<float> policy(spec);
  auto parameters = policy.initial_parameters(1);
  parameters[policy.mean_offset()] = 2;
  parameters[policy.scale_offset()] = 0.5f;
  const float observation[5] = {6, 1e6f, -1e6f, 0.25f, 0};
  float out[5];
  policy.normalize(parameters.data(), observation, out);
  EXPECT_THAT(out, testing::ElementsAre(2.0f, 10.0f, -10.0f, 0.25f, 0.0f));
}

}  // namespace
}  // namespace mobula::rl::nn
