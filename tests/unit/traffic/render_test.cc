#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <sstream>

#include "rl/traffic/drawing.h"
#include "tests/unit/traffic/episodes.h"

namespace mobula::rl {
namespace {

using testing::HasSubstr;

Intersection after(int steps, int phase, double demand = 900) {
  Intersection::Config config;
  config.main_demand = demand;
  Intersection env(config);
  Random random = episode_random(0);
  env.reset(random);
  for (int k = 0; k < steps; ++k) env.step({phase}, random);
  return env;
}

// Elements are opened and closed in order, and attributes quoted: what a picture needs to be read at all.
void expect_well_formed(const std::string& svg) {
  std::vector<std::string> open;
  for (std::size_t at = svg.find('<'); at != std::string::npos; at = svg.find('<', at + 1)) {
    const std::size_t end = svg.find('>', at);
    ASSERT_NE(end, std::string::npos);
    const std::string tag = svg.substr(at + 1, end - at - 1);
    ASSERT_EQ(std::count(tag.begin(), tag.end(), '"') % 2, 0) << tag;
    const std::string name = tag.substr(tag[0] == '/' ? 1 : 0, tag.find_first_of(" />", 1) - (tag[0] == '/' ? 1 : 0));
    if (tag[0] == '/') {
      ASSERT_FALSE(open.empty());
      ASSERT_EQ(open.back(), tag.substr(1));
      open.pop_back();
    } else if (tag.back() != '/') {
      open.push_back(name);
    }
  }
  EXPECT_TRUE(open.empty());
}

TEST(RenderText, FitsATerminalAndShowsEveryCar) {
  const Intersection env = after(30, 0);
  const std::string text = env.render_text();
  std::istringstream lines(text);
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) EXPECT_LE(line.size(), 80u);
  EXPECT_LE(count, 32);
  EXPECT_THAT(text, HasSubstr("00:02:30   main green"));
  EXPECT_THAT(text, HasSubstr("side red"));
  // The picture ends where the table begins.
  const std::string picture = text.substr(text.find('\n'), text.find("  from") - text.find('\n'));
  const auto cars = std::count_if(picture.begin(), picture.end(), [](char c) { return std::strchr("><v^o@", c); });
  int expected = 0;
  for (int a = 0; a < 4; ++a) expected += env.lane(a).size();
  EXPECT_NEAR(static_cast<double>(cars), expected, 3) << "two cars may share a place in the junction";
}

TEST(RenderSvg, IsAWellFormedPictureWithEveryCar) {
  const Intersection env = after(60, 0);
  const std::string svg = env.render_svg();
  expect_well_formed(svg);
  int expected = 0, drawn = 0;
  for (int a = 0; a < 4; ++a) expected += env.lane(a).size();
  for (std::size_t at = svg.find("translate("); at != std::string::npos; at = svg.find("translate(", at + 1)) ++drawn;
  EXPECT_EQ(drawn, expected);
  EXPECT_EQ(svg, env.render_svg());
}

TEST(RenderSvg, ShowsHowManyWaitOutside) {
  const Intersection env = after(700, 1);
  ASSERT_GT(env.lane(Intersection::west).outside(), 0);
  EXPECT_THAT(env.render_svg(), HasSubstr(">+" + std::to_string(env.lane(Intersection::west).outside()) + "<"));
}

TEST(RenderEpisode, AnimatesEveryCarOfTheFrames) {
  std::vector<Intersection> frames;
  Intersection env;
  Random random = episode_random(0);
  env.reset(random);
  for (int k = 0; k < 24; ++k) {
    env.step(Intersection::baselines()[0].act(env), random);
    frames.push_back(env);
  }
  const std::string svg = render_episode_svg(frames);
  expect_well_formed(svg);
  std::int64_t cars = 0;
  for (int a = 0; a < 4; ++a) cars += env.lane(a).left() + env.lane(a).size();
  std::int64_t animated = 0;
  for (std::size_t at = svg.find("<animateTransform"); at != std::string::npos;
       at = svg.find("<animateTransform", at + 1))
    ++animated;
  EXPECT_EQ(animated, cars) << "none crosses the whole picture between two frames";
  EXPECT_TRUE(render_episode_svg({}).empty());
  expect_well_formed(render_episode_svg(std::span(frames).first(1)));
}

TEST(Drawing, ColoursGoFromBlueGreenToRed) {
  EXPECT_EQ(drawing::wait_colour(0), "#3cbeb4");
  EXPECT_EQ(drawing::wait_colour(30000), "#facd4b");
  EXPECT_EQ(drawing::wait_colour(90000), "#de3c3c");
  EXPECT_EQ(drawing::wait_colour(900000), "#de3c3c");
}

}  // namespace
}  // namespace mobula::rl
