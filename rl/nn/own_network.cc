#include "rl/nn/own_network.h"

#include "rl/nn/torch_library.h"

namespace mobula::rl::nn {

std::unique_ptr<OwnNetwork> make_own_network(const PolicySpec& spec) {
  const auto factory = reinterpret_cast<OwnNetworkFactory>(torch_function(kOwnNetworkFactory));
  return std::unique_ptr<OwnNetwork>(factory(spec));
}

}  // namespace mobula::rl::nn
