#include "rl/torch/own_network.h"

#include <ATen/Context.h>
#include <dlfcn.h>

#include <algorithm>
#include <sstream>

namespace mobula::rl::autograd {
namespace {

constexpr const char* kFactory = "mobula_torch_network_v1";

std::runtime_error wrong(const nn::PolicySpec& spec, const std::string& what) {
  return std::runtime_error("network: " + spec.network + ": " + what);
}

// One that acts: on the cpu, in float, a row at a time.
class Acting final : public nn::OwnNetwork {
 public:
  explicit Acting(const nn::PolicySpec& spec)
      : spec_(spec), network_(make_network(spec)), parameters_(network_->parameters()) {
    for (const at::Tensor& p : parameters_) sizes_.push_back(static_cast<std::size_t>(p.numel()));
  }

  const std::vector<std::size_t>& sizes() const override { return sizes_; }

  void initialize(std::uint64_t seed, const std::vector<std::size_t>& offsets, float* parameters) const override {
    guarded([&] {
      at::manual_seed(seed);
      const auto fresh = make_network(spec_);
      const auto values = fresh->parameters();
      for (std::size_t k = 0; k < values.size(); ++k) {
        at::from_blob(parameters + offsets[k], {values[k].numel()}).copy_(values[k].detach().reshape({-1}));
      }
    });
  }

  void forward(const float* parameters, const std::vector<std::size_t>& offsets, const float* observations, int rows,
               float* heads, float* values) override {
    guarded([&] {
      const c10::NoGradGuard no_gradients;
      if (parameters != bound_) {
        for (std::size_t k = 0; k < parameters_.size(); ++k) {
          parameters_[k].set_data(at::from_blob(const_cast<float*>(parameters) + offsets[k], parameters_[k].sizes()));
        }
        bound_ = parameters;
      }
      const int width = spec_.observation_size, outputs = spec_.action.head_size();
      for (int r = 0; r < rows; ++r) {
        const std::span<const float> row(observations + static_cast<std::ptrdiff_t>(r) * width,
                                         static_cast<std::size_t>(width));
        const auto [head, value] = pass(*network_, spec_, table<float>(row, {1, width}, at::kCPU));
        at::from_blob(heads + static_cast<std::ptrdiff_t>(r) * outputs, {1, outputs}).copy_(head);
        values[r] = value.item<float>();
      }
    });
  }

 private:
  const nn::PolicySpec spec_;
  const std::unique_ptr<TorchNetwork> network_;
  const std::vector<at::Tensor> parameters_;
  std::vector<std::size_t> sizes_;
  const float* bound_ = nullptr;
};

}  // namespace

std::unique_ptr<TorchNetwork> make_network(const nn::PolicySpec& spec) {
  void* handle = ::dlopen(spec.network.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char* said = ::dlerror();
    throw wrong(spec, std::string("cannot be loaded: ") + (said ? said : ""));
  }
  using Factory = TorchNetwork* (*)(const TorchNetworkSpec&);
  const auto factory = reinterpret_cast<Factory>(::dlsym(handle, kFactory));
  if (!factory) {
    throw wrong(spec, std::string("it exports no function ") + kFactory +
                          ", which <mobula/rl/torch_network.h> declares. Is that header included where it is defined?");
  }
  std::unique_ptr<TorchNetwork> network(factory({spec.observation_size, spec.action.head_size()}));
  if (!network) throw wrong(spec, std::string(kFactory) + " returned no network");
  const auto parameters = network->parameters();
  if (parameters.empty()) throw wrong(spec, "the network has no parameters");
  for (const at::Tensor& p : parameters) {
    const bool fits = p.defined() && p.is_cpu() && p.scalar_type() == at::kFloat && p.is_leaf() && p.requires_grad();
    if (!fits) throw wrong(spec, "its parameters have to be leaves that require gradients, of floats, on the cpu");
  }
  return network;
}

HeadAndValue pass(TorchNetwork& network, const nn::PolicySpec& spec, const at::Tensor& observations) {
  HeadAndValue out;
  network.forward(observations, out.head, out.value);
  const std::int64_t rows = observations.size(0), outputs = spec.action.head_size();
  const bool fits = out.head.defined() && out.value.defined() && out.head.sizes() == at::IntArrayRef({rows, outputs}) &&
                    out.value.sizes() == at::IntArrayRef({rows});
  if (fits) return out;
  std::ostringstream found;
  found << "forward() of " << rows << " observations has to give a head of [" << rows << ", " << outputs
        << "] and values of [" << rows << "]; it gave ";
  out.head.defined() ? found << out.head.sizes() : found << "none";
  found << " and ";
  out.value.defined() ? found << out.value.sizes() : found << "none";
  throw wrong(spec, found.str());
}

}  // namespace mobula::rl::autograd

extern "C" [[gnu::visibility("default")]] mobula::rl::nn::OwnNetwork* mobula_torch_own_network_v1(
    const mobula::rl::nn::PolicySpec& spec) {
  return mobula::rl::autograd::guarded([&] { return new mobula::rl::autograd::Acting(spec); });
}
