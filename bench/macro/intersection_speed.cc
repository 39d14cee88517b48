// How fast the intersection is simulated on one core, beside the floor: the same car-following step over plain arrays.
//
// Rounds of both are interleaved and the best round of each counts, so that a busy machine disturbs both alike.
#include <mobula/rl/intersection.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

namespace {

using namespace mobula;
using namespace mobula::rl;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Speed {
  double updates = 0, decisions = 0;  // a second
};

Speed simulate(const Intersection::Config& config, int episodes) {
  Intersection env(config);
  std::int64_t decisions = 0;
  const auto start = Clock::now();
  for (int k = 0; k < episodes; ++k) {
    Random random(1, Stream::environment, 0, static_cast<std::uint32_t>(k));
    env.reset(random);
    for (bool end = false; !end; ++decisions) end = env.step(Intersection::baselines()[0].act(env), random).truncated;
  }
  const double elapsed = seconds_since(start);
  return {static_cast<double>(env.vehicle_updates()) / elapsed, static_cast<double>(decisions) / elapsed};
}

// One long lane of cars as three arrays: nothing but the formula and the step.
double bare_loop(int steps) {
  constexpr int cars = 1024;
  const IdmLaw<float> law{Idm{}};
  std::vector<float> position(cars + 1), speed(cars + 1, 10.0f), acceleration(cars + 1);
  for (int i = 0; i <= cars; ++i) position[i] = -20.0f * static_cast<float>(i);
  float* __restrict x = position.data();
  float* __restrict v = speed.data();
  float* __restrict a = acceleration.data();
  const float dt = 0.5f;
  const auto start = Clock::now();
  for (int step = 0; step < steps; ++step) {
    x[0] += 10.0f * dt;
    for (int i = 1; i <= cars; ++i) a[i] = law(v[i], v[i - 1], x[i - 1] - x[i] - 5.0f);
    for (int i = 1; i <= cars; ++i) {
      const float wanted = std::max(0.0f, v[i] + a[i] * dt);
      x[i] += 0.5f * (v[i] + wanted) * dt;
      v[i] = wanted;
    }
  }
  const double elapsed = seconds_since(start);
  if (!(x[cars] > -1e9f)) std::puts("the bare loop diverged");  // (also keeps it from being optimised away)
  return static_cast<double>(cars) * steps / elapsed;
}

}  // namespace

int main() {
  Intersection::Config quiet, busy;
  busy.main_demand = 1100;
  busy.side_demand = 400;
  Speed at_quiet, at_busy;
  double floor = 0;
  for (int round = 0; round < 9; ++round) {
    const auto better = [](Speed& best, const Speed& now) {
      best = {std::max(best.updates, now.updates), std::max(best.decisions, now.decisions)};
    };
    better(at_quiet, simulate(quiet, 20));
    better(at_busy, simulate(busy, 10));
    floor = std::max(floor, bare_loop(40000));
  }
  std::printf("%-44s %14s %14s %8s\n", "one core", "updates/s", "decisions/s", "of floor");
  std::printf("%-44s %12.1f M %14s %8s\n", "bare car-following loop, 1024 cars (floor)", floor / 1e6, "", "");
  std::printf("%-44s %12.1f M %14.0f %7.0f%%\n", "intersection, 900 and 180 vehicles/h", at_quiet.updates / 1e6,
              at_quiet.decisions, 100 * at_quiet.updates / floor);
  std::printf("%-44s %12.1f M %14.0f %7.0f%%\n", "intersection, 1100 and 400 vehicles/h", at_busy.updates / 1e6,
              at_busy.decisions, 100 * at_busy.updates / floor);
}
