#include "rl/nn/mlp.h"

#include <cmath>

#include "rl/nn/gemm.h"
#include "rl/nn/orthogonal.h"

namespace mobula::rl::nn {
namespace {

// out[r] = bias + w . x[r] for every row; `width` is padded.
template <class T>
void dot_rows(const T* x, std::ptrdiff_t ldx, int rows, const T* w, int width, T bias, T* out) {
  for (int r = 0; r < rows; ++r) {
    Vector<T> sum{};
    for (int n = 0; n < width; n += kLanes<T>) sum = fma(load(x + r * ldx + n), load(w + n), sum);
    out[r] = bias + sum_lanes<T>(sum);
  }
}

template <class T>
void transpose(const T* in, int rows, int columns, int ld_in, T* out, int ld_out) {
  constexpr int kTile = 16;
  for (int r0 = 0; r0 < rows; r0 += kTile) {
    for (int c0 = 0; c0 < columns; c0 += kTile) {
      for (int r = r0; r < rows && r < r0 + kTile; ++r) {
        for (int c = c0; c < columns && c < c0 + kTile; ++c) out[c * ld_out + r] = in[r * ld_in + c];
      }
    }
  }
}

}  // namespace

template <class T>
Mlp<T>::Mlp(const MlpShape& shape, const std::string& name, ParameterLayout& layout) : shape_(shape) {
  int inputs = shape.inputs;
  for (std::size_t l = 0; l < shape.hidden.size(); ++l) {
    const std::string prefix = name + "." + std::to_string(l);
    const int outputs = shape.hidden[l];
    const std::size_t weight = layout.add(prefix + ".weight", inputs, outputs);
    layers_.push_back({inputs, outputs, weight, layout.add(prefix + ".bias", 1, outputs)});
    inputs = outputs;
  }
  const std::size_t weight = layout.add(name + ".head.weight", shape.outputs, inputs);
  layers_.push_back({inputs, shape.outputs, weight, layout.add(name + ".head.bias", 1, shape.outputs)});
}

template <class T>
typename Mlp<T>::Workspace Mlp<T>::make_workspace() const {
  Workspace workspace;
  // The first entry is a padded copy of the inputs, for networks without hidden layers.
  workspace.hidden_.emplace_back(shape_.hidden.empty() ? kBlockRows * padded(shape_.inputs) : 0);
  for (const int width : shape_.hidden) {
    const std::size_t size = static_cast<std::size_t>(kBlockRows) * padded(width);
    workspace.hidden_.emplace_back(size);
    workspace.before_.emplace_back(slope_needs_input(shape_.activation) ? size : 0);
    workspace.delta_.emplace_back(size);
    workspace.transpose_.emplace_back();
  }
  for (std::size_t l = 1; l < shape_.hidden.size(); ++l) {
    workspace.transpose_[l].resize(static_cast<std::size_t>(layers_[l].outputs) * padded(layers_[l].inputs));
  }
  return workspace;
}

template <class T>
void Mlp<T>::initialize_layer(T* parameters, std::size_t l, int first, int outputs, double gain, Random& random) const {
  const Layer& layer = layers_[l];
  const bool head = l + 1 == layers_.size();
  const int inputs = layer.inputs;
  // [out][in], as the literature counts it.
  const std::vector<double> matrix = orthogonal(outputs, inputs, gain, random);
  for (int k = 0; k < outputs; ++k) {
    const int o = first + k;
    for (int i = 0; i < inputs; ++i) {
      const std::size_t place = head ? static_cast<std::size_t>(o) * padded(inputs) + i
                                     : static_cast<std::size_t>(i) * padded(layer.outputs) + o;
      parameters[layer.weight + place] = static_cast<T>(matrix[static_cast<std::size_t>(k) * inputs + i]);
    }
    parameters[layer.bias + o] = 0;
  }
}

template <class T>
void Mlp<T>::initialize(T* parameters, double head_gain, Random& random) const {
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    const bool head = l + 1 == layers_.size();
    initialize_layer(parameters, l, 0, layers_[l].outputs, head ? head_gain : std::sqrt(2.0), random);
  }
}

