#include <gtest/gtest.h>

#include <vector>

#include "rl/buffers/advantage.h"
#include "tests/support/golden.h"

namespace mobula::rl {
namespace {

using golden::json;
using golden::numbers;

TEST(GoldenReturns, GeneralizedAdvantagesEqualTheReferenceTo1e10) {
  golden::for_each_case("rl", "returns", [](const json&, const json& batch) {
    const auto rewards = numbers(batch.at("rewards")), values = numbers(batch.at("values"));
    const auto last_values = numbers(batch.at("last_values")), final_values = numbers(batch.at("final_values"));
    const auto terminated = numbers<std::uint8_t>(batch.at("terminated"));
    const auto truncated = numbers<std::uint8_t>(batch.at("truncated"));
    std::vector<double> advantages(rewards.size()), returns(rewards.size());
    generalized_advantages<double>({.steps = static_cast<int>(batch.at("rewards").size()),
                                    .envs = static_cast<int>(last_values.size()),
                                    .gamma = batch.at("gamma"),
                                    .lambda = batch.at("lambda"),
                                    .rewards = rewards,
                                    .values = values,
                                    .last_values = last_values,
                                    .final_values = final_values,
                                    .terminated = terminated,
                                    .truncated = truncated},
                                   advantages, returns);
    const auto expected_advantages = numbers(batch.at("advantages")), expected_returns = numbers(batch.at("returns"));
    ASSERT_EQ(expected_advantages.size(), advantages.size());
    for (std::size_t k = 0; k < advantages.size(); ++k) {
      golden::expect_close(advantages[k], expected_advantages[k], 1e-10, "advantage " + std::to_string(k));
      golden::expect_close(returns[k], expected_returns[k], 1e-10, "return " + std::to_string(k));
    }
  });
}

}  // namespace
}  // namespace mobula::rl
