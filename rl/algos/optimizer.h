// The optimiser of a learner, chosen when it is made.
#pragma once

#include <mobula/rl/snapshot.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "rl/nn/adam.h"
#include "rl/nn/rmsprop.h"
#include "rl/nn/sgd.h"

namespace mobula::rl {

using OptimizerOptions = std::variant<nn::AdamOptions, nn::RmspropOptions, nn::SgdOptions>;

class Optimizer {
 public:
  // For buffers of `size` numbers, a multiple of nn::kPadding.
  Optimizer(std::size_t size, const OptimizerOptions& options)
      : which_(std::visit([&](const auto& o) { return made(size, o); }, options)) {}

  // One step on the gradient times `factor`.
  void step(float* parameters, const float* gradient, double factor, double lr) {
    std::visit([&](auto& optimizer) { optimizer.step(parameters, gradient, factor, lr); }, which_);
  }

  // All moments, behind each other. take() is given what an optimiser of the same kind and size appended, and throws
  // std::runtime_error if the bytes end too early.
  void append(std::vector<std::byte>& bytes) const {
    if (const auto* adam = std::get_if<nn::Adam<float>>(&which_)) {
      append_snapshot(bytes, adam->steps());
      append_numbers(bytes, adam->first_moments());
      append_numbers(bytes, adam->second_moments());
    } else if (const auto* rmsprop = std::get_if<nn::Rmsprop<float>>(&which_)) {
      append_numbers(bytes, rmsprop->mean_squares());
      append_numbers(bytes, rmsprop->momenta());
    } else {
      append_numbers(bytes, std::get<nn::Sgd<float>>(which_).momenta());
    }
  }
  void take(std::span<const std::byte>& bytes) {
    if (auto* adam = std::get_if<nn::Adam<float>>(&which_)) {
      std::int64_t steps = 0;
      take_snapshot(bytes, steps);
      const auto first = taken(bytes, adam->first_moments()), second = taken(bytes, adam->second_moments());
      adam->restore(steps, first, second);
    } else if (auto* rmsprop = std::get_if<nn::Rmsprop<float>>(&which_)) {
      const auto squares = taken(bytes, rmsprop->mean_squares()), momenta = taken(bytes, rmsprop->momenta());
      rmsprop->restore(squares, momenta);
    } else {
      auto& sgd = std::get<nn::Sgd<float>>(which_);
      sgd.restore(taken(bytes, sgd.momenta()));
    }
  }

 private:
  using Which = std::variant<nn::Adam<float>, nn::Rmsprop<float>, nn::Sgd<float>>;
  static Which made(std::size_t size, const nn::AdamOptions& o) { return nn::Adam<float>(size, o); }
  static Which made(std::size_t size, const nn::RmspropOptions& o) { return nn::Rmsprop<float>(size, o); }
  static Which made(std::size_t size, const nn::SgdOptions& o) { return nn::Sgd<float>(size, o); }

  static void append_numbers(std::vector<std::byte>& bytes, std::span<const float> numbers) {
    for (const float x : numbers) append_snapshot(bytes, x);
  }
  static std::vector<float> taken(std::span<const std::byte>& bytes, std::span<const float> like) {
    std::vector<float> numbers(like.size());
    for (float& x : numbers) take_snapshot(bytes, x);
    return numbers;
  }

  Which which_;
};

}  // namespace mobula::rl
