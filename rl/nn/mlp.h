// A multi-layer perceptron: forward and backward passes written by hand on blocks of rows that stay in the first-level
// cache.
#pragma once

#include <mobula/random.h>

#include <cstddef>
#include <string>
#include <vector>

#include "rl/nn/activation.h"
#include "rl/nn/parameters.h"

namespace mobula::rl::nn {

struct MlpShape {
  int inputs = 0;
  std::vector<int> hidden;  // may be empty: a linear map
  int outputs = 0;
  Activation activation = Activation::tanh;
  bool operator==(const MlpShape&) const = default;
};

// Rows are handled in blocks of at most this many; passes over larger batches are loops of the caller.
inline constexpr int kBlockRows = 64;

// Where the parameters lie and how to pass through them; holds no parameters itself. T is float or double.
//
// Parameters of hidden layer l: NAME.l.weight is [in][out], NAME.l.bias [1][out]. Of the last layer: NAME.head.weight
// is [out][in], NAME.head.bias [1][out]. (Outputs are few: each is a dot product along the last hidden row.) Outputs
// are component-major: output k of row r lies at out[k * ldo + r].
//
// A row's outputs depend on the row and the parameters alone, bit for bit, whatever the number of rows.
template <class T>
class Mlp {
 public:
  // What one pass leaves for the next: activations of a block, transposed weights. One per thread.
  class Workspace {
    friend class Mlp;

   public:
    // Hands on what prepare_backward() left, for networks whose blocks have a workspace each.
    void swap_prepared(Workspace& other) { transpose_.swap(other.transpose_); }

   private:
    std::vector<AlignedVector<T>> hidden_;     // [layer][kBlockRows][width]
    std::vector<AlignedVector<T>> before_;     // before the activation, where its slope depends on that
    std::vector<AlignedVector<T>> delta_;      // gradients with respect to the pre-activations, same shapes
    std::vector<AlignedVector<T>> transpose_;  // [layer]: weights as [out][in], for layers after the first
  };

  // Appends the parameters to the layout.
  Mlp(const MlpShape& shape, const std::string& name, ParameterLayout& layout);

  const MlpShape& shape() const { return shape_; }
  Workspace make_workspace() const;

  // Orthogonal weights (gain sqrt 2 in the hidden layers, head_gain in the last; Saxe et al. 2014), zero biases.
  // Padding is zero.
  void initialize(T* parameters, double head_gain, Random& random) const;
  // Weights and biases uniform in +-1/sqrt(inputs of the layer): what torch.nn.Linear starts with, and with it the
  // off-policy algorithms of Stable-Baselines3.
  void initialize_uniform(T* parameters, Random& random) const;
  // The same for a last layer that serves two: its first outputs - 1 rows together with head_gain, then the last row by
  // itself with last_gain.
  void initialize(T* parameters, double head_gain, double last_gain, Random& random) const;

  // rows <= kBlockRows rows of x (ldx numbers apart) to out. Leaves the activations in the workspace.
  void forward(const T* parameters, const T* x, std::ptrdiff_t ldx, int rows, Workspace& workspace, T* out,
               std::ptrdiff_t ldo) const;

  // After forward(), where there is a hidden layer: what the last layer saw, [row][padded(hidden.back())].
  const T* features(const Workspace& workspace) const { return workspace.hidden_.back().data(); }

  // Once before backward() whenever the parameters changed; `inputs`: for gradients with respect to x too.
  void prepare_backward(const T* parameters, Workspace& workspace, bool inputs = false) const;

  // After forward() of the same rows: adds the gradient of sum(d_out * out) to `gradient` (as the parameters), unless
  // that is null, and writes its gradient with respect to x to d_x, unless that is null: rows of padded(inputs) numbers
  // or more, ld_dx apart. `x` must be what forward() got. Where the loss depends on features() otherwise than through
  // the outputs, d_features is its gradient with respect to these, laid out as they are.
  void backward(const T* parameters, const T* x, std::ptrdiff_t ldx, int rows, Workspace& workspace, const T* d_out,
                std::ptrdiff_t ldo, T* gradient, T* d_x = nullptr, std::ptrdiff_t ld_dx = 0,
                const T* d_features = nullptr) const;

  // After backward(): the gradient with respect to inputs first .. first + count - 1, component-major as outputs are.
  // Needs a hidden layer.
  void input_gradient(const T* parameters, int rows, const Workspace& workspace, int first, int count, T* d_x,
                      std::ptrdiff_t ld) const;

 private:
  void initialize_layer(T* parameters, std::size_t layer, int first, int outputs, double gain, Random& random) const;

  struct Layer {
    int inputs, outputs;
    std::size_t weight, bias;
  };
  MlpShape shape_;
  std::vector<Layer> layers_;  // hidden ones, then the head
};

extern template class Mlp<float>;
extern template class Mlp<double>;

}  // namespace mobula::rl::nn
