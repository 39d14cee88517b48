#include "rl/nn/recurrent.h"

#include <algorithm>

#include "rl/nn/activation.h"
#include "rl/nn/gemm.h"
#include "rl/nn/orthogonal.h"

namespace mobula::rl::nn {
namespace {

// out [columns][ld_out] = in [rows][ld_in] transposed.
template <class T>
void transpose(const T* in, int rows, int columns, int ld_in, T* out, int ld_out) {
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c) out[c * ld_out + r] = in[r * ld_in + c];
  }
}

template <class T>
constexpr auto as_is = [](Vector<T> value, int, int) { return value; };
template <class T>
constexpr auto zero = [](int, int) { return Vector<T>{}; };

}  // namespace

template <class T>
Recurrent<T>::Recurrent(const RecurrentShape& shape, const std::string& name, ParameterLayout& layout)
    : shape_(shape),
      input_(layout.add(name + ".input", shape.inputs, gates_width())),
      hidden_(layout.add(name + ".hidden", shape.units, gates_width())),
      bias_(layout.add(name + ".bias", 1, gates_width())) {
  if (!lstm()) hidden_bias_ = layout.add(name + ".hidden_bias", 1, shape.units);
}

template <class T>
void Recurrent<T>::initialize(T* parameters, Random& random) const {
  const int units = shape_.units;
  const auto fill = [&](std::size_t block, int inputs) {
    for (int g = 0; g < gates(); ++g) {
      const auto matrix = orthogonal(units, inputs, 1.0, random);
      for (int u = 0; u < units; ++u) {
        for (int i = 0; i < inputs; ++i) {
          parameters[block + static_cast<std::size_t>(i) * gates_width() + g * width() + u] =
              static_cast<T>(matrix[static_cast<std::size_t>(u) * inputs + i]);
        }
      }
    }
  };
  fill(input_, shape_.inputs);
  fill(hidden_, units);
  std::fill_n(parameters + bias_, gates_width(), T(0));
  if (lstm()) std::fill_n(parameters + bias_ + width(), units, T(1));
  if (!lstm()) std::fill_n(parameters + hidden_bias_, units, T(0));
}

template <class T>
void Recurrent<T>::resize(Workspace& w, int steps, int rows) const {
  w.steps_ = steps;
  w.rows_ = rows;
  const std::size_t cells = static_cast<std::size_t>(steps) * rows;
  const auto grow = [](AlignedVector<T>& v, std::size_t size) {
    if (v.size() < size) v.resize(size);
  };
  for (auto* table : {&w.x_part_, &w.gates_}) grow(*table, cells * gates_width());
  grow(w.h_in_, cells * width());
  if (lstm()) {
    grow(w.c_in_, cells * width());
    grow(w.c_, cells * width());
  } else {
    grow(w.new_, cells * width());
  }
}

