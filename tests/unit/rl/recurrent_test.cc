#include "rl/nn/recurrent.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

namespace mobula::rl::nn {
namespace {

double sigma(double x) {
  return 1 / (1 + std::exp(-x));
}

// The textbook's equations, one number at a time, from the named blocks: returns sum(weights * h) over all steps.
double textbook(const RecurrentShape& shape, const ParameterLayout& layout, const AlignedVector<double>& parameters,
                const std::vector<double>& x, const std::vector<std::uint8_t>& resets,
                const std::vector<double>& initial, const std::vector<double>& weights, int steps, int rows,
                std::vector<double>* final_states = nullptr) {
  const bool lstm = shape.kind == Memory::lstm;
  const int H = shape.units, stride = padded(H);
  const auto& in = layout.block("m.input");
  const auto& hid = layout.block("m.hidden");
  const auto& bias = layout.block("m.bias");
  const int state = lstm ? 2 * H : H;
  double total = 0;
  if (final_states) final_states->assign(static_cast<std::size_t>(rows) * state, 0);
  for (int r = 0; r < rows; ++r) {
    std::vector<double> h(initial.begin() + r * state, initial.begin() + r * state + H), c;
    if (lstm) c.assign(initial.begin() + r * state + H, initial.begin() + (r + 1) * state);
    for (int t = 0; t < steps; ++t) {
      if (resets[t * rows + r]) {
        h.assign(H, 0.0);
        if (lstm) c.assign(H, 0.0);
      }
      const auto from = [&](int gate, int u, bool inputs, bool hidden) {
        const int column = gate * stride + u;
        double sum = 0;
        if (inputs) {
          sum += parameters[bias.offset + column];
          for (int i = 0; i < shape.inputs; ++i) {
            sum += x[(t * rows + r) * shape.inputs + i] * parameters[in.offset + i * in.stride + column];
          }
        }
        if (hidden) {
          for (int k = 0; k < H; ++k) sum += h[k] * parameters[hid.offset + k * hid.stride + column];
        }
        return sum;
      };
      std::vector<double> next(H);
      for (int u = 0; u < H; ++u) {
        if (lstm) {
          const double i = sigma(from(0, u, true, true)), f = sigma(from(1, u, true, true));
          const double g = std::tanh(from(2, u, true, true)), o = sigma(from(3, u, true, true));
          c[u] = f * c[u] + i * g;
          next[u] = o * std::tanh(c[u]);
        } else {
          const double reset = sigma(from(0, u, true, true)), z = sigma(from(1, u, true, true));
          const double b = parameters[layout.block("m.hidden_bias").offset + u];
          const double n = std::tanh(from(2, u, true, false) + reset * (from(2, u, false, true) + b));
          next[u] = (1 - z) * n + z * h[u];
        }
      }
      h = next;
      for (int u = 0; u < H; ++u) total += weights[(t * rows + r) * stride + u] * h[u];
    }
    if (!final_states) continue;
    std::copy(h.begin(), h.end(), final_states->begin() + r * state);
    std::copy(c.begin(), c.end(), final_states->begin() + r * state + H);
  }
  return total;
}

struct Case {
  Case(Memory kind, int inputs, int units, int step_count, int row_count)
      : shape{kind, inputs, units}, layer(shape, "m", layout), steps(step_count), rows(row_count) {
    Random random(7, Stream::user);
    parameters.resize(layout.size());
    layer.initialize(parameters.data(), random);
    for (const auto& block : layout.blocks()) {  // no bias is 0 after this, and no padding is touched
      for (int k = 0; k < block.columns; ++k) {
        if (block.rows == 1 && k % padded(units) < units) parameters[block.offset + k] += 0.3 * random.normal();
      }
    }
    x.resize(static_cast<std::size_t>(steps) * rows * inputs);
    for (double& v : x) v = random.normal();
    resets.resize(static_cast<std::size_t>(steps) * rows);
    for (auto& b : resets) b = random.below(4) == 0;
    initial.resize(static_cast<std::size_t>(rows) * layer.state_size());
    for (double& v : initial) v = 0.5 * random.normal();
    weights.resize(static_cast<std::size_t>(steps) * rows * layer.width());
    for (std::size_t k = 0; k < weights.size(); ++k) {
      weights[k] = static_cast<int>(k % layer.width()) < units ? random.normal() : 0;
    }
  }
  double loss() const { return textbook(shape, layout, parameters, x, resets, initial, weights, steps, rows); }

