#include "rl/train/stage_clock.h"

#include <gmock/gmock.h>

#include "tests/unit/train/small_run.h"

namespace mobula::rl {
namespace {

StageClock::Clock::time_point g_now{};
void pass(int seconds) {
  g_now += std::chrono::seconds(seconds);
}

TEST(StageClock, BooksEachMomentToTheInnermostOpenStage) {
  StageClock clock([] { return g_now; });
  pass(1);
  {
    const auto collect = clock.span(Stage::collect);
    pass(2);
    {
      const auto broadcast = clock.span(Stage::broadcast);
      pass(4);
    }
    pass(8);
  }
  pass(16);
  const auto update = clock.span(Stage::update);
  pass(32);
  const StageSeconds so_far = clock.seconds();
  EXPECT_EQ(so_far[Stage::other], 17);
  EXPECT_EQ(so_far[Stage::collect], 10);
  EXPECT_EQ(so_far[Stage::broadcast], 4);
  EXPECT_EQ(so_far[Stage::update], 32);
  EXPECT_EQ(so_far.total(), 63);
  pass(64);
  EXPECT_EQ(clock.seconds()[Stage::update], 96);
}

TEST(StageClock, OfARunFillsTheStagesThatItHas) {
  auto options = small_cartpole();
  options.evaluate.every = 3;
  StageSeconds last;
  int updates = 0;
  Callbacks callbacks;
  callbacks.on_update = [&](const UpdateEvent& event) {
    EXPECT_GT(event.stages[Stage::collect], last[Stage::collect]);
    EXPECT_GT(event.stages[Stage::update], last[Stage::update]);
    EXPECT_GE(event.stages.total(), last.total());
    last = event.stages;
    ++updates;
  };
  auto runtime = in_process();
  const auto then = StageClock::Clock::now();
  const TrainResult result = train(runtime, options, callbacks);
  EXPECT_EQ(updates, 12);
  EXPECT_GT(result.stages[Stage::broadcast], 0);
  EXPECT_GT(result.stages[Stage::evaluate], 0);
  EXPECT_EQ(result.stages[Stage::checkpoint], 0) << "nothing is written";
  EXPECT_GE(result.stages.total(), last.total());
  EXPECT_LE(result.stages.total(), std::chrono::duration<double>(StageClock::Clock::now() - then).count());
}

}  // namespace
}  // namespace mobula::rl