template <class T>
void Recurrent<T>::forward(const T* parameters, const T* x, std::ptrdiff_t ldx, int steps, int rows,
                           const std::uint8_t* resets, T* states, std::ptrdiff_t ld_state, Workspace& w, T* out) const {
  constexpr int L = kLanes<T>;
  const int units = shape_.units, h_width = width(), g_width = gates_width();
  resize(w, steps, rows);
  // The inputs' share of the gates of all steps at once.
  const T* bias = parameters + bias_;
  gemm(
      steps * rows, g_width, shape_.inputs, Strided<T>{x, ldx, 1}, parameters + input_, g_width, w.x_part_.data(),
      g_width, [bias](int, int n) { return load(bias + n); }, as_is<T>);

  for (int t = 0; t < steps; ++t) {
    const std::size_t first = static_cast<std::size_t>(t) * rows;
    T* h_in = w.h_in_.data() + first * h_width;
    T* c_in = lstm() ? w.c_in_.data() + first * h_width : nullptr;
    for (int r = 0; r < rows; ++r) {
      const bool forget = resets && resets[first + r];
      const T* h = t == 0 ? states + r * ld_state : out + (first - rows + r) * h_width;
      const T* c = t == 0 ? h + units : w.c_.data() + (first - rows + r) * h_width;
      for (int u = 0; u < h_width; ++u) h_in[r * h_width + u] = forget || u >= units ? T(0) : h[u];
      if (!lstm()) continue;
      for (int u = 0; u < h_width; ++u) c_in[r * h_width + u] = forget || u >= units ? T(0) : c[u];
    }
    const T* x_part = w.x_part_.data() + first * g_width;
    T* gates = w.gates_.data() + first * g_width;
    const Strided<T> a{h_in, h_width, 1};
    if (lstm()) {
      gemm(
          rows, g_width, units, a, parameters + hidden_, g_width, gates, g_width,
          [=](int m, int n) { return load(x_part + m * g_width + n); }, as_is<T>);
    } else {  // the new state's share is kept apart from the inputs': the reset gate comes between them
      const T* hidden_bias = parameters + hidden_bias_;
      gemm(
          rows, g_width, units, a, parameters + hidden_, g_width, gates, g_width,
          [=](int m, int n) {
            return n < 2 * h_width ? load(x_part + m * g_width + n) : load(hidden_bias + n - 2 * h_width);
          },
          as_is<T>);
    }
    for (int r = 0; r < rows; ++r) {
      T* g = gates + r * g_width;
      T* h = out + (first + r) * h_width;
      for (int u = 0; u < h_width; u += L) {
        if (lstm()) {
          const Vector<T> in = sigmoid(load(g + u)), keep = sigmoid(load(g + h_width + u));
          const Vector<T> fresh = tanh(load(g + 2 * h_width + u)), show = sigmoid(load(g + 3 * h_width + u));
          const Vector<T> c = fma(keep, load(c_in + r * h_width + u), in * fresh);
          store(g + u, in);
          store(g + h_width + u, keep);
          store(g + 2 * h_width + u, fresh);
          store(g + 3 * h_width + u, show);
          store(w.c_.data() + (first + r) * h_width + u, c);
          store(h + u, show * tanh(c));
        } else {
          const Vector<T> reset = sigmoid(load(g + u)), keep = sigmoid(load(g + h_width + u));
          const Vector<T> from_h = load(g + 2 * h_width + u);
          const Vector<T> fresh = tanh(fma(reset, from_h, load(x_part + r * g_width + 2 * h_width + u)));
          store(g + u, reset);
          store(g + h_width + u, keep);
          store(w.new_.data() + (first + r) * h_width + u, fresh);
          store(h + u, fma(keep, load(h_in + r * h_width + u) - fresh, fresh));
        }
      }
    }
  }
  const std::size_t last = static_cast<std::size_t>(steps - 1) * rows;
  for (int r = 0; r < rows; ++r) {
    std::copy_n(out + (last + r) * h_width, units, states + r * ld_state);
    if (lstm()) std::copy_n(w.c_.data() + (last + r) * h_width, units, states + r * ld_state + units);
  }
}

template <class T>
void Recurrent<T>::prepare_backward(const T* parameters, Workspace& w, bool inputs) const {
  w.hidden_t_.resize(static_cast<std::size_t>(gates_width()) * width());
  transpose(parameters + hidden_, shape_.units, gates_width(), gates_width(), w.hidden_t_.data(), width());
  if (!inputs) return;
  w.input_t_.resize(static_cast<std::size_t>(gates_width()) * padded(shape_.inputs));
  transpose(parameters + input_, shape_.inputs, gates_width(), gates_width(), w.input_t_.data(), padded(shape_.inputs));
}

