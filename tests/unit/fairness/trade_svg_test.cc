#include "rl/fairness/trade_svg.h"

#include <gmock/gmock.h>

#include "rl/fairness/place_labels.h"

namespace mobula::rl {
namespace {

constexpr Box kPage{0, 0, 540, 320};

TEST(PlaceLabels, PutsThemBesideTheirPointsWithoutCoveringOneAnother) {
  // Two close pairs, one point in each corner, and a line that runs through the picture.
  std::vector<Label> labels{{200, 200, "trained"}, {206, 203, "fixed_time"},  {400, 100, "max_pressure"},
                            {410, 98, "human"},    {2, 2, "top_left_corner"}, {538, 318, "bottom_right_corner"},
                            {535, 3, "top_right"}};
  const std::vector<Box> taken{{0, 190, 540, 194}};
  place_labels(labels, taken, kPage, 7, 15);
  for (const auto& label : labels) {
    EXPECT_NEAR(label.box.overlap(kPage), 15 * 7 * static_cast<double>(label.text.size()), 1e-6)
        << label.text << " leaves the page";
    EXPECT_EQ(label.box.overlap(taken[0]), 0) << label.text << " is struck through";
    for (const auto& other : labels) {
      if (&other == &label) continue;
      EXPECT_EQ(label.box.overlap(other.box), 0) << label.text << " and " << other.text;
      EXPECT_EQ(label.box.overlap({other.x - 5, other.y - 5, other.x + 5, other.y + 5}), 0)
          << label.text << " covers the point of " << other.text;
    }
  }
}

PolicyMetrics policy(const std::string& name, double mean, double gap) {
  return {name,
          {{"mean_wait", {.value = mean, .low = mean - 0.2, .high = mean + 0.2, .n = 50}},
           {"mean_wait_gap", {.value = gap, .low = gap - 0.5, .high = gap + 0.5, .n = 50}}},
          {}};
}

TEST(TradeSvg, DrawsEachPolicyWithItsIntervalsAndTheLimit) {
  FairnessOptions options;
  options.constraints = {{.metric = "mean_wait_gap", .at_most = 10}};
  const std::vector<PolicyMetrics> policies{policy("trained", 8, 9), policy("a < b", 20, 10)};
  const std::string svg = trade_svg(options, policies);
  EXPECT_THAT(svg, testing::HasSubstr(">trained</text>"));
  EXPECT_THAT(svg, testing::HasSubstr(">a &lt; b</text>"));
  EXPECT_THAT(svg, testing::HasSubstr(">limit 10</text>"));
  EXPECT_THAT(svg, testing::HasSubstr("n = 50 held-out episodes"));
  const auto count = [&](const std::string& what) {
    int n = 0;
    for (std::size_t at = 0; (at = svg.find(what, at)) != std::string::npos; ++at) ++n;
    return n;
  };
  EXPECT_EQ(count("<circle"), 2);
  EXPECT_EQ(count("stroke-width=\"1.5\""), 2 * 6) << "two bars with two ends each";
}

TEST(TradeSvg, IsEmptyWhereNothingIsCompared) {
  EXPECT_EQ(trade_svg({}, std::vector<PolicyMetrics>{{"trained", {{"return", {.value = 1}}}, {}}}), "");
  EXPECT_EQ(trade_svg({}, {}), "");
}

}  // namespace
}  // namespace mobula::rl
