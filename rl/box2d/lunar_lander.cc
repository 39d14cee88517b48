#include "rl/box2d/lunar_lander.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "rl/box2d/lander_world.h"

namespace mobula::rl {
namespace {

constexpr double kDispersion = 1.0 / 30.0;

auto maker(const LunarLanderConfig& config) {
  return [&config](Random& random) {
    auto world = std::make_shared<LanderWorld>(config, random);
    world->step({});  // an episode begins with a step of doing nothing
    return world;
  };
}

LanderInput input_of(const Discrete<4>& action) {
  return {.main = action.index == 2 ? 1.0 : 0.0, .side = action.index == 1 ? -1.0 : action.index == 3 ? 1.0 : 0.0};
}

LanderInput input_of(const Box<2, -1.0f, 1.0f>& action) {
  const float main = std::clamp(action.value[0], -1.0f, 1.0f), side = std::clamp(action.value[1], -1.0f, 1.0f);
  return {.main = main > 0 ? (main + 1.0f) * 0.5f : 0.0f, .side = std::abs(side) > 0.5f ? side : 0.0f};
}

// What Gymnasium's heuristic wants to turn by, and to climb by.
struct Wish {
  double turn, climb;
};
Wish wish(const std::array<float, 8>& s) {
  const double angle = std::clamp(s[0] * 0.5 + s[2] * 1.0, -0.4, 0.4);
  const double hover = 0.55 * std::abs(s[0]);
  if (s[6] != 0 || s[7] != 0) return {0, -s[3] * 0.5};
  return {(angle - s[4]) * 0.5 - s[5], (hover - s[1]) * 0.5 - s[3] * 0.5};
}

void act(const std::array<float, 8>& s, Discrete<4>& action) {
  const auto [turn, climb] = wish(s);
  action.index = climb > std::abs(turn) && climb > 0.05 ? 2 : turn < -0.05 ? 3 : turn > 0.05 ? 1 : 0;
}
void act(const std::array<float, 8>& s, Box<2, -1.0f, 1.0f>& action) {
  const auto [turn, climb] = wish(s);
  action.value = {static_cast<float>(std::clamp(climb * 20 - 1, -1.0, 1.0)),
                  static_cast<float>(std::clamp(-turn * 20, -1.0, 1.0))};
}

}  // namespace

template <class Space>
typename Lander<Space>::Observation Lander<Space>::reset(Random& random) {
  steps = 0;
  LanderWorld::Result first{};
  replay.begin(random, [&](Random& numbers) {
    auto world = std::make_shared<LanderWorld>(config, numbers);
    first = world->step({});
    return world;
  });
  return observation = first.observation;
}

template <class Space>
Step<typename Lander<Space>::Observation> Lander<Space>::step(const Action& action, Random& random) {
  LanderInput input = input_of(action);
  for (double& d : input.dispersion) d = random.uniform(-1.0, 1.0) * kDispersion;
  const auto result = replay.next(input, maker(config)).step(input);
  observation = result.observation;
  box2d_seconds += result.box2d_seconds;
  return {observation, result.reward, result.terminated, ++steps >= config.time_limit};
}

template <class Space>
std::span<const Baseline<Lander<Space>>> Lander<Space>::baselines() {
  static constexpr Baseline<Lander> all[] = {{"heuristic", [](const Lander& env) {
                                                Action action;
                                                act(env.observation, action);
                                                return action;
                                              }}};
  return all;
}

template <class Space>
std::string Lander<Space>::render_text() const {
  constexpr int kColumns = 61, kRows = 20;
  std::string rows[kRows + 1];
  for (auto& row : rows) row.assign(kColumns, ' ');
  rows[kRows].assign(kColumns, '.');
  for (int column = kColumns / 2 - 6; column <= kColumns / 2 + 6; ++column) rows[kRows][column] = '=';
  const auto& s = observation;
  const int column = std::clamp(static_cast<int>(std::lround((s[0] + 1) / 2 * (kColumns - 1))), 1, kColumns - 2);
  const int row = std::clamp(kRows - 1 - static_cast<int>(std::lround(s[1] * kRows / 1.5)), 0, kRows - 1);
  rows[row].replace(column - 1, 3, s[4] > 0.2 ? "\\A " : s[4] < -0.2 ? " A/" : "/A\\");
  std::string text;
  for (const auto& line : rows) text += line + '\n';
  char line[120];
  std::snprintf(line, sizeof line, "step %d  x %+.2f y %+.2f  speed %+.2f %+.2f  angle %+.2f  legs %d %d\n", steps,
                s[0], s[1], s[2], s[3], s[4], s[6] != 0, s[7] != 0);
  return text + line;
}

template struct Lander<Discrete<4>>;
template struct Lander<Box<2, -1.0f, 1.0f>>;

}  // namespace mobula::rl