template <class T>
void Mlp<T>::initialize_uniform(T* parameters, Random& random) const {
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    const auto& [inputs, outputs, weight, bias] = layers_[l];
    const bool head = l + 1 == layers_.size();
    const double bound = 1.0 / std::sqrt(static_cast<double>(inputs));
    for (int o = 0; o < outputs; ++o) {
      for (int i = 0; i < inputs; ++i) {
        const std::size_t place =
            head ? static_cast<std::size_t>(o) * padded(inputs) + i : static_cast<std::size_t>(i) * padded(outputs) + o;
        parameters[weight + place] = static_cast<T>(random.uniform(-bound, bound));
      }
      parameters[bias + o] = static_cast<T>(random.uniform(-bound, bound));
    }
  }
}

template <class T>
void Mlp<T>::initialize(T* parameters, double head_gain, double last_gain, Random& random) const {
  const std::size_t head = layers_.size() - 1;
  const int first = layers_[head].outputs - 1;
  for (std::size_t l = 0; l < head; ++l) {
    initialize_layer(parameters, l, 0, layers_[l].outputs, std::sqrt(2.0), random);
  }
  initialize_layer(parameters, head, 0, first, head_gain, random);
  initialize_layer(parameters, head, first, 1, last_gain, random);
}

template <class T>
void Mlp<T>::forward(const T* parameters, const T* x, std::ptrdiff_t ldx, int rows, Workspace& workspace, T* out,
                     std::ptrdiff_t ldo) const {
  const std::size_t depth = shape_.hidden.size();
  if (depth == 0) {  // the head's dot products need rows of whole vectors
    T* copy = workspace.hidden_[0].data();
    for (int r = 0; r < rows; ++r) {
      for (int i = 0; i < shape_.inputs; ++i) copy[r * padded(shape_.inputs) + i] = x[r * ldx + i];
    }
    x = copy;
    ldx = padded(shape_.inputs);
  }
  for (std::size_t l = 0; l < depth; ++l) {
    const Layer& layer = layers_[l];
    const int width = padded(layer.outputs);
    T* y = workspace.hidden_[l + 1].data();
    const T* bias = parameters + layer.bias;
    const auto start = [bias](int, int n) { return load(bias + n); };
    const Strided<T> a{x, ldx, 1};
    const T* weight = parameters + layer.weight;
    if (shape_.activation == Activation::tanh) {
      gemm(rows, width, layer.inputs, a, weight, width, y, width, start,
           [](Vector<T> value, int, int) { return tanh(value); });
    } else if (shape_.activation == Activation::relu) {
      gemm(rows, width, layer.inputs, a, weight, width, y, width, start,
           [](Vector<T> value, int, int) { return maximum(value, Vector<T>{}); });
    } else {  // the rarer ones in a second pass, to keep the code small
      T* before = workspace.before_[l].empty() ? y : workspace.before_[l].data();
      gemm(rows, width, layer.inputs, a, weight, width, before, width, start,
           [](Vector<T> value, int, int) { return value; });
      for (int k = 0; k < rows * width; k += kLanes<T>) store(y + k, activate<T>(shape_.activation, load(before + k)));
    }
    x = y;
    ldx = width;
  }
  const Layer& head = layers_.back();
  const int width = padded(head.inputs);
  for (int k = 0; k < head.outputs; ++k) {
    dot_rows(x, ldx, rows, parameters + head.weight + static_cast<std::size_t>(k) * width, width,
             parameters[head.bias + k], out + k * ldo);
  }
}

template <class T>
void Mlp<T>::prepare_backward(const T* parameters, Workspace& workspace, bool inputs) const {
  for (std::size_t l = inputs ? 0 : 1; l < shape_.hidden.size(); ++l) {
    const Layer& layer = layers_[l];
    workspace.transpose_[l].resize(static_cast<std::size_t>(layer.outputs) * padded(layer.inputs));
    transpose(parameters + layer.weight, layer.inputs, layer.outputs, padded(layer.outputs),
              workspace.transpose_[l].data(), padded(layer.inputs));
  }
}

