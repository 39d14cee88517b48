// Tensors over the flat arrays and tables that the learners hold.
#pragma once

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "rl/nn/parameters.h"

namespace mobula::rl::autograd {

// One thread for each caller, so that sums have one order and learners do not fight over cores. LibTorch keeps this per
// thread, and its BLAS beside it.
void use_one_thread();

// Everything that is called from outside runs in here: LibTorch's errors leave as std::runtime_error.
template <class Body>
auto guarded(const Body& body) {
  use_one_thread();
  try {
    return body();
  } catch (const c10::Error& error) {
    throw std::runtime_error(std::string("LibTorch: ") + error.what_without_backtrace());
  }
}

// Throws std::runtime_error if this LibTorch has no such device here.
at::Device device_named(std::string_view name);

template <class T>
at::TensorOptions options_of() {
  return at::TensorOptions(c10::CppTypeToScalarType<T>::value);
}

// Looks at the numbers, no copy, unless they must go to another device.
template <class T>
at::Tensor table(std::span<const T> numbers, at::IntArrayRef sizes, at::Device device) {
  return at::from_blob(const_cast<T*>(numbers.data()), sizes, options_of<T>()).to(device);
}

inline double number(const at::Tensor& scalar) {
  return scalar.item<double>();
}

// Leaves of a graph over a flat array, a tensor a block: [rows][columns], but of a layer with memory, whose gates are
// padded one by one, [rows][gates][units].
class Parameters {
 public:
  // `units` of the layers with memory, if there are any. The first `trainable` numbers are learnt.
  Parameters(const nn::ParameterLayout& layout, std::size_t trainable, int units, at::Device device);

  int find(std::string_view name) const;  // -1 if there is none
  const at::Tensor& operator[](int block) const { return tensors_[static_cast<std::size_t>(block)]; }

  // For the passes to come, until the array changes or goes.
  template <class T>
  void bind(const T* flat, bool learn);
  // In place of a block comes this leaf, which is made to look at the block's numbers.
  void adopt(int block, const at::Tensor& leaf);
  // Of a scalar with respect to all that is learnt, to `out`, whose padding is set to zero.
  template <class T>
  void gradient(const at::Tensor& loss, std::span<T> out) const;

 private:
  struct Block {
    std::string name;
    std::vector<std::int64_t> sizes, strides;
    std::int64_t offset = 0;
  };
  void bind_tensor(const at::Tensor& flat, bool learn);
  void write_gradient(const at::Tensor& loss, at::Tensor out) const;

  std::int64_t size_ = 0;
  at::Device device_;
  std::vector<Block> blocks_;
  std::vector<at::Tensor> tensors_;
};

}  // namespace mobula::rl::autograd
