#include "rl/algos/offpolicy/twin_critics.h"

#include <algorithm>

namespace mobula::rl {
namespace {

constexpr int kLd = nn::kBlockRows;

}  // namespace

template <class T>
TwinCritics<T>::TwinCritics(int inputs, const std::vector<int>& hidden, int outputs, nn::Activation activation)
    : inputs_(inputs),
      outputs_(outputs),
      first_({inputs, hidden, outputs, activation}, "critic1", layout_),
      second_({inputs, hidden, outputs, activation}, "critic2", layout_),
      workspaces_{first_.make_workspace(), second_.make_workspace()},
      d_out_(static_cast<std::size_t>(kLd) * outputs),
      d_inputs_(static_cast<std::size_t>(kLd) * inputs),
      gradient_(layout_.size()) {
  for (auto& out : out_) out.resize(static_cast<std::size_t>(kLd) * outputs);
}

template <class T>
nn::AlignedVector<T> TwinCritics<T>::initial_parameters(Random& random) const {
  nn::AlignedVector<T> parameters(size());
  first_.initialize_uniform(parameters.data(), random);
  second_.initialize_uniform(parameters.data(), random);
  return parameters;
}

template <class T>
void TwinCritics<T>::smaller(const T* parameters, const T* x, int rows, T* out) {
  for (int first = 0; first < rows; first += kLd) {
    const int count = std::min(kLd, rows - first);
    for (int k = 0; k < 2; ++k) {
      net(k).forward(parameters, x + static_cast<std::ptrdiff_t>(first) * inputs_, inputs_, count, workspaces_[k],
                     out_[k].data(), kLd);
    }
    for (int r = 0; r < count; ++r) {
      for (int o = 0; o < outputs_; ++o) {
        out[static_cast<std::ptrdiff_t>(first + r) * outputs_ + o] =
            std::min(out_[0][o * kLd + r], out_[1][o * kLd + r]);
      }
    }
  }
}

template <class T>
typename TwinCritics<T>::Fit TwinCritics<T>::fit(const T* parameters, const T* x, const T* actions, const T* y,
                                                 int rows, double factor) {
  std::fill(gradient_.begin(), gradient_.end(), T(0));
  const T scale = static_cast<T>(2.0 * factor / rows);
  Fit fit;
  for (int k = 0; k < 2; ++k) {
    net(k).prepare_backward(parameters, workspaces_[k]);
    for (int first = 0; first < rows; first += kLd) {
      const int count = std::min(kLd, rows - first);
      const T* of_block = x + static_cast<std::ptrdiff_t>(first) * inputs_;
      net(k).forward(parameters, of_block, inputs_, count, workspaces_[k], out_[k].data(), kLd);
      std::fill(d_out_.begin(), d_out_.end(), T(0));
      for (int r = 0; r < count; ++r) {
        const int o = actions ? static_cast<int>(actions[first + r]) : 0;
        const T q = out_[k][o * kLd + r];
        const T error = q - y[first + r];
        d_out_[o * kLd + r] = scale * error;
        fit.loss += factor * static_cast<double>(error) * static_cast<double>(error);
        fit.q_mean += q;
      }
      net(k).backward(parameters, of_block, inputs_, count, workspaces_[k], d_out_.data(), kLd, gradient_.data());
    }
  }
  fit.loss /= rows;
  fit.q_mean /= 2.0 * rows;
  return fit;
}

template <class T>
void TwinCritics<T>::slope(const T* parameters, const T* x, int rows, bool both, int begin, int width, T* value,
                           T* d_x) {
  const int critics = both ? 2 : 1;
  for (int k = 0; k < critics; ++k) net(k).prepare_backward(parameters, workspaces_[k]);
  for (int first = 0; first < rows; first += kLd) {
    const int count = std::min(kLd, rows - first);
    const T* of_block = x + static_cast<std::ptrdiff_t>(first) * inputs_;
    for (int k = 0; k < critics; ++k) {
      net(k).forward(parameters, of_block, inputs_, count, workspaces_[k], out_[k].data(), kLd);
    }
    T* d_block = d_x + static_cast<std::ptrdiff_t>(first) * width;
    std::fill_n(d_block, static_cast<std::ptrdiff_t>(count) * width, T(0));
    for (int k = 0; k < critics; ++k) {
      for (int r = 0; r < count; ++r) {
        const bool chosen = critics == 1 || (out_[0][r] <= out_[1][r]) == (k == 0);
        d_out_[r] = chosen ? T(1) : T(0);
        if (chosen) value[first + r] = out_[k][r];
      }
      net(k).backward(parameters, of_block, inputs_, count, workspaces_[k], d_out_.data(), kLd, nullptr);
      net(k).input_gradient(parameters, count, workspaces_[k], begin, width, d_inputs_.data(), kLd);
      for (int r = 0; r < count; ++r) {
        for (int d = 0; d < width; ++d) d_block[r * width + d] += d_inputs_[d * kLd + r];
      }
    }
  }
}

template class TwinCritics<float>;
template class TwinCritics<double>;

}  // namespace mobula::rl
