// A layer with memory: LSTM (Hochreiter, Schmidhuber 1997; forget gates as in Gers et al. 2000) or GRU (Cho et al.
// 2014), in the forms of torch.nn.LSTM and torch.nn.GRU. Forward and backward passes through time, written by hand.
#pragma once

#include <mobula/random.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "rl/nn/parameters.h"

namespace mobula::rl::nn {

enum class Memory { none, lstm, gru };

struct RecurrentShape {
  Memory kind = Memory::lstm;
  int inputs = 0;
  int units = 0;
  bool operator==(const RecurrentShape&) const = default;
};

// Where the parameters lie and how to pass through them; holds none. T is float or double. With s the logistic
// function:
//   LSTM: i, f, o = s(W x + U h + b), g = tanh(W x + U h + b), c' = f c + i g, h' = o tanh(c')
//   GRU:  r, z = s(W x + U h + b), n = tanh(W x + b + r (U h + b_h)), h' = (1 - z) n + z h
//
// Parameters: NAME.input [inputs][gates], NAME.hidden [units][gates], NAME.bias [1][gates], and for a GRU
// NAME.hidden_bias [1][units]. The gates of all units lie side by side, i f g o or r z n, each in padded(units)
// columns, so that a step is one product.
//
// Sequences run side by side: tables are time-major, row (t * rows + r). A row's results depend on its own inputs, its
// state and the parameters alone, bit for bit, whatever the number of rows, and whether the steps were made in one call
// or one by one: what acted is what is learned from.
template <class T>
class Recurrent {
 public:
  // What a forward pass leaves for the backward pass. One per thread; grows as needed.
  class Workspace {
    friend class Recurrent;
    int steps_ = 0, rows_ = 0;
    AlignedVector<T> x_part_, gates_, new_, h_in_, c_in_, c_, d_x_side_, d_h_side_, d_h_, d_c_, hidden_t_, input_t_;
  };

  Recurrent(const RecurrentShape& shape, const std::string& name, ParameterLayout& layout);

  const RecurrentShape& shape() const { return shape_; }
  // Numbers in a row of `out`: the units, and zeros up to a whole group.
  int width() const { return padded(shape_.units); }
  // Numbers that a sequence carries from step to step: h, and c for an LSTM.
  int state_size() const { return shape_.kind == Memory::lstm ? 2 * shape_.units : shape_.units; }

  // Orthogonal matrices for each gate; biases zero, but one for an LSTM's forget gate (Jozefowicz et al. 2015).
  void initialize(T* parameters, Random& random) const;

  // x: [steps][rows] rows, ldx numbers apart. resets: [steps][rows], whether the state is zero before that step; may be
  // null. states: [rows], ld_state numbers apart, read as the state before the first step and left as that after the
  // last. out: [steps][rows][width()].
  void forward(const T* parameters, const T* x, std::ptrdiff_t ldx, int steps, int rows, const std::uint8_t* resets,
               T* states, std::ptrdiff_t ld_state, Workspace& workspace, T* out) const;

  // Once before backward() whenever the parameters changed; `inputs`: for gradients with respect to x too.
  void prepare_backward(const T* parameters, Workspace& workspace, bool inputs = false) const;

  // After forward() with the same x and resets: adds the gradient of sum(d_out * out) to `gradient` and, unless d_x is
  // null, writes that with respect to x, rows of padded(inputs) numbers or more, ld_dx apart. Nothing flows into the
  // initial states. Columns of d_out past the units must be zero; d_out is not changed.
  void backward(const T* parameters, const T* x, std::ptrdiff_t ldx, const std::uint8_t* resets, Workspace& workspace,
                const T* d_out, T* gradient, T* d_x = nullptr, std::ptrdiff_t ld_dx = 0) const;

 private:
  bool lstm() const { return shape_.kind == Memory::lstm; }
  int gates() const { return lstm() ? 4 : 3; }
  int gates_width() const { return gates() * width(); }
  void resize(Workspace& workspace, int steps, int rows) const;

  RecurrentShape shape_;
  std::size_t input_, hidden_, bias_, hidden_bias_ = 0;
};

extern template class Recurrent<float>;
extern template class Recurrent<double>;

}  // namespace mobula::rl::nn