  RecurrentShape shape;
  ParameterLayout layout;
  Recurrent<double> layer;
  int steps, rows;
  AlignedVector<double> parameters;
  std::vector<double> x, initial, weights;
  std::vector<std::uint8_t> resets;
};

class RecurrentLayer : public testing::TestWithParam<Memory> {};
INSTANTIATE_TEST_SUITE_P(Kinds, RecurrentLayer, testing::Values(Memory::lstm, Memory::gru),
                         [](const testing::TestParamInfo<Memory>& kind) {
                           return kind.param == Memory::lstm ? "Lstm" : "Gru";
                         });

TEST_P(RecurrentLayer, EqualsTheTextbooksEquations) {
  for (const auto& [inputs, units, steps, rows] :
       {std::array{3, 5, 6, 4}, {1, 16, 3, 1}, {7, 33, 4, 9}, {20, 1, 2, 70}}) {
    Case c(GetParam(), inputs, units, steps, rows);
    std::vector<double> states = c.initial, expected_states;
    AlignedVector<double> out(c.weights.size());
    Recurrent<double>::Workspace workspace;
    c.layer.forward(c.parameters.data(), c.x.data(), inputs, steps, rows, c.resets.data(), states.data(),
                    c.layer.state_size(), workspace, out.data());
    double total = 0;
    for (std::size_t k = 0; k < out.size(); ++k) {
      total += out[k] * c.weights[k];
      if (static_cast<int>(k % c.layer.width()) >= units) {
        ASSERT_EQ(out[k], 0.0) << "padding";
      }
    }
    const double expected =
        textbook(c.shape, c.layout, c.parameters, c.x, c.resets, c.initial, c.weights, steps, rows, &expected_states);
    EXPECT_NEAR(total, expected, 1e-10 * std::max(1.0, std::abs(expected)));
    for (std::size_t k = 0; k < states.size(); ++k) ASSERT_NEAR(states[k], expected_states[k], 1e-12);
  }
}

TEST_P(RecurrentLayer, GradientsEqualFiniteDifferencesOfTheTextbook) {
  Case c(GetParam(), 3, 5, 6, 4);
  std::vector<double> states = c.initial;
  AlignedVector<double> out(c.weights.size()), gradient(c.layout.size()),
      d_x(static_cast<std::size_t>(c.steps) * c.rows * padded(3));
  Recurrent<double>::Workspace workspace;
  c.layer.forward(c.parameters.data(), c.x.data(), 3, c.steps, c.rows, c.resets.data(), states.data(),
                  c.layer.state_size(), workspace, out.data());
  c.layer.prepare_backward(c.parameters.data(), workspace, true);
  c.layer.backward(c.parameters.data(), c.x.data(), 3, c.resets.data(), workspace, c.weights.data(), gradient.data(),
                   d_x.data(), padded(3));
  const auto slope = [&c](double& number) {
    const double keep = number, h = 1e-6;
    number = keep + h;
    const double up = c.loss();
    number = keep - h;
    const double down = c.loss();
    number = keep;
    return (up - down) / (2 * h);
  };
  for (const auto& block : c.layout.blocks()) {
    for (int row = 0; row < block.rows; ++row) {
      for (int column = 0; column < block.stride; ++column) {
        const std::size_t k = block.offset + static_cast<std::size_t>(row) * block.stride + column;
        if (column >= block.columns || column % padded(5) >= 5) {
          ASSERT_EQ(gradient[k], 0.0) << block.name << " padding";
        } else {
          ASSERT_NEAR(gradient[k], slope(c.parameters[k]), 1e-6) << block.name << " " << row << " " << column;
        }
      }
    }
  }
  for (int k = 0; k < c.steps * c.rows; ++k) {
    for (int i = 0; i < 3; ++i) ASSERT_NEAR(d_x[k * padded(3) + i], slope(c.x[k * 3 + i]), 1e-6) << "input " << k;
  }
}

// A sequence's bits do not depend on its neighbours, nor on how its steps are spread over calls: a worker that acts
// step by step and the learner that sees the whole sequence agree exactly.
TEST_P(RecurrentLayer, ASequenceDoesNotDependOnItsBatchOrOnTheCalls) {
  constexpr int inputs = 5, units = 20, steps = 7, rows = 50;
  ParameterLayout layout;
  const Recurrent<float> layer({GetParam(), inputs, units}, "m", layout);
  AlignedVector<float> parameters(layout.size());
  Random random(8, Stream::user);
  layer.initialize(parameters.data(), random);
  std::vector<float> x(steps * rows * inputs), states(rows * layer.state_size());
  std::vector<std::uint8_t> resets(steps * rows);
  for (float& v : x) v = static_cast<float>(random.normal());
  for (float& v : states) v = static_cast<float>(random.normal());
  for (auto& b : resets) b = random.below(5) == 0;
  const auto initial = states;
  AlignedVector<float> whole(steps * rows * layer.width()), one(layer.width());
  Recurrent<float>::Workspace workspace, single;
  layer.forward(parameters.data(), x.data(), inputs, steps, rows, resets.data(), states.data(), layer.state_size(),
                workspace, whole.data());
  for (int r = 0; r < rows; r += 7) {
    std::vector<float> state(initial.begin() + r * layer.state_size(), initial.begin() + (r + 1) * layer.state_size());
    for (int t = 0; t < steps; ++t) {
      const int k = t * rows + r;
      layer.forward(parameters.data(), x.data() + k * inputs, inputs, 1, 1, &resets[k], state.data(), 0, single,
                    one.data());
      ASSERT_EQ(std::memcmp(one.data(), whole.data() + k * layer.width(), layer.width() * sizeof(float)), 0);
    }
    ASSERT_EQ(std::memcmp(state.data(), states.data() + r * layer.state_size(), state.size() * sizeof(float)), 0);
  }
}

TEST_P(RecurrentLayer, EachGatesMatricesAreOrthogonal) {
  ParameterLayout layout;
  const Recurrent<double> layer({GetParam(), 4, 16}, "m", layout);
  AlignedVector<double> parameters(layout.size());
  Random random(9, Stream::user);
  layer.initialize(parameters.data(), random);
  const auto& block = layout.block("m.hidden");
  for (int gate = 0; gate < (GetParam() == Memory::lstm ? 4 : 3); ++gate) {
    for (int a = 0; a < 16; ++a) {
      for (int b = 0; b < 16; ++b) {
        double dot = 0;
        for (int k = 0; k < 16; ++k) {
          dot += parameters[block.offset + k * block.stride + gate * 16 + a] *
                 parameters[block.offset + k * block.stride + gate * 16 + b];
        }
        ASSERT_NEAR(dot, a == b ? 1.0 : 0.0, 1e-12);
      }
    }
  }
}

}  // namespace
}  // namespace mobula::rl::nn
