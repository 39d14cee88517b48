#include "rl/envs/cartpole.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace mobula::rl {
namespace {

constexpr double kGravity = 9.8;
constexpr double kPoleMass = 0.1;
constexpr double kTotalMass = kPoleMass + 1.0;
constexpr double kHalfLength = 0.5;
constexpr double kPoleMoment = kPoleMass * kHalfLength;
constexpr double kForce = 10.0;
constexpr double kTimeStep = 0.02;
constexpr double kPositionLimit = 2.4;
constexpr double kAngleLimit = 12 * 2 * 3.14159265358979323846 / 360;

}  // namespace

CartPole::Observation CartPole::observation() const {
  return {static_cast<float>(state[0]), static_cast<float>(state[1]), static_cast<float>(state[2]),
          static_cast<float>(state[3])};
}

CartPole::Observation CartPole::reset(Random& random) {
  for (double& x : state) x = random.uniform(-0.05, 0.05);
  steps = 0;
  return observation();
}

Step<CartPole::Observation> CartPole::step(const Action& action, Random&) {
  auto& [x, x_dot, theta, theta_dot] = state;
  const double force = action.index == 1 ? kForce : -kForce;
  const double cosine = std::cos(theta);
  const double sine = std::sin(theta);
  const double push = (force + kPoleMoment * (theta_dot * theta_dot) * sine) / kTotalMass;
  const double angular_acceleration =
      (kGravity * sine - cosine * push) / (kHalfLength * (4.0 / 3.0 - kPoleMass * (cosine * cosine) / kTotalMass));
  const double acceleration = push - kPoleMoment * angular_acceleration * cosine / kTotalMass;
  x += kTimeStep * x_dot;
  x_dot += kTimeStep * acceleration;
  theta += kTimeStep * theta_dot;
  theta_dot += kTimeStep * angular_acceleration;
  ++steps;
  const bool fell = x < -kPositionLimit || x > kPositionLimit || theta < -kAngleLimit || theta > kAngleLimit;
  return {observation(), 1.0, fell, steps >= time_limit};
}

std::string CartPole::render_text() const {
  constexpr int kWidth = 49;
  std::string track(kWidth, '-');
  const double place = (state[0] / kPositionLimit + 1) / 2 * (kWidth - 1);
  const int cart = std::clamp(static_cast<int>(std::lround(place)), 0, kWidth - 1);
  track[cart] = '#';
  std::string text;
  for (int height = 4; height >= 1; --height) {
    std::string row(kWidth, ' ');
    const int column = cart + static_cast<int>(std::lround(2.0 * height * std::sin(state[2])));
    if (column >= 0 && column < kWidth) row[column] = state[2] > 0.05 ? '/' : state[2] < -0.05 ? '\\' : '|';
    text += row + '\n';
  }
  char line[80];
  std::snprintf(line, sizeof line, "\nstep %d  x %+.2f m  angle %+.1f deg\n", steps, state[0],
                state[2] * 180 / 3.14159265358979323846);
  return text + track + line;
}

}  // namespace mobula::rl
