#pragma once

#include <vector>

namespace at {
class Tensor;
}

namespace mobula::rl {

/// What a network of one's own is to fit.
struct TorchNetworkSpec {
  int observation_size = 0;
  int outputs = 0;  ///< logits of all choices together, or the means of a box
};

/// A policy and its value function, written with LibTorch, in a library of one's own:
///
///   extern "C" mobula::rl::TorchNetwork* mobula_torch_network_v1(const mobula::rl::TorchNetworkSpec& spec) {
///     return new MyNetwork(spec);
///   }
///
/// for `algorithm: {learner: torch, network: libmy_network.so}` of ppo, a2c, impala and appo. Built with the LibTorch
/// that libmobula_torch.so was built with; nothing of Mobula is linked. Calls come from one thread at a time for each
/// object. What is thrown ends the run with its message. For examples/own_network.
class TorchNetwork {
 public:
  virtual ~TorchNetwork() = default;

  /// All that is learnt, in an order that does not change: `parameters()` of a torch::nn::Module. They are made to lie
  /// in Mobula's own array, so a network keeps these tensors and makes no others of them. Their values after
  /// construction are where learning starts; the factory is called with LibTorch's generator seeded by the run's seed.
  /// Anything else (running means, say) is not saved, not sent to workers and should not be there.
  virtual std::vector<at::Tensor> parameters() = 0;

  /// From observations [rows][observation_size], as the environment gives them or normalised: `head` [rows][outputs]
  /// and `value` [rows]. Rows are independent of each other: they come one by one when acting, and many when learning.
  virtual void forward(const at::Tensor& observations, at::Tensor& head, at::Tensor& value) = 0;
};

}  // namespace mobula::rl

/// What the library defines.
extern "C" [[gnu::visibility("default")]] mobula::rl::TorchNetwork* mobula_torch_network_v1(
    const mobula::rl::TorchNetworkSpec& spec);
