#include "rl/torch/tensors.h"

#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <torch/csrc/autograd/autograd.h>

namespace mobula::rl::autograd {

void use_one_thread() {
  static const bool once = [] {
    try {
      at::set_num_interop_threads(1);
    } catch (const std::exception&) {  // someone in this process was faster; nothing of ours runs there
    }
    // Debian's LibTorch multiplies matrices with the system's BLAS, which has threads of its own.
    if (auto* set = reinterpret_cast<void (*)(int)>(::dlsym(RTLD_DEFAULT, "openblas_set_num_threads"))) set(1);
    return true;
  }();
  thread_local const bool here = (at::set_num_threads(1), true);
  static_cast<void>(once);
  static_cast<void>(here);
}

at::Device device_named(std::string_view name) {
  const at::Device device{std::string(name)};
  if (device.is_cuda()) {
    if (!at::hasCUDA()) {
      throw std::runtime_error(
          "device: " + std::string(name) +
          ": the LibTorch that was built with has no CUDA, or there is no GPU. Use device: cpu, or "
          "a LibTorch with CUDA (cmake -DMOBULA_TORCH_ROOT=...).");
    }
    try {
      at::empty({1}, at::TensorOptions(device));
    } catch (const c10::Error& error) {
      throw std::runtime_error("device: " + std::string(name) +
                               ": LibTorch cannot use it: " + error.what_without_backtrace());
    }
  }
  return device;
}

Parameters::Parameters(const nn::ParameterLayout& layout, std::size_t trainable, int units, at::Device device)
    : device_(device) {
  for (const auto& block : layout.blocks()) {
    if (block.offset >= trainable) break;
    Block b{block.name, {block.rows, block.columns}, {block.stride, 1}, static_cast<std::int64_t>(block.offset)};
    if (block.name.find(".memory.") != std::string::npos) {
      const int width = nn::padded(units);
      const int gates = block.columns == units ? 1 : block.columns / width;
      b.sizes = {block.rows, gates, units};
      b.strides = {block.stride, width, 1};
    }
    blocks_.push_back(std::move(b));
    size_ = static_cast<std::int64_t>(block.offset) + static_cast<std::int64_t>(block.rows) * block.stride;
  }
}

int Parameters::find(std::string_view name) const {
  for (std::size_t k = 0; k < blocks_.size(); ++k) {
    if (blocks_[k].name == name) return static_cast<int>(k);
  }
  return -1;
}

template <class T>
void Parameters::bind(const T* flat, bool learn) {
  bind_tensor(at::from_blob(const_cast<T*>(flat), {size_}, options_of<T>()).to(device_), learn);
}

void Parameters::bind_tensor(const at::Tensor& flat, bool learn) {
  tensors_.clear();
  for (const Block& b : blocks_) {
    at::Tensor leaf = flat.as_strided(b.sizes, b.strides, b.offset).detach();
    if (learn) leaf.requires_grad_();
    tensors_.push_back(std::move(leaf));
  }
}

void Parameters::adopt(int block, const at::Tensor& leaf) {
  at::Tensor& place = tensors_[static_cast<std::size_t>(block)];
  leaf.set_data(place.detach().view(leaf.sizes()));
  place = leaf;
}

template <class T>
void Parameters::gradient(const at::Tensor& loss, std::span<T> out) const {
  write_gradient(loss, at::from_blob(out.data(), {size_}, options_of<T>()));
}

void Parameters::write_gradient(const at::Tensor& loss, at::Tensor out) const {
  const auto gradients = torch::autograd::grad({loss}, tensors_, {}, {}, false, true);
  out.zero_();
  for (std::size_t k = 0; k < blocks_.size(); ++k) {
    const Block& b = blocks_[k];
    if (gradients[k].defined()) out.as_strided(b.sizes, b.strides, b.offset).copy_(gradients[k].reshape(b.sizes));
  }
}

template void Parameters::bind(const float*, bool);
template void Parameters::bind(const double*, bool);
template void Parameters::gradient(const at::Tensor&, std::span<float>) const;
template void Parameters::gradient(const at::Tensor&, std::span<double>) const;

}  // namespace mobula::rl::autograd
