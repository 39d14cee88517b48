#include <gtest/gtest.h>

#include <vector>

#include "rl/nn/adam.h"
#include "rl/nn/rmsprop.h"
#include "rl/nn/sgd.h"
#include "tests/support/golden.h"

namespace mobula::rl::nn {
namespace {

using golden::json;
using golden::numbers;

// Runs the recorded gradients through `optimizer` and compares every tenth state.
template <class Optimizer>
void follow(const json& run, Optimizer optimizer, double lr) {
  const auto initial = numbers(run.at("initial"));
  const std::size_t size = padded(static_cast<int>(initial.size()));
  AlignedVector<double> parameters(size), gradient(size);
  std::copy(initial.begin(), initial.end(), parameters.begin());
  const json& expected = run.at("after_10_20_30_40_50");
  for (std::size_t step = 0; step < run.at("gradients").size(); ++step) {
    const auto g = numbers(run.at("gradients")[step]);
    std::copy(g.begin(), g.end(), gradient.begin());
    optimizer.step(parameters.data(), gradient.data(), 1.0, lr);
    if ((step + 1) % 10 != 0) continue;
    const auto after = numbers(expected.at((step + 1) / 10 - 1));
    for (std::size_t k = 0; k < after.size(); ++k) {
      golden::expect_close(parameters[k], after[k], 1e-10, "parameter after step " + std::to_string(step + 1));
    }
    for (std::size_t k = after.size(); k < size; ++k) ASSERT_EQ(parameters[k], 0.0) << "padding";
  }
}

void compare(const json& run, std::size_t size) {
  const std::string kind = run.at("kind");
  const double momentum = run.value("momentum", 0.0), lr = run.value("lr", 1e-3);
  if (kind == "adam" || kind == "adamw") {
    const auto betas = run.contains("betas") ? numbers(run.at("betas")) : std::vector<double>{0.9, 0.999};
    const double decay = run.value("weight_decay", kind == "adamw" ? 1e-2 : 0.0);
    follow(run,
           Adam<double>(size, {.beta1 = betas[0],
                               .beta2 = betas[1],
                               .eps = run.value("eps", 1e-8),
                               .weight_decay = decay,
                               .decoupled = kind == "adamw"}),
           lr);
  } else if (kind == "rmsprop" || kind == "rmsprop_tf") {
    follow(run,
           Rmsprop<double>(size, {.alpha = run.value("alpha", 0.99),
                                  .eps = run.value("eps", 1e-8),
                                  .momentum = momentum,
                                  .tensorflow_style = kind == "rmsprop_tf"}),
           lr);
  } else if (kind == "sgd") {
    follow(run, Sgd<double>(size, {.momentum = momentum, .nesterov = run.value("nesterov", false)}), lr);
  } else {
    ADD_FAILURE() << "no optimiser of kind " << kind;
  }
}

TEST(GoldenOptimizers, AllKindsEqualTorchTo1e10) {
  golden::for_each_case("rl", "optimizers", [](const json&, const json& run) {
    compare(run, padded(static_cast<int>(run.at("initial").size())));
  });
}

}  // namespace
}  // namespace mobula::rl::nn
