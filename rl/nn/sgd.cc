#include "rl/nn/sgd.h"

#include <algorithm>
#include <cassert>

#include "rl/nn/simd.h"

namespace mobula::rl::nn {

template <class T>
void Sgd<T>::step(T* parameters, const T* gradient, double factor, double lr) {
  const T scale = static_cast<T>(factor), rate = static_cast<T>(lr), keep = static_cast<T>(options_.momentum);
  for (std::size_t k = 0; k < size_; k += kLanes<T>) {
    Vector<T> move = load(gradient + k) * scale;
    if (!momentum_.empty()) {
      const Vector<T> b = fma(load(momentum_.data() + k), splat(keep), move);
      store(momentum_.data() + k, b);
      move = options_.nesterov ? fma(b, splat(keep), move) : b;
    }
    store(parameters + k, load(parameters + k) - move * rate);
  }
}

template <class T>
void Sgd<T>::restore(std::span<const T> momenta) {
  assert(momenta.size() == momentum_.size());
  std::copy(momenta.begin(), momenta.end(), momentum_.begin());
}

template class Sgd<float>;
template class Sgd<double>;

}  // namespace mobula::rl::nn
