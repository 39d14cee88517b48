#include "rl/nn/rmsprop.h"

#include <algorithm>
#include <cassert>

#include "rl/nn/simd.h"

namespace mobula::rl::nn {

template <class T>
void Rmsprop<T>::step(T* parameters, const T* gradient, double factor, double lr) {
  const T scale = static_cast<T>(factor), rate = static_cast<T>(lr);
  momentum_.empty() ? steps<false>(parameters, gradient, scale, rate) : steps<true>(parameters, gradient, scale, rate);
}

template <class T>
template <bool momentum>
void Rmsprop<T>::steps(T* parameters, const T* gradient, T factor, T lr) {
  const T alpha = static_cast<T>(options_.alpha), rest = static_cast<T>(1.0 - options_.alpha);
  const T eps = static_cast<T>(options_.eps), keep = static_cast<T>(options_.momentum);
  const T inside = options_.tensorflow_style ? eps : T(0), outside = options_.tensorflow_style ? T(0) : eps;
  for (std::size_t k = 0; k < mean_square_.size(); k += kLanes<T>) {
    const Vector<T> g = load(gradient + k) * factor;
    const Vector<T> v = fma(g * g, splat(rest), load(mean_square_.data() + k) * alpha);
    store(mean_square_.data() + k, v);
    Vector<T> move = g / (sqrt(v + inside) + outside);
    if constexpr (momentum) {
      move = fma(load(momentum_.data() + k), splat(keep), move);
      store(momentum_.data() + k, move);
    }
    store(parameters + k, load(parameters + k) - move * lr);
  }
}

template <class T>
void Rmsprop<T>::restore(std::span<const T> mean_squares, std::span<const T> momenta) {
  assert(mean_squares.size() == mean_square_.size() && momenta.size() == momentum_.size());
  std::copy(mean_squares.begin(), mean_squares.end(), mean_square_.begin());
  std::copy(momenta.begin(), momenta.end(), momentum_.begin());
}

template class Rmsprop<float>;
template class Rmsprop<double>;

}  // namespace mobula::rl::nn
