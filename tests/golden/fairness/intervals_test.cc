#include "rl/fairness/intervals.h"

#include <gtest/gtest.h>

#include "rl/fairness/indices.h"
#include "tests/support/golden.h"

namespace mobula::rl {
namespace {

using golden::expect_close;

TEST(Intervals, AgreeWithSciPyAndStatsmodels) {
  golden::for_each_case("fairness", "intervals", [](const golden::json&, const golden::json& c) {
    const double confidence = c.at("confidence");
    const Interval one = wilson(c.at("k"), c.at("n"), confidence);
    expect_close(one.low, c.at("wilson")[0], 1e-10, "wilson low");
    expect_close(one.high, c.at("wilson")[1], 1e-10, "wilson high");
    const Interval two = newcombe(c.at("k"), c.at("n"), c.at("k2"), c.at("n2"), confidence);
    expect_close(two.low, c.at("newcombe_difference")[0], 1e-10, "newcombe low");
    expect_close(two.high, c.at("newcombe_difference")[1], 1e-10, "newcombe high");
  });
}

TEST(Indices, AgreeWithTheFormulasInNumPy) {
  golden::for_each_case("fairness", "indices", [](const golden::json&, const golden::json& c) {
    const auto values = golden::numbers(c.at("x"));
    if (!c.at("gini").is_null()) expect_close(gini(values), c.at("gini"), 1e-12, "gini");
    if (!c.at("jain").is_null()) expect_close(jain(values), c.at("jain"), 1e-12, "jain");
  });
  golden::list_not_covered("fairness", {"intervals", "indices"});
}

}  // namespace
}  // namespace mobula::rl
