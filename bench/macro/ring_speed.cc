// How fast the ring is simulated on one core, beside the floor: the same car-following step without noise, observation
// and report. Rounds are interleaved and the best of each counts, so that a busy machine disturbs all alike.
#include <mobula/rl/ring.h>

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

// Vehicle updates a second of whole episodes, warm-up included.
double simulate(double noise, int episodes) {
  Ring::Config config;
  config.noise = noise;
  Ring env(config);
  const auto start = Clock::now();
  for (int k = 0; k < episodes; ++k) {
    Random random(1, Stream::environment, 0, static_cast<std::uint32_t>(k));
    env.reset(random);
    for (bool end = false; !end;) end = env.step(Ring::baselines()[0].act(env), random).truncated;
  }
  return static_cast<double>(env.vehicle_updates()) / seconds_since(start);
}

// 22 cars as two arrays: nothing but the formula and the step.
double bare_loop(int steps) {
  constexpr int cars = 22;
  const Ring::Config config;
  const IdmLaw<double> law(config.driver);
  std::vector<double> speed(cars + 1, 3.0), gap(cars, 5.0);
  gap[0] = 6;
  double* __restrict v = speed.data();
  double* __restrict g = gap.data();
  const double dt = config.time_step;
  const auto start = Clock::now();
  for (int step = 0; step < steps; ++step) {
    for (int i = 0; i < cars; ++i) v[i] = std::max(0.0, v[i] + law(v[i], v[i + 1], g[i]) * dt);
    v[cars] = v[0];
    for (int i = 0; i < cars; ++i) g[i] += (v[i + 1] - v[i]) * dt;
  }
  const double elapsed = seconds_since(start);
  if (!(g[3] > 0)) std::puts("the bare loop crashed");  // (also keeps it from being optimised away)
  return static_cast<double>(cars) * steps / elapsed;
}

}  // namespace

int main() {
  double noisy = 0, quiet = 0, floor = 0;
  for (int round = 0; round < 9; ++round) {
    noisy = std::max(noisy, simulate(0.2, 20));
    quiet = std::max(quiet, simulate(0, 20));
    floor = std::max(floor, bare_loop(200000));
  }
  std::printf("%-44s %16s %9s\n", "one core", "vehicle updates", "of floor");
  const auto row = [&](const char* name, double updates) {
    std::printf("%-44s %12.1f M/s %8.0f%%\n", name, updates / 1e6, 100 * updates / floor);
  };
  row("bare car-following loop, 22 cars (floor)", floor);
  row("ring, drivers without noise", quiet);
  row("ring", noisy);
}
