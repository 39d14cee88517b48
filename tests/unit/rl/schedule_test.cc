#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mobula/rl/ppo_options.h>

#include "runtime/config/config.h"

namespace mobula::rl {
namespace {

using testing::HasSubstr;

PpoOptions read(const std::string& text) {
  PpoOptions options;
  config::read(config::Document::parse(text, "run.yaml"), "", options);
  return options;
}

std::string refused(const std::string& text) {
  try {
    read(text);
  } catch (const config::ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(Schedule, ANumberStaysAsItIs) {
  const Schedule schedule = 0.25;
  EXPECT_EQ(schedule.at(0, 100), 0.25);
  EXPECT_EQ(schedule.at(1000, 100), 0.25);
}

TEST(Schedule, LinearArrivesWhenTrainingEndsOrAfterItsSteps) {
  const Schedule whole = Schedule::linear(1, 0.5);
  EXPECT_EQ(whole.at(0, 1000), 1.0);
  EXPECT_EQ(whole.at(500, 1000), 0.75);
  EXPECT_EQ(whole.at(1000, 1000), 0.5);
  EXPECT_EQ(whole.at(1500, 1000), 0.5);
  EXPECT_EQ(whole.at(500, 0), 1.0);  // nobody knows when training ends
  const Schedule early = Schedule::linear(1, 0, 100);
  EXPECT_EQ(early.at(50, 1000), 0.5);
  EXPECT_EQ(early.at(100, 1000), 0.0);
  EXPECT_EQ(early.at(999, 1000), 0.0);
}

TEST(Schedule, CosineFallsSlowlyAtBothEnds) {
  const Schedule schedule = Schedule::cosine(1, 0);
  EXPECT_DOUBLE_EQ(schedule.at(0, 1000), 1.0);
  EXPECT_NEAR(schedule.at(250, 1000), 0.5 + 0.5 * std::sqrt(0.5), 1e-12);
  EXPECT_NEAR(schedule.at(500, 1000), 0.5, 1e-12);
  EXPECT_NEAR(schedule.at(1000, 1000), 0.0, 1e-12);
  EXPECT_GT(schedule.at(100, 1000), 0.97);
}

TEST(Schedule, PiecewiseJoinsItsPoints) {
  const Schedule schedule = Schedule::piecewise({{100, 1}, {200, 3}, {400, 0}});
  EXPECT_EQ(schedule.at(0, 0), 1.0);
  EXPECT_EQ(schedule.at(150, 0), 2.0);
  EXPECT_EQ(schedule.at(200, 0), 3.0);
  EXPECT_EQ(schedule.at(300, 0), 1.5);
  EXPECT_EQ(schedule.at(400, 0), 0.0);
  EXPECT_EQ(schedule.at(4000, 0), 0.0);
  EXPECT_EQ(schedule.range(), (std::pair{0.0, 3.0}));
}

TEST(Schedule, IsReadFromAFileInPlaceOfANumber) {
  EXPECT_EQ(read("lr: 0.5").lr, Schedule(0.5));
  EXPECT_EQ(read("lr: {linear: [1.0e-3, 0]}").lr, Schedule::linear(1e-3, 0));
  EXPECT_EQ(read("clip_range: {cosine: [0.3, 0.1, 5000]}").clip_range, Schedule::cosine(0.3, 0.1, 5000));
  EXPECT_EQ(read("ent_coef: {piecewise: [[0, 0.01], [50000, 0]]}").ent_coef,
            Schedule::piecewise({{0, 0.01}, {50000, 0}}));
  PpoOptions options;
  auto document = config::Document::parse("lr: {linear: [1.0e-3, 0]}", "run.yaml");
  document.set("lr.linear.0=0.5");
  config::read(document, "", options);
  EXPECT_EQ(options.lr, Schedule::linear(0.5, 0));
  document.set("lr=2.0e-4");
  config::read(document, "", options);
  EXPECT_EQ(options.lr, Schedule(2e-4));
}

TEST(Schedule, ADumpReadsBackToTheSame) {
  PpoOptions options;
  options.lr = Schedule::linear(1e-3, 0);
  options.clip_range = Schedule::piecewise({{0, 0.3}, {1e5, 0.1}});
  options.ent_coef = Schedule::cosine(0.01, 0.001, 7000);
  const std::string text = config::dump(options);
  EXPECT_THAT(text, HasSubstr("lr: {linear: [0.001, 0]}\n"));
  EXPECT_THAT(text, HasSubstr("clip_range: {piecewise: [[0, 0.3], [1e+05, 0.1]]}\n"));
  const PpoOptions same = read(text);
  EXPECT_EQ(same.lr, options.lr);
  EXPECT_EQ(same.clip_range, options.clip_range);
  EXPECT_EQ(same.ent_coef, options.ent_coef);
  EXPECT_EQ(same.n_steps, options.n_steps);
  for (const auto& key : config::describe_keys(options)) {
    if (key.path != "lr") continue;
    EXPECT_EQ(key.type, "number or schedule");
    EXPECT_EQ(key.default_value, "{linear: [0.001, 0]}");
  }
}

TEST(Schedule, MistakesNameThePlaceAndTheFix) {
  EXPECT_EQ(refused("lr: [1, 2]"),
            "run.yaml:1:5: lr: found a list; expected a number > 0, or a schedule such as {linear: [0.001, 0]}");
  EXPECT_THAT(refused("lr: {linaer: [1, 2]}"), HasSubstr("unknown key 'lr.linaer'; expected one of linear, piecewise, "
                                                         "cosine; did you mean 'linear'?"));
  EXPECT_THAT(refused("lr: {linear: [1]}"), HasSubstr("found 1 numbers; expected [from, to]"));
  EXPECT_THAT(refused("lr: {linear: [1, 0], cosine: [1, 0]}"), HasSubstr("a schedule is one of"));
  EXPECT_THAT(refused("lr: {}"), HasSubstr("a schedule is one of"));
  EXPECT_THAT(refused("lr: {piecewise: [[0, 1], [0, 2]]}"), HasSubstr("must increase"));
  EXPECT_THAT(refused("lr: {linear: [0.1, -0.1]}"), HasSubstr("values from -0.1 to 0.1, which are out of range"));
  EXPECT_THAT(refused("lr: {linear: [0.1, 0]}\nlr_schedule: linear"), HasSubstr("leave lr_schedule out"));
  EXPECT_THAT(refused("lr: fast"), HasSubstr("found 'fast'; expected a number > 0"));
}

}  // namespace
}  // namespace mobula::rl
