// Steps of environments a second of processor time on one core, through VecEnv with random actions made beforehand,
// beside floors: for classic control the bare physics on arrays of numbers, eight at a time, with neither episodes nor
// observations; for Box2D the time inside Box2D. Rounds are interleaved and the best of each counts.
#include <mobula/rl/vec_env.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "bench/micro/environment_steps.h"
#include "rl/envs/acrobot.h"
#include "rl/envs/cartpole.h"
#include "rl/envs/mountain_car.h"
#include "rl/envs/pendulum.h"
#ifdef MOBULA_HAVE_BOX2D
#include "rl/box2d/bipedal_walker.h"
#include "rl/box2d/lunar_lander.h"
#endif

namespace {

using namespace mobula;
using namespace mobula::rl;

double seconds_of(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}
double cpu_seconds() {
  return seconds_of(CLOCK_PROCESS_CPUTIME_ID);
}
[[maybe_unused]] double wall_seconds() {
  return seconds_of(CLOCK_MONOTONIC);
}

// Steps a second of processor time of what makes so many of them.
std::function<double()> rate(std::function<void()> once, double steps) {
  return [once = std::move(once), steps] {
    const double start = cpu_seconds();
    once();
    return steps / (cpu_seconds() - start);
  };
}
template <class E>
std::function<double()> through_vec_env(int envs, int steps) {
  return rate(bench::through_vec_env<E>(envs, steps), static_cast<double>(envs) * steps);
}
std::function<double()> bare(std::function<void()> loop, int steps) {
  return rate(std::move(loop), static_cast<double>(bench::bare_envs) * steps);
}

struct Row {
  std::string name;
  std::function<double()> measure;
  int floor;  // index of its floor's row; its own: none
  double best = 0;
};

#ifdef MOBULA_HAVE_BOX2D
// Time of whole steps over time inside Box2D, episodes' beginnings included. Box2D tells its own by the wall clock, so
// both are taken by it; the rate is one of processor time.
template <class E>
void against_box2d(const char* name) {
  double best = 1e9, rate = 0;
  for (int round = 0; round < 5; ++round) {
    E env({});
    const auto actions = bench::random_actions(ActionCodec<typename E::Action>::space(), 256);
    const int width = ActionCodec<typename E::Action>::space().dimensions;
    constexpr int kSteps = 4000;
    Random random(1, Stream::environment);
    bool end = true;
    const double start = cpu_seconds(), wall_start = wall_seconds();
    for (int t = 0, episode = 0; t < kSteps; ++t) {
      if (end) {
        random = Random(1, Stream::environment, 0, static_cast<std::uint32_t>(episode++));
        env.reset(random);
      }
      const float* row = actions[t / 256 % 64].data() + t % 256 * width;
      const auto step = env.step(ActionCodec<typename E::Action>::decode(row), random);
      end = step.terminated || step.truncated;
    }
    const double seconds = cpu_seconds() - start;
    best = std::min(best, (wall_seconds() - wall_start) / env.box2d_seconds);
    rate = std::max(rate, kSteps / seconds);
  }
  std::printf("%-40s %9.4f M/s   %.2f times the time inside Box2D (floor)\n", name, rate / 1e6, best);
}
#endif

}  // namespace

int main() {
  std::vector<Row> rows;
  const auto add = [&rows](std::string name, std::function<double()> measure, int floor) {
    rows.push_back({std::move(name), std::move(measure), floor < 0 ? static_cast<int>(rows.size()) : floor});
    return static_cast<int>(rows.size()) - 1;
  };
  const int floor1 = add("cartpole, bare physics (floor)", bare(bench::bare_cartpole(2000), 2000), -1);
  add("cartpole, VecEnv of 1024", through_vec_env<CartPole>(1024, 500), floor1);
  add("cartpole, VecEnv of 64", through_vec_env<CartPole>(64, 8000), floor1);
  add("cartpole, VecEnv of 8", through_vec_env<CartPole>(8, 50000), floor1);
  const int floor2 = add("pendulum, bare physics (floor)", bare(bench::bare_pendulum(2000), 2000), -1);
  add("pendulum, VecEnv of 1024", through_vec_env<Pendulum>(1024, 500), floor2);
  add("pendulum, VecEnv of 64", through_vec_env<Pendulum>(64, 8000), floor2);
  const int floor3 = add("acrobot, bare physics (floor)", bare(bench::bare_acrobot(500), 500), -1);
  add("acrobot, VecEnv of 1024", through_vec_env<Acrobot>(1024, 200), floor3);
  add("acrobot, VecEnv of 64", through_vec_env<Acrobot>(64, 3000), floor3);
  add("mountain_car, VecEnv of 1024", through_vec_env<MountainCar>(1024, 500), -1);
  add("mountain_car_continuous, VecEnv of 1024", through_vec_env<MountainCarContinuous>(1024, 500), -1);
  for (int round = 0; round < 7; ++round) {
    for (Row& row : rows) row.best = std::max(row.best, row.measure());
  }
  std::printf("%-40s %13s %9s\n", "one core, steps a second of CPU time", "steps", "of floor");
  for (const Row& row : rows) {
    std::printf("%-40s %9.2f M/s %8.0f%%\n", row.name.c_str(), row.best / 1e6,
                100 * row.best / rows[static_cast<std::size_t>(row.floor)].best);
  }
#ifdef MOBULA_HAVE_BOX2D
  against_box2d<LunarLander>("lunar_lander");
  against_box2d<LunarLanderContinuous>("lunar_lander_continuous");
  against_box2d<BipedalWalker>("bipedal_walker");
#endif
}
