#include "rl/envs/acrobot.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "rl/envs/acrobot_physics.h"

namespace mobula::rl {
namespace {

using namespace acrobot;

Acrobot::Observation row_of(const Sight<double>& sight, const std::array<double, 4>& state) {
  return {static_cast<float>(sight.cosine1), static_cast<float>(sight.sine1), static_cast<float>(sight.cosine2),
          static_cast<float>(sight.sine2),   static_cast<float>(state[2]),    static_cast<float>(state[3])};
}

}  // namespace

Acrobot::Observation Acrobot::observation() const {
  return row_of(look(Links<double>{state[0], state[1], state[2], state[3]}), state);
}

Acrobot::Observation Acrobot::reset(Random& random) {
  for (double& x : state) x = static_cast<float>(random.uniform(-0.1, 0.1));
  steps = 0;
  return observation();
}

Step<Acrobot::Observation> Acrobot::step(const Action& action, Random&) {
  Links<double> links{state[0], state[1], state[2], state[3]};
  swing(links, static_cast<double>(action.index - 1));
  state = {links.angle1, links.angle2, links.speed1, links.speed2};
  const auto sight = look(links);
  const bool reached = sight.height > 1.0;
  return {row_of(sight, state), reached ? 0.0 : -1.0, reached, ++steps >= time_limit};
}

void Acrobot::step_batch(std::span<Acrobot> envs, std::span<const float> actions, const StepRows& rows) {
  using namespace lanes;
  for_blocks(
      envs.size(), [&](std::size_t first, auto n) __attribute__((always_inline)) {
        Acrobot* env = envs.data() + first;
        Links<Doubles> links;
        links.angle1 = gather(n, [&](int k) { return env[k].state[0]; });
        links.angle2 = gather(n, [&](int k) { return env[k].state[1]; });
        links.speed1 = gather(n, [&](int k) { return env[k].state[2]; });
        links.speed2 = gather(n, [&](int k) { return env[k].state[3]; });
        swing(links, gather(n, [&](int k) { return static_cast<int>(actions[first + k]) - 1; }));
        const auto sight = look(links);
        const Unpacked a1(links.angle1), a2(links.angle2), v1(links.speed1), v2(links.speed2), height(sight.height);
        const UnpackedFloats c1(sight.cosine1), s1(sight.sine1), c2(sight.cosine2), s2(sight.sine2), f1(links.speed1),
            f2(links.speed2);
        for (int k = 0; k < n; ++k) {
          env[k].state = {a1[k], a2[k], v1[k], v2[k]};
          float* row = rows.observations + (first + k) * 6;
          row[0] = c1[k], row[1] = s1[k], row[2] = c2[k], row[3] = s2[k], row[4] = f1[k], row[5] = f2[k];
          const bool reached = height[k] > 1.0;
          rows.rewards[first + k] = reached ? 0.0 : -1.0;
          rows.terminated[first + k] = reached;
          rows.truncated[first + k] = ++env[k].steps >= env[k].time_limit;
        }
      });
}

std::span<const Baseline<Acrobot>> Acrobot::baselines() {
  static constexpr Baseline<Acrobot> all[] = {
      {"pump", [](const Acrobot& env) { return Action{env.state[3] >= 0 ? 2 : 0}; }}};
  return all;
}

std::string Acrobot::render_text() const {
  constexpr int kLink = 4;
  constexpr int kColumns = 8 * kLink + 1;
  std::string picture[4 * kLink + 1];
  for (auto& row : picture) row.assign(kColumns, ' ');
  const auto draw = [&](double x, double y, char mark) {
    const int column = std::clamp(static_cast<int>(std::lround(kColumns / 2 + 2 * x)), 0, kColumns - 1);
    picture[std::clamp(static_cast<int>(std::lround(2 * kLink - y)), 0, 4 * kLink)][column] = mark;
  };
  for (int column = 0; column < kColumns; column += 2) picture[kLink][column] = '.';  // where the tip has to get to
  double x = 0, y = 0;
  double angle = 0;
  for (int link = 0; link < 2; ++link) {
    angle += state[link];
    for (int r = 1; r <= kLink; ++r) draw(x + r * std::sin(angle), y - r * std::cos(angle), link ? 'o' : '*');
    x += kLink * std::sin(angle), y -= kLink * std::cos(angle);
  }
  draw(0, 0, '+');
  std::string text;
  for (const auto& row : picture) text += row + '\n';
  char line[96];
  std::snprintf(line, sizeof line, "step %d  angles %+.1f %+.1f deg  speeds %+.2f %+.2f rad/s\n", steps,
                state[0] * 180 / kPi, state[1] * 180 / kPi, state[2], state[3]);
  return text + line;
}

}  // namespace mobula::rl