template <class T>
void Recurrent<T>::backward(const T* parameters, const T* x, std::ptrdiff_t ldx, const std::uint8_t* resets,
                            Workspace& w, const T* d_out, T* gradient, T* d_x, std::ptrdiff_t ld_dx) const {
  (void)parameters;
  constexpr int L = kLanes<T>;
  const int rows = w.rows_, units = shape_.units, h_width = width(), g_width = gates_width();
  const std::size_t cells = static_cast<std::size_t>(w.steps_) * rows;
  w.d_x_side_.resize(cells * g_width);
  if (!lstm()) w.d_h_side_.resize(cells * g_width);
  w.d_h_.assign(static_cast<std::size_t>(rows) * h_width, T(0));  // from the steps after
  w.d_c_.assign(lstm() ? w.d_h_.size() : 0, T(0));
  const Vector<T> one = splat(T(1));

  for (int t = w.steps_ - 1; t >= 0; --t) {
    const std::size_t first = static_cast<std::size_t>(t) * rows;
    T* side = (lstm() ? w.d_x_side_ : w.d_h_side_).data() + first * g_width;
    for (int r = 0; r < rows; ++r) {
      const std::size_t row = first + r;
      const T* g = w.gates_.data() + row * g_width;
      T* d_g = w.d_x_side_.data() + row * g_width;
      for (int u = 0; u < h_width; u += L) {
        const std::size_t k = row * h_width + u;
        T* after = w.d_h_.data() + r * h_width + u;
        const Vector<T> d_h = load(d_out + k) + load(after);
        if (lstm()) {
          const Vector<T> in = load(g + u), keep = load(g + h_width + u), fresh = load(g + 2 * h_width + u),
                          show = load(g + 3 * h_width + u);
          const Vector<T> tanh_c = tanh(load(w.c_.data() + k));
          T* d_c_after = w.d_c_.data() + r * h_width + u;
          const Vector<T> d_c = fma(d_h * show, one - tanh_c * tanh_c, load(d_c_after));
          store(d_g + u, d_c * fresh * in * (one - in));
          store(d_g + h_width + u, d_c * load(w.c_in_.data() + k) * keep * (one - keep));
          store(d_g + 2 * h_width + u, d_c * in * (one - fresh * fresh));
          store(d_g + 3 * h_width + u, d_h * tanh_c * show * (one - show));
          store(d_c_after, d_c * keep);
        } else {
          const Vector<T> reset = load(g + u), keep = load(g + h_width + u), from_h = load(g + 2 * h_width + u);
          const Vector<T> fresh = load(w.new_.data() + k);
          const Vector<T> d_new = d_h * (one - keep) * (one - fresh * fresh);
          const Vector<T> d_reset = d_new * from_h * reset * (one - reset);
          const Vector<T> d_keep = d_h * (load(w.h_in_.data() + k) - fresh) * keep * (one - keep);
          T* d_s = side + r * g_width;
          for (T* d : {d_g, d_s}) {
            store(d + u, d_reset);
            store(d + h_width + u, d_keep);
          }
          store(d_g + 2 * h_width + u, d_new);
          store(d_s + 2 * h_width + u, d_new * reset);
          store(after, d_h * keep);  // the direct way; the gates' is added below
        }
      }
    }
    T* d_h = w.d_h_.data();
    const Strided<T> a{side, g_width, 1};
    if (lstm()) {
      gemm(rows, h_width, g_width, a, w.hidden_t_.data(), h_width, d_h, h_width, zero<T>, as_is<T>);
    } else {
      gemm(
          rows, h_width, g_width, a, w.hidden_t_.data(), h_width, d_h, h_width,
          [=](int m, int n) { return load(d_h + m * h_width + n); }, as_is<T>);
    }
    for (int r = 0; r < rows; ++r) {
      if (!resets || !resets[first + r]) continue;
      std::fill_n(d_h + r * h_width, h_width, T(0));
      if (lstm()) std::fill_n(w.d_c_.data() + r * h_width, h_width, T(0));
    }
  }

  const T* d_gates = w.d_x_side_.data();
  const T* d_side = (lstm() ? w.d_x_side_ : w.d_h_side_).data();
  const int depth = static_cast<int>(cells);
  const auto add_product = [&](int m_rows, const T* left, std::ptrdiff_t ld, const T* right, std::size_t block) {
    T* target = gradient + block;
    gemm(
        m_rows, g_width, depth, Strided<T>{left, 1, ld}, right, g_width, target, g_width,
        [=](int m, int n) { return load(target + m * g_width + n); }, as_is<T>);
  };
  add_product(shape_.inputs, x, ldx, d_gates, input_);
  add_product(units, w.h_in_.data(), h_width, d_side, hidden_);
  const auto add_column_sums = [&](const T* table, int columns, std::size_t block) {
    for (int n = 0; n < columns; n += L) {
      Vector<T> sum = load(gradient + block + n);
      for (std::size_t k = 0; k < cells; ++k) sum += load(table + k * g_width + n);
      store(gradient + block + n, sum);
    }
  };
  add_column_sums(d_gates, g_width, bias_);
  if (!lstm()) add_column_sums(d_side + 2 * h_width, h_width, hidden_bias_);
  if (d_x) {
    const int below = padded(shape_.inputs);
    gemm(depth, below, g_width, Strided<T>{d_gates, g_width, 1}, w.input_t_.data(), below, d_x, ld_dx, zero<T>,
         as_is<T>);
  }
}

template class Recurrent<float>;
template class Recurrent<double>;

}  // namespace mobula::rl::nn
