// A convolutional policy for the pictures of catch.cc, as a library that Mobula loads.
#include <mobula/rl/torch_network.h>
#include <torch/torch.h>

#include <vector>

namespace {

constexpr int kSide = 8;

class Convolutional : public torch::nn::Module, public mobula::rl::TorchNetwork {
 public:
  explicit Convolutional(const mobula::rl::TorchNetworkSpec& spec)
      : picture_(register_module("picture", torch::nn::Conv2d(torch::nn::Conv2dOptions(1, 8, 3).stride(1)))),
        smaller_(register_module("smaller", torch::nn::Conv2d(torch::nn::Conv2dOptions(8, 16, 3).stride(2)))),
        joined_(register_module("joined", torch::nn::Linear(16 * 2 * 2, 32))),
        head_(register_module("head", torch::nn::Linear(32, spec.outputs))),
        value_(register_module("value", torch::nn::Linear(32, 1))) {}

  std::vector<at::Tensor> parameters() override { return torch::nn::Module::parameters(); }

  void forward(const at::Tensor& observations, at::Tensor& head, at::Tensor& value) override {
    at::Tensor x = observations.view({-1, 1, kSide, kSide});
    x = smaller_->forward(picture_->forward(x).relu()).relu();
    x = joined_->forward(x.flatten(1)).relu();
    head = head_->forward(x);
    value = value_->forward(x).squeeze(1);
  }

 private:
  torch::nn::Conv2d picture_, smaller_;
  torch::nn::Linear joined_, head_, value_;
};

}  // namespace

extern "C" mobula::rl::TorchNetwork* mobula_torch_network_v1(const mobula::rl::TorchNetworkSpec& spec) {
  return new Convolutional(spec);
}
