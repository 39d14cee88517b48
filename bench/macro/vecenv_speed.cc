// Steps of environments a second of processor time on one core, through VecEnv with random actions made beforehand,
// beside floors: for classic control the bare physics on arrays of numbers, eight at a time, with neither episodes nor
// observations; for Box2D the time inside Box2D. Rounds are interleaved and the best of each counts.
#include <mobula/rl/vec_env.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "rl/envs/acrobot.h"
#include "rl/envs/acrobot_physics.h"
#include "rl/envs/cartpole.h"
#include "rl/envs/cartpole_physics.h"
#include "rl/envs/mountain_car.h"
#include "rl/envs/pendulum.h"
#include "rl/envs/pendulum_physics.h"
#ifdef MOBULA_HAVE_BOX2D
#include "rl/box2d/bipedal_walker.h"
#include "rl/box2d/lunar_lander.h"
#endif

namespace {

using namespace mobula;
using namespace mobula::rl;
using lanes::Doubles;

constexpr int kEnvs = 1024;

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

std::vector<std::vector<float>> random_actions(const ActionSpace& space, int envs) {
  std::vector<std::vector<float>> all(64);
  Random random(1, Stream::user);
  for (auto& actions : all) {
    for (int k = 0; k < envs * space.dimensions; ++k) {
      actions.push_back(space.kind == ActionSpace::Kind::box
                            ? space.low + (space.high - space.low) * random.uniform_float()
                            : static_cast<float>(random.below(static_cast<std::uint32_t>(space.sizes[0]))));
    }
  }
  return all;
}

// Steps of E a second, in vectors of `envs`.
template <class E>
std::function<double()> through_vec_env(int envs, int steps) {
  auto env = std::make_shared<VecEnv<E>>(typename E::Config{}, VecEnvOptions{.count = envs, .seed = 1});
  env->reset();
  auto actions = std::make_shared<const std::vector<std::vector<float>>>(random_actions(env->info().action, envs));
  return [=] {
    const double start = cpu_seconds();
    for (int t = 0; t < steps; ++t) env->step((*actions)[t % 64]);
    return static_cast<double>(envs) * steps / (cpu_seconds() - start);
  };
}

// The floor: `advance` on N arrays of kEnvs numbers, a block of eight after another. Bounded states stay so by being
// set back now and then.
template <int N, class Advance>
std::function<double()> bare(int steps, const Advance& advance) {
  auto arrays = std::make_shared<std::vector<Doubles>>(N * kEnvs / lanes::kWidth);
  return [=] {
    const double start = cpu_seconds();
    for (int t = 0; t < steps; ++t) {
      if (t % 64 == 0) std::fill(arrays->begin(), arrays->end(), Doubles{} + 0.01);
      Doubles* at = arrays->data();
      for (int block = 0; block < kEnvs / lanes::kWidth; ++block, at += N) advance(at, t + block);
    }
    const double seconds = cpu_seconds() - start;
    if ((*arrays)[0][0] > 1e9) std::puts("the bare loop diverged");  // (keeps it from being optimised away)
    return static_cast<double>(kEnvs) * steps / seconds;
  };
}

void cartpole(Doubles* s, int t) {
  CartPolePhysics::advance(s[0], s[1], s[2], s[3], Doubles{} + (t % 2 ? 10.0 : -10.0));
}
void pendulum_loop(Doubles* s, int t) {
  s[2] = pendulum::swing(s[0], s[1], Doubles{} + (t % 2 ? 3.0 : -3.0), Doubles{} + 0.001, Doubles{} + 10.0);
}
void acrobot_loop(Doubles* s, int t) {
  acrobot::Links<Doubles> links{s[0], s[1], s[2], s[3]};
  acrobot::swing(links, Doubles{} + (t % 3 - 1.0));
  s[0] = links.angle1, s[1] = links.angle2, s[2] = links.speed1, s[3] = links.speed2;
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
    const auto actions = random_actions(ActionCodec<typename E::Action>::space(), 256);
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
  const int floor1 = add("cartpole, bare physics (floor)", bare<4>(2000, cartpole), -1);
  add("cartpole, VecEnv of 1024", through_vec_env<CartPole>(1024, 500), floor1);
  add("cartpole, VecEnv of 64", through_vec_env<CartPole>(64, 8000), floor1);
  add("cartpole, VecEnv of 8", through_vec_env<CartPole>(8, 50000), floor1);
  const int floor2 = add("pendulum, bare physics (floor)", bare<3>(2000, pendulum_loop), -1);
  add("pendulum, VecEnv of 1024", through_vec_env<Pendulum>(1024, 500), floor2);
  add("pendulum, VecEnv of 64", through_vec_env<Pendulum>(64, 8000), floor2);
  const int floor3 = add("acrobot, bare physics (floor)", bare<4>(500, acrobot_loop), -1);
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
