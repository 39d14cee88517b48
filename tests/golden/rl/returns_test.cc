#include <gtest/gtest.h>

#include <vector>

#include "rl/buffers/advantage.h"
#include "rl/buffers/returns.h"
#include "rl/buffers/vtrace.h"
#include "tests/support/golden.h"

namespace mobula::rl {
namespace {

using golden::json;
using golden::numbers;

// A batch of the file, with the tables that its input refers to.
struct Batch {
  explicit Batch(const json& batch)
      : rewards(numbers(batch.at("rewards"))),
        values(numbers(batch.at("values"))),
        last_values(numbers(batch.at("last_values"))),
        final_values(numbers(batch.at("final_values"))),
        terminated(numbers<std::uint8_t>(batch.at("terminated"))),
        truncated(numbers<std::uint8_t>(batch.at("truncated"))),
        steps(static_cast<int>(batch.at("rewards").size())),
        envs(static_cast<int>(last_values.size())),
        gamma(batch.at("gamma")),
        lambda(batch.at("lambda")) {}
  GaeInput<double> input() const {
    return {.steps = steps,
            .envs = envs,
            .gamma = gamma,
            .lambda = lambda,
            .rewards = rewards,
            .values = values,
            .last_values = last_values,
            .final_values = final_values,
            .terminated = terminated,
            .truncated = truncated};
  }
  std::vector<double> rewards, values, last_values, final_values;
  std::vector<std::uint8_t> terminated, truncated;
  int steps, envs;
  double gamma, lambda;
};

void expect_table(const std::vector<double>& actual, const std::vector<double>& expected, const std::string& what) {
  ASSERT_EQ(expected.size(), actual.size()) << what;
  for (std::size_t k = 0; k < actual.size(); ++k) {
    golden::expect_close(actual[k], expected[k], 1e-10, what + " " + std::to_string(k));
  }
}

TEST(GoldenReturns, GeneralizedAdvantagesEqualTheReferenceTo1e10) {
  golden::for_each_case("rl", "returns", [](const json&, const json& golden_batch) {
    const Batch batch(golden_batch);
    std::vector<double> advantages(batch.rewards.size()), returns(batch.rewards.size());
    generalized_advantages<double>(batch.input(), advantages, returns);
    expect_table(advantages, numbers(golden_batch.at("advantages")), "advantage");
    expect_table(returns, numbers(golden_batch.at("returns")), "return");
    lambda_returns<double>(batch.input(), returns);
    expect_table(returns, numbers(golden_batch.at("returns")), "lambda return");
  });
}

TEST(GoldenReturns, VtraceEqualsTheReferenceTo1e10) {
  golden::for_each_case("rl", "returns", [](const json&, const json& golden_batch) {
    const Batch batch(golden_batch);
    auto log_rhos = numbers(golden_batch.at("log_rhos"));
    std::vector<double> targets(batch.rewards.size()), advantages(batch.rewards.size());
    VtraceInput<double> in{.steps = batch.steps,
                           .envs = batch.envs,
                           .gamma = batch.gamma,
                           .log_rhos = log_rhos,
                           .rewards = batch.rewards,
                           .values = batch.values,
                           .last_values = batch.last_values,
                           .final_values = batch.final_values,
                           .terminated = batch.terminated,
                           .truncated = batch.truncated};
    vtrace<double>(in, targets, advantages);
    expect_table(targets, numbers(golden_batch.at("vtrace_vs")), "vs");
    expect_table(advantages, numbers(golden_batch.at("vtrace_pg_advantages")), "advantage");
    std::fill(log_rhos.begin(), log_rhos.end(), 0.0);
    vtrace<double>(in, targets, advantages);
    const auto on_policy = numbers(golden_batch.at("vtrace_vs_rho1"));
    expect_table(targets, on_policy, "vs with ratio 1");
    // What on-policy V-trace is: the n-step return that bootstraps at the end.
    discounted_returns<double>(batch.input(), targets);
    expect_table(targets, on_policy, "discounted return");
    n_step_returns<double>(batch.input(), batch.steps, targets);
    expect_table(targets, on_policy, "return of as many steps as there are");
  });
}

TEST(GoldenReturns, OneStepReturnsAreTheLambdaReturnsForLambdaZero) {
  golden::for_each_case("rl", "returns", [](const json&, const json& golden_batch) {
    Batch batch(golden_batch);
    batch.lambda = 0;
    std::vector<double> one_step(batch.rewards.size()), lambda_zero(batch.rewards.size());
    n_step_returns<double>(batch.input(), 1, one_step);
    lambda_returns<double>(batch.input(), lambda_zero);
    expect_table(one_step, lambda_zero, "return");
  });
}

}  // namespace
}  // namespace mobula::rl
