#include <gtest/gtest.h>

#include <vector>

#include "rl/nn/adam.h"
#include "tests/support/golden.h"

namespace mobula::rl::nn {
namespace {

using golden::json;
using golden::numbers;

TEST(GoldenOptimizers, AdamEqualsTorchTo1e10) {
  int covered = 0;
  golden::for_each_case("rl", "optimizers", [&covered](const json&, const json& run) {
    const std::string kind = run.at("kind");
    if (kind != "adam" || run.value("weight_decay", 0.0) != 0.0) {
      std::cout << "not covered: optimizer " << kind << ", case " << run.at("id") << '\n';
      return;
    }
    ++covered;
    const auto initial = numbers(run.at("initial"));
    const auto betas = run.contains("betas") ? numbers(run.at("betas")) : std::vector<double>{0.9, 0.999};
    const std::size_t size = padded(static_cast<int>(initial.size()));
    AlignedVector<double> parameters(size), gradient(size);
    std::copy(initial.begin(), initial.end(), parameters.begin());
    Adam<double> adam(size, {.beta1 = betas[0], .beta2 = betas[1], .eps = run.value("eps", 1e-8)});
    const json& expected = run.at("after_10_20_30_40_50");
    for (std::size_t step = 0; step < run.at("gradients").size(); ++step) {
      const auto g = numbers(run.at("gradients")[step]);
      std::copy(g.begin(), g.end(), gradient.begin());
      adam.step(parameters.data(), gradient.data(), 1.0, run.value("lr", 1e-3));
      if ((step + 1) % 10 != 0) continue;
      const auto after = numbers(expected.at((step + 1) / 10 - 1));
      for (std::size_t k = 0; k < after.size(); ++k) {
        golden::expect_close(parameters[k], after[k], 1e-10, "parameter after step " + std::to_string(step + 1));
      }
    }
  });
  EXPECT_GT(covered, 0) << "no case of Adam";
}

}  // namespace
}  // namespace mobula::rl::nn