template <class T>
void Mlp<T>::backward(const T* parameters, const T* x, std::ptrdiff_t ldx, int rows, Workspace& workspace,
                      const T* d_out, std::ptrdiff_t ldo, T* gradient, T* d_x, std::ptrdiff_t ld_dx,
                      const T* d_features) const {
  constexpr int L = kLanes<T>;
  const auto as_is = [](Vector<T> value, int, int) { return value; };
  const auto zero = [](int, int) { return Vector<T>{}; };
  const std::size_t depth = shape_.hidden.size();
  const Activation activation = shape_.activation;
  const bool common = activation == Activation::tanh || activation == Activation::relu;
  const bool is_tanh = activation == Activation::tanh;

  // delta of hidden layer l = (rows of `a`) B * slope: a product with the slope, which follows from the value y, in its
  // epilogue, or for the rarer activations in a second pass. `start` is what the product is added to.
  const auto delta_of = [&](std::size_t l, int depth_of_product, Strided<T> a, const T* b, const auto& start) {
    const int width = padded(layers_[l].outputs);
    const T* y = workspace.hidden_[l + 1].data();
    T* delta = workspace.delta_[l].data();
    if (common) {
      const auto slope_of = [is_tanh](Vector<T> v) {
        return is_tanh ? fma(-v, v, splat(T(1))) : v > T(0) ? splat(T(1)) : Vector<T>{};
      };
      gemm(rows, width, depth_of_product, a, b, width, delta, width, start,
           [=](Vector<T> value, int m, int n) { return value * slope_of(load(y + m * width + n)); });
      return;
    }
    gemm(rows, width, depth_of_product, a, b, width, delta, width, start, as_is);
    const T* before = workspace.before_[l].empty() ? y : workspace.before_[l].data();
    for (int k = 0; k < rows * width; k += L) {
      store(delta + k, load(delta + k) * slope<T>(activation, load(before + k), load(y + k)));
    }
  };

  const Layer& head = layers_.back();
  const int head_width = padded(head.inputs);
  if (gradient) {
    const T* y = workspace.hidden_[depth].data();
    T* d_weight = gradient + head.weight;
    for (int k = 0; k < head.outputs; ++k) {
      T sum = 0;
      for (int r = 0; r < rows; ++r) sum += d_out[k * ldo + r];
      gradient[head.bias + k] += sum;
    }
    gemm(
        head.outputs, head_width, rows, Strided<T>{d_out, ldo, 1}, y, head_width, d_weight, head_width,
        [=](int m, int n) { return load(d_weight + m * head_width + n); }, as_is);
  }
  const Strided<T> d_rows{d_out, 1, ldo};
  if (depth == 0) {
    if (d_x)
      gemm(rows, head_width, head.outputs, d_rows, parameters + head.weight, head_width, d_x, ld_dx, zero, as_is);
    return;
  }
  if (d_features) {
    delta_of(depth - 1, head.outputs, d_rows, parameters + head.weight,
             [=](int m, int n) { return load(d_features + m * head_width + n); });
  } else {
    delta_of(depth - 1, head.outputs, d_rows, parameters + head.weight, zero);
  }

  for (std::size_t l = depth; l-- > 0;) {
    const Layer& layer = layers_[l];
    const int width = padded(layer.outputs);
    const T* delta = workspace.delta_[l].data();
    if (gradient) {
      T* d_bias = gradient + layer.bias;
      for (int n = 0; n < width; n += L) {
        Vector<T> sum{};
        for (int r = 0; r < rows; ++r) sum += load(delta + r * width + n);
        store(d_bias + n, load(d_bias + n) + sum);
      }
      const T* input = l == 0 ? x : workspace.hidden_[l].data();
      const std::ptrdiff_t ld_input = l == 0 ? ldx : padded(layer.inputs);
      T* d_weight = gradient + layer.weight;
      gemm(
          layer.inputs, width, rows, Strided<T>{input, 1, ld_input}, delta, width, d_weight, width,
          [=](int m, int n) { return load(d_weight + m * width + n); }, as_is);
    }
    const Strided<T> a{delta, width, 1};
    if (l > 0) {
      delta_of(l - 1, layer.outputs, a, workspace.transpose_[l].data(), zero);
    } else if (d_x) {
      const int width_below = padded(layer.inputs);
      gemm(rows, width_below, layer.outputs, a, workspace.transpose_[0].data(), width_below, d_x, ld_dx, zero, as_is);
    }
  }
}

template <class T>
void Mlp<T>::input_gradient(const T* parameters, int rows, const Workspace& workspace, int first, int count, T* d_x,
                            std::ptrdiff_t ld) const {
  const Layer& layer = layers_.front();
  const int width = padded(layer.outputs);
  for (int k = 0; k < count; ++k) {
    dot_rows(workspace.delta_[0].data(), width, rows, parameters + layer.weight + (first + k) * width, width, T(0),
             d_x + k * ld);
  }
}

template class Mlp<float>;
template class Mlp<double>;

}  // namespace mobula::rl::nn
